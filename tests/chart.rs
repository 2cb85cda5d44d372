//! What the chart grants, as Helm renders it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/helm.rs"]
mod rendered;

use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::{Value, json};

use rendered::{documents, helm_on, rules};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound");
const AGENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound-mcp");
const DEFINITIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound-crds");

fn helm(args: &[&str]) -> Result<String, String> {
    helm_on(CHART, args)
}

fn render(sets: &[&str]) -> Vec<Value> {
    rendered::render(CHART, "stepbound", sets)
}

const VARIANTS: [&[&str]; 6] = [
    &[],
    &["operator.watchNamespaces=[\"a\",\"b\"]"],
    &["tokens.grants=[{\"namespace\":\"a\",\"serviceAccounts\":[\"orders\"]}]"],
    &["tokens.mode=\"ClusterWide\""],
    &["lockdown=true"],
    &[
        "networkPolicy.enabled=true",
        "monitoring.serviceMonitor.enabled=true",
        "monitoring.prometheusRule.enabled=true",
        "monitoring.dashboard.enabled=true",
    ],
];

/// Requirement 10 of docs/security.md: no verb on Secrets that nobody granted by name.
#[test]
fn requirement_10_no_variant_grants_secrets_or_a_wildcard() {
    for variant in VARIANTS {
        for (holder, rule) in rules(&render(variant)) {
            let text = rule.to_string();
            assert!(!text.contains("secrets") && !text.contains('*'), "{holder}: {text}");
        }
    }
}

/// Requirement 10 of docs/security.md: no verb on Secrets that nobody granted by name.
/// What is granted when it is asked for is one Secret by its name, to be read.
#[test]
fn requirement_10_secrets_are_granted_by_name_and_only_when_asked_for() {
    let grant = "secrets.grants=[{\"namespace\":\"a\",\"names\":[\"okta\"]}]";
    let granted: Vec<_> =
        rules(&render(&[grant])).into_iter().filter(|(_, rule)| rule.to_string().contains("secrets")).collect();
    assert_eq!(granted.len(), 1);
    assert!(granted[0].0.starts_with("Role/"));
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["okta"], "verbs": ["get"]});
    assert_eq!(granted[0].1, rule);
}

/// Requirement 9 of docs/security.md: tokens granted by name, ConfigMaps and accounts of watched namespaces only.
#[test]
fn requirement_09_tokens_are_granted_by_name_unless_the_installer_asks_for_all() {
    let token_rules = |variant: &[&str]| -> Vec<(String, Value)> {
        rules(&render(variant))
            .into_iter()
            .filter(|(_, rule)| rule.to_string().contains("serviceaccounts/token"))
            .collect()
    };
    assert!(token_rules(VARIANTS[0]).is_empty());
    let named = token_rules(VARIANTS[2]);
    assert_eq!(named.len(), 1);
    assert!(named[0].0.starts_with("Role/"));
    assert_eq!(named[0].1["resourceNames"], json!(["orders"]));
    assert!(token_rules(VARIANTS[3])[0].0.starts_with("ClusterRole/"));
}

#[test]
fn foreign_objects_are_read_only_in_watched_namespaces() {
    let everywhere = rules(&render(VARIANTS[0])).into_iter().filter(|(holder, _)| holder.starts_with("ClusterRole/"));
    assert!(everywhere.into_iter().any(|(_, rule)| rule.to_string().contains("configmaps")));
    let narrow = rules(&render(VARIANTS[1])).into_iter().filter(|(holder, _)| holder.starts_with("ClusterRole/"));
    assert!(narrow.into_iter().all(|(_, rule)| !rule.to_string().contains("configmaps")));
}

#[test]
fn the_chart_lints_and_refuses_values_that_do_nothing() {
    helm(&["lint", "--strict"]).unwrap();
    assert!(helm(&["template", "x", "--set", "operator.clusterId=typo"]).unwrap_err().contains("clusterId"));
    let shared = "tokens.grants=[{\"namespace\":\"a\",\"serviceAccounts\":[\"default\"]}]";
    assert!(helm(&["template", "x", "--set-json", shared]).is_err(), "the account `default` is shared");
}

/// Policies of the kind, as rendered for a server that has these groups.
fn policies(kind: &str, server: &str, sets: &[&str]) -> Vec<Value> {
    let mut args = vec!["template", "stepbound", "-n", "system", "--api-versions", server];
    args.extend(sets.iter().flat_map(|set| ["--set-json", set]));
    let text = helm(&args).unwrap();
    let read = |document| Value::deserialize(document).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(read).filter(|object: &Value| object["kind"] == kind).collect()
}

