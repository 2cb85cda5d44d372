//! What the chart of the server of agents grants, as Helm renders it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/helm.rs"]
mod rendered;

use std::process::Command;

use serde_json::{Value, json};

use rendered::{helm_on, render, rules};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound-mcp");
const AGENTS: &str = r#"agents=[{"namespace":"shop","serviceAccounts":["agent","other"]},{"namespace":"web","serviceAccounts":["bot"]}]"#;
const SECRET: &str = "tls.certificateSecret=\"own\"";
const MESH: &str = "tls.insecureHTTP=true";

fn find(objects: &[Value], kind: &str) -> Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap().clone()
}

/// Requirement 34 of docs/security.md: the server of agents acts as just the account of the token, which is for it alone, and has no right of its own.
#[test]
fn requirement_35_the_server_of_agents_may_act_as_the_accounts_that_are_listed_and_nothing_else() {
    let objects = render(CHART, "stepbound-mcp", &[SECRET, AGENTS]);
    let reviews = json!({"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]});
    let acts = |names: &Value| json!({"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": names, "verbs": ["impersonate"]});
    let expected = [
        ("ClusterRole/system-stepbound-mcp-tokenreviews", reviews.clone()),
        ("Role/system-stepbound-mcp-agents", acts(&json!(["agent", "other"]))),
        ("Role/system-stepbound-mcp-agents", acts(&json!(["bot"]))),
    ];
    let expected: Vec<(String, Value)> = expected.map(|(holder, rule)| (holder.to_owned(), rule)).into();
    let mut granted = rules(&objects);
    granted.sort_by_key(|(holder, rule)| (holder.clone(), rule.to_string()));
    assert_eq!(granted, expected);
    for object in &objects {
        for subject in object["subjects"].as_array().into_iter().flatten() {
            let own = json!({"kind": "ServiceAccount", "name": "stepbound-mcp", "namespace": "system"});
            assert_eq!(subject, &own, "never the operator's account");
        }
    }
    let nobody = render(CHART, "stepbound-mcp", &[SECRET]);
    assert_eq!(rules(&nobody), [("ClusterRole/system-stepbound-mcp-tokenreviews".to_owned(), reviews)]);
    assert_eq!(find(&nobody, "NetworkPolicy")["spec"]["ingress"], json!([]), "nobody is served, so nobody comes");
}

#[test]
fn the_chart_lints_and_refuses_what_would_serve_too_many_or_in_the_clear_by_accident() {
    helm_on(CHART, &["lint", "--strict", "--set-json", SECRET]).unwrap();
    let refused = |set: &str| {
        helm_on(CHART, &["template", "stepbound-mcp", "-n", "system", "--set-json", SECRET, "--set-json", set])
            .unwrap_err()
    };
    assert!(helm_on(CHART, &["template", "x"]).unwrap_err().contains("tls: set either certificateSecret"));
    assert!(refused(MESH).contains("tls: set either"), "both");
    let agents = |namespace: &str, account: &str| {
        format!("agents={}", json!([{"namespace": namespace, "serviceAccounts": [account]}]))
    };
    for (namespace, account) in [
        ("shop", "default"),
        ("kube-system", "agent"),
        ("shop", "*"),
        ("shop", "a:b"),
        ("", "a"),
        ("shop", "system:admin"),
    ] {
        refused(&agents(namespace, account));
    }
    assert!(refused(&agents("system", "stepbound-mcp")).contains("own account is no agent"));
    for set in [
        "url=\"https://a/\"",
        "url=\"https://a/mcp?b\"",
        "url=\"a\"",
        "calls.perSecond=0",
        "agent=[]",
        "serviceAccount.name=\"default\"",
    ] {
        refused(set);
    }
}

/// Every argument that the chart passes is a flag of the program, with a value that it takes.
#[test]
fn the_deployment_starts_the_server_with_flags_that_it_knows() {
    let mesh: &[&str] = &[MESH, "allowedHosts=[\"agents.example\"]", "logFormat=\"text\"", "calls.perSecond=50"];
    let own: &[&str] = &[SECRET, AGENTS, "url=\"https://agents.example/mcp\""];
    for (sets, url) in [
        (&[SECRET][..], "https://stepbound-mcp.system.svc:8443/mcp"),
        (mesh, "http://stepbound-mcp.system.svc:8443/mcp"),
        (own, "https://agents.example/mcp"),
    ] {
        let objects = render(CHART, "stepbound-mcp", sets);
        let pod = find(&objects, "Deployment")["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0];
        let arguments: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert!(arguments.contains(&format!("--url={url}").as_str()), "{arguments:?}");
        // Without a cluster it gets as far as looking for one, which is after every flag was read.
        let program = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(&arguments).env_clear().output().unwrap();
        let said = String::from_utf8_lossy(&program.stderr);
        assert!(said.contains("KUBECONFIG"), "{said}");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["serviceAccountName"], "stepbound-mcp");
    }
}

#[test]
fn only_the_namespaces_of_the_agents_reach_the_server() {
    let policy = find(&render(CHART, "stepbound-mcp", &[SECRET, AGENTS]), "NetworkPolicy");
    let from = policy["spec"]["ingress"][0]["from"].to_string();
    assert!(from.contains("\"shop\"") && from.contains("\"web\""), "{from}");
    let open = render(CHART, "stepbound-mcp", &[SECRET, "networkPolicy.enabled=false"]);
    assert!(open.iter().all(|object| object["kind"] != "NetworkPolicy"));
}
