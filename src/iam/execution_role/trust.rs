//! Whom a role that steps act as must trust (developer guide, "Accessing resources in other AWS accounts").

use super::derived::{Derived, Surroundings};
use crate::iam::document::{Document, Matcher, Principals, Statement};

/// Each role trusts the execution role, for this state machine alone.
pub(super) fn derive(here: &Surroundings, has_children: bool, derived: &mut Derived) {
    let Some(principal) = &here.execution_role_arn else { return };
    for target in &mut derived.targets {
        target.trust = Some(trust(principal, here.state_machine_arn().as_deref(), has_children));
    }
}

/// The external id is the state machine's ARN. What executions of a version or an alias send is not documented, nor what those of
/// a Distributed Map do, whose ARN has the name of the map behind a slash: each is taken, and nothing that begins alike.
fn trust(principal: &str, machine: Option<&str>, has_children: bool) -> Document {
    let mut statement = Statement::allow(["sts:AssumeRole"], Vec::<String>::new());
    statement.resources = None;
    let kinds = [("AWS".to_owned(), vec![principal.to_owned()])];
    statement.principal = Some(Matcher::Is(Principals::Of(kinds.into())));
    let Some(machine) = machine else { return Document::new(vec![statement]) };
    let children = has_children.then(|| format!("{machine}/*"));
    let ids = [machine.to_owned(), format!("{machine}:*")].into_iter().chain(children);
    Document::new(vec![statement.when("StringLike", "sts:ExternalId", ids)])
}