/// The server's name for policies that change objects.
const MUTATING: &str = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";

#[test]
fn policies_that_change_objects_are_rendered_only_for_servers_that_have_them() {
    assert!(policies("MutatingAdmissionPolicy", "v1", &[]).is_empty());
    assert!(!policies("MutatingAdmissionPolicy", MUTATING, &[]).is_empty());
    assert!(policies("MutatingAdmissionPolicy", MUTATING, &["admission.enabled=false"]).is_empty());
    let names = |sets: &[&str]| -> Vec<String> {
        let all = policies("MutatingAdmissionPolicy", MUTATING, sets);
        all.iter().map(|policy| policy["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&[]).contains(&"system-stepbound-finalizer".to_owned()));
    assert!(!names(&["admission.finalizer=false"]).contains(&"system-stepbound-finalizer".to_owned()));
}

#[test]
fn policies_hold_only_in_the_namespaces_that_the_release_watches() {
    for kind in ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"] {
        for policy in policies(kind, MUTATING, &["operator.watchNamespaces=[\"a\"]", "outputs.configMaps=true"]) {
            let name = policy["metadata"]["name"].as_str().unwrap();
            if ["operator-tokens", "operator-specs", "operator-outputs"].iter().any(|own| name.ends_with(own)) {
                let everywhere = &policy["spec"]["matchConstraints"]["namespaceSelector"];
                assert_eq!(everywhere, &json!({}), "the operator is held in other namespaces too");
                continue;
            }
            let selector = &policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"][0];
            assert_eq!(selector["values"], json!(["a"]), "{policy}");
        }
    }
}

/// Every argument that the chart passes is a flag of the program, with a value that it takes.
#[test]
fn the_deployment_starts_the_operator_with_flags_that_it_knows() {
    let sets: [&[&str]; 3] = [
        &[],
        &["metrics.secure=false"],
        &[
            "operator.watchNamespaces=[\"a\"]",
            "operator.foreignOwnerTags=[\"ManagedBy\"]",
            "operator.clusterID=\"prod\"",
            "operator.stsEndpointURL=\"https://sts.example\"",
            "operator.clusterIssuer=\"https://issuer.example\"",
            "operator.allowedIssuers=[\"https://sso.example/realms/a\"]",
            "operator.allowPrivateIssuers=true",
            "lockdown=true",
            "operator.otlpEndpoint=\"http://collector:4317\"",
            "metrics.certificateSecret=\"stepbound-metrics\"",
            "extraArgs=[\"--leader-elect=true\"]",
        ],
    ];
    for set in sets {
        let objects = render(set);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        // Without a cluster it gets as far as looking for one, which is after every flag was read.
        let program = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(arguments).env_clear().output().unwrap();
        let said = String::from_utf8_lossy(&program.stderr);
        assert!(said.contains("KUBECONFIG"), "{said}");
        assert!(container["env"].to_string().contains("MALLOC_ARENA_MAX"));
    }
}

/// The definitions are a chart of their own: a rollback of the operator must not take fields from people's objects.
#[test]
fn the_definitions_are_those_of_the_types_kept_and_in_no_other_chart() {
    let rendered = documents(&helm_on(DEFINITIONS, &["template", "crds"]).unwrap());
    let of_types = stepbound::api::v1alpha1::custom_resource_definitions().unwrap();
    assert_eq!(rendered.len(), of_types.len());
    for wanted in &of_types {
        let name = wanted.metadata.name.as_deref().unwrap();
        let found = rendered.iter().find(|one| one["metadata"]["name"] == name).unwrap();
        // Read by type: Helm writes 1 where the types have 1.0.
        let typed: CustomResourceDefinition = serde_json::from_value(found.clone()).unwrap();
        assert!(typed.spec == wanted.spec, "{name}");
        assert_eq!(found["metadata"]["annotations"]["helm.sh/resource-policy"], "keep", "{name}");
    }
    let released = documents(&helm_on(DEFINITIONS, &["template", "crds", "--set", "keep=false"]).unwrap());
    assert!(released.iter().all(|one| one["metadata"]["annotations"]["helm.sh/resource-policy"].is_null()));
    for variant in VARIANTS {
        for object in render(variant) {
            let group = object["apiVersion"].as_str().unwrap();
            assert!(object["kind"] != "CustomResourceDefinition" && !group.starts_with("stepbound.dev"), "{object}");
        }
    }
    helm_on(DEFINITIONS, &["lint", "--strict"]).unwrap();
}

/// The comments of values.yaml, by the path of the value under them.
fn commented_values(text: &str) -> Vec<(String, String)> {
    let (mut found, mut path, mut comment) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for line in text.lines() {
        let depth = (line.len() - line.trim_start().len()) / 2;
        if let Some(words) = line.trim_start().strip_prefix("# ") {
            comment.push(words.to_owned());
            continue;
        }
        let key = line.trim_start().split(':').next().unwrap();
        if !key.is_empty() && key.chars().all(char::is_alphanumeric) {
            path.truncate(depth);
            path.push(key.to_owned());
            found.push((path.join("."), comment.join(" ")));
        }
        comment.clear();
    }
    found
}

#[test]
fn every_value_is_described_in_the_schema_with_the_words_beside_its_default() {
    for chart in [CHART, DEFINITIONS, AGENTS] {
        let values = std::fs::read_to_string(format!("{chart}/values.yaml")).unwrap();
        let schema = std::fs::read_to_string(format!("{chart}/values.schema.json")).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut described = Vec::new();
        describe(&schema, &mut Vec::new(), &mut described);
        described.retain(|(path, _)| path != "global");
        let mut beside = commented_values(&values);
        described.sort();
        beside.sort();
        assert_eq!(described, beside, "{chart}");
        assert!(beside.iter().all(|(_, words)| !words.is_empty()), "{beside:?}");
    }
}

/// Path and description of every value that the schema knows.
fn describe(schema: &Value, path: &mut Vec<String>, found: &mut Vec<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        path.push(name.clone());
        found.push((path.join("."), property["description"].as_str().unwrap_or_default().to_owned()));
        describe(property, path, found);
        path.pop();
    }
}

#[test]
fn people_may_run_without_editing_and_edit_without_binding() {
    let objects = render(&[]);
    let role = |suffix: &str| {
        let name = format!("system-stepbound-{suffix}");
        objects
            .iter()
            .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == name.as_str())
            .unwrap()
    };
    let text = |suffix: &str| role(suffix)["rules"].to_string();
    assert!(text("run").contains("workflowruns") && !text("run").contains("\"workflows\""));
    assert!(text("edit").contains("\"workflows\"") && !text("edit").contains("workflowruns"));
    for suffix in ["run", "edit"] {
        assert!(!text(suffix).contains("trustbindings"), "{suffix}");
    }
    assert!(text("use").contains("[\"use\"]") && !text("use").contains("create"));
    assert!(text("edit").contains("take-over") && !text("run").contains("take-over"));
    let into = |suffix: &str, role_name: &str| {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{role_name}");
        role(suffix)["metadata"]["labels"][&label] == "true"
    };
    assert!(into("view", "view") && into("run", "edit") && into("edit", "edit") && into("bind", "admin"));
    assert!(!into("bind", "edit") && !into("run", "view"));
    assert!(into("use", "edit") && into("use", "admin") && !into("use", "view"));
    assert!(text("approve").contains("\"patch\"") && !text("approve").contains("create"));
    assert!(["view", "edit", "admin"].iter().all(|name| !into("approve", name)), "who approves is bound by hand");
    let own = render(&["userRoles.aggregateTo.run=[]"]);
    assert!(own.iter().any(|object| object["metadata"]["name"] == "system-stepbound-run"), "it can be bound by hand");
    assert!(render(&["userRoles.create=false"]).iter().all(|one| one["metadata"]["name"] != "system-stepbound-run"));
}

