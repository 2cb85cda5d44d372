//! What is shown, from objects and files as they would be read.

mod rights;
mod runs;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::iam::execution_role::Derived;

const ROLE: &str = "arn:aws:iam::111122223333:role/orders";
const EXEC: &str = "arn:aws:iam::111122223333:role/exec";
const ISSUER: &str = "https://oidc.example.com/shop";

fn period() -> Period {
    Period { from: "2026-01-01T00:00:00Z".parse().unwrap(), to: "2026-02-01T00:00:00Z".parse().unwrap() }
}

/// An object of a kind in namespace shop, or in none.
fn object(kind: &str, name: &str, more: &Value) -> Value {
    let is_of_cluster = kind.starts_with("Cluster") || ["Guardrail", "Namespace"].contains(&kind);
    let version = if kind == "Namespace" {
        "v1"
    } else if kind.contains("Role") {
        "rbac.authorization.k8s.io/v1"
    } else {
        "stepbound.dev/v1alpha1"
    };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "7",
        "creationTimestamp": "2026-01-10T00:00:00Z"}});
    if !is_of_cluster {
        object["metadata"]["namespace"] = json!("shop");
    }
    for (key, value) in more.as_object().unwrap() {
        if key == "metadata" {
            object["metadata"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        } else {
            object[key] = value.clone();
        }
    }
    object
}

fn typed<K: DeserializeOwned>(objects: &[Value], kind: &str) -> Listing<K> {
    let own = objects.iter().filter(|one| one["kind"] == kind);
    Listing::of(own.map(|one| serde_json::from_value(one.clone()).unwrap()).collect())
}

/// What is read of a cluster that holds these objects and no others.
fn read(objects: &[Value]) -> Read {
    let mut read = Read::new(period(), None);
    read.namespaces = typed(objects, "Namespace");
    read.bindings = typed(objects, "TrustBinding");
    read.providers = typed(objects, "IdentityProvider");
    read.workflows = typed(objects, "Workflow");
    read.runs = typed(objects, "WorkflowRun");
    read.approvals = typed(objects, "Approval");
    read.guardrails = typed(objects, "Guardrail");
    read.roles = typed(objects, "Role");
    read.cluster_roles = typed(objects, "ClusterRole");
    read.role_bindings = typed(objects, "RoleBinding");
    read.cluster_role_bindings = typed(objects, "ClusterRoleBinding");
    read.policies = typed(objects, "ValidatingAdmissionPolicy");
    read.policy_bindings = typed(objects, "ValidatingAdmissionPolicyBinding");
    read
}

fn namespace() -> Value {
    object("Namespace", "shop", &json!({"metadata": {"labels": {"kind": "shop"}}}))
}

const SUBJECT: &str = "system:serviceaccount:shop:orders";

/// A trust policy for these subjects: exact as it is rendered, or by a pattern.
fn trust(subject: &str) -> Value {
    let (sub, aud) = ("oidc.example.com/shop:sub", "oidc.example.com/shop:aud");
    let conditions = if subject.contains('*') {
        json!({"StringLike": {sub: subject}, "StringEquals": {aud: "sts.amazonaws.com"}})
    } else {
        json!({"StringEquals": {sub: subject, aud: "sts.amazonaws.com"}})
    };
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/shop"}, "Condition": conditions}]})
}

fn exact() -> Value {
    trust(SUBJECT)
}

fn binding() -> Value {
    object(
        "TrustBinding",
        "orders",
        &json!({
        "spec": {"serviceAccountName": "orders", "region": "eu-west-1", "roleARN": ROLE, "allowedExecutionRoleARNs": [EXEC]},
        "status": {"issuer": ISSUER, "subject": SUBJECT, "audience": "sts.amazonaws.com", "accountID": "111122223333",
            "trustPolicy": exact().to_string()}}),
    )
}

fn workflow(more: &Value) -> Value {
    let mut workflow = object(
        "Workflow",
        "fulfil",
        &json!({"spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": EXEC,
        "definition": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}}}),
    );
    workflow["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    workflow
}

fn provider(method: &Value) -> Value {
    object(
        "IdentityProvider",
        "okta",
        &json!({"spec": {"issuer": "https://okta.example.com", "clientAuthentication": method}}),
    )
}

fn section<'a>(evidence: &'a Evidence, id: &str) -> &'a Section {
    evidence.sections.iter().find(|one| one.id == id).unwrap()
}

