//! Roles of steps: what a Workflow asks for, and what its binding lists.

use crate::api::v1alpha1::{StepRoleArn, WorkflowSpec};
use crate::asl::StepRole;
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// A role that a step acts as, and where it stands, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acting<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// JSON pointer into the definition, or into the object where it begins with `/spec/`.
    pub path: Option<&'a str>,
}

/// What the steps of a definition act as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps<'a> {
    /// Roles that are written out.
    pub roles: Vec<Acting<'a>>,
    /// JSON pointer to the first state whose role is not written out.
    pub open: Option<&'a str>,
    /// JSON pointer to the first Task, activities apart, that acts as the execution role.
    pub without: Option<&'a str>,
    /// False where nobody knows.
    pub is_known: bool,
}

/// The roles that a Workflow's spec gives to states.
pub fn wanted(spec: &WorkflowSpec) -> Vec<StepRole<'_>> {
    let mut roles = Vec::new();
    for one in &spec.step_roles {
        let states = one.states.iter().map(|state| state.0.as_str()).collect();
        roles.push(StepRole { states, role_arn: &one.role_arn });
    }
    roles
}

/// JSON pointer to a role of the spec.
pub fn pointer(index: usize) -> String {
    format!("/spec/stepRoles/{index}/roleARN")
}

/// Roles of another partition than the execution role's, each with where it stands: STS of one knows none of another.
pub fn of_another_partition(spec: &WorkflowSpec) -> Vec<(String, Failure)> {
    let partition = |arn: &str| arn.split(':').nth(1).unwrap_or_default().to_owned();
    let own = partition(&spec.execution_role_arn);
    let mut found = Vec::new();
    for (index, one) in spec.step_roles.iter().enumerate() {
        let foreign = partition(&one.role_arn);
        if foreign != own {
            let message = format!(
                "spec.stepRoles[{index}].roleARN {} is of partition {foreign}, and the execution role of {own}: a role of one cannot be assumed in another. Name a role of partition {own}.",
                one.role_arn
            );
            found.push((pointer(index), Failure::new(Class::Terminal, Reason::StepRoleInvalid, message)));
        }
    }
    found
}

/// What a binding's list says of the steps, each with where it stands; nothing where it has no list.
pub fn unlisted(allowed: &[StepRoleArn], steps: &Steps<'_>) -> Vec<(Option<String>, Failure)> {
    if allowed.is_empty() {
        return Vec::new();
    }
    let refusal = |message: String| Failure::new(Class::Terminal, Reason::StepRoleNotAllowed, message);
    let at = |path: Option<&str>| path.map(|path| format!(" at {path}")).unwrap_or_default();
    let mut found: Vec<(Option<String>, Failure)> = steps
        .roles
        .iter()
        .filter(|acting| !allowed.iter().any(|one| one.0 == acting.role_arn))
        .map(|Acting { role_arn, path }| {
            let message = format!(
                "the step role {role_arn}{} is not among spec.allowedStepRoleARNs of the TrustBinding. Name one of those, or let the binding's author add it.",
                at(*path)
            );
            (path.map(str::to_owned), refusal(message))
        })
        .collect();
    found.extend(steps.open.map(|path| {
        let message = format!(
            "the role in Credentials at {path} is known only when it runs, so it may not be among spec.allowedStepRoleARNs of the TrustBinding. Write the role's ARN out."
        );
        (Some(path.to_owned()), refusal(message))
    }));
    found
}

/// Refuses steps that act as what the binding does not list.
///
/// # Errors
/// `StepRoleNotAllowed`.
pub fn check_listed(allowed: &[StepRoleArn], steps: &Steps<'_>) -> Result<(), Failure> {
    unlisted(allowed, steps).into_iter().next().map_or(Ok(()), |(_, failure)| Err(failure))
}
