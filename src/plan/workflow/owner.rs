//! Whose a state machine is, and where it is.

use crate::api::v1alpha1::{Encryption, ExecutionRoleArn, TrustBindingSpec};
use crate::aws::Tags;
use crate::digest::short_hex;
use crate::iam::binding_role::values::{self, Key};
use crate::iam::pattern;
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Tags that say whose a state machine is. The first three are the owner mark; the UID is for people.
pub const CLUSTER_TAG: &str = "stepbound.dev/cluster";
/// Namespace of the Workflow.
pub const NAMESPACE_TAG: &str = "stepbound.dev/namespace";
/// Name of the Workflow.
pub const NAME_TAG: &str = "stepbound.dev/name";
/// UID of the Workflow, informational: a restored object has another.
pub const UID_TAG: &str = "stepbound.dev/uid";

/// Tag by which the owner of a machine lets somebody else have it: `<cluster>/<namespace>/<name>` of who may take it over. It is
/// set in AWS, or by the annotation of the same name on the owner's Workflow.
pub const RELEASE_TAG: &str = "stepbound.dev/release-to";

/// Tags by which other tools mark what is theirs: CloudFormation, the ACK controllers, Crossplane. Terraform has none of
/// its own; its users' keys are an operator flag.
const FOREIGN_MARKS: [&str; 4] =
    ["aws:cloudformation:stack-id", "services.k8s.aws/controller-version", "crossplane-kind", "crossplane-name"];

/// Tag by which an ACK controller says of which namespace its object is.
const ACK_NAMESPACE_TAG: &str = "services.k8s.aws/namespace";

/// Longest name of a state machine in AWS.
const MAX_NAME: usize = 80;

/// Who owns a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Id of the cluster.
    pub cluster: String,
    /// Namespace of the Workflow.
    pub namespace: String,
    /// Name of the Workflow.
    pub name: String,
    /// UID of the Workflow.
    pub uid: String,
}

impl Owner {
    /// The tags of this owner.
    pub fn tags(&self) -> Tags {
        Tags::from([
            (CLUSTER_TAG.into(), self.cluster.clone()),
            (NAMESPACE_TAG.into(), self.namespace.clone()),
            (NAME_TAG.into(), self.name.clone()),
            (UID_TAG.into(), self.uid.clone()),
        ])
    }

    /// As others name it: `<cluster>/<namespace>/<name>`.
    pub fn text(&self) -> String {
        format!("{}/{}/{}", self.cluster, self.namespace, self.name)
    }

    /// True when the tags say that their owner lets this one have the machine.
    pub fn is_let_have(&self, tags: &Tags) -> bool {
        tags.get(RELEASE_TAG).is_some_and(|whom| *whom == self.text())
    }

    /// True when the tags carry this owner's mark.
    pub fn owns(&self, tags: &Tags) -> bool {
        mark(tags).is_some_and(|mark| mark == (&self.cluster, &self.namespace, &self.name))
    }
}

/// The owner mark of a Workflow, where the tags carry one.
fn mark(tags: &Tags) -> Option<(&String, &String, &String)> {
    Some((tags.get(CLUSTER_TAG)?, tags.get(NAMESPACE_TAG)?, tags.get(NAME_TAG)?))
}

/// Who owns the tagged machine: `<cluster>/<namespace>/<name>` for one of ours, `ack/<namespace>` for one of the ACK
/// controller; `None` where nobody's mark is on it.
/// `more_marks` are keys of tags by which the users of other tools mark what is theirs.
pub fn owner_of(tags: &Tags, more_marks: &[String]) -> Option<String> {
    if let Some((cluster, namespace, name)) = mark(tags) {
        return Some(format!("{cluster}/{namespace}/{name}"));
    }
    if let Some(namespace) = tags.get(ACK_NAMESPACE_TAG) {
        return Some(format!("ack/{namespace}"));
    }
    let foreign = |key: &&String| FOREIGN_MARKS.contains(&key.as_str()) || more_marks.contains(key);
    tags.keys().find(foreign).map(|key| format!("whoever set the tag {key}"))
}

