//! `kubectl sfn` as a program: what it prints, how it ends, and what it asks for. What rights its verbs need is tried on a real
//! API server in tests/operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod api;
mod page;
mod verbs;
mod wrong;

use std::path::Path;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_manifest_for_krew_names_every_platform_once() {
    let manifest: Value = serde_yaml::from_str(&read("deploy/krew/sfn.yaml")).unwrap();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"sfn".into()));
    assert_eq!(manifest["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    for field in ["shortDescription", "description", "homepage", "caveats"] {
        assert!(manifest["spec"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    let mut platforms = Vec::new();
    for platform in manifest["spec"]["platforms"].as_array().unwrap() {
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        platforms.push(format!("{os}/{arch}"));
        let uri = platform["uri"].as_str().unwrap();
        let version = concat!("/v", env!("CARGO_PKG_VERSION"), "/");
        assert!(uri.starts_with("https://") && uri.contains(version), "{uri}");
        assert!(uri.ends_with(&format!("kubectl-sfn-{os}-{arch}.tar.gz")), "{uri}");
        let digest = platform["sha256"].as_str().unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        let bin = if os == "windows" { "kubectl-sfn.exe" } else { "kubectl-sfn" };
        assert_eq!(platform["bin"], bin);
        let files = platform["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file["from"] == bin) && files.iter().any(|file| file["from"] == "LICENSE"));
    }
    platforms.sort();
    assert_eq!(platforms, ["darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64"]);
}
