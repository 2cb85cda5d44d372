//! `kubectl sfn ui` on a real API server: started, reached without a browser, and objects for it to show.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};
use stepbound::api::v1alpha1::{ExecutionHistory, custom_resource_definitions};

use super::control_plane::{ControlPlane, binaries};
use super::ministack;
use super::processes::{Process, wait_until};

/// What the page is shown. Of the statuses the operator would write none is missing.
const OBJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/page.yaml");

/// A control plane that knows our kinds; no operator, no AWS.
pub fn control_plane(folder: &Path) -> ControlPlane {
    std::fs::create_dir_all(folder).unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let control_plane = ControlPlane::start(folder, &ministack::python(&binaries()));
    let mut definitions: Vec<CustomResourceDefinition> = custom_resource_definitions().unwrap();
    let history = ExecutionHistory::crd();
    if !definitions.iter().any(|one| one.spec.names.kind == history.spec.names.kind) {
        definitions.push(history);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    control_plane.apply(&list.to_string());
    control_plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    control_plane
}

/// Creates the objects in a namespace, with their statuses. `{now-90s}` in them is that time ago.
pub fn fill(control_plane: &ControlPlane, namespace: &str) {
    let _ = control_plane.try_kubectl(&["create", "namespace", namespace], None);
    apply(control_plane, namespace, &std::fs::read_to_string(OBJECTS).unwrap());
}

/// Applies objects with their statuses.
pub fn apply(control_plane: &ControlPlane, namespace: &str, manifest: &str) {
    let manifest = dated(manifest);
    let apply = ["-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"];
    // Right after a kind came, discovery may not have it.
    let applied = wait_until(Duration::from_secs(60), "the kinds are known", || {
        match control_plane.try_kubectl(&apply, Some(&manifest)) {
            Err(error) if error.contains("no matches for kind") || error.contains("could not find") => None,
            answer => Some(answer),
        }
    });
    applied.unwrap();
    let status = [&apply[..], &["--subresource=status"]].concat();
    control_plane.try_kubectl(&status, Some(&manifest)).unwrap();
}

fn dated(text: &str) -> String {
    let now = jiff::Timestamp::now();
    let mut parts = text.split("{now-");
    let mut dated = parts.next().unwrap().to_owned();
    for part in parts {
        let (ago, rest) = part.split_once("s}").unwrap();
        let time = now - jiff::SignedDuration::from_secs(ago.parse().unwrap());
        dated.push_str(&time.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        dated.push_str(rest);
    }
    dated
}

/// A page that is served.
pub struct Page {
    pub process: Process,
    /// The address that opens it once.
    pub url: String,
    pub host: String,
    pub port: u16,
}

/// What a request was answered with.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Page {
    /// Serves it for whoever the kubeconfig is of.
    pub fn start(folder: &Path, program: &Path, kubeconfig: &Path, args: &[&str]) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(kubeconfig).args(["ui", "--open=false"]).args(args);
        let process = Process::start(folder, &format!("ui-{count}"), &mut command);
        let url = wait_until(Duration::from_secs(90), "the page's address", || {
            let log = process.log_text();
            assert!(process.is_running(), "{log}");
            log.lines().find(|line| line.starts_with("http://")).map(str::to_owned)
        });
        let host = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let port = host.rsplit(':').next().unwrap().parse().unwrap();
        Self { process, url, host, port }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    /// A request with just these headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request += name;
            request += ": ";
            request += value;
            request += "\r\n";
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Comes in by the first address; the cookie.
    pub fn enter(&self) -> String {
        let path = self.url.strip_prefix(&self.origin()).unwrap();
        let answer = self.ask("GET", path, &[("Host", &self.host)], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let set = answer.head.lines().find(|line| line.to_lowercase().starts_with("set-cookie: ")).unwrap();
        let cookie = &set["set-cookie: ".len()..];
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// A kubeconfig of one of the people.
pub fn kubeconfig(control_plane: &ControlPlane, user: &str, namespace: &str) -> PathBuf {
    let admin = std::fs::read_to_string(&control_plane.admin).unwrap();
    let mut config: Value = serde_json::from_str(&admin).unwrap();
    config["users"][0]["user"]["token"] = json!(format!("{user}-token"));
    config["contexts"][0]["context"]["namespace"] = json!(namespace);
    let path = control_plane.folder.join(format!("{user}-{namespace}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}
