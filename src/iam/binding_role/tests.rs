#![allow(clippy::print_stdout)]

use super::session::{Kind, MAX_SESSION_POLICY, MAX_SHARED_POLICY, PolicyError, Purpose, Writing};
use super::*;
use crate::iam::trust::lint_permissions;
use proptest::prelude::*;

const OWN: &str = "arn:aws:states:eu-west-1:111122223333";
const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/shop:*";
const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

fn key(text: &str) -> Key {
    Key::read(text, "aws", "eu-west-1", "111122223333").unwrap()
}

fn scope() -> BindingScope {
    BindingScope {
        role_arn: "arn:aws:iam::111122223333:role/shop-orders".into(),
        region: "eu-west-1".into(),
        namespace: "shop".into(),
        cluster: Some("0b4f7f10-5c5e-4b6e-9d5c-0123456789ab".into()),
        names: vec!["shop_*".into()],
        execution_roles: vec!["arn:aws:iam::111122223333:role/shop-exec".into()],
        queue_url: Some("https://sqs.eu-west-1.amazonaws.com/111122223333/events".into()),
        alarms: true,
        log_groups: vec![GROUP.into()],
        keys: vec![key(KEY)],
    }
}

fn fulfil() -> Writing {
    let execution_role = "arn:aws:iam::111122223333:role/shop-exec".into();
    let kind = Kind::Machine { execution_role, alarms: true };
    Writing { name: "shop_fulfil".into(), kind, key: Some(KEY.into()), from_another_owner: false }
}

fn policy(scope: &BindingScope, purpose: &Purpose<'_>) -> Document {
    Document::parse(&scope.session_policy(purpose).unwrap()).unwrap()
}

fn allows(policy: &Document, action: &str, resource: &str) -> bool {
    let allowing = policy.statements.iter().filter(|one| one.effect == crate::iam::document::Effect::Allow);
    allowing.into_iter().any(|one| one.names_action(action) && one.names_resource(resource))
}

