//! A job that has a token in a file and no kubeconfig.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

use crate::api::{Api, Ended};

/// A token that expires so many seconds from now.
fn token(seconds: i64) -> String {
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"exp": Timestamp::now().as_second() + seconds});
    format!("{}.{}.c2lnbmVk", part(json!({"alg": "RS256"})), part(claims))
}

fn file(api: &Api, text: &str) -> PathBuf {
    let path = api.folder.path().join("token");
    std::fs::write(&path, text).unwrap();
    path
}

/// The plugin on a machine without a kubeconfig.
fn job(api: &Api, arguments: &[&str]) -> Ended {
    let mut command = api.command(arguments);
    command.env_remove("KUBECONFIG").env("HOME", api.folder.path().join("nobody"));
    Ended::of(&command.output().unwrap())
}

#[test]
fn a_job_needs_no_kubeconfig_and_asks_with_its_token_alone() {
    let api = Api::start();
    api.workflow("fulfil");
    let token = token(300);
    let path = file(&api, &format!("{token}\n"));
    let path = path.to_str().unwrap();
    let here = ["-n", "shop", "--server", &api.url, "--token-file", path];
    let ended = job(&api, &[&["run", "fulfil", "--name", "order"], &here[..]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (0, "workflowrun.stepbound.dev/order created\n"), "{ended:?}");
    let next = format!("Next: kubectl sfn watch order -n shop --token-file {path} --server {}\n", api.url);
    assert_eq!(ended.said, next, "what comes next means the same cluster, and shows no token");
    // With a kubeconfig its cluster is meant, and its own token stays where it is.
    let ended = api.ends(&["get", "order", "-o", "name", "--token-file", path]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let authorized = api.world.lock().unwrap().authorized.clone();
    assert!(authorized.len() >= 3 && authorized.iter().all(|header| *header == format!("Bearer {token}")));
}

#[test]
fn a_token_file_that_is_missing_empty_expired_or_none_starts_nothing() {
    let api = Api::start();
    api.workflow("fulfil");
    let missing = api.folder.path().join("missing");
    let expired = token(-600);
    for (text, said) in [
        (None, "cannot read the token in"),
        (Some(""), "is empty"),
        (Some("\n"), "is empty"),
        (Some(expired.as_str()), "expired 10m ago, at 20"),
        (Some("{\"value\": \"c2lnbmVk\"}"), "holds no token"),
    ] {
        let path = text.map_or_else(|| missing.clone(), |text| file(&api, text));
        let place = ["-n", "shop", "--server", &api.url, "--token-file", path.to_str().unwrap()];
        let ended = job(&api, &[&["run", "fulfil", "--wait"], &place[..]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{text:?}: {ended:?}");
        assert!(ended.said.contains(said) && ended.said.contains(path.to_str().unwrap()), "{text:?}: {ended:?}");
        assert!(ended.said.contains("Have the job write a fresh ID token there"), "{text:?}: {ended:?}");
        assert!(!ended.said.contains("c2lnbmVk"), "{text:?}: the token is shown: {ended:?}");
    }
    assert_eq!(api.asked(), Vec::<String>::new());
}

#[test]
fn flags_that_would_send_a_token_astray_are_refused() {
    let api = Api::start();
    let path = file(&api, &token(300));
    let path = path.to_str().unwrap();
    let kubeconfig = api.kubeconfig();
    for (arguments, said) in [
        (&["--server", "https://api.example"][..], "--token-file"),
        (&["--certificate-authority", "ca.crt", "--token-file", path], "--server"),
        (&["--server", "https://api.example", "--token-file", path, "--context", "test"], "--context"),
        (
            &["--server", "https://api.example", "--token-file", path, "--kubeconfig", kubeconfig.to_str().unwrap()],
            "--kubeconfig",
        ),
        (&["--server", "http://api.example", "--token-file", path], "a token is sent over https alone"),
        (&["--server", "api.example:6443", "--token-file", path], "a token is sent over https alone"),
        (
            &["--server", "https://api.example", "--certificate-authority", "no/file", "--token-file", path],
            "--certificate-authority",
        ),
    ] {
        let ended = job(&api, &[&["list"], arguments].concat());
        assert!(ended.code == 2 && ended.said.contains(said), "{arguments:?}: {ended:?}");
    }
    assert_eq!(api.asked(), Vec::<String>::new());
}
