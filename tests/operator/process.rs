//! The process: health, metrics, shutdown, and what it says when it cannot start.

use std::process::Command;

use crate::shards::holder;
use crate::support::processes::free_port;
use crate::*;

pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().ok()?;
    Some((answer.status().as_u16(), answer.text().unwrap()))
}

#[test]
fn health_and_metrics_are_served_and_a_shutdown_hands_the_lease_over_at_once() {
    let tenant = test_bed().tenant("process");
    let port = free_port();
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    let first = tenant.operator_on(port, binary, &[("STEPBOUND_LOG_FORMAT", "text")]);
    wait_until(Duration::from_secs(60), "ready", || get(port, "/readyz").filter(|(status, _)| *status == 200));
    assert_eq!(get(port, "/healthz").unwrap().0, 200);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&first, "tb/orders", "Ready", "True", "RoleAssumed");
    for name in ["stepbound_reconcile_seconds_count", "stepbound_token_mints_total", "stepbound_aws_call_seconds_count"]
    {
        // A reconcile is counted when it ends, which is after its status was written.
        wait_until(Duration::from_secs(60), name, || get(port, "/metrics").filter(|(_, said)| said.contains(name)));
    }
    let leader = holder(&tenant, "stepbound").unwrap();
    assert!(first.log_text().contains(&leader), "the first leads");
    let second = start(&tenant);
    first.signal("TERM");
    wait_until(Duration::from_secs(60), "the first ends", || (!first.is_running()).then_some(()));
    assert_ne!(holder(&tenant, "stepbound"), Some(leader), "the lease was given up, not left to run out");
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&second, "sfn/fulfil", "Ready", "True", "Synced");
    assert!(first.log_text().contains("reconciles under way are finished first"));
    assert!(!first.log_text().contains("{\"timestamp\""), "text was asked for");
}

/// Runs the program to its end; its exit code and what it complained of.
fn stepbound(args: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
    let output = command.args(args).env_clear().envs(environment.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_start_that_cannot_work_says_why_and_what_to_do() {
    let (code, said) = stepbound(&["operator", "--sts-endpoint-url=http://sts.example"], &[]);
    assert!(code == 2 && said.contains("--insecure-endpoints"), "{code} {said}");
    let (code, said) = stepbound(&["operator"], &[("STEPBOUND_RESYNC_INTERVAL", "soon")]);
    assert!(code == 2 && said.contains("write for example 1h"), "{code} {said}");
    let (code, said) = stepbound(&["operator"], &[]);
    assert!(code == 2 && said.contains("KUBECONFIG"), "{code} {said}");
    let (code, said) = stepbound(&["operator", "--no-such-flag"], &[]);
    assert!(code == 2 && said.contains("--help"), "{code} {said}");
}

#[test]
fn traces_are_sent_to_the_collector_that_is_named_and_measurements_point_to_them() {
    use std::io::Read;
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let tenant = test_bed().tenant("traced");
    let (port, binary) = (free_port(), Path::new(env!("CARGO_BIN_EXE_stepbound")));
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "200")];
    let operator = tenant.operator_on(port, binary, &environment);
    tenant.apply(&tenant.binding("orders"));
    collector.set_nonblocking(true).unwrap();
    let (mut stream, _) =
        wait_until(Duration::from_secs(60), "a connection to the collector", || collector.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut beginning = [0; 16];
    stream.read_exact(&mut beginning).unwrap();
    assert_eq!(&beginning, b"PRI * HTTP/2.0\r\n", "gRPC begins with the preface of HTTP/2");
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    let metrics = get(port, "/metrics").unwrap().1;
    assert!(metrics.contains(r#" # {trace_id=""#), "no measurement points to a trace:\n{metrics}");
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {}})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    let start = calls.iter().find(|call| call.operation == "StartExecution").unwrap();
    assert!(start.body.contains(r#""traceHeader":"Root=1-"#), "the execution has a trace of its own: {}", start.body);
}
