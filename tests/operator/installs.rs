//! Helm on the real control plane: what is rendered is valid, and installing and going lose nothing.

use std::process::Command;

use super::*;
use crate::support::control_plane::run;
use crate::support::kubelet::run_jobs;
use crate::support::{CHART, DEFINITIONS_CHART, TestBed};

const BINARY: &str = env!("CARGO_BIN_EXE_stepbound");
const PREVIOUS_CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stepbound-0.1.0.tgz");

/// Sets of values that between them render everything.
const VARIANTS: [&str; 6] = [
    "{}",
    r#"{"operator": {"watchNamespaces": ["a", "b"], "clusterID": "prod", "logLevel": ""}}"#,
    r#"{"tokens": {"mode": "ClusterWide"}, "replicas": 1, "uninstallCheck": {"enabled": false}}"#,
    r#"{"lockdown": true, "tokens": {"mode": "ClusterWide", "namespaceLabels": {"stepbound.dev/tokens": "yes"}}}"#,
    r#"{"tokens": {"grants": [{"namespace": "a", "serviceAccounts": ["orders"]}]}, "topologySpread": [],
        "networkPolicy": {"enabled": true, "metricsFrom": [{"namespaceSelector": {}}],
            "extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}]}]},
        "monitoring": {"dashboard": {"enabled": true}, "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}}}"#,
    r#"{"priorityClassName": "high", "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "podLabels": {"a": "b"}, "podAnnotations": {"a": "b"},
        "imagePullSecrets": [{"name": "registry"}], "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
        "extraArgs": ["--leader-elect=true"], "serviceAccount": {"name": "other", "annotations": {"a": "b"}}}"#,
];

fn render(bed: &TestBed, values: &str) -> String {
    bed.helm(&["template", "stepbound", CHART, "-n", "rendered", "-f", "-"], Some(values)).unwrap()
}

#[test]
fn every_render_is_what_the_api_server_takes_and_fits_a_restricted_namespace() {
    let bed = test_bed();
    bed.install_definitions_of_prometheus();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "restricted", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    bed.control_plane.apply(&namespace.to_string());
    for account in ["stepbound", "other"] {
        bed.control_plane.kubectl(&["-n", "restricted", "create", "serviceaccount", account]);
    }
    for values in VARIANTS {
        let text = render(bed, values);
        let said = bed.kubeconform(&text).unwrap_or_else(|error| panic!("{values}: {error}"));
        assert!(said.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{said}");
        for object in serde_yaml::Deserializer::from_str(&text) {
            let object: Value = serde::Deserialize::deserialize(object).unwrap();
            if object["kind"] == "Deployment" || object["kind"] == "Job" {
                let mut pod = object["spec"]["template"].clone();
                pod["apiVersion"] = json!("v1");
                pod["kind"] = json!("Pod");
                pod["metadata"]["name"] = json!("tried");
                pod["metadata"]["namespace"] = json!("restricted");
                pod["spec"].as_object_mut().unwrap().remove("priorityClassName");
                let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
                bed.control_plane.try_kubectl(&create, Some(&pod.to_string())).unwrap();
            }
        }
    }
    let wrong = render(bed, "{}").replace("replicas:", "replicaz:");
    assert!(bed.kubeconform(&wrong).is_err(), "the check sees a field that nobody knows");
}

/// UID of an object and everything that it made, to be found again.
fn identity_of(tenant: &Tenant) -> Vec<String> {
    ["tb/orders", "sfn/fulfil", "sfnrun/first"]
        .iter()
        .map(|resource| {
            let object = tenant.get(resource).unwrap_or_else(|| panic!("{resource} is lost"));
            let arn = |field: &str| object["status"][field].as_str().unwrap_or_default().to_owned();
            format!("{} {}{}", object["metadata"]["uid"], arn("stateMachineARN"), arn("executionARN"))
        })
        .collect()
}

fn run_through(tenant: &Tenant, operator: &Process, name: &str) {
    tenant.apply(&workflow_run(name, "fulfil", &json!({"input": {}})));
    tenant.wait_for(operator, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded");
}

fn definitions_version(bed: &TestBed) -> String {
    let path = r"jsonpath={.metadata.labels.stepbound\.dev/crds-version}";
    bed.control_plane.kubectl(&["get", "crd", "workflows.stepbound.dev", "-o", path])
}

fn owner_tags(tenant: &Tenant) -> usize {
    let listed = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": tenant.machine_arn("fulfil")}));
    let tags = listed.unwrap()["tags"].as_array().unwrap().clone();
    tags.iter().filter(|tag| tag["key"].as_str().unwrap().starts_with("stepbound.dev/")).count()
}

fn release(tenant: &Tenant, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(BINARY);
    command.arg("release").args(args).env("KUBECONFIG", &tenant.bed.control_plane.admin).args([
        "--insecure-endpoints",
        "--cluster-id=test",
        &format!("--sts-endpoint-url={}", tenant.bed.front.url),
        &format!("--sfn-endpoint-url={}", tenant.bed.front.url),
    ]);
    run(&mut command, None)
}

/// From the chart before this one, whose definitions came with it, to nothing.
#[test]
fn install_upgrade_rollback_and_uninstall_lose_nothing_and_orphan_nothing() {
    let bed = TestBed::separate("installs");
    let tenant = bed.account_for("moving");
    let helm = |args: &[&str], input: Option<&str>| bed.helm(&[args, &["-n", &tenant.system]].concat(), input);
    bed.control_plane.kubectl(&["create", "namespace", "moving"]);
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "orders", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}}));
    helm(&["install", "stepbound", PREVIOUS_CHART, "-f", "-"], Some(&tenant.values().to_string())).unwrap();
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("first", "fulfil", &json!({"input": {}})));
    let uids = || tenant.kubectl(&["get", "tb,sfn,sfnrun", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let before_the_upgrade = uids();

    // The definitions move into their own chart, and the operator's chart lets them be.
    helm(&["install", "stepbound-crds", DEFINITIONS_CHART, "--take-ownership", "--wait"], None).unwrap();
    helm(&["upgrade", "stepbound", CHART, "--reset-then-reuse-values"], None).unwrap();
    assert_eq!(uids(), before_the_upgrade, "after the upgrade");
    let operator = start(&tenant);
    tenant.wait_for(&operator, "sfnrun/first", "Complete", "True", "Succeeded");
    let (before, version) = (identity_of(&tenant), definitions_version(bed));

    helm(&["rollback", "stepbound", "1"], None).unwrap();
    run_through(&tenant, &operator, "third");
    assert_eq!(
        (identity_of(&tenant), definitions_version(bed)),
        (before.clone(), version.clone()),
        "after the rollback"
    );
    older_definitions_are_refused(bed, &tenant.system);
    helm(&["rollback", "stepbound", "2"], None).unwrap();
    run_through(&tenant, &operator, "second");
    assert_eq!(identity_of(&tenant), before, "after the way forward");

    uninstall(&tenant, operator, &before);
}

/// A chart of definitions that is older than those in the cluster.
fn older_definitions_are_refused(bed: &TestBed, namespace: &str) {
    let older = bed.control_plane.folder.join("older");
    run(Command::new("cp").arg("-rL").arg(DEFINITIONS_CHART).arg(&older), None).unwrap();
    let manifest = std::fs::read_to_string(older.join("Chart.yaml")).unwrap();
    let older_manifest: String = manifest
        .lines()
        .map(|line| if line.starts_with("version:") { "version: 0.1.9\n".into() } else { format!("{line}\n") })
        .collect();
    std::fs::write(older.join("Chart.yaml"), older_manifest).unwrap();
    let refusal = bed.helm(&["upgrade", "stepbound-crds", older.to_str().unwrap(), "-n", namespace], None).unwrap_err();
    assert!(refusal.contains("Definitions only go forward"), "{refusal}");
}

/// Refused while objects need the operator; after they are let go nothing of the chart is left, and all of theirs is.
#[allow(clippy::needless_pass_by_value)] // the operator ends here
fn uninstall(tenant: &Tenant, operator: Process, before: &[String]) {
    let (bed, system) = (tenant.bed, tenant.system.as_str());
    let leave = || {
        run_jobs(bed, system, Path::new(BINARY), || {
            bed.helm(&["uninstall", "stepbound", "-n", system, "--timeout=60s"], None)
        })
    };
    let (result, jobs) = leave();
    assert!(result.is_err(), "objects still need the operator: {jobs:?}");
    assert!(jobs.iter().all(|job| !job.good && job.said.contains("-n moving workflow/fulfil")), "{jobs:?}");
    assert!(jobs[0].said.contains("stepbound release --all"), "{jobs:?}");
    assert!(bed.control_plane.kubectl(&["-n", system, "get", "deployments", "-o", "name"]).contains("stepbound"));

    let refusal = release(tenant, &["--all"]).unwrap_err();
    assert!(refusal.contains("an operator still runs"), "{refusal}");
    operator.signal("TERM");
    wait_until(Duration::from_secs(60), "the operator ends", || (!operator.is_running()).then_some(()));
    assert_eq!(owner_tags(tenant), 4);
    let said = release(tenant, &["--all"]).unwrap();
    let machine = tenant.machine_arn("fulfil");
    assert!(
        said.contains(&format!("-n moving workflow/fulfil: let go; {machine} stays in AWS, its owner tags removed")),
        "{said}"
    );
    assert_eq!(owner_tags(tenant), 0);

    let (result, jobs) = leave();
    result.unwrap_or_else(|error| panic!("{error} {jobs:?}"));
    let everything = "deployments,services,serviceaccounts,roles,rolebindings,jobs,configmaps,poddisruptionbudgets,clusterroles,clusterrolebindings";
    let labelled = ["get", everything, "-A", "-l", "app.kubernetes.io/instance=stepbound", "-o", "name"];
    assert_eq!(bed.control_plane.kubectl(&labelled), "", "nothing of the chart is left");
    bed.helm(&["uninstall", "stepbound-crds", "-n", system], None).unwrap();
    assert_eq!(identity_of(tenant), before, "the objects outlive both charts");
    bed.control_plane.kubectl(&["delete", "namespace", "moving", "--timeout=60s"]);
    bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": machine})).unwrap();
}
