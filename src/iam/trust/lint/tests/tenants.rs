//! What bounds who gets in beside an exact subject: the app, the repository, the account.

use super::*;

/// An account is bound by itself or in the ARN of the source; what else is open is said as it is.
#[test]
fn an_execution_role_of_one_account_is_not_called_that_of_every_account() {
    let role = |operator: &str, key: &str, value: Value| {
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "states.amazonaws.com"}, "Condition": {operator: {key: value}}});
        lint_service_trust(&document(&statement)).into_iter().map(|one| (one.code, one.message)).collect::<Vec<_>>()
    };
    let account = role("StringEquals", "aws:SourceAccount", json!("111122223333"));
    assert_eq!(account.len(), 1, "{account:?}");
    assert!(
        account[0].0 == "SourceArnMissing" && account[0].1.contains("every state machine of the account"),
        "{account:?}"
    );
    for arn in ["arn:aws:states:eu-west-1:111122223333:stateMachine:m", "arn:aws:states:*:111122223333:*"] {
        assert_eq!(role("ArnLike", "aws:SourceArn", json!(arn)), [], "{arn}");
    }
    let two = json!(["arn:aws:states:*:111122223333:*", "arn:aws:states:*:*:stateMachine:m"]);
    for open in [json!("arn:aws:states:*:*:*"), two] {
        let found = role("ArnLike", "aws:SourceArn", open);
        assert!(found.len() == 1 && found[0].1.contains("of every account"), "{found:?}");
    }
    let negated = role("StringNotEquals", "aws:SourceAccount", json!("111122223333"));
    assert!(negated.len() == 1 && negated[0].1.contains("of every account"), "{negated:?}");
}

/// Amazon Cognito developer guide, "Role trust and permissions"; IAM user guide on federation with a public identity provider:
/// the pool or the app bounds who gets in.
#[test]
fn policies_as_aws_writes_them_for_the_users_of_an_app_have_no_finding() {
    let of = |provider: &str, conditions: &Value| {
        found(&assuming(&json!("sts:AssumeRoleWithWebIdentity"), &json!({"Federated": provider}), conditions))
    };
    for (provider, key) in
        [("accounts.google.com", "aud"), ("www.amazon.com", "app_id"), ("graph.facebook.com", "app_id")]
    {
        assert_eq!(of(provider, &json!({"StringEquals": {format!("{provider}:{key}"): "app"}})), [], "{provider}");
        let any = of(provider, &json!({"StringLike": {format!("{provider}:{key}"): "*"}}));
        assert!(any.iter().any(|one| one.0 == Severity::Error && one.1 == "SubjectMissing"), "{any:?}");
    }
    for pool in ["cognito-identity.amazonaws.com", "cognito-identity-us-gov.amazonaws.com"] {
        let aud = json!({format!("{pool}:aud"): "us-east-1:12345678-abcd-abcd-abcd-123456790ab"});
        let with = |amr: &str| json!({"StringEquals": aud, "ForAnyValue:StringLike": {format!("{pool}:amr"): amr}});
        assert_eq!(of(pool, &with("authenticated")), []);
        let wild = of(pool, &with("cognito-idp.us-east-1.amazonaws.com/us-east-1_a:CognitoSignIn:*"));
        assert!(wild.iter().all(|one| one.0 == Severity::Warning), "{wild:?}");
        let guests = of(pool, &json!({"StringEquals": aud}));
        assert!(guests.len() == 1 && guests[0].0 == Severity::Warning && guests[0].2.contains("guests"), "{guests:?}");
        let open = of(pool, &json!({"ForAnyValue:StringLike": {format!("{pool}:amr"): "authenticated"}}));
        assert!(open.iter().any(|one| one.2.contains(&format!("no condition on {pool}:sub"))), "{open:?}");
    }
    // What a token of Google is for is whatever its bearer asks for.
    let asked = of("accounts.google.com", &json!({"StringEquals": {"accounts.google.com:oaud": "app"}}));
    assert!(asked.iter().any(|one| one.0 == Severity::Error), "{asked:?}");
}

