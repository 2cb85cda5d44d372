use serde_json::{Value, json};

use super::*;

mod tenants;

fn document(statement: &Value) -> Document {
    Document::from_value(&json!({"Version": "2012-10-17", "Statement": statement})).unwrap()
}

fn trust(change: impl FnOnce(&mut Value)) -> Vec<&'static str> {
    let mut statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/i.example"},
        "Condition": {"StringEquals": {"i.example:sub": "system:serviceaccount:shop:orders", "i.example:aud": "sts.amazonaws.com"}}});
    change(&mut statement);
    lint_trust(&document(&statement)).into_iter().map(|one| one.code).collect()
}

fn conditions(value: &Value) -> Vec<&'static str> {
    trust(|statement| statement["Condition"] = value.clone())
}

/// Requirement 14 of docs/security.md: trust rendered exactly, weak trust found.
#[test]
fn requirement_14_an_exact_policy_has_no_finding_and_each_weak_one_has_its_own() {
    assert_eq!(trust(|_| ()), Vec::<&str>::new());
    let aud = json!({"i.example:aud": "sts.amazonaws.com"});
    let sub = json!({"i.example:sub": "system:serviceaccount:shop:orders"});
    for (found, expected) in [
        (conditions(&json!({"StringEquals": aud})), "SubjectMissing"),
        (conditions(&json!({"StringEquals": sub})), "AudienceMissing"),
        (
            conditions(
                &json!({"StringEquals": aud, "StringLike": {"i.example:sub": "system:serviceaccount:*:orders"}}),
            ),
            "SubjectWildcard",
        ),
        (
            conditions(&json!({"StringEquals": aud, "StringLike": {"i.example:sub": "system:serviceaccount:shop:*"}})),
            "SubjectWildcard",
        ),
        (conditions(&json!({"StringEquals": sub, "StringLike": {"i.example:aud": "*"}})), "AudienceWildcard"),
        (conditions(&json!({"StringEquals": aud, "StringLike": sub})), "StringLike"),
        (conditions(&json!({"StringEquals": aud, "ForAllValues:StringEquals": sub})), "ForAllValues"),
        (conditions(&json!({"StringEquals": aud, "StringEqualsIfExists": sub})), "IfExists"),
        (conditions(&json!({"StringEquals": aud, "StringNotEquals": {"i.example:sub": "x"}})), "Negated"),
        (conditions(&json!({"StringEquals": aud, "StringEqualsIgnoreCase": sub})), "IgnoreCase"),
        (conditions(&json!({"StringEquals": aud, "Null": {"i.example:sub": "false"}})), "Null"),
        (conditions(&json!({"StringEquals": {"o.example:sub": "s", "i.example:aud": "a"}})), "KeyOfAnotherProvider"),
        (trust(|statement| statement["Action"] = json!("sts:*")), "ActionTooBroad"),
        (trust(|statement| statement["Principal"] = json!("*")), "PrincipalWildcard"),
        (trust(|statement| statement["Principal"] = json!({"Federated": "*"})), "PrincipalWildcard"),
        (
            trust(|statement| {
                let fields = statement.as_object_mut().unwrap();
                let principal = fields.remove("Principal").unwrap();
                fields.insert("NotPrincipal".into(), principal);
            }),
            "NotPrincipal",
        ),
    ] {
        assert!(found.contains(&expected), "{expected}: {found:?}");
        assert!(found.len() <= 2, "{expected}: {found:?}");
    }
}

#[test]
fn other_principals_and_denials_are_not_looked_at() {
    let service = json!([
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}},
        {"Effect": "Deny", "Action": "sts:*", "Principal": "*"},
    ]);
    assert_eq!(lint_trust(&document(&service)), []);
}

fn subject_severity(key: &str, value: &str) -> Severity {
    let statement =
        assuming(&json!("sts:AssumeRoleWithWebIdentity"), &json!("*"), &json!({"StringLike": {key: value}}));
    let statement = document(&statement).statements.remove(0);
    let entry = entries(&statement).next().unwrap();
    wildcard_severity(&entry, value, false)
}

