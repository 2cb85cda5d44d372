//! A policy that exists beside what is needed: what is missing, and what nothing needs.

use super::document::{Conditions, Document, Effect, Matcher, Statement};
use super::execution_role::{Need, Reason};
use super::pattern;

/// Something that is needed and that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The action.
    pub action: String,
    /// The resources on which it is missing.
    pub resources: Vec<String>,
    /// Who needs it.
    pub reason: Reason,
    /// Why a statement that names it does not help; empty where none does.
    pub because: String,
}

/// Something that the policy allows and that nothing needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The pattern of actions, or of resources.
    pub pattern: String,
    /// Number of the statement, from 1.
    pub statement: usize,
    /// In what way it is too much.
    pub why: TooMuch,
}

/// In what way a pattern allows too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// Nothing uses the service of these actions.
    Service(String),
    /// The service is used and these actions are not.
    Actions,
    /// Of all these actions only some are needed.
    OnlyActions(Vec<String>),
    /// Nothing needs these resources.
    Resources,
    /// Of all these resources only some are needed.
    OnlyResources(Vec<String>),
    /// `NotAction` or `NotResource` allow what nobody can list.
    Open,
}

/// What the policy lacks.
pub fn missing(needs: &[Need], policy: &Document) -> Vec<Missing> {
    let mut missing: Vec<Missing> = Vec::new();
    for need in needs {
        for action in &need.actions {
            let mut because = String::new();
            let lacking = need.resources.iter().filter(|resource| {
                let decision = decide(policy, action, resource, &need.conditions);
                because = decision.clone().err().unwrap_or_default();
                decision.is_err()
            });
            let resources: Vec<String> = lacking.cloned().collect();
            if !resources.is_empty() {
                missing.push(Missing { action: action.clone(), resources, reason: need.reason.clone(), because });
            }
        }
    }
    missing
}

/// Whether the policy allows the action on all that the resource stands for, under the need's conditions.
fn decide(policy: &Document, action: &str, resource: &str, holds: &Conditions) -> Result<(), String> {
    let numbered = || policy.statements.iter().zip(1..).filter(|(statement, _)| statement.names_action(action));
    let denies = |statement: &Statement| statement.effect == Effect::Deny && touches(statement, resource);
    if let Some((_, number)) = numbered().find(|(statement, _)| denies(statement)) {
        return Err(format!("statement {number} denies it"));
    }
    let mut because = String::new();
    for (statement, number) in numbered().filter(|(statement, _)| statement.effect == Effect::Allow) {
        if !statement.names_resource(resource) {
            if because.is_empty() {
                because = format!("statement {number} allows it on other resources");
            }
        } else if let Some(key) = unmet(statement, holds) {
            because = format!("statement {number} allows it under a condition on {key} that need not hold");
        } else {
            return Ok(());
        }
    }
    Err(because)
}

/// True when the statement speaks of anything that the resource stands for.
fn touches(statement: &Statement, resource: &str) -> bool {
    match &statement.resources {
        None => true,
        Some(Matcher::Is(named)) => {
            named.iter().any(|one| pattern::covers(one, resource) || pattern::covers(resource, one))
        }
        Some(Matcher::IsNot(named)) => !named.iter().any(|one| pattern::covers(one, resource)),
    }
}

/// A condition key of the statement that the need's own conditions do not guarantee.
fn unmet(statement: &Statement, holds: &Conditions) -> Option<String> {
    statement.conditions.iter().find_map(|(operator, keys)| {
        let base = operator.trim_end_matches("IfExists");
        keys.iter().find_map(|(key, allowed)| {
            let values =
                holds.values().flatten().find(|(held, _)| held.eq_ignore_ascii_case(key)).map(|(_, values)| values);
            let one_allows = |value: &String| match base {
                "StringEquals" | "ArnEquals" => allowed.contains(value),
                "StringLike" | "ArnLike" => allowed.iter().any(|pattern| pattern::covers(pattern, value)),
                _ => false,
            };
            let met = values.is_some_and(|values| values.iter().all(one_allows));
            (!met).then(|| key.clone())
        })
    })
}

/// What the policy allows beyond the needs of all who use it. `needs` must be those of all of them.
pub fn excess(needs: &[Need], policy: &Document) -> Vec<Excess> {
    let allowing = policy.statements.iter().zip(1..).filter(|(statement, _)| statement.effect == Effect::Allow);
    allowing.flat_map(|(statement, number)| of_statement(needs, statement, number)).collect()
}

fn of_statement(needs: &[Need], statement: &Statement, number: usize) -> Vec<Excess> {
    let one = |pattern: &str, why| Excess { pattern: pattern.to_owned(), statement: number, why };
    let (Matcher::Is(actions), Some(Matcher::Is(resources))) = (&statement.actions, &statement.resources) else {
        return vec![one("NotAction or NotResource", TooMuch::Open)];
    };
    let mut found: Vec<Excess> =
        actions.iter().filter_map(|pattern| Some(one(pattern, too_many_actions(needs, pattern)?))).collect();
    // Resources are looked at for the actions that are needed: the others are excess whatever they are allowed on.
    let acting: Vec<&Need> =
        needs.iter().filter(|need| need.actions.iter().any(|action| statement.names_action(action))).collect();
    if !acting.is_empty() {
        found.extend(resources.iter().filter_map(|pattern| Some(one(pattern, too_many_resources(&acting, pattern)?))));
    }
    found
}

