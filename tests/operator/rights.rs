//! What the chart's account may do, as the API server says it: the matrix in `tests/snapshots/can-i.txt`.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::support::control_plane::run;
use crate::*;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/can-i.txt");

/// One line a rule: resources, names and verbs, as `kubectl auth can-i --list` gives them.
fn rules(tenant: &Tenant, account: (&str, &str), namespace: &str) -> BTreeSet<String> {
    let (home, name) = account;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let kubeconfig = tenant.bed.control_plane.kubeconfig_of(home, name);
    let mut kubectl = std::process::Command::new(tenant.bed.binaries.join("kubectl"));
    kubectl.arg("--kubeconfig").arg(kubeconfig).args(["create", "--validate=false", "-o", "json", "-f", "-"]);
    let answer: Value = serde_json::from_str(&run(&mut kubectl, Some(&review.to_string())).unwrap()).unwrap();
    let list = |value: &Value| {
        let mut texts: Vec<&str> = value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect();
        texts.sort_unstable();
        texts.join(",")
    };
    let rule = |rule: &Value| {
        let groups = list(&rule["apiGroups"]);
        let names = list(&rule["resourceNames"]);
        let only = if names.is_empty() { String::new() } else { format!(" named {names}") };
        format!(
            "{} {}{only}: {}",
            if groups.is_empty() { "core" } else { &groups },
            list(&rule["resources"]),
            list(&rule["verbs"])
        )
    };
    answer["status"]["resourceRules"].as_array().unwrap().iter().map(rule).collect()
}

/// What the account may do beyond what every account may.
fn matrix(tenant: &Tenant, title: &str, account: (&str, &str), namespaces: &[(&str, &str)]) -> String {
    let mut text = format!("{title}\n");
    for (what, namespace) in namespaces {
        let everyone = rules(tenant, (&tenant.name, "orders"), namespace);
        writeln!(text, "  in {what}").unwrap();
        for rule in rules(tenant, account, namespace).difference(&everyone) {
            writeln!(text, "    {rule}").unwrap();
        }
    }
    text
}

/// Requirement 9 of docs/security.md: tokens granted by name, ConfigMaps and accounts of watched namespaces only.
/// Requirement 10 of docs/security.md: no verb on Secrets that nobody granted by name.
#[test]
fn requirements_09_and_10_the_charts_account_may_do_what_the_matrix_says_and_nothing_with_secrets() {
    let tenant = test_bed().tenant("matrix");
    let control_plane = &tenant.bed.control_plane;
    let namespaced = [
        ("the namespace it watches", "matrix"),
        ("its own namespace", "matrix-system"),
        ("any other namespace", "default"),
    ];
    let mut text = matrix(
        &tenant,
        "watching one namespace, with one account granted",
        ("matrix-system", "stepbound"),
        &namespaced,
    );

    // With the values as they are. Its policies would hold for every namespace of the test bed, so they are left out; the
    // rights that go with them are those above.
    control_plane.kubectl(&["create", "namespace", "matrix-all"]);
    let mut helm = std::process::Command::new(tenant.bed.binaries.join("helm"));
    helm.env("KUBECONFIG", &control_plane.admin).args([
        "install",
        "stepbound",
        concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound"),
    ]);
    run(helm.args(["-n", "matrix-all", "--skip-crds", "--set", "admission.enabled=false"]), None).unwrap();
    let everywhere = [("its own namespace", "matrix-all"), ("any other namespace", "default")];
    text.push_str(&matrix(
        &tenant,
        "watching all namespaces, with nothing granted",
        ("matrix-all", "stepbound"),
        &everywhere,
    ));

    println!("{text}");
    assert!(!text.contains("secrets") && !text.contains('*'), "{text}");
    if std::env::var_os("STEPBOUND_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &text).unwrap();
    }
    let kept = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        kept == text,
        "the rights of the chart's account have changed. Is that meant? Then write the matrix down: STEPBOUND_UPDATE_SNAPSHOTS=1 cargo test --test operator requirements_09\nkept:\n{kept}\nnow:\n{text}"
    );
}