#[test]
fn a_wildcard_within_a_namespace_is_a_warning_and_beyond_it_an_error() {
    let severity = |value: &str| subject_severity("i.example:sub", value);
    assert_eq!(severity("system:serviceaccount:shop:*"), Severity::Warning);
    assert_eq!(severity("system:serviceaccount:sh*:orders"), Severity::Error);
    assert_eq!(severity("*"), Severity::Error);
    assert_eq!(severity("repo:octo-org/octo-repo:*"), Severity::Warning);
    assert_eq!(severity("repo:octo-org*/octo-repo:*"), Severity::Error);
}

/// Of any repository, but of one owner, whose id stays when the name is given to another.
#[test]
fn an_id_of_github_bounds_a_subject_with_wildcards() {
    let host = "token.actions.githubusercontent.com";
    let severity = |operator: &str, key: &str, value: &str| {
        let condition = json!({"StringEquals": {format!("{host}:aud"): "sts.amazonaws.com"},
            "StringLike": {format!("{host}:sub"): "repo:*:environment:prod"}, operator: {key: value}});
        let mut statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
            "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{host}")}});
        if operator == "StringEquals" {
            statement["Condition"]["StringEquals"][format!("{host}:aud")] = json!("sts.amazonaws.com");
        }
        let found = lint_trust(&document(&statement));
        found.iter().find(|one| one.code == "SubjectWildcard").unwrap().severity
    };
    let owner = format!("{host}:repository_owner_id");
    assert_eq!(severity("StringEquals", &owner, "9"), Severity::Warning);
    assert_eq!(severity("StringEquals", &format!("{host}:repository_id"), "74"), Severity::Warning);
    for (operator, key, value) in [
        ("StringEqualsIfExists", owner.as_str(), "9"),
        ("ForAllValues:StringEquals", &owner, "9"),
        ("StringNotEquals", &owner, "9"),
        ("ForAnyValue:StringLike", &owner, "9*"),
        ("StringEquals", &format!("{host}:actor"), "mona"),
        ("StringEquals", "i.example:repository_owner_id", "9"),
    ] {
        assert_eq!(severity(operator, key, value), Severity::Error, "{operator} {key}");
    }
}

#[test]
fn an_execution_role_that_any_account_can_use_is_told() {
    let role = |conditions: Value| {
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "states.amazonaws.com"}, "Condition": conditions});
        lint_service_trust(&document(&statement)).into_iter().map(|one| one.code).collect::<Vec<_>>()
    };
    assert_eq!(role(json!({})), ["SourceArnMissing", "SourceAccountMissing"]);
    assert_eq!(
        role(json!({"ArnLike": {"aws:SourceArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:*"},
            "StringEquals": {"aws:SourceAccount": "111122223333"}})),
        Vec::<&str>::new()
    );
    assert_eq!(role(json!({"StringEqualsIfExists": {"aws:SourceAccount": "1"}})).len(), 2);
}

#[test]
fn passing_any_role_or_to_any_service_is_told() {
    let codes =
        |statement: Value| lint_permissions(&document(&statement)).into_iter().map(|one| one.code).collect::<Vec<_>>();
    let role = "arn:aws:iam::111122223333:role/exec";
    let pass = |resource: &str, conditions: Value| {
        codes(json!({"Effect": "Allow", "Action": "iam:Pass*", "Resource": resource, "Condition": conditions}))
    };
    let to_states = json!({"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}});
    assert_eq!(pass(role, to_states.clone()), Vec::<&str>::new());
    assert_eq!(pass(role, json!({})), ["PassRoleTooBroad"]);
    assert_eq!(pass("*", to_states), ["PassRoleTooBroad"]);
    assert_eq!(
        codes(json!({"Effect": "Allow", "Action": "*", "Resource": "*"})),
        ["ActionWildcard", "PassRoleTooBroad"]
    );
    assert_eq!(codes(json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})), ["NotAction"]);
    assert_eq!(codes(json!({"Effect": "Deny", "Action": "*", "Resource": "*"})), Vec::<&str>::new());
}