/// Pages are the operator's: it makes them, and people only read them, data by a role of its own.
/// Requirement 31 of docs/security.md: what went in and out of states for whoever may read it, and pages by the operator alone.
#[test]
fn requirement_31_no_role_of_people_writes_a_page_and_only_one_reads_data() {
    for variant in VARIANTS {
        for (holder, rule) in rules(&render(variant)) {
            let resources = rule["resources"].to_string();
            let verbs = rule["verbs"].clone();
            if holder == "ClusterRole/system-stepbound" && resources.contains("pages\"") {
                assert_eq!(verbs, json!(["get", "create", "update", "delete"]), "{variant:?}");
            } else if resources.contains("executiondatapages") {
                assert_eq!(
                    (holder.as_str(), verbs),
                    ("ClusterRole/system-stepbound-data", json!(["get", "list", "watch"]))
                );
            } else if resources.contains("executionhistorypages") {
                assert_eq!(
                    (holder.as_str(), verbs),
                    ("ClusterRole/system-stepbound-view", json!(["get", "list", "watch"]))
                );
            }
        }
    }
    let labels = |sets: &[&str]| {
        let all = render(sets);
        let role = all.iter().find(|one| one["metadata"]["name"] == "system-stepbound-data").unwrap();
        role["metadata"]["labels"].to_string()
    };
    assert!(labels(&[]).contains("aggregate-to-admin") && !labels(&[]).contains("aggregate-to-edit"));
    assert!(!labels(&["lockdown=true"]).contains("aggregate-to"));
}

