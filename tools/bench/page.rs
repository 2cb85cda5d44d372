//! `make page`: the page of `kubectl sfn ui` on a real control plane, without operator and AWS. Draws the pictures of the
//! documentation, or with `--runs 10000` measures how fast the page is and how much memory its server takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::{Browser, Tab};
use support::control_plane::ControlPlane;
use support::page::{Page, control_plane, fill};
use support::processes::wait_until;

const NAMESPACE: &str = "shop";
/// Objects that are created by one command.
const AT_ONCE: usize = 1000;
/// How often an address is asked for when it is timed.
const TIMES: usize = 11;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let folder = std::env::temp_dir().join(format!("stepbound-{}", std::process::id()));
    let control_plane = control_plane(&folder);
    fill(&control_plane, NAMESPACE);
    match value("--runs") {
        Some(runs) => measure(&control_plane, &folder, runs.parse().expect("--runs takes a number")),
        None => draw(&control_plane, &folder, &PathBuf::from(value("--into").unwrap_or("docs/images".into()))),
    }
    // Its processes are found by what they have written there.
    drop(control_plane);
    let _ = std::fs::remove_dir_all(&folder);
}

/// The plugin is built beside this example's folder; another one is named by the variable `KUBECTL_SFN`.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().unwrap().parent().unwrap().join("kubectl-sfn");
    std::env::var_os("KUBECTL_SFN").map_or(built, PathBuf::from)
}

/// Opens the page and waits until everything was read.
fn enter(tab: &mut Tab<'_>, page: &Page) {
    tab.open(&page.url);
    tab.wait("document.querySelector('h1') !== null");
}

fn draw(control_plane: &ControlPlane, folder: &Path, into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    let page = Page::start(folder, &program(), &control_plane.admin, &["--allow-actions"]);
    let mut browser = Browser::start(folder);
    let mut tab = browser.tab();
    enter(&mut tab, &page);
    tab.wait("document.body.innerText.includes('fulfil') && !document.body.innerText.includes('Still reading')");
    for (name, path) in [
        ("workflows", "/"),
        ("runs", "/runs"),
        ("run", "/runs/shop/order-4711"),
        ("live", "/runs/shop/order-4712"),
        ("workflow", "/workflows/shop/fulfil"),
        ("schedules", "/schedules"),
        ("trust", "/trust"),
    ] {
        for (look, width, dark) in
            [("", 1280, false), ("-dark", 1280, true), ("-narrow", 360, false), ("-narrow-dark", 360, true)]
        {
            tab.look(width, dark);
            tab.open(&format!("{}{path}", page.origin()));
            tab.wait("document.getElementById('link').innerText !== ''");
            tab.picture(&into.join(format!("page-{name}{look}.png")), 2400);
        }
    }
    println!("the pictures are in {}", into.display());
}

fn measure(control_plane: &ControlPlane, folder: &Path, runs: usize) {
    println!("creating {runs} runs");
    create(control_plane, runs);
    let started = Instant::now();
    let page = Page::start(folder, &program(), &control_plane.admin, &["-n", NAMESPACE]);
    println!("the address is printed after {:?}", started.elapsed());
    let mut browser = Browser::start(folder);
    let mut tab = browser.tab();
    tab.look(1280, false);
    enter(&mut tab, &page);
    wait_until(Duration::from_secs(300), "all runs are read", || {
        tab.open(&format!("{}/runs", page.origin()));
        (!tab.text().contains("Still reading")).then_some(())
    });
    println!("all runs are read after {:?}", started.elapsed());
    println!("memory once they are: {}", page.process.memory());
    for path in ["/", "/runs", "/runs?phase=Failed", "/runs?q=order-4711", "/runs?page=100", "/runs/shop/order-4711"] {
        let mut timed: Vec<Value> = Vec::new();
        for _ in 0..TIMES {
            tab.open(&format!("{}{path}", page.origin()));
            tab.wait("performance.getEntriesByName('first-contentful-paint').length === 1");
            timed.push(tab.eval("[performance.getEntriesByType('navigation')[0].responseStart, performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.getEntriesByType('navigation')[0].transferSize]"));
        }
        let median = |index: usize| {
            let mut values: Vec<f64> = timed.iter().map(|one| one[index].as_f64().unwrap()).collect();
            values.sort_by(f64::total_cmp);
            (values[TIMES / 2], values[TIMES - 1])
        };
        let ((first, longest), (paint, slowest), (size, _)) = (median(0), median(1), median(2));
        println!(
            "{path:24} first byte {first:6.1} ms (at most {longest:.1}), first paint {paint:6.1} ms (at most {slowest:.1}), {:.0} kB",
            size / 1000.0
        );
    }
    println!("memory after that: {}", page.process.memory());
    println!("processor time: {:.2} s", page.process.cpu_seconds());
}

/// As large as runs are: an input of 2 kB, and an output.
fn create(control_plane: &ControlPlane, runs: usize) {
    let phases = ["Succeeded", "Succeeded", "Succeeded", "Failed", "Running", "Aborted"];
    let input = json!({"orderId": 1, "note": "x".repeat(2000)});
    let indices: Vec<usize> = (0..runs).collect();
    for part in indices.chunks(AT_ONCE) {
        let run = |index: &usize| {
            let attempt = json!({"number": 1, "executionName": format!("load-{index}"), "trustBindingName": "orders", "inputDigest": "ab",
                "targetARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:5", "recordedAt": "2027-01-31T12:00:00Z"});
            json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": format!("load-{index:05}"), "namespace": NAMESPACE},
                "spec": {"workflowRef": {"name": "fulfil"}, "input": input},
                "status": {"observedGeneration": 1, "phase": phases[index % phases.len()], "ranMilliseconds": 1000 + index,
                    "requestedBy": "anna@shop.example", "output": {"parcel": "x".repeat(500)}, "attempts": [attempt]}})
        };
        let list =
            json!({"apiVersion": "v1", "kind": "List", "items": part.iter().map(run).collect::<Vec<_>>()}).to_string();
        let apply = ["apply", "--server-side", "-f", "-"];
        control_plane.try_kubectl(&apply, Some(&list)).unwrap();
        control_plane
            .try_kubectl(&[&apply[..], &["--subresource=status", "--force-conflicts"]].concat(), Some(&list))
            .unwrap();
    }
}
