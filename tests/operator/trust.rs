//! Trust that explains itself, sessions that are as small as possible, and a stop that stops.

use crate::support::ministack::ACCOUNT;
use crate::*;

fn role_name(tenant: &Tenant) -> String {
    tenant.role_arn().rsplit('/').next().unwrap().to_owned()
}

/// Lets the binding's role read itself and the execution role.
fn may_read_itself(tenant: &Tenant) {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetRole",
        "Resource": [tenant.role_arn(), tenant.execution_role_arn()]}]});
    let role = role_name(tenant);
    let parameters = [("RoleName", role.as_str()), ("PolicyName", "self"), ("PolicyDocument", &policy.to_string())];
    tenant.bed.aws.iam("PutRolePolicy", &parameters);
}

fn set_trust(tenant: &Tenant, operator: &str, subject: &str) {
    let issuer = tenant.bed.control_plane.issuer.trim_start_matches("https://");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")},
        "Condition": {operator: {format!("{issuer}:sub"): subject}, "StringEquals": {format!("{issuer}:aud"): "sts.amazonaws.com"}},
    }]});
    let mut policy = policy;
    if operator == "StringEquals" {
        policy["Statement"][0]["Condition"] = json!({"StringEquals": {
            format!("{issuer}:sub"): subject, format!("{issuer}:aud"): "sts.amazonaws.com"}});
    }
    let role = role_name(tenant);
    let parameters = [("RoleName", role.as_str()), ("PolicyDocument", &policy.to_string())];
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &parameters);
    // The front remembers a role for a moment.
    std::thread::sleep(Duration::from_millis(350));
}

fn tight(tenant: &Tenant) -> Value {
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedExecutionRoleARNs"] = json!([tenant.execution_role_arn()]);
    binding
}

#[test]
fn a_refusal_names_the_condition_that_failed_while_a_session_is_held_and_says_so_where_not() {
    let tenant = test_bed().tenant("explained");
    let operator = start(&tenant);
    may_read_itself(&tenant);
    tenant.apply(&tight(&tenant));
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    let rendered = binding["status"]["trustPolicy"].as_str().unwrap().to_owned();

    set_trust(&tenant, "StringEquals", "system:serviceaccount:explained:order");
    let mut changed = tight(&tenant);
    changed["spec"]["sessionDuration"] = json!("30m");
    tenant.apply(&changed);
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    let message = condition(&refused, "RoleAssumed").unwrap()["message"].as_str().unwrap().to_owned();
    for said in [
        "sub system:serviceaccount:explained:orders",
        "requires (statement 1)",
        ":sub StringEquals system:serviceaccount:explained:order   <- another service account",
        ":aud StringEquals sts.amazonaws.com   ok",
        "Fix: put the policy in .status.trustPolicy on the role",
    ] {
        assert!(message.contains(said), "{said}:\n{message}");
    }
    // The policy in the status is what mends it.
    let role = role_name(&tenant);
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", role.as_str()), ("PolicyDocument", &rendered)]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");

    // Another operator holds no session: what must hold is inferred, and marked so.
    drop(operator);
    set_trust(&tenant, "StringEquals", "system:serviceaccount:explained:order");
    let operator = start(&tenant);
    tenant.kubectl(&["annotate", "tb/orders", "stepbound.dev/reconcile-now=1"]);
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    assert!(refused.to_string().contains("not checked against AWS"), "{refused:#}");
}

#[test]
fn weak_places_of_a_binding_and_its_roles_are_findings() {
    let tenant = test_bed().tenant("findings");
    let operator = start(&tenant);
    let issuer = tenant.bed.control_plane.issuer.trim_start_matches("https://").to_owned();
    tenant.apply(&tight(&tenant));
    tenant.wait_for(&operator, "tb/orders", "LeastPrivilege", "Unknown", "NotEvaluated");

    may_read_itself(&tenant);
    set_trust(&tenant, "StringLike", "system:serviceaccount:findings:*");
    tenant.kubectl(&["annotate", "tb/orders", "stepbound.dev/reconcile-now=1"]);
    let binding = tenant.wait_for(&operator, "tb/orders", "LeastPrivilege", "False", "Findings");
    let codes = |binding: &Value| -> Vec<String> {
        let found = binding["status"]["findings"].as_array().unwrap().iter();
        found.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&binding), ["SourceAccountMissing", "SourceArnMissing", "SubjectWildcard"], "{binding:#}");

    let execution = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "states.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": format!("arn:aws:states:{}:{ACCOUNT}:stateMachine:*", crate::support::REGION)}}}]});
    let name = tenant.execution_role_arn().rsplit('/').next().unwrap().to_owned();
    let parameters = [("RoleName", name.as_str()), ("PolicyDocument", &execution.to_string())];
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &parameters);
    set_trust(&tenant, "StringEquals", "system:serviceaccount:findings:orders");
    tenant.kubectl(&["annotate", "tb/orders", "--overwrite", "stepbound.dev/reconcile-now=2"]);
    let binding = tenant.wait_for(&operator, "tb/orders", "LeastPrivilege", "True", "NoFindings");
    assert!(binding["status"]["findings"].is_null(), "{binding:#}");
    assert!(binding["status"]["trustPolicy"].as_str().unwrap().contains(&format!("{issuer}:sub")));

    let mut weak = tenant.binding("orders");
    weak["spec"]["sessionPolicy"] = json!("None");
    weak["spec"]["allowedExecutionRoleARNs"] = json!([]);
    tenant.apply(&weak);
    let binding = tenant.wait_for(&operator, "tb/orders", "LeastPrivilege", "False", "Findings");
    assert_eq!(codes(&binding), ["NoSessionPolicy"]);
}