/// Requirement 30 of docs/security.md: the operator's own account is held.
/// What a value says goes into a policy as text: it must not be able to end the text.
#[test]
fn requirement_30_values_reach_the_policies_as_data() {
    let hostile = r#"' || true || '"\"#;
    let sets = [
        format!("operator.clusterID={}", json!(hostile)),
        format!("operator.allowedAudiences={}", json!([hostile])),
        "operator.allowedIssuers=[\"https://sso.example/realms/a\"]".to_owned(),
    ];
    let all = policies("ValidatingAdmissionPolicy", MUTATING, &sets.each_ref().map(String::as_str));
    let variable = |policy: &str, name: &str| -> Value {
        let found = all.iter().find(|one| one["metadata"]["name"] == format!("system-stepbound-{policy}")).unwrap();
        let variables = found["spec"]["variables"].as_array().unwrap();
        let expression = variables.iter().find(|one| one["name"] == name).unwrap()["expression"].as_str().unwrap();
        serde_json::from_str(expression).unwrap()
    };
    assert_eq!(variable("take-over", "clusterID"), hostile);
    assert_eq!(variable("operator-tokens", "allowed"), json!([hostile, "https://sso.example/realms/a"]));
    for policy in &all {
        let text = policy.to_string();
        for word in ["OPERATOR_", "GRANTEE", "TOKEN_", "SCOPE", "CLUSTER_ID", "NAME_PREFIX"] {
            assert!(!text.contains(word), "{word} is left in {text}");
        }
    }
}

#[test]
fn lockdown_is_one_switch() {
    let objects = render(&["lockdown=true"]);
    let named = |kind: &str, suffix: &str| {
        let name = format!("system-stepbound{suffix}");
        objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name.as_str()).cloned()
    };
    assert!(named("ValidatingAdmissionPolicy", "-lockdown").is_some());
    assert!(!named("ClusterRole", "-use").unwrap()["metadata"]["labels"].to_string().contains("aggregate-to"));
    assert!(named("ClusterRole", "-edit").unwrap()["metadata"]["labels"].to_string().contains("aggregate-to-edit"));
    assert!(objects.iter().any(|object| object["kind"] == "NetworkPolicy"));
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert!(deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string().contains("--lockdown"));
    let plain = render(&[]);
    assert!(plain.iter().all(|object| !object["metadata"]["name"].as_str().unwrap().ends_with("-lockdown")));
    let refused = |sets: &[&str]| helm(&[&["template", "x"], sets].concat()).unwrap_err();
    assert!(refused(&["--set", "lockdown=true,admission.enabled=false"]).contains("lockdown needs admission.enabled"));
    let everywhere = ["--set", "lockdown=true,tokens.mode=ClusterWide"];
    assert!(refused(&everywhere).contains("lockdown with tokens.mode ClusterWide needs tokens.namespaceLabels"));
}

/// Requirement 19 of docs/security.md: execution roles checked; ConfigMaps readable by their author.
/// The rule asks for each ConfigMap by its place, so it must have as many places as the schema takes names.
#[test]
fn requirement_19_every_config_map_that_an_object_can_name_is_asked_for() {
    let crd =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/crds/workflows.stepbound.dev.yaml")).unwrap();
    let crd: Value = serde_yaml::from_str(&crd).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let most = spec["substitutionsFrom"]["maxItems"].as_u64().unwrap() + u64::from(spec["definitionFrom"].is_object());
    let policies = policies("ValidatingAdmissionPolicy", MUTATING, &[]);
    let references = policies.iter().find(|one| one["metadata"]["name"] == "system-stepbound-references").unwrap();
    let text = references["spec"]["validations"].to_string();
    for place in 0..most {
        assert!(text.contains(&format!("variables.maps[{place}]")), "place {place}");
    }
}

#[test]
fn replicas_are_spread_and_one_stays_through_a_drain() {
    let find = |sets: &[&str], kind: &str| render(sets).into_iter().find(|object| object["kind"] == kind);
    let deployment = find(&[], "Deployment").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 2);
    assert_eq!(find(&[], "PodDisruptionBudget").unwrap()["spec"]["maxUnavailable"], 1);
    assert!(find(&["replicas=1"], "PodDisruptionBudget").is_none(), "it would hold up every drain");
    let digest = format!("image.digest=\"sha256:{}\"", "0".repeat(64));
    let pinned = find(&[&digest], "Deployment").unwrap();
    let image = pinned["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(image.contains("@sha256:"), "{image}");
    let given = find(
        &["priorityClassName=\"high\"", "extraEnv=[{\"name\":\"HTTPS_PROXY\",\"value\":\"http://p\"}]"],
        "Deployment",
    );
    let given = given.unwrap()["spec"]["template"]["spec"].clone();
    assert_eq!(given["priorityClassName"], "high");
    assert!(given["containers"][0]["env"].to_string().contains("HTTPS_PROXY"));
}