fn codes(evidence: &Evidence) -> Vec<String> {
    evidence.findings.iter().map(|one| format!("{} {}", one.severity.text(), one.code)).collect()
}

fn policy_file(policy: &Value) -> PolicyFile {
    PolicyFile::new(trust_policy(&policy.to_string(), Some(ROLE)).unwrap(), "role.json".into(), "5e".into())
}

#[test]
fn a_trust_policy_is_exact_weak_or_not_read() {
    let told = |policy: Option<&Value>| {
        let mut read = read(&[binding()]);
        read.trust_policies = policy.map(policy_file).into_iter().collect();
        let evidence = evidence(&read);
        let trust = section(&evidence, "bindings").items[0].facts["trust"]["exactness"].clone();
        let own: Vec<String> = codes(&evidence).into_iter().filter(|one| !one.contains("NoAdmission")).collect();
        (trust, own, evidence)
    };
    let (trust_of, found, _) = told(Some(&exact()));
    assert_eq!((trust_of, found), (json!("exact"), vec![]));
    let (trust_of, found, evidence) = told(None);
    assert_eq!((trust_of, found), (json!("not read"), vec![]));
    assert!(
        section(&evidence, "bindings").not_read[0].contains("--trust-policy"),
        "{:?}",
        section(&evidence, "bindings").not_read
    );
    assert!(
        section(&evidence, "bindings").says[0].starts_with("0 of 1 TrustBinding"),
        "{:?}",
        section(&evidence, "bindings").says
    );
    let (trust_of, found, evidence) = told(Some(&trust("system:serviceaccount:*")));
    assert_eq!((trust_of, found), (json!("weak"), vec!["Error SubjectWildcard".to_owned()]));
    let finding = &evidence.findings[0];
    assert!(finding.controls.contains(&"SOC 2 CC6.1") && finding.controls.contains(&"ISO 27001 A.8.5"), "{finding:?}");
    assert!(
        finding.read_from.contains(&Source::File { name: "role.json".into(), sha256: "5e".into(), line: None }),
        "{finding:?}"
    );
    let (trust_of, found, _) = told(Some(&trust("system:serviceaccount:shop:another")));
    assert_eq!((trust_of, found), (json!("weak"), vec!["Warning TokenNotTaken".to_owned()]));
}

#[test]
fn policies_of_files_name_their_role_or_are_given_one() {
    let get_role = json!({"Role": {"Arn": ROLE, "AssumeRolePolicyDocument": exact()}}).to_string();
    assert_eq!(trust_policy(&get_role, None).unwrap().0, ROLE);
    assert!(trust_policy(&get_role, Some(EXEC)).unwrap_err().contains("and not"));
    assert!(trust_policy(&exact().to_string(), None).unwrap_err().contains("ARN=FILE"));
    assert!(trust_policy("{", Some(ROLE)).unwrap_err().contains("is not JSON"));
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    for text in [policy.clone(), json!({"PolicyDocument": policy}), json!({"PolicyVersion": {"Document": policy}})] {
        assert_eq!(permissions(&text.to_string(), Some(EXEC)).unwrap().0, EXEC);
    }
    assert!(permissions("{}", None).unwrap_err().contains("ARN=FILE"));
}

#[test]
fn that_no_secret_is_in_use_is_said_where_all_were_read_and_a_secret_is_a_finding() {
    let assertion = provider(&json!({"type": "ServiceAccountAssertion"}));
    let none = evidence(&read(&[assertion]));
    assert!(
        section(&none, "secrets").says[0].starts_with("None of 1 IdentityProvider stores"),
        "{:?}",
        section(&none, "secrets").says
    );
    let mut refused = read(&[]);
    refused.providers = Listing::refused("no".into());
    let refused = evidence(&refused);
    assert_eq!((section(&refused, "secrets").says.len(), section(&refused, "secrets").not_read.len()), (0, 1));
    let mut partly = read(&[]);
    partly.providers.unreadable.push("identityproviders shop/new: unknown".into());
    assert!(section(&evidence(&partly), "secrets").says[0].contains("that could be read"), "{partly:?}");

    let secret =
        provider(&json!({"type": "ClientSecret", "clientID": "c", "secretKeyRef": {"name": "okta", "key": "secret"}}));
    let mut bound = binding();
    bound["spec"]["identityProviderRef"] = json!({"name": "okta"});
    let mut read = read(&[secret, bound]);
    let unseen = evidence(&read);
    assert!(codes(&unseen).contains(&"Warning LongLivedSecret".to_owned()), "{:?}", codes(&unseen));
    assert_eq!(section(&unseen, "secrets").items[0].facts["usedBy"], json!(["TrustBinding shop/orders"]));
    assert_eq!(section(&unseen, "secrets").not_read.len(), 1, "when it was written is not known");
    let metadata = json!({"name": "okta", "namespace": "shop", "uid": "s", "annotations": {"stepbound.dev/issuer": "https://okta.example.com"},
        "managedFields": [{"time": "2025-06-01T00:00:00Z"}, {"time": "2025-11-02T03:04:05Z"}]});
    read.secrets.insert(("shop".into(), "okta".into()), Ok(serde_json::from_value(metadata).unwrap()));
    let seen = evidence(&read);
    let facts = &section(&seen, "secrets").items[0].facts;
    assert_eq!(
        (&facts["lastWritten"], &facts["boundToIssuer"]),
        (&json!("2025-11-02T03:04:05Z"), &json!("https://okta.example.com"))
    );
    assert!(
        seen.findings.iter().any(|one| one.code == "LongLivedSecret" && one.controls.contains(&"ISO 27001 A.5.17"))
    );
}