/// The default name of a state machine: prefix, namespace and name. `_` cannot stand in either, so no two objects
/// collide; a name that is too long is cut and told apart by a hash.
pub fn default_name(prefix: &str, namespace: &str, name: &str) -> String {
    let full = format!("{prefix}{namespace}_{name}");
    if full.len() <= MAX_NAME {
        return full;
    }
    let hash = short_hex(full.as_bytes(), 5);
    let kept: String = full.chars().take(MAX_NAME - hash.len() - 1).collect();
    format!("{kept}_{hash}")
}

/// Takes in the default names of every object of a namespace, and of no other namespace unless the prefix or the namespace
/// is so long that names are cut before the `_`.
pub fn name_pattern(prefix: &str, namespace: &str) -> String {
    const SHORTEST_CUT: usize = MAX_NAME - 11;
    let full = format!("{prefix}{namespace}_");
    format!("{}*", full.chars().take(SHORTEST_CUT).collect::<String>())
}

/// ARN of a state machine beside a role: same partition and account, in the region.
pub fn state_machine_arn(role_arn: &str, region: &str, name: &str) -> String {
    let (partition, account) = location(role_arn);
    format!("arn:{partition}:states:{region}:{account}:stateMachine:{name}")
}

/// ARN of an activity beside a role.
pub fn activity_arn(role_arn: &str, region: &str, name: &str) -> String {
    let (partition, account) = location(role_arn);
    format!("arn:{partition}:states:{region}:{account}:activity:{name}")
}

/// Partition and account of a role's ARN.
fn location(role_arn: &str) -> (&str, &str) {
    let mut fields = role_arn.split(':');
    (fields.nth(1).unwrap_or_default(), fields.nth(2).unwrap_or_default())
}

/// Refuses an execution role of another account or partition: AWS would too, but later and less clearly.
///
/// Where the binding lists roles, one that it does not list is refused as well.
///
/// # Errors
/// `ExecutionRoleForeign` or `ExecutionRoleNotAllowed`.
pub fn check_execution_role(
    binding_role: &str,
    allowed: &[ExecutionRoleArn],
    execution_role: &str,
) -> Result<(), Failure> {
    if location(binding_role) == location(execution_role) {
        return listed(allowed, execution_role);
    }
    let told = |role: &str| {
        let (partition, account) = location(role);
        format!("account {account} in partition {partition}")
    };
    let (own, foreign) = (told(binding_role), told(execution_role));
    Err(Failure::new(
        Class::Terminal,
        Reason::ExecutionRoleForeign,
        format!(
            "spec.executionRoleARN {execution_role} is of {foreign}, but the TrustBinding's role is of {own}. Name a role of the binding's account and partition."
        ),
    ))
}

/// Whoever may write a Workflow acts as its execution role, so a binding can say which those may be.
fn listed(allowed: &[ExecutionRoleArn], execution_role: &str) -> Result<(), Failure> {
    if allowed.is_empty() || allowed.iter().any(|one| one.0 == execution_role) {
        return Ok(());
    }
    let message = format!(
        "spec.executionRoleARN {execution_role} is not among spec.allowedExecutionRoleARNs of the TrustBinding. Name one of those, or let the binding's author add it."
    );
    Err(Failure::new(Class::Terminal, Reason::ExecutionRoleNotAllowed, message))
}

/// Patterns of the names of a binding's state machines and activities: the default names of its namespace first.
pub fn names_of(prefix: &str, namespace: &str, spec: &TrustBindingSpec) -> Vec<String> {
    let more = spec.allowed_state_machine_names.iter().map(|pattern| pattern.0.clone());
    [name_pattern(prefix, namespace)].into_iter().chain(more).collect()
}

