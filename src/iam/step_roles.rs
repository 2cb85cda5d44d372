//! What the roles of steps need, each for its states alone, and how steps could be shared out among roles.

mod forms;
mod split;

use std::collections::BTreeMap;

use super::document::{Document, Statement};
use super::execution_role::{Derived, Need, Reason, document};

pub use forms::{cloud_formation, terraform};
pub use split::{Acting, Set, split};

/// A role that steps act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRole {
    /// The role.
    pub role_arn: String,
    /// The states that act as it, in the order of the text.
    pub states: Vec<Acting>,
    /// What they need of it.
    pub needs: Vec<Need>,
    /// Whom it must trust; empty where no execution role is known.
    pub trust: Vec<Statement>,
}

impl StepRole {
    /// Its permissions.
    pub fn document(&self) -> Document {
        document(&self.needs)
    }

    /// Its trust policy, where the execution role is known.
    pub fn trust(&self) -> Option<Document> {
        (!self.trust.is_empty()).then(|| Document::new(self.trust.clone()))
    }

    /// Its states in sets that need nothing in common; several speak for several roles.
    pub fn sets(&self) -> Vec<Set> {
        split(&self.states, &self.needs)
    }
}

/// The roles that the steps of state machines act as, each once, by its first use. An execution role's right to assume one names
/// the state that acts as it.
pub fn step_roles(machines: &[(String, Derived)]) -> Vec<StepRole> {
    let mut roles: Vec<StepRole> = Vec::new();
    for (machine, derived) in machines {
        for target in &derived.targets {
            let states = derived.needs.iter().filter(|need| is_assumption_of(need, &target.role_arn));
            let states = states.map(|need| acting(machine, &need.reason));
            let at = roles.iter().position(|role| role.role_arn == target.role_arn).unwrap_or_else(|| {
                let role_arn = target.role_arn.clone();
                roles.push(StepRole { role_arn, states: Vec::new(), needs: Vec::new(), trust: Vec::new() });
                roles.len() - 1
            });
            roles[at].states.extend(states);
            roles[at].needs.extend(target.needs.iter().cloned());
            for statement in target.trust.iter().flat_map(|trust| &trust.statements) {
                trust(&mut roles[at].trust, statement);
            }
        }
    }
    roles
}

fn is_assumption_of(need: &Need, role: &str) -> bool {
    need.actions == [ASSUME] && need.resources.iter().any(|resource| resource == role)
}

const ASSUME: &str = "sts:AssumeRole";

fn acting(machine: &str, reason: &Reason) -> Acting {
    Acting { machine: machine.to_owned(), name: reason.state.clone(), path: reason.path.clone() }
}

/// Machines of one execution role stand in one statement.
fn trust(statements: &mut Vec<Statement>, more: &Statement) {
    let alike = statements
        .iter_mut()
        .find(|known| known.principal == more.principal && known.conditions.is_empty() == more.conditions.is_empty());
    let Some(known) = alike else { return statements.push(more.clone()) };
    for (operator, keys) in &more.conditions {
        for (key, values) in keys {
            let all = known.conditions.entry(operator.clone()).or_default().entry(key.clone()).or_default();
            all.extend(values.iter().filter(|value| !all.contains(value)).cloned().collect::<Vec<_>>());
        }
    }
}

/// What the steps need that an execution role may do itself: a role of their own then bounds nothing.
pub fn still_held(roles: &[StepRole], execution_role: &Document) -> Vec<(String, Need)> {
    let mut held = Vec::new();
    for role in roles {
        for need in &role.needs {
            for action in &need.actions {
                let one = Need { actions: vec![action.clone()], ..need.clone() };
                let lacks = super::compare::missing(std::slice::from_ref(&one), execution_role);
                let lacking: Vec<&String> = lacks.iter().flat_map(|missing| &missing.resources).collect();
                let resources: Vec<String> =
                    one.resources.iter().filter(|resource| !lacking.contains(resource)).cloned().collect();
                if !resources.is_empty() {
                    held.push((role.role_arn.clone(), Need { resources, ..one }));
                }
            }
        }
    }
    held
}

/// The needs of Tasks, by whichever role they are met now, and the Tasks that have any or none.
pub fn of_tasks(machine: &str, derived: &Derived, tasks: &[(String, String)]) -> (Vec<Acting>, Vec<Need>) {
    let by_path: BTreeMap<&str, &str> = tasks.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
    let own = derived.needs.iter().filter(|need| need.actions != [ASSUME]);
    let all = own.chain(derived.targets.iter().flat_map(|target| &target.needs));
    let needs = all.filter(|need| by_path.contains_key(need.reason.path.as_str())).cloned().collect();
    let states = tasks
        .iter()
        .map(|(path, name)| Acting { machine: machine.to_owned(), name: name.clone(), path: path.clone() })
        .collect();
    (states, needs)
}

#[cfg(test)]
mod tests;