#[test]
fn a_session_may_do_what_stepbound_needs_or_what_its_own_policy_says_and_no_more() {
    let tenant = test_bed().tenant("sessions");
    let operator = start(&tenant);
    let mut named_too = tight(&tenant);
    named_too["spec"]["allowedStateMachineNames"] = json!(["sessions-by-*"]);
    tenant.apply(&named_too);
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    let mut named = tenant.workflow("named", &waiting(0));
    named["spec"]["stateMachineName"] = json!("sessions-by-another-name");
    tenant.apply(&named);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    tenant.wait_for(&operator, "sfn/named", "Ready", "True", "Synced");
    let policies = tenant.bed.front.session_policies(&tenant.role_arn());
    assert!(policies.iter().all(Option::is_some), "every session carries a policy");
    let texts: Vec<String> = policies.iter().flatten().map(ToString::to_string).collect();
    let shared = texts.iter().find(|text| text.contains("states:StopExecution")).expect("one sees all");
    assert!(shared.contains("stateMachine:sessions_*") && shared.contains("stateMachine:sessions-by-*"), "{shared}");
    assert!(!shared.contains("iam:PassRole") && !shared.contains("states:StartExecution"), "{shared}");
    let writing: Vec<&String> = texts.iter().filter(|text| text.contains("iam:PassRole")).collect();
    assert_eq!(writing.len(), 2, "one for each that was created: {texts:#?}");
    assert!(writing.iter().all(|text| text.contains("_fulfil") != text.contains("by-another-name")), "{writing:#?}");
    assert!(!texts.iter().any(|text| text.contains("states:SendTask")), "{texts:#?}");

    // The role may start executions; a session of this policy may not.
    let arn = format!("arn:aws:states:{}:{ACCOUNT}", crate::support::REGION);
    let mut limited = tight(&tenant);
    limited["spec"]["sessionPolicy"] = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["states:Describe*", "states:List*"], "Resource": format!("{arn}:*")}]});
    tenant.apply(&limited);
    tenant.wait_for(&operator, "tb/orders", "LeastPrivilege", "Unknown", "NotEvaluated");
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Ready", "False", "AccessDenied");
    assert!(run.to_string().contains("states:StartExecution"), "{run:#}");

    limited["spec"]["sessionPolicy"] = json!("derived");
    tenant.apply(&limited);
    let binding = tenant.wait_for(&operator, "tb/orders", "Stalled", "True", "SessionPolicyInvalid");
    assert!(binding.to_string().contains("Write Derived, None, or a policy document"), "{binding:#}");
    tenant.apply(&tight(&tenant));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
}

#[test]
fn a_suspended_binding_is_not_used_a_second_later_and_prints_what_revokes_its_sessions() {
    let tenant = test_bed().tenant("suspended");
    let operator = start(&tenant);
    tenant.apply(&tight(&tenant));
    tenant.apply(&tenant.workflow("fulfil", &waiting(60)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    for number in 0..10 {
        tenant.apply(&workflow_run(&format!("order-{number}"), "fulfil", &json!({"input": {"number": number}})));
    }
    tenant.wait_for(&operator, "sfnrun/order-9", "Started", "True", "ExecutionStarted");
    let about = tenant.machine_arn("fulfil").rsplit(':').next().unwrap().to_owned();
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    std::thread::sleep(Duration::from_secs(1));
    let a_second_later = tenant.bed.front.calls_about(&about).len();
    let minted = tenant.bed.front.session_policies(&tenant.role_arn()).len();
    for number in 10..20 {
        tenant.apply(&workflow_run(&format!("order-{number}"), "fulfil", &json!({"input": {"number": number}})));
    }
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(tenant.bed.front.calls_about(&about).len(), a_second_later, "no call after a second");
    assert_eq!(tenant.bed.front.session_policies(&tenant.role_arn()).len(), minted, "and no new session");
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "Suspended");
    let message = condition(&binding, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    let policy: Value = serde_json::from_str(&message[message.find('{').unwrap()..]).unwrap();
    assert_eq!(policy["Statement"][0]["Effect"], "Deny");
    assert!(policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"].is_string());
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]);
    tenant.wait_for(&operator, "sfnrun/order-19", "Started", "True", "ExecutionStarted");
}

/// Part of what identities cost: a binding that nobody uses is not proven again, not even by another operator.
#[test]
fn an_idle_binding_costs_no_call_of_sts_after_it_was_proven() {
    let tenant = test_bed().tenant("idle");
    let resync = [("STEPBOUND_RESYNC_INTERVAL", "10s")];
    let operator = tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &resync);
    tenant.apply(&tight(&tenant));
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(tenant.bed.front.session_policies(&tenant.role_arn()).len(), 1);
    drop(operator);
    let _operator = tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &resync);
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(tenant.bed.front.session_policies(&tenant.role_arn()).len(), 1);
}

/// Requirement 19 of docs/security.md: execution roles checked; ConfigMaps readable by their author.
/// Requirement 19: the check is the operator's, before AWS is asked.
#[test]
fn requirement_19_an_execution_role_that_is_not_listed_is_never_passed() {
    let tenant = test_bed().tenant("unlisted");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedExecutionRoleARNs"] = json!([format!("arn:aws:iam::{ACCOUNT}:role/another")]);
    tenant.apply(&binding);
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "ExecutionRoleNotAllowed");
    assert_eq!(count(&tenant, "CreateStateMachine"), 0);
    tenant.apply(&tight(&tenant));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}