fn too_many_actions(needs: &[Need], allowed: &str) -> Option<TooMuch> {
    let all = || needs.iter().flat_map(|need| &need.actions);
    let mut needed: Vec<String> = all().filter(|action| pattern::matches_action(allowed, action)).cloned().collect();
    needed.sort();
    needed.dedup();
    if !needed.is_empty() {
        return allowed.contains(['*', '?']).then_some(TooMuch::OnlyActions(needed));
    }
    let service = allowed.split(':').next().unwrap_or_default();
    let used = all().any(|action| action.split(':').next().is_some_and(|one| one.eq_ignore_ascii_case(service)));
    Some(if used { TooMuch::Actions } else { TooMuch::Service(service.to_owned()) })
}

fn too_many_resources(needs: &[&Need], allowed: &str) -> Option<TooMuch> {
    let all = || needs.iter().flat_map(|need| &need.resources);
    // Exactly this, or all of something that is needed as a whole.
    if all().any(|needed| needed == allowed || pattern::covers(needed, allowed)) {
        return None;
    }
    let mut needed: Vec<String> = all().filter(|one| pattern::covers(allowed, one)).cloned().collect();
    needed.sort();
    needed.dedup();
    Some(if needed.is_empty() { TooMuch::Resources } else { TooMuch::OnlyResources(needed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(action: &str, resource: &str) -> Need {
        let reason = Reason { state: "A".into(), path: "/States/A".into(), why: "test".into() };
        Need { actions: vec![action.into()], resources: vec![resource.into()], conditions: Conditions::new(), reason }
    }

    fn policy(statements: Vec<Statement>) -> Document {
        Document::new(statements)
    }

    #[test]
    fn a_policy_that_is_exactly_what_is_needed_lacks_nothing_and_has_no_excess() {
        let needs = [need("s3:GetObject", "arn:aws:s3:::b/*"), need("sqs:SendMessage", "q")];
        let exact = policy(vec![
            Statement::allow(["s3:GetObject"], ["arn:aws:s3:::b/*"]),
            Statement::allow(["sqs:SendMessage"], ["q"]),
        ]);
        assert_eq!((missing(&needs, &exact), excess(&needs, &exact)), (vec![], vec![]));
    }

    #[test]
    fn what_is_missing_is_told_with_the_statement_that_comes_near() {
        let needs = [need("s3:GetObject", "arn:aws:s3:::b/k")];
        let told = |statement: Statement| {
            let found = missing(&needs, &policy(vec![statement]));
            found.first().map(|one| one.because.clone())
        };
        assert_eq!(told(Statement::allow(["s3:*"], ["*"])), None);
        assert_eq!(told(Statement::allow(["s3:PutObject"], ["*"])).unwrap(), "");
        let elsewhere = Statement::allow(["s3:GetObject"], ["arn:aws:s3:::c/*"]);
        assert_eq!(told(elsewhere).unwrap(), "statement 1 allows it on other resources");
        let conditional = Statement::allow(["s3:GetObject"], ["*"]).when("StringEquals", "aws:SourceVpc", ["v"]);
        assert!(told(conditional).unwrap().contains("aws:SourceVpc"));
        let mut denied =
            policy(vec![Statement::allow(["s3:*"], ["*"]), Statement::allow(["s3:Get*"], ["arn:aws:s3:::b/*"])]);
        denied.statements[1].effect = Effect::Deny;
        assert_eq!(missing(&needs, &denied)[0].because, "statement 2 denies it");
    }

    #[test]
    fn a_condition_that_the_need_brings_along_is_no_hindrance() {
        let mut pass = need("iam:PassRole", "arn:aws:iam::1:role/r");
        let key = ("iam:PassedToService".to_owned(), vec!["ecs-tasks.amazonaws.com".to_owned()]);
        pass.conditions = [("StringEquals".to_owned(), [key].into())].into();
        let allow = |values: [&str; 1]| {
            policy(vec![Statement::allow(["iam:PassRole"], ["*"]).when("StringLike", "iam:PassedToService", values)])
        };
        assert!(missing(std::slice::from_ref(&pass), &allow(["ecs-*"])).is_empty());
        assert_eq!(missing(&[pass], &allow(["glue.amazonaws.com"])).len(), 1);
    }

    #[test]
    fn excess_is_told_by_service_action_and_resource() {
        let needs = [need("s3:GetObject", "arn:aws:s3:::b/k"), need("s3:PutObject", "arn:aws:s3:::b/k")];
        let wide = policy(vec![Statement::allow(
            ["s3:*", "dynamodb:*", "s3:DeleteObject"],
            ["arn:aws:s3:::b/k", "arn:aws:s3:::b/*", "arn:aws:s3:::c/*"],
        )]);
        let told: Vec<(String, TooMuch)> =
            excess(&needs, &wide).into_iter().map(|one| (one.pattern, one.why)).collect();
        let only = vec!["s3:GetObject".to_owned(), "s3:PutObject".to_owned()];
        assert_eq!(
            told,
            [
                ("s3:*".to_owned(), TooMuch::OnlyActions(only)),
                ("dynamodb:*".to_owned(), TooMuch::Service("dynamodb".into())),
                ("s3:DeleteObject".to_owned(), TooMuch::Actions),
                ("arn:aws:s3:::b/*".to_owned(), TooMuch::OnlyResources(vec!["arn:aws:s3:::b/k".into()])),
                ("arn:aws:s3:::c/*".to_owned(), TooMuch::Resources),
            ]
        );
    }
}
