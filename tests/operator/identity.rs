//! Who acts as which role, and what is said when it may not.

use crate::*;

#[test]
fn a_role_that_trusts_another_account_is_refused_with_the_reason_and_mends_by_itself() {
    let tenant = test_bed().tenant("refused");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    let other = tenant.role_arn().replace("refused-binding", "refused-other");
    binding["spec"]["roleARN"] = json!(other);
    tenant.kubectl(&["annotate", "sa", "orders", "--overwrite", &format!("eks.amazonaws.com/role-arn={other}")]);
    tenant.bed.aws.create_role("refused-other", &json!({"Version": "2012-10-17", "Statement": []}), None);
    tenant.apply(&binding);
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    let text = refused.to_string();
    assert!(text.contains("sub system:serviceaccount:refused:orders"), "{text}");
    assert_eq!(tenant.bed.front.calls_about("refused_").len(), 0, "nothing but STS was called");

    let trusted = tenant.bed.aws.iam("GetRole", &[("RoleName", "refused-binding")]);
    let policy = trusted.split("<AssumeRolePolicyDocument>").nth(1).unwrap().split('<').next().unwrap();
    let policy = url::form_urlencoded::parse(format!("p={policy}").as_bytes()).next().unwrap().1.into_owned();
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", "refused-other"), ("PolicyDocument", &policy)]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
}

/// Requirement 3 of docs/security.md: consent on the service account.
#[test]
fn requirement_03_consent_withdrawn_stops_the_binding_and_consent_given_mends_it() {
    let tenant = test_bed().tenant("consent");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.kubectl(&["annotate", "sa", "orders", "eks.amazonaws.com/role-arn-"]);
    let refused = tenant.wait_for(&operator, "tb/orders", "Authorized", "False", "ConsentMissing");
    assert!(refused.to_string().contains("kubectl annotate serviceaccount orders -n consent"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "False", "ConsentMissing");
    let arn = format!("eks.amazonaws.com/role-arn={}", tenant.role_arn());
    tenant.kubectl(&["annotate", "sa", "orders", &arn]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

/// Requirement 9 of docs/security.md: tokens granted by name, ConfigMaps and accounts of watched namespaces only.
#[test]
fn requirement_09_an_account_that_was_not_granted_gets_no_token_and_the_message_says_how_to_grant_it() {
    let tenant = test_bed().tenant("ungranted");
    let operator = start(&tenant);
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "other", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}}));
    let mut binding = tenant.binding("other");
    binding["spec"]["serviceAccountName"] = json!("other");
    tenant.apply(&binding);
    let refused = tenant.wait_for(&operator, "tb/other", "TokenMinted", "False", "Forbidden");
    assert!(refused.to_string().contains("--resource=serviceaccounts/token --resource-name=other"));
    assert!(!refused.to_string().contains("RoleAssumed\",\"status\":\"True"));
}

/// Requirement 16 of docs/security.md: the answer of STS compared with what was expected.
#[test]
fn requirement_16_an_answer_of_sts_for_another_account_is_dropped() {
    let tenant = test_bed().tenant("other-account");
    let operator = start(&tenant);
    // Every other test asks STS through the same front, so the fault is taken away again as soon as it was seen.
    tenant.bed.front.inject_for("AssumeRoleWithWebIdentity", "other-account", Fault::AnotherAccount, 1);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "UnexpectedAnswer");
}

/// Requirement 6 of docs/security.md: token of 600 s, used once, never stored.
/// Requirement 8 of docs/security.md: no ambient credentials.
/// Requirement 12 of docs/security.md: secrets without Debug, also at TRACE.
#[test]
fn requirement_06_08_and_12_no_secret_is_written_anywhere_and_no_ambient_credential_is_used() {
    let tenant = test_bed().tenant("secrets");
    let planted = [
        ("RUST_LOG", "trace"),
        ("AWS_ACCESS_KEY_ID", "AKIAPLANTED"),
        ("AWS_SECRET_ACCESS_KEY", "planted"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &tenant.bed.front.url),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/planted", tenant.bed.front.url)),
    ];
    let operator = tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &planted);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let secrets = tenant.bed.front.secrets();
    assert!(!secrets.is_empty());
    let (log, etcd) = (operator.log_text(), tenant.bed.control_plane.etcd_bytes());
    let etcd = String::from_utf8_lossy(&etcd);
    for secret in secrets {
        assert!(!log.contains(&secret) && !etcd.contains(&secret), "a secret was written");
    }
    assert!(tenant.bed.front.calls_about("").iter().all(|call| call.access_key != "AKIAPLANTED"));
    assert!(
        tenant.bed.front.calls_about("").iter().all(|call| !call.operation.is_empty()),
        "no metadata was asked for"
    );
}

#[test]
fn bad_tokens_are_refused_by_the_front_for_the_right_reason() {
    let tenant = test_bed().tenant("tokens");
    let bed = tenant.bed;
    let good =
        bed.control_plane.kubectl(&["create", "token", "orders", "-n", "tokens", "--audience=sts.amazonaws.com"]);
    let wrong_audience = bed.control_plane.kubectl(&["create", "token", "orders", "-n", "tokens", "--audience=other"]);
    let mut forged: Vec<&str> = good.trim().split('.').collect();
    let signature = forged[2].chars().rev().collect::<String>();
    forged[2] = &signature;
    bed.control_plane.kubectl(&["create", "serviceaccount", "stranger", "-n", "tokens"]);
    let wrong_subject =
        bed.control_plane.kubectl(&["create", "token", "stranger", "-n", "tokens", "--audience=sts.amazonaws.com"]);
    let assume = |token: &str| bed.front.assume_role(&tenant.role_arn(), token.trim());
    assert!(assume(&good).contains("<AccessKeyId>"));
    assert!(assume(&forged.join(".")).contains("<Code>InvalidIdentityToken</Code>"));
    assert!(assume(&wrong_audience).contains("Incorrect token audience"));
    assert!(assume(&wrong_subject).contains("<Code>AccessDenied</Code>"));
    let expired = bed.control_plane.expired_token("tokens", "orders", "sts.amazonaws.com");
    assert!(assume(&expired).contains("<Code>ExpiredTokenException</Code>"));
}