#[test]
fn a_binding_between_two_identities_is_told_as_a_rotation() {
    let mut moving = binding();
    let identity =
        |phase: &str, subject: &str| json!({"issuer": ISSUER, "subject": subject, "audience": "a", "phase": phase});
    moving["status"]["identities"] = json!([identity("Active", "old"), identity("Probing", "new")]);
    let evidence = evidence(&read(&[moving]));
    let providers = section(&evidence, "providers");
    assert_eq!(providers.items[0].facts["identities"][1]["phase"], "being tried");
    assert!(providers.says[0].starts_with("1 TrustBinding is"), "{:?}", providers.says);
}

#[test]
fn what_a_role_may_beyond_need_is_told_where_its_policies_were_given() {
    let all = [binding(), workflow(&json!({}))];
    let none = evidence(&read(&all));
    assert_eq!(section(&none, "execution-roles").items[0].facts["permissions"], "not read");
    assert!(section(&none, "execution-roles").not_read[0].contains("--role-policy"));
    let mut given = read(&all);
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let parsed = permissions(&policy.to_string(), Some(EXEC)).unwrap();
    given.role_policies = vec![PolicyFile::new(parsed, "exec.json".into(), "e".into())];
    given.needs.insert(("shop".into(), "fulfil".into()), Ok(Derived::default()));
    let told = evidence(&given);
    let facts = &section(&told, "execution-roles").items[0].facts;
    assert_eq!((&facts["beyondNeed"][0]["allows"], &facts["permissions"]), (&json!("s3:*"), &json!("read")));
    assert!(codes(&told).contains(&"Warning RoleWiderThanNeeded".to_owned()));
    given.needs.insert(("shop".into(), "fulfil".into()), Err("the ConfigMap may not be read".into()));
    let told = evidence(&given);
    let roles = section(&told, "execution-roles");
    assert_ne!(roles.items[0].facts["permissions"], "read");
    assert!(roles.not_read[0].contains("the ConfigMap may not be read"), "{:?}", roles.not_read);
}

#[test]
fn guardrails_say_for_which_namespaces_they_hold_where_labels_were_read() {
    let rule = object(
        "Guardrail",
        "shops",
        &json!({"spec": {"namespaceSelector": {"matchLabels": {"kind": "shop"}}, "requireApproval": true}}),
    );
    let known = evidence(&read(&[rule.clone(), namespace(), workflow(&json!({}))]));
    assert_eq!(section(&known, "guardrails").items[0].facts["namespaces"], json!(["shop"]));
    assert_eq!(section(&known, "approvals").items[0].facts["approvalRequiredBy"], "Guardrail \"shops\"");
    let mut unknown = read(&[rule, workflow(&json!({}))]);
    unknown.namespaces = Listing::refused("no".into());
    let unknown = evidence(&unknown);
    assert!(!section(&unknown, "guardrails").items[0].facts.contains_key("namespaces"));
    assert!(!section(&unknown, "approvals").items[0].facts.contains_key("approvalRequiredBy"), "nobody can tell");
    assert!(section(&unknown, "approvals").not_read.iter().any(|one| one.contains("Workflow shop/fulfil")));
}