/// An example of each kind of resource, of the object `shop_fulfil` where it belongs to one.
fn example(on: On) -> String {
    match on {
        On::Machine => format!("{OWN}:stateMachine:shop_fulfil"),
        On::Execution => format!("{OWN}:execution:shop_fulfil:4711"),
        On::MapRun => format!("{OWN}:mapRun:shop_fulfil/label:id"),
        On::Activity => format!("{OWN}:activity:shop_fulfil"),
        On::Anything => "*".into(),
        On::ExecutionRole => "arn:aws:iam::111122223333:role/shop-exec".into(),
        On::Role => "arn:aws:iam::111122223333:role/shop-orders".into(),
        On::Queue => "arn:aws:sqs:eu-west-1:111122223333:events".into(),
        On::Alarm => "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:late".into(),
        On::LogGroup => GROUP.into(),
        On::Key => format!("arn:aws:kms:eu-west-1:111122223333:key/{KEY}"),
    }
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// Requirement 22: of every operation, the sessions that the table names may call it, and no other may.
#[test]
fn requirement_22_a_session_may_do_what_it_is_for_and_nothing_else() {
    // Without what fits in beside seeing, so that each purpose stands alone.
    let narrow = BindingScope {
        namespace: "n".repeat(63),
        names: vec![format!("{}*", "n".repeat(64)), "shop_*".into()],
        ..scope()
    };
    let machine = fulfil();
    let activity = Writing { kind: Kind::Activity, ..fulfil() };
    for operation in OPERATIONS {
        for (its, purposes) in [
            (Use::Observe, vec![Purpose::Observe(Some("shop_fulfil"))]),
            (Use::Run, vec![Purpose::Run("shop_fulfil")]),
            (Use::Write, vec![Purpose::Write(&machine), Purpose::Write(&activity)]),
            (Use::Listen, vec![Purpose::Listen]),
            (Use::ReadLog, vec![Purpose::ReadLog(GROUP)]),
            (Use::Inspect, vec![Purpose::Inspect("arn:aws:iam::111122223333:role/shop-orders")]),
            (Use::Clean, vec![Purpose::Clean("shop_fulfil")]),
        ] {
            let allowed = purposes
                .iter()
                .any(|purpose| allows(&policy(&narrow, purpose), operation.action, &example(operation.on)));
            // Who cleans up sees first.
            let expected = operation.uses.contains(&its) || its == Use::Clean && operation.uses.contains(&Use::Observe);
            let shared = [Use::Observe, Use::Clean, Use::Listen, Use::Inspect].contains(&its);
            if expected || !shared {
                assert_eq!(allowed, expected, "{its:?} {} on {:?}", operation.action, operation.on);
            } else {
                let changes = [Use::Run, Use::Write].iter().any(|one| operation.uses.contains(one));
                assert!(!allowed || !changes || operation.uses.len() > 1, "{its:?} {}", operation.action);
            }
        }
    }
    for action in
        ["states:SendTaskSuccess", "states:GetActivityTask", "iam:CreateRole", "s3:GetObject", "sts:AssumeRole"]
    {
        for purpose in [Purpose::Observe(None), Purpose::Run("shop_fulfil"), Purpose::Write(&machine)] {
            for on in [On::Machine, On::Execution, On::Activity, On::Role] {
                assert!(!allows(&policy(&scope(), &purpose), action, &example(on)), "{purpose:?} {action}");
            }
        }
    }
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
#[test]
fn requirement_22_a_session_of_one_object_reaches_no_other() {
    let machine = fulfil();
    for (purpose, action, resource) in [
        (Purpose::Run("shop_fulfil"), "states:StartExecution", format!("{OWN}:stateMachine:shop_refund")),
        (Purpose::Run("shop_fulfil"), "states:StartExecution", format!("{OWN}:stateMachine:shop_fulfil2")),
        (Purpose::Run("shop_fulfil"), "states:RedriveExecution", format!("{OWN}:execution:shop_refund:shop_fulfil")),
        (Purpose::Write(&machine), "states:UpdateStateMachine", format!("{OWN}:stateMachine:shop_refund")),
        (Purpose::Write(&machine), "iam:PassRole", "arn:aws:iam::111122223333:role/admin".into()),
        (Purpose::Write(&machine), "kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/other".into()),
        (Purpose::Observe(None), "states:DescribeExecution", format!("{OWN}:execution:billing:shop_x")),
        (Purpose::Observe(None), "states:StopExecution", format!("{OWN}:execution:billing_x:1")),
        (Purpose::Observe(Some("legacy")), "states:DescribeStateMachine", format!("{OWN}:stateMachine:shop_fulfil")),
        (Purpose::Observe(Some("legacy")), "states:DescribeStateMachine", format!("{OWN}:stateMachine:legacy2")),
    ] {
        assert!(!allows(&policy(&scope(), &purpose), action, &resource), "{purpose:?} {action} {resource}");
    }
    let versions = policy(&scope(), &Purpose::Run("shop_fulfil"));
    assert!(allows(&versions, "states:StartExecution", &format!("{OWN}:stateMachine:shop_fulfil:live")));
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// What one object brings, however long or wrong, changes nothing for another.
#[test]
fn requirement_22_no_object_takes_the_session_of_another_away() {
    let (scope, machine) = (scope(), fulfil());
    let shared = scope.session_policy(&Purpose::Observe(None)).unwrap();
    for bad in ["k".repeat(2000), "x:key/".into(), "*".into(), format!("arn:aws:kms:eu-west-1:111122223333:key/{KEY}*")]
    {
        let refused = scope.session_policy(&Purpose::Write(&Writing { key: Some(bad.clone()), ..machine.clone() }));
        assert!(matches!(refused, Err(PolicyError::Value(_))), "{bad}: {refused:?}");
        assert!(refused.unwrap_err().to_string().len() < 200);
    }
    for bad in ["", "a*", "a:b", "a/b", "a b", &"n".repeat(81)] {
        assert!(scope.session_policy(&Purpose::Observe(Some(bad))).is_err() || pattern_takes_in(&scope, bad), "{bad}");
        assert!(scope.session_policy(&Purpose::Run(bad)).is_err(), "{bad}");
        assert!(
            scope.session_policy(&Purpose::Write(&Writing { name: bad.into(), ..machine.clone() })).is_err(),
            "{bad}"
        );
    }
    for bad in ["arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:user/a", "role/a", "*", ""] {
        let kind = Kind::Machine { execution_role: bad.into(), alarms: false };
        assert!(scope.session_policy(&Purpose::Write(&Writing { kind, ..machine.clone() })).is_err(), "{bad}");
        assert!(scope.session_policy(&Purpose::Inspect(bad)).is_err(), "{bad}");
    }
    assert_eq!(scope.session_policy(&Purpose::Observe(Some("shop_refund"))).unwrap(), shared);
    assert_eq!(
        scope.session_policy(&Purpose::Clean("shop_fulfil")).unwrap(),
        shared,
        "it is at hand when the account goes"
    );
    assert_eq!(scope.session_policy(&Purpose::Listen).unwrap(), shared);
    let without_queue = BindingScope { queue_url: None, ..scope };
    let shared = without_queue.session_policy(&Purpose::Observe(None)).unwrap();
    assert_eq!(without_queue.session_policy(&Purpose::Inspect(&without_queue.role_arn)).unwrap(), shared);
}

fn pattern_takes_in(scope: &BindingScope, name: &str) -> bool {
    scope.names.iter().any(|one| crate::iam::pattern::matches(one, name))
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
#[test]
fn requirement_22_a_role_in_the_spec_that_is_none_asks_for_nothing() {
    let odd = BindingScope {
        execution_roles: vec!["*".into()],
        queue_url: Some("https://q/1/*".into()),
        names: vec!["shop_*".into(), "a:b".into()],
        ..scope()
    };
    let text = odd.policy().compact();
    assert!(!text.contains("iam:PassRole") && !text.contains("sqs:") && !text.contains("a:b"), "{text}");
    assert!(!odd.session_policy(&Purpose::Observe(None)).unwrap().contains("a:b"));
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// The longest of everything, and what a session needs of it still fits.
#[test]
fn requirement_22_the_shared_session_fits_whatever_there_is() {
    let role = |n: usize| format!("arn:aws-us-gov:iam::111122223333:role/{}{n:02}", "r".repeat(500));
    let largest = BindingScope {
        role_arn: role(0),
        region: "us-gov-west-1".into(),
        namespace: "n".repeat(63),
        names: (0..17).map(|n| format!("{}{n:02}*", "n".repeat(77))).collect(),
        execution_roles: (0..50).map(role).collect(),
        queue_url: Some(format!("https://sqs.us-gov-west-1.amazonaws.com/111122223333/{}", "q".repeat(80))),
        ..scope()
    };
    let size = |scope: &BindingScope, purpose: &Purpose<'_>| scope.session_policy(purpose).unwrap().chars().count();
    let one = format!("{}05x", "n".repeat(77));
    for purpose in [Purpose::Observe(None), Purpose::Observe(Some(&one))] {
        let policy = policy(&largest, &purpose);
        assert!(size(&largest, &purpose) <= MAX_SHARED_POLICY, "{}", policy.compact());
    }
    for purpose in
        [Purpose::Listen, Purpose::Inspect(&role(7)), Purpose::Clean(&one), Purpose::Observe(Some(&"x".repeat(80)))]
    {
        assert!(size(&largest, &purpose) <= MAX_SESSION_POLICY, "{purpose:?}");
    }
    let long = Writing { name: format!("shop_{}", "f".repeat(40)), key: Some("alias/shop/orders".into()), ..fulfil() };
    let usual = scope();
    println!(
        "characters: observe {}, run {}, write {} (with key by alias and alarms {}), largest observe {}",
        size(&usual, &Purpose::Observe(None)),
        size(&usual, &Purpose::Run("shop_fulfil")),
        size(&usual, &Purpose::Write(&Writing { key: None, ..fulfil() })),
        size(&usual, &Purpose::Write(&long)),
        size(&largest, &Purpose::Observe(Some(&one))),
    );
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
/// Requirement 24: nobody else's machine is changed or started, and what carries no mark is not held up by that.
#[test]
fn requirement_24_changes_and_starts_of_another_owners_machine_are_denied() {
    let denials = |policy: &Document| -> Vec<String> {
        let denying = policy.statements.iter().filter(|one| one.effect == crate::iam::document::Effect::Deny);
        denying.map(|one| format!("{:?}", one.conditions)).collect()
    };
    let machine = fulfil();
    let taking = Writing { from_another_owner: true, ..fulfil() };
    for purpose in [Purpose::Run("shop_fulfil"), Purpose::Write(&machine)] {
        let found = denials(&policy(&scope(), &purpose));
        assert_eq!(found.len(), 2, "{purpose:?} {found:?}");
        for (tag, value) in [(NAMESPACE_TAG, "shop"), (CLUSTER_TAG, "0b4f7f10-5c5e-4b6e-9d5c-0123456789ab")] {
            let key = format!("aws:ResourceTag/{tag}");
            assert!(
                found.iter().any(|one| one.contains(&format!("\"Null\": {{\"{key}\": [\"false\"]}}"))
                    && one.contains(&format!("\"StringNotEquals\": {{\"{key}\": [\"{value}\"]}}"))),
                "{found:?}"
            );
        }
    }
    assert_eq!(denials(&policy(&scope(), &Purpose::Write(&taking))), [""; 0], "a permitted take-over");
    assert_eq!(denials(&scope().policy()).len(), 4);
    let unknown = BindingScope { cluster: None, ..scope() };
    assert_eq!(denials(&policy(&unknown, &Purpose::Write(&machine))).len(), 1);
}

#[test]
fn names_that_were_given_are_exact_and_take_their_versions() {
    let named = BindingScope { names: vec!["shop_*".into(), "legacy".into()], ..scope() };
    let policy = named.policy();
    let arn = |rest: &str| format!("{OWN}:stateMachine:{rest}");
    let starts = |resource: &str| allows(&policy, "states:StartExecution", resource);
    assert!(starts(&arn("legacy")) && starts(&arn("legacy:3")) && !starts(&arn("legacy2")));
    assert_eq!(lint_permissions(&policy), []);
}

#[test]
fn a_key_by_alias_is_a_condition_and_never_a_resource() {
    let by_alias = BindingScope { keys: vec![key("alias/shop")], ..scope() };
    let write = Writing { key: Some("arn:aws:kms:us-east-1:444455556666:alias/shop".into()), ..fulfil() };
    for policy in [by_alias.policy(), policy(&scope(), &Purpose::Write(&write))] {
        let text = policy.compact();
        assert!(text.contains(r#""ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/shop"}"#), "{text}");
        assert!(!text.contains(":alias/shop"), "{text}");
    }
    let text = policy(&scope(), &Purpose::Write(&write)).compact();
    assert!(text.contains("arn:aws:kms:us-east-1:444455556666:key/*"), "{text}");
}

#[test]
fn a_binding_without_listed_roles_passes_any_and_that_is_a_finding() {
    let open = BindingScope {
        execution_roles: Vec::new(),
        queue_url: None,
        alarms: false,
        log_groups: Vec::new(),
        keys: Vec::new(),
        ..scope()
    };
    let found: Vec<_> = lint_permissions(&open.policy()).into_iter().map(|one| one.code).collect();
    assert_eq!(found, ["PassRoleTooBroad"]);
    let text = open.policy().compact();
    assert!(
        !text.contains("sqs:") && !text.contains("cloudwatch:") && !text.contains("logs:") && !text.contains("kms:")
    );
}

/// Requirement 32 of docs/security.md: an end that is read from a log counts for just the execution that it names, and the log is read in a session that can read it alone.
#[test]
fn requirement_32_a_session_reads_one_log_group_of_the_bindings_own_account_and_region() {
    let only = policy(&scope(), &Purpose::ReadLog(GROUP));
    assert_eq!(only.statements.len(), 1);
    for (action, group, expected) in [
        ("logs:FilterLogEvents", GROUP.to_owned(), true),
        ("logs:FilterLogEvents", GROUP.replace(":*", ""), true),
        ("logs:FilterLogEvents", GROUP.replace(":*", ":log-stream:"), true),
        ("logs:FilterLogEvents", GROUP.replace("shop", "payroll"), false),
        ("logs:FilterLogEvents", GROUP.replace("shop", "shop2"), false),
        ("logs:PutLogEvents", GROUP.to_owned(), false),
        ("states:DescribeExecution", format!("{OWN}:execution:shop_fulfil:4711"), false),
    ] {
        assert_eq!(allows(&only, action, &group), expected, "{action} {group}");
    }
    for bad in [
        "",
        "*",
        "/aws/vendedlogs/states/shop",
        "arn:aws:logs:eu-west-1:111122223333:log-group:*",
        "arn:aws:logs:eu-west-1:111122223333:log-group:a*",
        "arn:aws:logs:eu-west-1:111122223333:log-group:a:log-stream:b",
        "arn:aws:logs:eu-west-1:111122223333:log-group:${aws:username}",
        "arn:aws:logs:eu-west-1:444455556666:log-group:shop",
        "arn:aws:logs:us-east-1:111122223333:log-group:shop",
        "arn:aws:s3:eu-west-1:111122223333:log-group:shop",
    ] {
        assert!(matches!(scope().session_policy(&Purpose::ReadLog(bad)), Err(PolicyError::Value(_))), "{bad}");
    }
    // What the objects of a binding share stays as large as it is, however many groups there are.
    let many = BindingScope {
        log_groups: (0..500).map(|number| GROUP.replace("shop", &number.to_string())).collect(),
        ..scope()
    };
    for purpose in [Purpose::Observe(None), Purpose::Run("shop_fulfil"), Purpose::Listen] {
        assert_eq!(many.session_policy(&purpose), scope().session_policy(&purpose), "{purpose:?}");
    }
    assert!(allows(&scope().policy(), "logs:FilterLogEvents", GROUP), "the role needs it");
}

#[test]
fn keys_are_what_kms_takes_and_nothing_else() {
    let read = |text: &str| Key::read(text, "aws", "eu-west-1", "111122223333");
    for good in [
        KEY,
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/shop",
        "alias/team/shop_1-a",
        "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-cn:kms:cn-north-1:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-1:444455556666:alias/shop",
    ] {
        assert!(read(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "*",
        "x",
        "x:key/",
        "key/",
        "alias/",
        "alias/a*",
        "alias/a b",
        "alias/a\"b",
        "alias/${aws:username}",
        "mrk-1",
        "1234abcd-12ab-34cd-56ef-1234567890a?",
        "arn:aws:kms:us-east-1:444455556666:key/*",
        "arn:aws:kms:us-east-1:*:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:*:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:*:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:s3:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:444455556666:grant/a",
        " 1234abcd-12ab-34cd-56ef-1234567890ab",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// The schema's patterns and what the code reads are the same.
    #[test]
    fn what_the_schema_takes_the_code_takes(
        key in proptest::string::string_regex(values::KEY_PATTERN.trim_matches(['^', '$'])).unwrap(),
        name in proptest::string::string_regex(values::NAME_PATTERN.trim_matches(['^', '$'])).unwrap(),
        names in proptest::string::string_regex(values::NAMES_PATTERN.trim_matches(['^', '$'])).unwrap(),
    ) {
        prop_assert!(Key::read(&key, "aws", "eu-west-1", "111122223333").is_ok(), "{}", key);
        prop_assert!(values::name(&name).is_ok(), "{}", name);
        prop_assert!(values::names(&names).is_ok(), "{}", names);
    }

    /// Whatever is written into a policy came through: nothing that is read can end a string or widen an ARN.
    #[test]
    fn what_is_read_has_no_wildcard_and_no_quote(text in "[a-z0-9:/*?\"$\\{\\}-]{0,60}") {
        if let Ok(key) = Key::read(&text, "aws", "eu-west-1", "111122223333") {
            let alias = key.alias.clone().unwrap_or_default();
            prop_assert!(!alias.contains(['*', '?', '"', '$']), "{}", alias);
            prop_assert!(key.alias.is_some() || !key.resource.contains(['*', '?', '"', '$']), "{}", key.resource);
        }
        prop_assert!(values::name(&text).is_err() || !text.contains([':', '/', '*', '?', '"']));
        prop_assert!(values::role(&text).is_err() || !text.contains(['*', '?', '"', '$']));
    }
}
