//! Who may do what, by tables of rules.

use super::*;

fn role(kind: &str, name: &str, rules: &Value) -> Value {
    object(kind, name, &json!({"rules": rules}))
}

fn bound(kind: &str, role_kind: &str, role: &str, subject: &Value) -> Value {
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role});
    object(kind, &format!("b-{role}"), &json!({"roleRef": reference, "subjects": [subject]}))
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "name": name})
}

fn rule(resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": ["stepbound.dev"], "resources": resources, "verbs": verbs})
}

/// Some of each, for whoever wants everything.
pub(super) fn all() -> Vec<Value> {
    vec![
        role("ClusterRole", "wide", &json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
        bound("ClusterRoleBinding", "ClusterRole", "wide", &user("mallory")),
        role("Role", "approver", &json!([rule(&["approvals"], &["patch"])])),
        bound("RoleBinding", "Role", "approver", &user("bob")),
    ]
}

/// `right: subject in place (names) verbs [through] *`
fn told(objects: &[Value]) -> Vec<String> {
    let evidence = evidence(&read(objects));
    let list = |value: Option<&Value>| {
        let texts = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(",")
    };
    let line = |item: &Item| {
        let facts = &item.facts;
        let text = |name: &str| facts[name].as_str().unwrap().to_owned();
        let star = if facts["wildcard"] == true { " *" } else { "" };
        format!(
            "{}: {} in {} ({}) {} [{}]{star}",
            text("right"),
            item.subject,
            text("where"),
            list(facts.get("names")),
            list(facts.get("verbs")),
            list(facts.get("aggregatedFrom"))
        )
    };
    section(&evidence, "access").items.iter().map(line).collect()
}

#[test]
fn a_right_is_given_by_its_rule_where_its_binding_is() {
    let of =
        |rules: Value| told(&[role("ClusterRole", "r", &rules), bound("RoleBinding", "ClusterRole", "r", &user("a"))]);
    for (rules, expected) in [
        (json!([rule(&["trustbindings"], &["use"])]), vec!["use: User a in namespace shop () use trustbindings []"]),
        (json!([rule(&["trustbindings"], &["get", "list"])]), vec![]),
        (json!([{"apiGroups": [""], "resources": ["trustbindings"], "verbs": ["use"]}]), vec![]),
        (
            json!([{"apiGroups": ["stepbound.dev"], "resources": ["trustbindings"], "resourceNames": ["orders", "pay"], "verbs": ["use"]}]),
            vec!["use: User a in namespace shop (orders,pay) use trustbindings []"],
        ),
        // What is created has no name when it is asked about, so a rule with names gives nothing.
        (
            json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "resourceNames": ["x"], "verbs": ["create"]}]),
            vec![],
        ),
        // The account whose token is created has one.
        (
            json!([{"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["orders"], "verbs": ["create"]}]),
            vec!["act as an account: User a in namespace shop (orders) create serviceaccounts/token []"],
        ),
        (
            json!([{"apiGroups": [""], "resources": ["*/token"], "verbs": ["create"]}]),
            vec!["act as an account: User a in namespace shop () create serviceaccounts/token [] *"],
        ),
        // A rule without names gives all, whatever another names.
        (
            json!([{"apiGroups": ["stepbound.dev"], "resources": ["approvals"], "resourceNames": ["x"], "verbs": ["patch"]}, rule(&["approvals"], &["update"])]),
            vec!["approve: User a in namespace shop () patch approvals,update approvals []"],
        ),
        // What is in no namespace is not given in one.
        (json!([rule(&["guardrails"], &["create"])]), vec![]),
        (
            json!([rule(&["executiondatapages"], &["list"])]),
            vec!["read data: User a in namespace shop () list executiondatapages []"],
        ),
        (
            json!([rule(&["workflows"], &["take-over"])]),
            vec!["take over: User a in namespace shop () take-over workflows []"],
        ),
    ] {
        assert_eq!(of(rules.clone()), expected, "{rules}");
    }
    let everywhere = [
        role("ClusterRole", "r", &json!([rule(&["guardrails"], &["create"])])),
        bound("ClusterRoleBinding", "ClusterRole", "r", &user("a")),
    ];
    assert_eq!(told(&everywhere), ["rule: User a in the whole cluster () create guardrails []"]);
}

#[test]
fn a_wildcard_gives_every_right_and_is_marked() {
    let all = told(&[
        role("ClusterRole", "r", &json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
        bound("ClusterRoleBinding", "ClusterRole", "r", &user("a")),
    ]);
    assert_eq!(all.len(), 11, "{all:#?}");
    assert!(all.iter().all(|line| line.ends_with(" *")), "{all:#?}");
}

#[test]
fn an_aggregated_role_names_those_by_which_it_has_a_right() {
    let rules = json!([rule(&["workflowruns"], &["create"])]);
    let mut run = role("ClusterRole", "sb-run", &rules);
    run["metadata"]["labels"] = json!({"aggregate-to-edit": "true"});
    let mut edit = role("ClusterRole", "edit", &rules);
    edit["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"aggregate-to-edit": "true"}}]});
    let account = json!({"kind": "ServiceAccount", "name": "ci"});
    let told = told(&[run, edit, bound("RoleBinding", "ClusterRole", "edit", &account)]);
    assert_eq!(told, ["run: ServiceAccount shop/ci in namespace shop () create workflowruns [sb-run]"]);
}

#[test]
fn a_binding_to_a_role_of_another_namespace_or_to_none_gives_nothing() {
    let mut elsewhere = role("Role", "r", &json!([rule(&["trustbindings"], &["use"])]));
    elsewhere["metadata"]["namespace"] = json!("other");
    assert_eq!(told(&[elsewhere, bound("RoleBinding", "Role", "r", &user("a"))]), Vec::<String>::new());
}

#[test]
fn wildcard_rights_and_rights_of_everybody_are_found_by_who_has_them() {
    let wild = json!([{"apiGroups": ["stepbound.dev"], "resources": ["*"], "verbs": ["*"]}]);
    let approve = json!([rule(&["approvals"], &["patch"])]);
    let group = |name: &str| json!({"kind": "Group", "name": name});
    let expect = |rules: &Value, name: &str, subject: &Value, expected: &[&str]| {
        let objects = [role("ClusterRole", name, rules), bound("ClusterRoleBinding", "ClusterRole", name, subject)];
        let evidence = evidence(&read(&objects));
        let mut own: Vec<String> = codes(&evidence).into_iter().filter(|one| !one.contains("NoAdmission")).collect();
        own.dedup();
        assert_eq!(own, expected, "{name} {subject}");
        for finding in evidence.findings.iter().filter(|one| one.section == "access") {
            assert!(finding.controls.iter().any(|one| one.starts_with("SOC 2 CC6.3")), "{finding:?}");
            assert_eq!(finding.read_from.len(), 2, "the binding and the role: {finding:?}");
        }
    };
    expect(&wild, "tenant", &user("bob"), &["Error WildcardRight"]);
    expect(&wild, "cluster-admin", &user("bob"), &["Warning WildcardRight"]);
    expect(&wild, "cluster-admin", &group("system:masters"), &["Note WildcardOfKubernetes"]);
    expect(
        &wild,
        "system:controller:x",
        &json!({"kind": "ServiceAccount", "name": "x", "namespace": "kube-system"}),
        &["Note WildcardOfKubernetes"],
    );
    expect(&wild, "cluster-admin", &user("system:serviceaccount:shop:ci"), &["Warning WildcardRight"]);
    expect(&approve, "approve", &user("bob"), &[]);
    expect(&approve, "approve", &group("system:authenticated"), &["Error EverybodyMay"]);
    expect(&wild, "cluster-admin", &group("system:authenticated"), &["Error EverybodyMay"]);
}

#[test]
fn who_may_not_list_roles_is_told_what_is_not_known() {
    let mut without = read(&[bound("RoleBinding", "ClusterRole", "edit", &user("a"))]);
    without.cluster_roles = Listing::refused("clusterroles is forbidden".into());
    let told = evidence(&without);
    let access = section(&told, "access");
    assert!(access.items.is_empty());
    let unread = access.not_read.join("\n");
    assert!(unread.contains("ClusterRoles: clusterroles is forbidden"), "{unread}");
    assert!(unread.contains("RoleBinding shop/b-edit names ClusterRole edit, which could not be read"), "{unread}");
    assert!(access.says[0].ends_with("as far as RBAC could be read."), "{:?}", access.says);
}