/// Bitbucket Cloud docs, "Integrate Pipelines with resource servers using OIDC": `{repository}:{environment}:{step}`, of an issuer
/// of the workspace.
#[test]
fn a_repository_of_bitbucket_bounds_a_subject_with_wildcards() {
    let key = "api.bitbucket.org/2.0/workspaces/ws/pipelines-config/identity/oidc:sub";
    for (key, value, severity) in [
        (key, "{repo-uuid}*:*", Severity::Warning),
        (key, "{repo-uuid}:*", Severity::Warning),
        (key, "{repo-*}:*", Severity::Error),
        (key, "{}:*", Severity::Error),
        (key, "*:*", Severity::Error),
        ("i.example:sub", "{repo-uuid}:*", Severity::Error),
    ] {
        assert_eq!(subject_severity(key, value), severity, "{key} {value}");
    }
}

#[test]
fn each_of_several_wildcards_is_told() {
    let of = |operator: &str, values: &Value| {
        conditions_of(&json!({"StringEqualsIgnoreCase": {"i.example:aud": "a"}, operator: {"i.example:sub": values}}))
            .into_iter()
            .filter(|one| one.1 != "IgnoreCase")
            .collect::<Vec<_>>()
    };
    let two = of("StringLike", &json!(["repo:octo-org/*", "repo:octo-org@123/*", "repo:octo-org/a:b"]));
    assert!(two.len() == 1 && two[0].2.starts_with("repo:octo-org/*, repo:octo-org@123/* each take"), "{two:?}");
    let both = of("StringLike", &json!(["repo:octo-org/*", "repo:*"]));
    assert_eq!(both.iter().map(|one| one.0).collect::<Vec<_>>(), [Severity::Error, Severity::Warning], "{both:?}");
    let literal = of("StringEquals", &json!(["repo:a/*", "repo:b/*", "repo:c/d"]));
    assert!(literal.iter().any(|one| one.2.contains("repo:a/*, repo:b/*")), "{literal:?}");
}

fn conditions_of(conditions: &Value) -> Vec<(Severity, &'static str, String)> {
    let provider = json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/i.example"});
    found(&assuming(&json!("sts:AssumeRoleWithWebIdentity"), &provider, conditions))
}

/// What a wildcard takes in is told where the form of the subject tells it.
#[test]
fn wildcards_of_hcp_terraform_and_azure_devops_say_whom_they_take_in() {
    let azure = "vstoken.dev.azure.com/61c028b9-510c-4f84-bfb2-f48d33b6b542";
    let of = |provider: &str, audience: &str, sub: &str| {
        let keys = |claim: &str, value: &str| json!({format!("{provider}:{claim}"): value});
        let conditions = json!({"StringEquals": keys("aud", audience), "StringLike": keys("sub", sub)});
        let found = found(&federated(provider, &conditions));
        assert_eq!(found.len(), 1, "{sub}: {found:?}");
        (found[0].0, found[0].2.clone())
    };
    for (sub, severity, who) in [
        ("organization:acme:project:p:workspace:w:run_phase:*", Severity::Warning, "a plan too"),
        (
            "organization:acme:project:p:workspace:prod-*:run_phase:apply",
            Severity::Warning,
            "other workspaces of the project",
        ),
        (
            "organization:acme:project:*:workspace:w:run_phase:apply",
            Severity::Warning,
            "other projects of the organization",
        ),
        ("organization:acme:*", Severity::Warning, "every workspace of the organization"),
        ("organization:*:project:p:workspace:w:run_phase:apply", Severity::Error, "organizations of others"),
        ("organization:acme*", Severity::Error, "organizations of others"),
    ] {
        let (found, message) = of("app.terraform.io", "aws.workload.identity", sub);
        assert!(found == severity && message.contains(who), "{sub}: {found:?} {message}");
    }
    for (sub, severity, who) in [
        ("sc://acme/shop/*", Severity::Warning, "of the project"),
        ("p://acme/shop/deploy*", Severity::Warning, "of the project"),
        ("sc://acme/*", Severity::Error, "other projects"),
        ("sc://acme/*/deploy", Severity::Error, "other projects"),
        ("*", Severity::Error, "other projects"),
    ] {
        let (found, message) = of(azure, "api://AzureADTokenExchange", sub);
        assert!(found == severity && message.contains(who), "{sub}: {found:?} {message}");
    }
}