#[test]
fn config_maps_may_be_created_only_where_outputs_are_wanted_there() {
    let creates = |variant: &[&str]| -> Vec<String> {
        let all = rules(&render(variant)).into_iter();
        all.filter(|(_, rule)| {
            let text = rule.to_string();
            text.contains("configmaps") && text.contains("create")
        })
        .map(|(holder, _)| holder.split('/').next().unwrap().to_owned())
        .collect()
    };
    assert!(creates(&[]).is_empty());
    assert_eq!(creates(&["outputs.configMaps=true"]), ["ClusterRole"]);
    let narrow = creates(&["outputs.configMaps=true", "operator.watchNamespaces=[\"a\",\"b\"]"]);
    assert_eq!(narrow, ["Role", "Role"]);
    // Where it may, a policy says which.
    let bounds = |sets: &[&str]| {
        let all = policies("ValidatingAdmissionPolicy", MUTATING, sets);
        all.iter().any(|policy| policy["metadata"]["name"] == "system-stepbound-operator-outputs")
    };
    assert!(bounds(&["outputs.configMaps=true"]) && !bounds(&[]));
}

#[test]
fn metrics_are_guarded_unless_the_chart_says_otherwise() {
    let scraped = |sets: &[&str]| -> (Vec<Value>, Value, String) {
        let all = render(&[&["monitoring.serviceMonitor.enabled=true"], sets].concat());
        let find = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap();
        let endpoint = find("ServiceMonitor")["spec"]["endpoints"][0].clone();
        let port = find("Service")["spec"]["ports"][0]["name"].clone();
        assert_eq!(endpoint["port"], port, "the monitor asks for the port that there is");
        let pod = find("Deployment")["spec"]["template"]["spec"].clone();
        assert!(pod["containers"][0]["ports"].as_array().unwrap().iter().any(|one| one["name"] == port));
        assert_eq!(pod["containers"][0]["livenessProbe"]["httpGet"]["port"], "http");
        (rules(&all).into_iter().map(|(_, rule)| rule).collect(), endpoint, pod.to_string())
    };
    let (rights, endpoint, pod) = scraped(&[]);
    assert!(!pod.contains("--insecure-metrics"));
    for right in [
        json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
        json!({"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}),
        json!({"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}),
    ] {
        assert!(rights.contains(&right), "{right}");
    }
    assert_eq!((&endpoint["scheme"], &endpoint["tlsConfig"]), (&json!("https"), &json!({"insecureSkipVerify": true})));
    assert!(endpoint["bearerTokenFile"].is_string());

    let certificate = "metrics.certificateSecret=\"own\"";
    let (_, endpoint, pod) = scraped(&[certificate, "monitoring.serviceMonitor.tokenSecret.name=\"token\""]);
    assert!(pod.contains("--metrics-cert-dir=/var/run/stepbound/metrics") && pod.contains("\"secretName\":\"own\""));
    assert_eq!(endpoint["tlsConfig"]["ca"]["secret"], json!({"name": "own", "key": "ca.crt"}));
    assert_eq!(endpoint["tlsConfig"]["serverName"], "stepbound.system.svc");
    assert_eq!(endpoint["authorization"]["credentials"], json!({"name": "token", "key": "token"}));
    assert!(endpoint["bearerTokenFile"].is_null());

    let (rights, endpoint, pod) = scraped(&["metrics.secure=false"]);
    assert!(pod.contains("--insecure-metrics") && endpoint["scheme"].is_null());
    assert!(rights.iter().all(|right| !right.to_string().contains("reviews")), "no right that is not used");

    let reader = "metrics.readers=[{\"namespace\":\"monitoring\",\"serviceAccount\":\"prometheus\"}]";
    let bound = render(&[reader]).into_iter().find(|one| {
        one["kind"] == "ClusterRoleBinding" && one["metadata"]["name"] == "system-stepbound-metrics-reader"
    });
    let subject = json!({"kind": "ServiceAccount", "namespace": "monitoring", "name": "prometheus"});
    assert_eq!(bound.unwrap()["subjects"], json!([subject]));
}
