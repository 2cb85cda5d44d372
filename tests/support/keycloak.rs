//! A real Keycloak, in front of the control plane's own issuer.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::TestBed;
use super::control_plane::run;
use super::processes::{Process, free_port, wait_until};

pub struct Keycloak {
    pub issuer: String,
    _process: Process,
}

/// A client that a service account may be.
pub struct Client {
    pub id: &'static str,
    pub namespace: &'static str,
    /// Whether it may exchange tokens (standard token exchange).
    pub exchanges: bool,
    /// A secret by which it proves itself, in place of a token of the cluster.
    pub secret: Option<&'static str>,
}

impl Keycloak {
    /// Starts one with a realm of these clients; `None`, with words, where there is no Java.
    #[allow(clippy::print_stderr)]
    pub fn start(bed: &TestBed, clients: &[Client]) -> Option<Self> {
        if Command::new("java").arg("-version").output().is_err() {
            #[allow(clippy::print_stderr)] // a test that is skipped says so
            {
                eprintln!("skipped: there is no Java, so Keycloak cannot run");
            }
            return None;
        }
        let installed = installed(&bed.binaries);
        let home = bed.folder.join("keycloak");
        // Each test bed has its own data; the programs are shared as links.
        run(Command::new("cp").arg("-rl").arg(&installed).arg(&home), None).unwrap();
        std::fs::create_dir_all(home.join("data/import")).unwrap();
        std::fs::write(home.join("data/import/realm.json"), realm(&bed.control_plane.issuer, clients).to_string())
            .unwrap();
        // Keycloak reads the cluster's keys as anybody could from outside.
        bed.control_plane.kubectl(&[
            "create",
            "clusterrolebinding",
            "public-discovery",
            "--clusterrole=system:service-account-issuer-discovery",
            "--group=system:unauthenticated",
        ]);
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let certificate = bed.control_plane.folder.join("certs/apiserver.crt");
        let process = Process::start(
            &bed.folder,
            "keycloak-server",
            Command::new("bash").arg(home.join("bin/kc.sh")).env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx384m").args([
                "start-dev",
                "--import-realm",
                "--http-host=127.0.0.1",
                &format!("--http-port={port}"),
                &format!("--hostname={url}"),
                &format!("--truststore-paths={}", certificate.display()),
            ]),
        );
        let issuer = format!("{url}/realms/stepbound");
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let keys: Value = wait_until(Duration::from_secs(150), "Keycloak answers", || {
            let answer = http.get(format!("{issuer}/protocol/openid-connect/certs")).send().ok()?;
            answer.status().is_success().then(|| answer.json().unwrap())
        });
        bed.front.publish_keys(&issuer, &keys);
        let mut provider =
            vec![("Url".to_owned(), issuer.clone()), ("ClientIDList.member.1".into(), "sts.amazonaws.com".into())];
        let ids = clients.iter().enumerate();
        provider
            .extend(ids.map(|(index, client)| (format!("ClientIDList.member.{}", index + 2), client.id.to_owned())));
        let provider: Vec<(&str, &str)> = provider.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        bed.aws.iam("CreateOpenIDConnectProvider", &provider);
        Some(Self { issuer, _process: process })
    }
}

/// Where the installer put it.
fn installed(binaries: &Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(binaries.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_keycloak = |path: &std::path::PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with("keycloak-") && path.join("bin/kc.sh").exists()
    };
    let mut found: Vec<_> = entries.filter(is_keycloak).collect();
    found.sort();
    found.pop().expect("Keycloak is installed")
}

/// Clients prove themselves with tokens of the cluster (`federated-jwt`); their own tokens are for STS alone.
fn realm(cluster_issuer: &str, clients: &[Client]) -> Value {
    let client = |client: &Client| {
        let exchange = client.exchanges.to_string();
        json!({
            "clientId": client.id, "enabled": true, "publicClient": false, "serviceAccountsEnabled": true,
            "standardFlowEnabled": false, "clientAuthenticatorType": if client.secret.is_some() { "client-secret" } else { "federated-jwt" },
            "secret": client.secret, "fullScopeAllowed": false,
            // `basic` brings the subject; `roles` would add the audience `account`.
            "defaultClientScopes": ["basic"], "optionalClientScopes": [],
            "attributes": {
                "jwt.credential.issuer": "kubernetes",
                "jwt.credential.sub": format!("system:serviceaccount:{}:orders", client.namespace),
                "standard.token.exchange.enabled": exchange,
            },
            "protocolMappers": [{
                "name": "sts", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                "config": {"included.custom.audience": "sts.amazonaws.com", "access.token.claim": "true", "id.token.claim": "false"},
            }],
        })
    };
    json!({
        "realm": "stepbound", "enabled": true, "sslRequired": "none",
        "identityProviders": [{"alias": "kubernetes", "providerId": "kubernetes", "enabled": true,
            "config": {"issuer": cluster_issuer}}],
        "clients": clients.iter().map(client).collect::<Vec<_>>(),
    })
}
