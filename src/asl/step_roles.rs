//! Puts the roles of steps into a definition: `Credentials` of its Tasks (developer guide, "Accessing resources in other AWS
//! accounts", which are of the same account as well).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::model::{Kind, Machine, State, Target, Task};
use super::position::{Node, Place, Places};
use super::substitute::has_name;
use crate::similar::nearest;

/// A role that steps act as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepRole<'a> {
    /// Names of states, or JSON pointers to them.
    pub states: Vec<&'a str>,
    /// The role.
    pub role_arn: &'a str,
}

/// A state that cannot act as the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Index of the role.
    pub role: usize,
    /// Index among its states.
    pub state: usize,
    /// Why, and what to do.
    pub message: String,
}

impl Misplaced {
    /// JSON pointer to what the author wrote.
    pub fn pointer(&self) -> String {
        format!("/spec/stepRoles/{}/states/{}", self.role, self.state)
    }
}

impl std::fmt::Display for Misplaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "spec.stepRoles[{}].states[{}]: {}", self.role, self.state, self.message)
    }
}

/// The definition with the roles in its Tasks, each where its state stands, and what could not be put in.
pub fn with_step_roles(root: Node<'_>, roles: &[StepRole<'_>]) -> (Value, Places, Vec<Misplaced>) {
    let machine = Machine::of(root);
    let mut steps = Steps::of(&machine);
    let mut misplaced = Vec::new();
    for (role, one) in roles.iter().enumerate() {
        for (state, written) in one.states.iter().enumerate() {
            if let Err(message) = steps.put(written, one.role_arn, (role, state)) {
                misplaced.push(Misplaced { role, state, message });
            }
        }
    }
    let mut places = Places::default();
    let value = put_in(root, &steps.added, &mut places);
    (value, places, misplaced)
}

struct Steps<'m, 'a> {
    root: Node<'a>,
    by_id: HashMap<usize, &'m State<'a>>,
    by_name: HashMap<&'a str, Vec<&'m State<'a>>>,
    /// Who has named a state already, by its id.
    named: HashMap<usize, (usize, usize)>,
    /// Roles that the definition does not have itself, by the id of their state.
    added: HashMap<usize, String>,
}

impl<'m, 'a> Steps<'m, 'a> {
    fn of(machine: &'m Machine<'a>) -> Self {
        let (mut by_id, mut by_name) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for visit in machine.walk() {
            by_id.insert(visit.state.node.id(), visit.state);
            by_name.entry(visit.state.name).or_default().push(visit.state);
        }
        Self { root: machine.node, by_id, by_name, named: HashMap::new(), added: HashMap::new() }
    }

    fn put(&mut self, written: &str, role_arn: &str, by: (usize, usize)) -> Result<(), String> {
        let state = self.find(written)?;
        let task = task(state)?;
        let id = state.node.id();
        if let Some((role, index)) = self.named.insert(id, by) {
            return Err(format!(
                "state \"{}\" stands at spec.stepRoles[{role}].states[{index}] already; a step acts as one role: remove it from one of them",
                state.name
            ));
        }
        let Some(own) = task.credentials else {
            self.added.insert(id, role_arn.to_owned());
            return Ok(());
        };
        let has = own.get("RoleArn").and_then(Node::as_str);
        let is_open = has.is_some_and(has_name);
        if (is_open || has == Some(role_arn)) && own.get("RoleArn.$").is_none() {
            return Ok(());
        }
        let has = has.map_or("a role that is known only when it runs".to_owned(), |has| format!("\"{has}\""));
        Err(format!(
            "the definition has Credentials of its own at {}, with {has} instead of \"{role_arn}\"; remove one of them",
            self.root.path_to(own)
        ))
    }

