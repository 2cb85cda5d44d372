//! The commands of the documentation, as they stand there, on a control plane of their own.

use std::process::Command;

use super::*;
use crate::support::TestBed;
use crate::support::control_plane::run;
use crate::support::kubelet::run_jobs;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BINARY: &str = env!("CARGO_BIN_EXE_stepbound");

/// Blocks of a page that are marked as run, without their indentation.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{ROOT}/docs/{page}")).unwrap();
    let mut found = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in text.lines().map(str::trim_start) {
        match &mut open {
            None if line == "```sh run" => open = Some(Vec::new()),
            None => {}
            Some(lines) if line == "```" => {
                found.push(lines.join("\n"));
                open = None;
            }
            Some(lines) => lines.push(line),
        }
    }
    found
}

/// As a reader in the repository's folder would type it.
fn type_in(bed: &TestBed, commands: &str) -> String {
    let assets = std::env::var("KUBEBUILDER_ASSETS").unwrap_or_else(|_| bed.binaries.display().to_string());
    let program = Path::new(BINARY).parent().unwrap().display().to_string();
    let path = format!("{assets}:{}:{program}:{}", bed.binaries.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", commands]).current_dir(ROOT).env("PATH", path);
    shell.env("KUBECONFIG", &bed.control_plane.admin);
    for (name, value) in [
        ("STEPBOUND_STS_ENDPOINT_URL", bed.front.url.as_str()),
        ("STEPBOUND_SFN_ENDPOINT_URL", bed.front.url.as_str()),
        ("STEPBOUND_INSECURE_ENDPOINTS", "true"),
        ("STEPBOUND_CLUSTER_ID", "test"),
    ] {
        shell.env(name, value);
    }
    run(&mut shell, None).unwrap_or_else(|error| panic!("{commands}\n{error}"))
}

/// A cluster and an account as a reader has them, with nothing installed.
fn readers_cluster(name: &str) -> Tenant {
    let bed = TestBed::separate(name);
    let mut tenant = bed.account_for("shop");
    let source = std::fs::read_to_string(format!("{ROOT}/examples/quickstart/aws/charge_card.py")).unwrap();
    bed.aws.create_lambda("charge-card", &source, &tenant.execution_role_arn(), &bed.binaries);
    "stepbound-system".clone_into(&mut tenant.system);
    tenant
}

#[test]
fn a_reader_of_the_quickstart_gets_to_a_succeeded_run_and_back_to_nothing() {
    let tenant = readers_cluster("quickstart");
    let bed = tenant.bed;
    let ((said, operator), _) = run_jobs_when_there(&tenant, || {
        let mut said = String::new();
        let mut operator = None;
        for block in blocks("quickstart.md") {
            said += &type_in(bed, &block);
            if block.contains("helm install stepbound ") {
                operator = Some(start(&tenant));
                // As long as `kubectl rollout status` takes where there are nodes.
                bed.wait_for_admission("default");
            }
        }
        (said, operator)
    });
    assert!(operator.is_some_and(|operator| operator.is_running()));
    assert!(said.contains("Succeeded") && said.contains(r#"{"charged":12.5,"orderId":4711,"picked":2}"#), "{said}");
    assert!(said.contains("workflows.stepbound.dev"), "the definitions stay: {said}");
}

#[test]
fn the_commands_of_the_installation_page_do_what_they_say() {
    let tenant = readers_cluster("installation");
    let (said, _) = run_jobs_when_there(&tenant, || {
        type_in(
            tenant.bed,
            "helm install stepbound-crds charts/stepbound-crds -n stepbound-system --create-namespace --wait",
        );
        type_in(tenant.bed, "helm install stepbound charts/stepbound -n stepbound-system");
        let found = blocks("install.md");
        assert!(found.len() >= 4, "{found:?}");
        found.iter().map(|block| type_in(tenant.bed, block)).collect::<String>()
    });
    assert!(said.contains(&tenant.bed.control_plane.issuer), "the issuer is printed: {said}");
    assert!(said.contains("yes\n"), "Ada may run: {said}");
    assert!(said.contains("0 let go"), "{said}");
}

/// Jobs run as on a node, from the moment that their namespace exists.
fn run_jobs_when_there<T>(tenant: &Tenant, work: impl FnOnce() -> T) -> (T, Vec<crate::support::kubelet::JobRun>) {
    run_jobs(tenant.bed, &tenant.system, Path::new(BINARY), work)
}

/// Every command is executed by a test, or says what it needs.
#[test]
fn every_block_of_commands_says_whether_it_is_run_or_what_it_needs() {
    for entry in std::fs::read_dir(format!("{ROOT}/docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("```sh")) {
            let mark = line.trim_start_matches("```sh").trim();
            let known = ["run", "needs-aws", "needs-cluster", "needs-machine", "needs-release"].contains(&mark);
            assert!(known, "{}: a block of commands is marked \"{mark}\"", path.display());
        }
    }
}

#[test]
fn the_demo_shows_a_run_that_succeeds_and_a_stranger_who_is_refused() {
    let programs = Path::new(env!("CARGO_BIN_EXE_stepbound")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--example", "demo", "--target-dir"]).arg(programs.parent().unwrap());
    run(&mut build, None).unwrap();
    let demo = programs.join("examples/demo");
    let said = run(&mut Command::new(demo), None).unwrap();
    for words in ["Succeeded", "does not trust", "sts:AssumeRoleWithWebIdentity"] {
        assert!(said.contains(words), "\"{words}\" is not in: {said}");
    }
}
