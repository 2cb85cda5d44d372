//! The script that builds the test bed, with tools that only pretend to build: who needs a thing waits for whoever builds it,
//! and nobody else does. And what stands for AWS in it, where no test of the operator would notice that it differs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::front::Front;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh");
/// Notes what it is to build, and goes on with another version of Kubernetes only once nobody holds it back.
const GO: &str = r#"#!/bin/sh
[ "$1" = build ] || exit 0
while [ "$1" != -o ]; do shift; done
echo "$2" >>"$FAKE/built"
case "$2" in */kubernetes-*) while [ -e "$FAKE/hold" ]; do sleep 0.02; done ;; esac
sleep 0.02
touch "$2" && chmod +x "$2"
"#;
/// Makes a virtual environment, or says where the Prometheus operator's definitions are.
const PYTHON: &str = r#"#!/bin/sh
[ "$1" = -m ] || { echo "$FAKE/prometheus"; exit 0; }
mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$FAKE/pip" "$3/bin/pip"
"#;
/// Fails as long as it is told to.
const PIP: &str = r#"#!/bin/sh
[ ! -e "$FAKE/broken" ]
"#;

struct Bed(tempfile::TempDir);

impl Bed {
    fn new() -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        let definitions = bed.path("prometheus/example/prometheus-operator-crd");
        std::fs::create_dir_all(&definitions).unwrap();
        for name in ["servicemonitors", "prometheusrules"] {
            std::fs::write(definitions.join(format!("monitoring.coreos.com_{name}.yaml")), "").unwrap();
        }
        std::fs::create_dir(bed.path("bin")).unwrap();
        for (name, text) in [("bin/go", GO), ("bin/python3", PYTHON), ("pip", PIP)] {
            std::fs::write(bed.path(name), text).unwrap();
            let made = Command::new("chmod").arg("+x").arg(bed.path(name)).status().unwrap();
            assert!(made.success());
        }
        // Where there is Java the script wants Keycloak too.
        let script = std::fs::read_to_string(SCRIPT).unwrap();
        let version = script.lines().find_map(|line| line.strip_prefix("keycloak_version=")).unwrap();
        std::fs::create_dir_all(bed.path(&format!("cache/keycloak-{version}"))).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn install(&self, args: &[&str]) -> Child {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut script = Command::new(SCRIPT);
        script.args(args).env_remove("KUBEBUILDER_ASSETS").env("STEPBOUND_CACHE", self.path("cache"));
        script.env("FAKE", self.0.path()).env("PATH", path).stdout(Stdio::piped()).stderr(Stdio::piped());
        script.spawn().unwrap()
    }

    /// What was built so far, by the last part of its name.
    fn built(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("built")).unwrap_or_default();
        let mut names: Vec<String> =
            text.lines().map(|line| line.rsplit('/').next().unwrap().trim_start_matches('.').to_owned()).collect();
        names.sort_unstable();
        names
    }
}

/// Waits for half a minute at most, which is far more than pretending takes.
fn finished(what: &str, mut child: Child) -> Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{what} still waits");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// The folder that the script names in its last line.
fn folder(what: &str, child: Child) -> PathBuf {
    let output = finished(what, child);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what}: {said}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn commands_of(folder: &Path) -> bool {
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

#[test]
fn the_bed_does_not_wait_for_another_version_of_kubernetes() {
    let bed = Bed::new();
    std::fs::write(bed.path("hold"), "").unwrap();
    let other = bed.install(&["--kubernetes", "1.34.4"]);
    let started = Instant::now();
    while bed.built().is_empty() && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(bed.built(), ["kube-apiserver"], "the other version is being built");
    let waiting = bed.install(&["--kubernetes", "v1.34.4"]);
    let pinned = folder("the bed", bed.install(&[]));
    assert!(commands_of(&pinned) && pinned.join("etcd").is_file(), "{}", pinned.display());
    assert!(!commands_of(&bed.path("cache/kubernetes-1.34.4")), "it is still held back");

    std::fs::remove_file(bed.path("hold")).unwrap();
    let (first, second) = (folder("the first", other), folder("the second", waiting));
    assert!(commands_of(&first) && first == second, "{} {}", first.display(), second.display());
    assert_eq!(bed.built().iter().filter(|name| *name == "kube-apiserver").count(), 2, "once for each version");
}

#[test]
fn what_two_need_at_once_is_built_once() {
    let bed = Bed::new();
    let both = [bed.install(&[]), bed.install(&[])];
    for (number, child) in both.into_iter().enumerate() {
        assert!(commands_of(&folder(&format!("install {number}"), child)));
    }
    let built = bed.built();
    let mut once = built.clone();
    once.dedup();
    assert!(built.len() >= 10 && built == once, "{built:?}");
}

#[test]
fn a_build_that_fails_says_so_and_is_tried_again() {
    let bed = Bed::new();
    std::fs::write(bed.path("broken"), "").unwrap();
    let output = finished("a broken install", bed.install(&[]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("(AWS emulator)' failed; the whole output is in"), "{said}");
    std::fs::remove_file(bed.path("broken")).unwrap();
    folder("the next install", bed.install(&[]));
    let built = bed.built().len();
    let again = finished("one more", bed.install(&[]));
    assert_eq!((again.stderr.len(), bed.built().len()), (0, built), "nothing is built, and nothing said");
}

fn page(front: &Front, more: &Value) -> (u16, Value) {
    let mut request = json!({"executionArn": "arn:aws:states:eu-west-1:000000000000:execution:m:long"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    front.history_page(&request)
}

fn ids(page: &Value) -> Vec<i64> {
    page["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect()
}

/// `GetExecutionHistory`, API reference.
#[test]
fn the_front_gives_a_history_in_pages_as_aws_does() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let front = Front::start("http://127.0.0.1:9", "https://issuer.example", &json!({"keys": []}));
    let event = |id: i64| {
        json!({"id": id, "previousEventId": id - 1, "timestamp": id, "type": "PassStateEntered",
        "stateEnteredEventDetails": {"name": "A", "input": "{\"secret\":1}"}})
    };
    front.tell_history(":long", (1..=25_000).map(event).collect());
    let (_, usual) = page(&front, &json!({}));
    assert_eq!((ids(&usual).len(), ids(&usual)[0]), (100, 1));
    assert!(usual.to_string().contains("secret"), "with data where nothing else was asked for");
    assert_eq!(ids(&page(&front, &json!({"maxResults": 0})).1).len(), 100);
    let (status, refused) = page(&front, &json!({"maxResults": 1001}));
    assert_eq!((status, refused["__type"].as_str().unwrap().contains("ValidationException")), (400, true));
    let mut request = json!({"maxResults": 1000, "reverseOrder": true, "includeExecutionData": false});
    let mut newest_first = Vec::new();
    loop {
        let (status, answer) = page(&front, &request);
        assert_eq!(status, 200, "{answer}");
        assert!(!answer.to_string().contains("secret"));
        newest_first.extend(ids(&answer));
        if answer["nextToken"].is_null() {
            break;
        }
        request["nextToken"] = answer["nextToken"].clone();
    }
    assert_eq!(newest_first, (1..=25_000).rev().collect::<Vec<i64>>());
    let (status, refused) = page(&front, &json!({"maxResults": 1000, "nextToken": request["nextToken"]}));
    assert_eq!((status, refused["__type"].as_str().unwrap().contains("InvalidToken")), (400, true), "of another order");
    assert_eq!(front.history("arn:aws:states:eu-west-1:000000000000:execution:m:long").len(), 25_000);
}