#[test]
fn an_operator_that_iam_does_not_have_is_an_error_whatever_its_key_and_statement() {
    let typo = json!({"StringEquals": {"i.example:sub": "system:serviceaccount:shop:orders", "i.example:aud": "sts.amazonaws.com"},
        "StringEqual": {"aws:RequestedRegion": "eu-west-1"}});
    assert_eq!(conditions(&typo), ["UnknownOperator"]);
    let denial = document(
        &json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*", "Condition": {"Stringlike": {"a": "b"}, "NullIfExists": {"a": "true"}}}),
    );
    let found = lint_trust(&denial);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("NullIfExists") && found[0].statement == 1, "{found:?}");
    let permissions = document(
        &json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"ForAnyValues:StringEquals": {"aws:TagKeys": "a"}}}),
    );
    assert_eq!(lint_permissions(&permissions).into_iter().map(|one| one.code).collect::<Vec<_>>(), ["UnknownOperator"]);
}

/// IAM user guide, "Available keys for AWS OIDC federation": which keys of the built-in providers are whose.
#[test]
fn keys_of_built_in_providers_stand_for_subject_and_audience() {
    let of = |provider: &str, keys: &Value| {
        trust(|statement| {
            statement["Principal"] = json!({"Federated": provider});
            statement["Condition"] = json!({"StringEquals": keys});
        })
    };
    let none = Vec::<&str>::new();
    let google = json!({"accounts.google.com:oaud": "my-aud", "accounts.google.com:sub": "113"});
    assert_eq!(of("accounts.google.com", &google), none);
    let amazon = json!({"www.amazon.com:app_id": "amzn1.application.1", "www.amazon.com:user_id": "amzn1.account.1"});
    assert_eq!(of("www.amazon.com", &amazon), none);
    let facebook = json!({"graph.facebook.com:app_id": "1", "graph.facebook.com:id": "2"});
    assert_eq!(of("graph.facebook.com", &facebook), none);
    let gitlab = json!({"gitlab.com:user_id": "1", "gitlab.com:aud": "https://gitlab.com"});
    assert_eq!(of("arn:aws:iam::111122223333:oidc-provider/gitlab.com", &gitlab), ["SubjectMissing"]);
}

/// What is bound and what is not is said as it is: a file of a workflow is not the repository whose run it is.
#[test]
fn claims_of_github_in_place_of_the_subject_are_told_for_what_they_bind() {
    let found = |host: &str, claims: &Value| {
        let mut equal = json!({format!("{host}:aud"): "sts.amazonaws.com"});
        for (claim, value) in claims.as_object().unwrap() {
            equal[format!("{host}:{claim}")] = value.clone();
        }
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": equal},
            "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{host}")}});
        let mut found = lint_trust(&document(&statement));
        assert_eq!(found.len(), 1, "{found:?}");
        let one = found.remove(0);
        assert_eq!(one.code, "SubjectMissing");
        (one.severity, one.message)
    };
    let (shared, own) = ("token.actions.githubusercontent.com", "token.actions.octo.ghe.com");
    let file = json!({"job_workflow_ref": "octo-org/shared/.github/workflows/deploy.yml@refs/heads/main"});
    for host in [shared, own] {
        let (severity, message) = found(host, &file);
        assert!(severity == Severity::Error && message.contains("may call it as a reusable workflow"), "{message}");
        assert_eq!(message.contains("IAM takes no new or changed policy"), host == shared, "{message}");
        let (severity, message) = found(host, &json!({"environment": "prod"}));
        assert!(severity == Severity::Error && message.contains("not whose repository"), "{message}");
        let (severity, message) = found(host, &json!({"actor": "mona"}));
        assert!(severity == Severity::Error && message.contains("actor is mona"), "{message}");
        assert!(found(host, &json!({})).1.contains("every sub of the provider is taken"));
    }
    for claim in ["repository_id", "repository_owner_id", "enterprise_id", "repository"] {
        let (severity, message) = found(own, &json!({claim: "74"}));
        assert!(
            severity == Severity::Warning && message.contains(&format!("bound is that {claim} is 74")),
            "{message}"
        );
        assert_eq!(found(shared, &json!({claim: "74"})).0, Severity::Error, "IAM refuses it");
    }
    let (_, message) = found(own, &json!({"repository_id": ["74", "75"], "environment": "prod"}));
    assert!(message.contains("environment is prod and repository_id is 74 or 75; whatever else"), "{message}");
}