    fn find(&self, written: &str) -> Result<&'m State<'a>, String> {
        let pointed = Some(written).filter(|text| text.starts_with('/')).and_then(|text| self.root.pointer(text));
        if let Some(state) = pointed.and_then(|node| self.by_id.get(&node.id())) {
            return Ok(state);
        }
        match self.by_name.get(written).map(Vec::as_slice) {
            Some([state]) => Ok(state),
            Some(all) => {
                let places: Vec<String> = all.iter().map(|state| self.root.path_to(state.node)).collect();
                Err(format!("several states have the name \"{written}\"; write which: {}", places.join(", ")))
            }
            None => {
                let names = self.by_name.keys().copied();
                let remedy = nearest(written, names).map_or_else(
                    || {
                        "write its name, or a JSON pointer to it such as /States/Each/ItemProcessor/States/Charge"
                            .to_owned()
                    },
                    |name| format!("did you mean \"{name}\"?"),
                );
                Err(format!("the definition has no state \"{written}\"; {remedy}"))
            }
        }
    }
}

fn task<'m, 'a>(state: &'m State<'a>) -> Result<&'m Task<'a>, String> {
    let Kind::Task(task) = &state.kind else {
        let kind = state.node.get("Type").and_then(Node::as_str).unwrap_or("unknown");
        return Err(format!(
            "state \"{}\" is of Type {kind}, and only a Task acts as a role; name the Tasks{}",
            state.name,
            if state.machines().is_empty() { "" } else { " inside of it" }
        ));
    };
    if task.resource.is_some_and(|resource| matches!(resource.target, Target::Activity(_))) {
        return Err(format!(
            "state \"{}\" is an activity: it calls nothing, and its worker has an identity of its own; take it out",
            state.name
        ));
    }
    Ok(task)
}

/// A copy of a value and its places, with `Credentials` behind the fields of these states. They stand where their state does.
fn put_in(node: Node<'_>, roles: &HashMap<usize, String>, places: &mut Places) -> Value {
    let place = node.place().copied().unwrap_or_default();
    let index = places.open(place.key, place.value.start);
    let value = match node.value() {
        Value::Array(_) => Value::Array(node.items().map(|item| put_in(item, roles, places)).collect()),
        Value::Object(_) => {
            let fields = node.fields().map(|(key, field)| (key.to_owned(), put_in(field, roles, places)));
            let mut fields: Map<String, Value> = fields.collect();
            if let Some(role) = roles.get(&node.id()) {
                add(places, &place);
                fields.insert("Credentials".into(), json!({"RoleArn": role}));
            }
            Value::Object(fields)
        }
        plain => plain.clone(),
    };
    places.close(index, place.value.end);
    value
}

