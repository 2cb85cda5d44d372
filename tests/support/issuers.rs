//! Issuers shaped as those of GitHub and GitLab, with keys of our own: what a CI job's token comes from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::processes::{Process, free_port, wait_until};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/issuers.py");

pub struct Issuers {
    pub folder: PathBuf,
    url: String,
    _process: Process,
}

impl Issuers {
    pub fn start(folder: PathBuf, python: &Path) -> Self {
        std::fs::create_dir_all(folder.join("audiences")).unwrap();
        let port = free_port();
        let arguments = [PROGRAM.to_owned(), folder.display().to_string(), port.to_string()];
        let process = Process::start(&folder, "issuers", Command::new(python).args(arguments));
        wait_until(Duration::from_secs(60), "the issuers answer", || folder.join("ready").exists().then_some(()));
        Self { folder, url: format!("https://127.0.0.1:{port}"), _process: process }
    }

    /// What signed the certificate of the issuers.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("tls.crt")
    }

    /// The configuration of an API server as it stands, except that it finds the documents of its issuers here.
    pub fn found_by(&self, configuration: &str) -> Value {
        let mut configuration: Value = serde_yaml::from_str(configuration).unwrap();
        for authenticator in configuration["jwt"].as_array_mut().unwrap() {
            let issuer = &mut authenticator["issuer"];
            let name = if issuer["url"] == "https://gitlab.com" { "gitlab" } else { "github" };
            issuer["discoveryURL"] = json!(format!("{}/{name}/.well-known/openid-configuration", self.url));
            issuer["certificateAuthority"] = json!(std::fs::read_to_string(self.certificate()).unwrap());
        }
        configuration
    }

    /// A token that a key of ours signed: that of `github`, of `gitlab`, or of a `stranger`.
    pub fn sign(&self, key: &str, kid: &str, claims: &Value) -> String {
        let pem = std::fs::read(self.folder.join(format!("{key}.pem"))).unwrap();
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(&pem).unwrap()).unwrap()
    }

    /// Where a job at GitHub asks for its token, as it is told by its environment.
    pub fn request_url(&self) -> String {
        format!("{}/github/token?api-version=2.0", self.url)
    }

    /// What a job at GitHub is given that asks for this audience.
    pub fn give(&self, audience: &str, token: &str) {
        let name = audience.replace(':', "%3A").replace('/', "%2F");
        std::fs::write(self.folder.join("audiences").join(name), token).unwrap();
    }
}