fn found(statement: &Value) -> Vec<(Severity, &'static str, String)> {
    lint_trust(&document(statement)).into_iter().map(|one| (one.severity, one.code, one.message)).collect()
}

fn only(statement: &Value) -> (Severity, &'static str, String) {
    let mut all = found(statement);
    assert_eq!(all.len(), 1, "{statement}: {all:?}");
    all.remove(0)
}

fn assuming(action: &Value, principal: &Value, conditions: &Value) -> Value {
    json!({"Effect": "Allow", "Action": action, "Principal": principal, "Condition": conditions})
}

#[test]
fn everybody_as_principal_is_an_error_whatever_action_assumes() {
    let arn = "arn:aws:iam::111122223333:root";
    for action in ["sts:AssumeRole", "sts:assumerole*", "sts:AssumeRoleWithSAML", "sts:*", "*"] {
        for principal in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"Federated": "*"}),
            json!({"AWS": [arn, "*"]}),
            json!({"AWS": "*", "Service": "ec2.amazonaws.com"}),
        ] {
            let all = found(&assuming(&json!([action, "sts:TagSession"]), &principal, &json!({})));
            let one = all.iter().find(|one| one.1 == "PrincipalWildcard");
            assert_eq!(one.map(|one| one.0), Some(Severity::Error), "{action} {principal}: {all:?}");
        }
    }
    let all = found(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": arn}}));
    assert_eq!(all.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(), [(Severity::Error, "NotPrincipal")]);
    let tags = only(&assuming(&json!("sts:TagSession"), &json!("*"), &json!({})));
    assert!(tags.0 == Severity::Warning && tags.2.contains("assumes nothing by itself"), "{tags:?}");
    assert_eq!(found(&assuming(&json!("sts:AssumeRole"), &json!({"AWS": arn}), &json!({}))), []);
    assert_eq!(found(&assuming(&json!("s3:GetObject"), &json!("*"), &json!({}))), []);
}

