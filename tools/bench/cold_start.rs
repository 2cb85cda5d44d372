//! How long the program takes from its start to being ready, with the definitions installed: for `make image`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::processes::free_port;
use support::test_bed;

const STARTS: usize = 7;

fn main() {
    let binary = std::env::var("STEPBOUND_BINARY").expect("STEPBOUND_BINARY names the program");
    let bed = test_bed();
    let tenant = bed.account_for("cold");
    bed.control_plane.kubectl(&["create", "namespace", "cold"]);
    tenant.install();
    let kubeconfig = bed.control_plane.kubeconfig_of(&tenant.system, "stepbound");
    let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let address = format!("127.0.0.1:{}", free_port());
            let started = Instant::now();
            let mut child = Command::new(&binary)
                .args([
                    "operator",
                    "--watch-namespace=cold",
                    "--insecure-metrics",
                    &format!("--lease-namespace={}", tenant.system),
                ])
                .arg(format!("--http-addr={address}"))
                .env("KUBECONFIG", &kubeconfig)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let ready = || http.get(format!("http://{address}/readyz")).send().is_ok_and(|it| it.status().is_success());
            while !ready() {
                assert!(started.elapsed() < Duration::from_secs(20), "not ready within 20 s");
                std::thread::sleep(Duration::from_millis(2));
            }
            let took = started.elapsed();
            child.kill().unwrap();
            child.wait().unwrap();
            took
        })
        .collect();
    times.sort();
    let milliseconds = |time: &Duration| format!("{} ms", time.as_millis());
    println!(
        "ready      {} after its start (median of {STARTS}, worst {}), definitions installed",
        milliseconds(&times[STARTS / 2]),
        milliseconds(&times[STARTS - 1])
    );
    bed.stop();
}