#[test]
fn a_policy_that_denies_nothing_is_found() {
    let policy = |fails: &str| {
        object(
            "ValidatingAdmissionPolicy",
            "sb-use",
            &json!({"metadata": {"labels": {"app.kubernetes.io/name": "stepbound"}}, "spec": {"failurePolicy": fails}}),
        )
    };
    let bound = |actions: Value| {
        object(
            "ValidatingAdmissionPolicyBinding",
            "sb-use",
            &json!({"spec": {"policyName": "sb-use", "validationActions": actions}}),
        )
    };
    let found = |objects: &[Value]| codes(&evidence(&read(objects)));
    assert_eq!(found(&[policy("Fail"), bound(json!(["Deny"]))]), Vec::<String>::new());
    assert_eq!(found(&[policy("Ignore"), bound(json!(["Deny"]))]), ["Error PolicyWeakened"]);
    assert_eq!(found(&[policy("Fail"), bound(json!(["Audit"]))]), ["Error PolicyWeakened"]);
    assert_eq!(found(&[policy("Fail")]), ["Error PolicyWeakened"]);
    assert_eq!(found(&[]), ["Warning NoAdmissionPolicies"]);
}

/// Each kind refused: no part has an item or a sentence about it.
#[test]
fn nothing_is_said_of_what_was_not_read() {
    let mut read = read(&[]);
    let why = || "no".to_owned();
    (read.namespaces, read.bindings, read.providers) =
        (Listing::refused(why()), Listing::refused(why()), Listing::refused(why()));
    (read.workflows, read.runs, read.approvals) =
        (Listing::refused(why()), Listing::refused(why()), Listing::refused(why()));
    (read.guardrails, read.roles, read.cluster_roles) =
        (Listing::refused(why()), Listing::refused(why()), Listing::refused(why()));
    (read.role_bindings, read.cluster_role_bindings) = (Listing::refused(why()), Listing::refused(why()));
    (read.policies, read.policy_bindings) = (Listing::refused(why()), Listing::refused(why()));
    assert!(read.is_nothing());
    let evidence = evidence(&read);
    assert_eq!(codes(&evidence), Vec::<String>::new());
    for section in &evidence.sections {
        assert_eq!((section.says.len(), section.items.len()), (0, 0), "{section:#?}");
        assert!(!section.not_read.is_empty(), "{section:#?}");
    }
}

fn everything() -> Vec<Value> {
    let mut all = vec![
        binding(),
        workflow(&json!({})),
        namespace(),
        provider(&json!({"type": "ClientSecret", "clientID": "c", "secretKeyRef": {"name": "okta", "key": "k"}})),
    ];
    all.push(object("Guardrail", "shops", &json!({"spec": {"namespaceSelector": {}, "requireApproval": true}})));
    all.extend(runs::all());
    all.extend(rights::all());
    all
}

#[test]
fn every_item_and_finding_has_a_control_and_where_it_was_read() {
    let mut read = read(&everything());
    read.logs = vec![runs::log()];
    read.trust_policies = vec![policy_file(&trust("*"))];
    let evidence = evidence(&read);
    let known: Vec<&str> = CONTROLS.iter().map(|one| one.id).collect();
    let mut shown: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
    for section in &evidence.sections {
        assert!(!section.items.is_empty() || ["admission"].contains(&section.id), "the test sees {}", section.id);
        for item in &section.items {
            assert!(!item.controls.is_empty() && !item.read_from.is_empty(), "{item:?}");
            assert!(
                item.controls.iter().all(|one| known.contains(one) && section.controls.contains(one)),
                "{}: {item:?}",
                section.id
            );
            shown.extend(item.controls);
        }
    }
    assert_eq!(shown.len(), known.len(), "each control is supported by something");
    assert!(evidence.findings.len() > 5, "{:?}", codes(&evidence));
    for finding in &evidence.findings {
        let has_source = !finding.read_from.is_empty() || finding.code == "NoAdmissionPolicies";
        assert!(has_source && !finding.controls.is_empty(), "{finding:?}");
        assert!(finding.controls.iter().all(|one| known.contains(one)), "{finding:?}");
    }
}

#[test]
fn the_order_of_what_is_read_changes_nothing_and_no_payload_is_in_it() {
    let text = |objects: &[Value]| {
        let mut read = read(objects);
        read.logs = vec![runs::log()];
        let evidence = evidence(&read);
        json!({"sections": evidence.sections, "findings": evidence.findings, "unread": evidence.unread}).to_string()
    };
    let mut objects = everything();
    let one = text(&objects);
    objects.reverse();
    assert_eq!(one, text(&objects));
    assert!(!one.contains("PAYLOAD"), "{one}");
}
