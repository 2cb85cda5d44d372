use super::*;
use crate::iam::trust::lint_permissions;

fn scope() -> BindingScope {
    BindingScope {
        role_arn: "arn:aws:iam::111122223333:role/shop-orders".into(),
        region: "eu-west-1".into(),
        names: vec!["shop_*".into()],
        execution_roles: vec!["arn:aws:iam::111122223333:role/shop-exec".into()],
        queue_url: Some("https://sqs.eu-west-1.amazonaws.com/111122223333/events".into()),
        alarms: true,
        keys: vec!["1234abcd-12ab-34cd-56ef-1234567890ab".into()],
    }
}

#[test]
fn a_session_may_do_what_the_operator_needs_and_nothing_elsewhere() {
    let policy = Document::parse(&scope().session_policy().unwrap()).unwrap();
    let allows = |action: &str, resource: &str| {
        policy.statements.iter().any(|one| one.names_action(action) && one.names_resource(resource))
    };
    let own = "arn:aws:states:eu-west-1:111122223333";
    for (action, resource) in [
        ("states:UpdateStateMachine", format!("{own}:stateMachine:shop_fulfil")),
        ("states:StartExecution", format!("{own}:stateMachine:shop_fulfil:live")),
        ("states:DescribeExecution", format!("{own}:execution:shop_fulfil:4711")),
        ("states:DescribeMapRun", format!("{own}:mapRun:shop_fulfil/label:id")),
        ("states:CreateActivity", format!("{own}:activity:shop_work")),
        ("states:ValidateStateMachineDefinition", "*".into()),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/shop-exec".into()),
        ("iam:GetRole", "arn:aws:iam::111122223333:role/shop-orders".into()),
        ("sqs:ReceiveMessage", "arn:aws:sqs:eu-west-1:111122223333:events".into()),
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".into()),
    ] {
        assert!(allows(action, &resource), "{action} {resource}");
    }
    for (action, resource) in [
        ("states:UpdateStateMachine", format!("{own}:stateMachine:billing_fulfil")),
        ("states:DescribeExecution", format!("{own}:execution:billing:shop_x")),
        ("states:SendTaskSuccess", format!("{own}:stateMachine:shop_fulfil")),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/admin".into()),
        ("iam:CreateRole", "arn:aws:iam::111122223333:role/shop-exec".into()),
        ("s3:GetObject", "arn:aws:s3:::bucket/key".into()),
    ] {
        assert!(!allows(action, &resource), "{action} {resource}");
    }
    assert_eq!(lint_permissions(&policy), []);
}

#[test]
fn a_session_policy_fits_or_is_shortened_or_refused() {
    let exact = scope().session_policy().unwrap();
    assert!(exact.chars().count() <= MAX_SESSION_POLICY && exact.contains("states:StopExecution"));
    let role = |n: usize| format!("arn:aws:iam::111122223333:role/shop-exec-{n:02}");
    let some = BindingScope { execution_roles: (0..6).map(role).collect(), ..scope() }.session_policy().unwrap();
    assert!(some.contains("\"states:*\"") && some.chars().count() <= MAX_SESSION_POLICY, "{some}");
    let many = BindingScope { execution_roles: (0..50).map(role).collect(), ..scope() };
    assert!(matches!(many.session_policy(), Err(TooLarge(2049..))));
}

#[test]
fn names_that_were_given_are_exact_and_take_their_versions() {
    let named = BindingScope { names: vec!["shop_*".into(), "legacy".into()], ..scope() };
    let policy = named.policy();
    let starts = |resource: &str| {
        policy.statements.iter().any(|one| one.names_action("states:StartExecution") && one.names_resource(resource))
    };
    let arn = |rest: &str| format!("arn:aws:states:eu-west-1:111122223333:stateMachine:{rest}");
    assert!(starts(&arn("legacy")) && starts(&arn("legacy:3")) && !starts(&arn("legacy2")));
}

#[test]
fn a_binding_without_listed_roles_passes_any_and_that_is_a_finding() {
    let open =
        BindingScope { execution_roles: Vec::new(), queue_url: None, alarms: false, keys: Vec::new(), ..scope() };
    let found: Vec<_> = lint_permissions(&open.policy()).into_iter().map(|one| one.code).collect();
    assert_eq!(found, ["PassRoleTooBroad"]);
    let text = open.policy().compact();
    assert!(!text.contains("sqs:") && !text.contains("cloudwatch:") && !text.contains("kms:"));
}