/// The places of an object with one text in it, both where their state stands.
fn add(places: &mut Places, state: &Place) {
    let outer = places.open(state.key, state.value.start);
    let inner = places.open(state.key, state.value.start);
    places.close(inner, state.value.end);
    places.close(outer, state.value.end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::parse;

    const ROLE: &str = "arn:aws:iam::111122223333:role/charge";
    const OTHER: &str = "arn:aws:iam::444455556666:role/other";

    fn text() -> &'static str {
        r#"{"StartAt": "Each", "States": {
            "Each": {"Type": "Map", "Next": "Both", "ItemProcessor": {"StartAt": "Charge", "States": {
                "Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Same"},
                "Same": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}},
            "Both": {"Type": "Parallel", "Next": "Own", "Branches": [
                {"StartAt": "Same", "States": {"Same": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}},
                {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "arn:aws:states:eu-west-1:111122223333:activity:w", "End": true}}}]},
            "Own": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Credentials": {"RoleArn": "arn:aws:iam::111122223333:role/charge"}, "Next": "Open"},
            "Open": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Credentials": {"RoleArn.$": "$.role"}, "End": true}}}"#
    }

    fn put(roles: &[(&str, &[&str])]) -> (Value, Vec<Misplaced>) {
        let parsed = parse(text()).unwrap();
        let roles: Vec<StepRole<'_>> =
            roles.iter().map(|(role_arn, states)| StepRole { states: states.to_vec(), role_arn }).collect();
        let (value, places, misplaced) = with_step_roles(parsed.root(), &roles);
        assert_eq!(Places::of(&value).0.len(), places.0.len(), "every value has its place");
        let same_shape = Places::of(&value).0.iter().zip(&places.0).all(|(a, b)| a.after == b.after);
        assert!(same_shape, "and the places are in the order of the tree");
        (value, misplaced)
    }

    #[test]
    fn a_role_is_put_into_tasks_at_any_depth_by_name_or_by_pointer() {
        let (value, misplaced) = put(&[
            (ROLE, &["Charge", "/States/Both/Branches/0/States/Same", "Own"]),
            (OTHER, &["/States/Each/ItemProcessor/States/Same"]),
        ]);
        assert_eq!(misplaced, []);
        for (pointer, role) in [
            ("/States/Each/ItemProcessor/States/Charge", ROLE),
            ("/States/Each/ItemProcessor/States/Same", OTHER),
            ("/States/Both/Branches/0/States/Same", ROLE),
            ("/States/Own", ROLE),
        ] {
            assert_eq!(value.pointer(pointer).unwrap()["Credentials"], json!({"RoleArn": role}), "{pointer}");
        }
        let (unchanged, _) = put(&[]);
        assert_eq!(unchanged.to_string(), parse(text()).unwrap().value.to_string(), "nothing else is touched");
    }

    #[test]
    fn what_follows_a_state_keeps_its_place() {
        let parsed = parse(text()).unwrap();
        let role = StepRole { states: vec!["Charge"], role_arn: ROLE };
        let (value, places, _) = with_step_roles(parsed.root(), &[role]);
        let root = Node::root(&value, &places);
        for pointer in
            ["/States/Each/ItemProcessor/States/Charge/Next", "/States/Open/Credentials/RoleArn.$", "/States/Own"]
        {
            let (before, after) = (parsed.root().pointer(pointer).unwrap(), root.pointer(pointer).unwrap());
            assert_eq!((before.span(), before.key_span()), (after.span(), after.key_span()), "{pointer}");
        }
        let (state, added) = ["", "/Credentials/RoleArn"]
            .map(|end| root.pointer(&format!("/States/Each/ItemProcessor/States/Charge{end}")).unwrap())
            .into();
        assert_eq!(added.span(), state.span(), "what is added stands where its state does");
    }

    #[test]
    fn a_state_that_cannot_act_as_the_role_is_told_with_its_place() {
        for (states, words) in [
            (&["Chrage"][..], "has no state \"Chrage\"; did you mean \"Charge\"?"),
            (&["/States/Nowhere"], "has no state \"/States/Nowhere\""),
            (&["/States"], "has no state \"/States\""),
            (&["Same"], "write which: /States/Each/ItemProcessor/States/Same, /States/Both/Branches/0/States/Same"),
            (&["Each"], "is of Type Map, and only a Task acts as a role; name the Tasks inside of it"),
            (&["Work"], "is an activity"),
            (&["Open"], "a role that is known only when it runs"),
        ] {
            let (_, misplaced) = put(&[(ROLE, states)]);
            assert_eq!(misplaced.len(), 1, "{states:?}: {misplaced:?}");
            assert_eq!(misplaced[0].pointer(), "/spec/stepRoles/0/states/0");
            assert!(misplaced[0].message.contains(words), "{states:?}: {}", misplaced[0].message);
        }
        let (_, twice) = put(&[(ROLE, &["Charge"]), (OTHER, &["Own", "/States/Each/ItemProcessor/States/Charge"])]);
        let told: Vec<String> = twice.iter().map(Misplaced::to_string).collect();
        assert!(
            told[0].starts_with(
                "spec.stepRoles[1].states[0]: the definition has Credentials of its own at /States/Own/Credentials"
            ),
            "{told:?}"
        );
        assert!(told[1].contains("stands at spec.stepRoles[0].states[0] already"), "{told:?}");
    }
}