/// Refuses a name of somebody else's machines. Default names are nobody else's. One that an object was given instead must be
/// among those that its binding allows; where the binding says nothing, among the default names, and an object whose machine was
/// made before that was asked for goes on.
///
/// # Errors
/// `NameNotAllowed`, or `ValueNotAllowed` for what is no name.
pub fn check_name(
    given: Option<&str>,
    field: &str,
    binding: &str,
    names: &[String],
    is_recorded: bool,
) -> Result<(), Failure> {
    let Some(given) = given else { return Ok(()) };
    if let Err(error) = values::name(given) {
        let message = format!(
            "{field}: {error}; nothing was asked of AWS. Create another object with a name of letters, digits, _ and -."
        );
        return Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message));
    }
    let (defaults, listed) = names.split_at(1.min(names.len()));
    let bound = if listed.is_empty() { defaults } else { listed };
    let goes_on = listed.is_empty() && is_recorded;
    if goes_on || bound.iter().any(|pattern| pattern::matches(pattern, given)) {
        return Ok(());
    }
    let message = format!(
        "{field} \"{given}\" matches none of the names that TrustBinding \"{binding}\" allows ({}); nothing was asked of AWS. Create another object with a name that does, or let whoever keeps the TrustBinding add it to spec.allowedStateMachineNames.",
        bound.join(", ")
    );
    Err(Failure::new(Class::Terminal, Reason::NameNotAllowed, message))
}

/// Refuses what names no KMS key, before anything is asked of AWS.
///
/// # Errors
/// `ValueNotAllowed`.
pub fn check_key(binding: &TrustBindingSpec, encryption: Option<&Encryption>) -> Result<(), Failure> {
    let Some(encryption) = encryption else { return Ok(()) };
    let (partition, account) = location(&binding.role_arn);
    match Key::read(&encryption.kms_key_id, partition, &binding.region, account) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!(
                "spec.encryption.kmsKeyID: {error}; nothing was asked of AWS. Name a key by its id, its ARN, an alias (alias/…) or the ARN of an alias."
            );
            Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message))
        }
    }
}

/// Whose the machine is that `taker` may not have, and what can be done.
///
/// `asked` is the owner from whom it was asked to be taken over.
pub fn foreign(arn: &str, tags: &Tags, more_marks: &[String], taker: &Owner, asked: Option<&str>) -> Failure {
    let (owner, remedy) = match owner_of(tags, more_marks) {
        Some(owner) if can_agree(tags) => (owner.clone(), consent_needed(arn, &owner, taker, asked)),
        Some(owner) => (owner, "Remove it there first.".to_owned()),
        None => ("nobody that is known".to_owned(), "To take it over, set spec.adoption to IfUnowned.".to_owned()),
    };
    Failure::new(
        Class::Terminal,
        Reason::StateMachineNameTaken,
        format!(
            "State machine {arn} exists and belongs to {owner}; it was not touched. {remedy} Otherwise choose another spec.stateMachineName in a new Workflow."
        ),
    )
}

/// True of owners who can let somebody else have their machine: those that are named by their tags.
pub(super) fn can_agree(tags: &Tags) -> bool {
    mark(tags).is_some() || tags.contains_key(ACK_NAMESPACE_TAG)
}

/// True of owners whose namespace is in this cluster, as far as tags tell: there a right can be asked for.
pub(super) fn is_in_cluster(tags: &Tags, cluster: &str) -> bool {
    mark(tags).map_or_else(|| tags.contains_key(ACK_NAMESPACE_TAG), |(theirs, ..)| theirs == cluster)
}