#[test]
fn what_bounds_everybody_is_said_and_what_bounds_nobody_stays_an_error() {
    let of = |conditions: &Value| found(&assuming(&json!("sts:AssumeRole"), &json!({"AWS": "*"}), conditions));
    for bound in [
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-example"}}),
        json!({"StringEquals": {"aws:principalaccount": ["111122223333"]}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-example/r-1/*"}}),
        json!({"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"StringEquals": {"sts:ExternalId": "partner"}}),
    ] {
        let all = of(&bound);
        assert!(all.len() == 1 && all[0].0 == Severity::Warning && all[0].1 == "PrincipalWildcard", "{bound} {all:?}");
    }
    assert_eq!(of(&json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/ci"}})), []);
    for open in [
        json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-example"}}),
        json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci"}}),
        json!({"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/ci", "*"]}}),
        json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-example/*"}}),
        json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
        json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        json!({"StringEquals": {"aws:PrincipalTag/team": "shop"}}),
    ] {
        let all = of(&open);
        assert!(all.len() == 1 && all[0].0 == Severity::Error && all[0].1 == "PrincipalWildcard", "{open} {all:?}");
    }
    let by_sub = |sub: &str| {
        let conditions = json!({"StringLike": {"i.example:sub": sub}, "StringEquals": {"i.example:aud": "a"}});
        let all = found(&assuming(&json!("sts:AssumeRoleWithWebIdentity"), &json!("*"), &conditions));
        all.into_iter().find(|one| one.1 == "PrincipalWildcard").unwrap().0
    };
    assert_eq!(by_sub("system:serviceaccount:shop:orders"), Severity::Warning, "the key names its provider");
    assert_eq!(by_sub("*"), Severity::Error);
    // Web identities have no organization, so none of them gets in.
    let all = assuming(&json!("sts:*"), &json!("*"), &json!({"StringEquals": {"aws:PrincipalOrgID": "o-example"}}));
    assert!(found(&all).iter().all(|one| one.0 == Severity::Warning), "{:?}", found(&all));
}

fn federated(provider: &str, conditions: &Value) -> Value {
    assuming(
        &json!("sts:AssumeRoleWithWebIdentity"),
        &json!({"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{provider}")}),
        conditions,
    )
}

#[test]
fn a_wildcard_that_the_operator_takes_for_itself_is_told() {
    let of = |sub: Value| {
        only(&federated(
            "i.example",
            &json!({"StringEquals": {"i.example:aud": "sts.amazonaws.com", "i.example:sub": sub}}),
        ))
    };
    for value in ["system:serviceaccount:shop:*", "system:serviceaccount:shop:order?", "*"] {
        let (severity, code, message) = of(json!(value));
        assert_eq!((severity, code), (Severity::Error, "WildcardTakenLiterally"), "{message}");
        assert!(message.contains("nobody") && message.contains("StringLike"), "{message}");
    }
    let (severity, code, _) = of(json!(["system:serviceaccount:shop:orders", "system:serviceaccount:shop:*"]));
    assert_eq!((severity, code), (Severity::Warning, "WildcardTakenLiterally"), "the other value is taken");
    let host = "token.actions.githubusercontent.com";
    let claim = json!({"StringEquals": {format!("{host}:aud"): "sts.amazonaws.com",
        format!("{host}:sub"): "repo:o/r:ref:refs/heads/main", format!("{host}:repository"): "o/*"}});
    assert_eq!(only(&federated(host, &claim)).1, "WildcardTakenLiterally");
}

#[test]
fn a_scheme_in_provider_or_key_is_told() {
    let good = json!({"StringEquals": {"i.example:aud": "sts.amazonaws.com", "i.example:sub": "s"}});
    let keys = json!({"StringEquals": {"i.example:aud": "sts.amazonaws.com", "https://i.example:sub": "s"}});
    let (severity, code, message) = only(&federated("https://i.example", &good));
    assert_eq!((severity, code), (Severity::Error, "ProviderWithScheme"), "{message}");
    assert!(message.contains("oidc-provider/i.example"), "{message}");
    let (severity, code, message) = only(&federated("i.example", &keys));
    assert_eq!((severity, code), (Severity::Error, "KeyWithScheme"), "{message}");
    assert!(message.contains("write i.example:sub") && message.contains("nobody"), "{message}");
    let both = json!({"StringEqualsIfExists": {"https://i.example:sub": "s"}, "StringEquals": {"i.example:aud": "a"}});
    let all = found(&federated("i.example", &both));
    let one = all.iter().find(|one| one.1 == "KeyWithScheme").unwrap();
    assert!(one.2.contains("always holds") && !one.2.contains("nobody"), "{all:?}");
}

/// A claim that IAM does not give is absent, so a condition that asks for a value of it never holds.
#[test]
fn a_key_that_iam_does_not_give_is_told_and_nothing_untrue_beside_it() {
    for (host, claim) in [
        ("token.actions.githubusercontent.com", "repository_owner"),
        ("gitlab.com", "project_path"),
        ("gitlab.example", "namespace_id"),
    ] {
        let of = |operator: &str| {
            let equal = json!({format!("{host}:aud"): "sts.amazonaws.com"});
            let mut conditions = json!({"StringEquals": equal});
            conditions[operator][format!("{host}:{claim}")] = json!("octo");
            found(&federated(host, &conditions))
        };
        let all = of("StringEquals");
        assert_eq!(all.iter().map(|one| one.1).collect::<Vec<_>>(), ["KeyNotGiven"], "{all:?}");
        assert!(all[0].2.contains("nobody") && all[0].2.contains("IAM gives only"), "{all:?}");
        let all = of("StringNotEquals");
        assert_eq!(all.iter().map(|one| one.1).collect::<Vec<_>>(), ["KeyNotGiven", "SubjectMissing"], "{all:?}");
        assert!(all[0].2.contains("always holds"), "{all:?}");
    }
}

#[test]
fn subjects_that_are_bound_to_an_owner_are_warnings_and_others_errors() {
    let severity = |value: &str| subject_severity("i.example:sub", value);
    for bound in [
        "project_path:mygroup/proj:ref_type:branch:ref:*",
        "project_path:mygroup/*:ref_type:branch:ref:main",
        "project_path:mygroup/*",
        "repo:octo/*",
        "repository_owner:octo:*",
        "repository_owner_id:9:*",
        "repository_id:74:*",
        "organization:acme:pipeline:*",
    ] {
        assert_eq!(severity(bound), Severity::Warning, "{bound}");
    }
    for open in [
        "project_path:*",
        "project_path:mygroup*",
        "project_path:my*/proj:ref_type:branch:ref:main",
        "repo:octo*",
        "repository_owner:octo*",
        "repository_owner_id:9*:environment:prod",
        "repo:/*",
    ] {
        assert_eq!(severity(open), Severity::Error, "{open}");
    }
    let values =
        json!({"StringEquals": {"i.example:aud": "a"}, "StringLike": {"i.example:sub": ["repo:octo/*", "repo:*"]}});
    let all = found(&federated("i.example", &values));
    let told: Vec<_> = all.iter().map(|one| (one.0, one.2.split(' ').next().unwrap())).collect();
    assert_eq!(told, [(Severity::Error, "repo:*"), (Severity::Warning, "repo:octo/*")]);
}

#[test]
fn one_rule_tells_which_claims_bound_whose_it_is() {
    let of = |host: &str, claims: &Value, sub: Option<&str>| {
        // An `aud` of Google's would name the app already.
        let audience = if host == "accounts.google.com" { "oaud" } else { "aud" };
        let mut conditions = json!({"StringEquals": {format!("{host}:{audience}"): "aud"}});
        for (claim, value) in claims.as_object().unwrap() {
            conditions["StringEquals"][format!("{host}:{claim}")] = value.clone();
        }
        if let Some(sub) = sub {
            conditions["StringLike"] = json!({format!("{host}:sub"): sub});
        }
        let mut statement = federated(host, &conditions);
        if host == "accounts.google.com" {
            statement["Principal"]["Federated"] = json!(host);
        }
        only(&statement)
    };
    let github = "token.actions.octo.ghe.com";
    for claim in ["repository", "repository_id", "repository_owner_id", "enterprise_id"] {
        let value = json!({claim: "octo/app"});
        assert_eq!(of(github, &value, Some("repo:*")).0, Severity::Warning, "{claim}");
        assert_eq!(of(github, &value, None).0, Severity::Warning, "{claim}");
    }
    for (host, claim) in
        [("gitlab.com", "namespace_id"), ("gitlab.com", "project_id"), ("agent.buildkite.com", "organization_id")]
    {
        assert_eq!(of(host, &json!({claim: "7"}), Some("*")).0, Severity::Warning, "{claim}");
        let (severity, _, message) = of(host, &json!({claim: "7"}), None);
        assert!(!message.contains("every sub") && message.contains(&format!("{claim} is 7")), "{message}");
        assert!(severity == Severity::Error && message.contains("IAM takes no new or changed policy"), "{message}");
    }
    let (severity, _, message) = of("accounts.google.com", &json!({"email": "a@example.com"}), None);
    assert!(severity == Severity::Warning && message.contains("email is a@example.com"), "{message}");
    assert_eq!(of("accounts.google.com", &json!({"email": "a@example.com"}), Some("*")).0, Severity::Warning);
    let (severity, _, message) = of("gitlab.com", &json!({"user_login": "mona"}), None);
    assert!(severity == Severity::Error && message.contains("user_login is mona"), "{message}");
    assert_eq!(of("i.example", &json!({"email": "a@example.com"}), None).0, Severity::Error);
}