/// What the owner has to do, and what then is left to do here. The annotation alone takes nothing over.
fn consent_needed(arn: &str, owner: &str, taker: &Owner, asked: Option<&str>) -> String {
    let taker_text = taker.text();
    let mut parts = owner.split('/');
    let (cluster, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let name = parts.next();
    let by_annotation = match name {
        Some(name) => {
            format!("kubectl annotate sfn {name} -n {namespace} {RELEASE_TAG}={taker_text} in their cluster, or ")
        }
        None => String::new(),
    };
    let here = cluster == taker.cluster || cluster == "ack";
    let by_right = if here {
        let role = name.map_or_else(|| "stepbound-take-over".to_owned(), |name| format!("stepbound-take-over-{name}"));
        let only = name.map(|name| format!(" --resource-name={name}")).unwrap_or_default();
        format!(
            " Whoever has the verb take-over on workflows in namespace {namespace} may do without (kubectl create role {role} -n {namespace} --verb=take-over --resource=workflows.stepbound.dev{only}; kubectl create rolebinding {role}-USER -n {namespace} --role={role} --user=USER, where USER is who applies this Workflow)."
        )
    } else {
        String::new()
    };
    let then =
        if asked == Some(owner) { "This Workflow asks for it already." } else { "Then annotate this Workflow with" };
    let annotation =
        if asked == Some(owner) { String::new() } else { format!(" stepbound.dev/take-over-from={owner}.") };
    format!(
        "To move it here its owner has to agree: {by_annotation}aws stepfunctions tag-resource --resource-arn {arn} --tags key={RELEASE_TAG},value={taker_text}.{by_right} {then}{annotation}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn default_names_fit_and_do_not_collide(a in "[a-z0-9-]{1,63}", b in "[a-z0-9-]{1,120}", c in "[a-z0-9-]{1,120}") {
            let name = default_name("p-", &a, &b);
            prop_assert!(name.len() <= 80);
            prop_assert_eq!(b == c, name == default_name("p-", &a, &c));
        }
    }

    proptest! {
        #[test]
        fn the_pattern_of_a_namespace_takes_in_its_default_names(
            prefix in "[a-z-]{0,32}", a in "[a-z0-9-]{1,63}", b in "[a-z0-9-]{1,120}"
        ) {
            let pattern = name_pattern(&prefix, &a);
            prop_assert!(crate::iam::pattern::matches(&pattern, &default_name(&prefix, &a, &b)), "{}", pattern);
        }
    }

    #[test]
    fn an_execution_role_of_another_account_or_partition_is_refused() {
        let binding = "arn:aws:iam::111122223333:role/a";
        let check = |allowed: &[&str], role: &str| {
            let allowed: Vec<_> = allowed.iter().map(|arn| ExecutionRoleArn((*arn).to_owned())).collect();
            check_execution_role(binding, &allowed, role).map_err(|failure| failure.reason)
        };
        assert_eq!(check(&[], "arn:aws:iam::111122223333:role/b"), Ok(()));
        for foreign in ["arn:aws:iam::999999999999:role/b", "arn:aws-cn:iam::111122223333:role/b"] {
            assert_eq!(check(&[], foreign), Err(Reason::ExecutionRoleForeign));
            assert_eq!(check(&[foreign], foreign), Err(Reason::ExecutionRoleForeign), "listing it changes nothing");
        }
    }

    /// Requirement 19 of docs/security.md: execution roles checked; ConfigMaps readable by their author.
    #[test]
    fn requirement_19_an_execution_role_that_the_binding_does_not_list_is_refused() {
        let (binding, role) = ("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b");
        let check = |listed: &str| check_execution_role(binding, &[ExecutionRoleArn(listed.into())], role);
        assert_eq!(check(role), Ok(()));
        let refused = check("arn:aws:iam::111122223333:role/bb").unwrap_err();
        assert_eq!((refused.class, refused.reason), (Class::Terminal, Reason::ExecutionRoleNotAllowed));
        assert_eq!(check("arn:aws:iam::111122223333:role/*").unwrap_err().reason, Reason::ExecutionRoleNotAllowed);
    }

    #[test]
    fn the_marks_of_other_tools_are_known_and_more_can_be_told() {
        let tags = |key: &str| Tags::from([(key.to_owned(), "x".to_owned())]);
        assert!(owner_of(&tags("team"), &[]).is_none());
        assert!(owner_of(&tags("aws:cloudformation:stack-id"), &[]).is_some());
        assert!(owner_of(&tags("services.k8s.aws/namespace"), &[]).is_some());
        assert!(owner_of(&tags("ManagedBy"), &["ManagedBy".to_owned()]).is_some());
    }

    #[test]
    fn names_are_bounded_by_the_binding_and_what_was_there_goes_on() {
        let default = vec!["shop_*".to_owned()];
        let listed = vec!["shop_*".to_owned(), "legacy-*".to_owned(), "old".to_owned()];
        let check = |given: Option<&str>, names: &[String], recorded: bool| {
            check_name(given, "spec.stateMachineName", "orders", names, recorded)
                .map_err(|failure| failure.reason.as_str())
        };
        for (given, names, recorded, expected) in [
            (None, &default, false, Ok(())),
            (None, &listed, false, Ok(())),
            (Some("shop_x"), &default, false, Ok(())),
            (Some("victim_fulfil"), &default, false, Err("NameNotAllowed")),
            (Some("victim_fulfil"), &default, true, Ok(())),
            (Some("legacy-a"), &listed, false, Ok(())),
            (Some("old"), &listed, false, Ok(())),
            (Some("older"), &listed, false, Err("NameNotAllowed")),
            (Some("older"), &listed, true, Err("NameNotAllowed")),
            (Some("shop_x"), &listed, false, Err("NameNotAllowed")),
            (Some("a*"), &default, true, Err("ValueNotAllowed")),
            (Some("a:b"), &listed, true, Err("ValueNotAllowed")),
        ] {
            assert_eq!(check(given, names, recorded), expected, "{given:?} {names:?} {recorded}");
        }
        let refused = check_name(Some("x"), "spec.stateMachineName", "orders", &listed, false).unwrap_err().message;
        assert!(refused.contains("legacy-*, old") && refused.contains("spec.allowedStateMachineNames"), "{refused}");
    }

    /// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
    #[test]
    fn requirement_24_whoever_set_a_tag_cannot_agree_and_is_not_said_to() {
        let taker = Owner { cluster: "c".into(), namespace: "shop".into(), name: "m".into(), uid: "u".into() };
        for key in FOREIGN_MARKS.iter().copied().chain(["ManagedBy"]) {
            let mut tags = Tags::from([(key.to_owned(), "c/shop/m".to_owned())]);
            let text = owner_of(&tags, &["ManagedBy".to_owned()]).unwrap();
            assert_eq!(text, format!("whoever set the tag {key}"));
            // A tag that lets it go is no word of an owner that is named.
            tags.insert(RELEASE_TAG.to_owned(), taker.text());
            assert!(!can_agree(&tags) && !is_in_cluster(&tags, "c"), "{key}");
            let said = foreign("ARN", &tags, &["ManagedBy".to_owned()], &taker, Some(&text)).message;
            assert!(said.contains("Remove it there first.") && !said.contains("take-over"), "{said}");
        }
    }

    /// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
    #[test]
    fn requirement_24_a_refusal_says_what_the_owner_has_to_do() {
        let taker = Owner { cluster: "here".into(), namespace: "mallory".into(), name: "m".into(), uid: "u".into() };
        let tags = |cluster: &str| {
            Owner { cluster: cluster.into(), namespace: "victim".into(), name: "fulfil".into(), uid: "v".into() }.tags()
        };
        let say = |tags: &Tags, asked: Option<&str>| foreign("ARN", tags, &[], &taker, asked).message;
        let there = say(&tags("there"), None);
        assert!(
            there.contains("kubectl annotate sfn fulfil -n victim stepbound.dev/release-to=here/mallory/m"),
            "{there}"
        );
        assert!(there.contains("--tags key=stepbound.dev/release-to,value=here/mallory/m"), "{there}");
        assert!(there.contains("Then annotate this Workflow with stepbound.dev/take-over-from=there/victim/fulfil."));
        assert!(!there.contains("verb take-over"), "that right is one of this cluster: {there}");
        let here = say(&tags("here"), Some("here/victim/fulfil"));
        assert!(
            here.contains("--verb=take-over --resource=workflows.stepbound.dev")
                && here.contains("asks for it already")
        );
        let bound = "kubectl create rolebinding stepbound-take-over-fulfil-USER -n victim --role=stepbound-take-over-fulfil --user=USER";
        assert!(here.contains("--resource-name=fulfil") && here.contains(bound), "{here}");
        let ack = say(&Tags::from([("services.k8s.aws/namespace".to_owned(), "shop".to_owned())]), None);
        assert!(!ack.contains("kubectl annotate sfn") && ack.contains("take-over-from=ack/shop"), "{ack}");
    }
}
