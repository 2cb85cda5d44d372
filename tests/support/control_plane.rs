//! A real control plane: etcd, API server, controller manager. No kubelet.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::processes::{Process, free_port, wait_until};

/// Where the binaries are; they are built on first use.
pub fn binaries() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// A small tool, by its name without the hash of its sources: the one that was built last.
pub fn tool(binaries: &Path, name: &str) -> PathBuf {
    let built = std::fs::read_dir(binaries).unwrap().map(|entry| entry.unwrap());
    let named = built.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{name}-")));
    let newest = named.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.unwrap_or_else(|| panic!("{name} is not built")).path()
}

/// Where the API server, etcd and kubectl are.
pub fn assets(binaries: &Path) -> PathBuf {
    std::env::var_os("KUBEBUILDER_ASSETS").map_or_else(|| binaries.to_owned(), PathBuf::from)
}

/// Users without any right but those that a test gives them.
pub const PEOPLE: [&str; 3] = ["alice", "bob", "mallory"];

/// What the join of audit trails needs: who wrote objects of ours, and which tokens were given.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete]
  resources:
  - {group: stepbound.dev, resources: [workflowruns, workflowschedules]}
  - {group: '', resources: [serviceaccounts/token]}
- level: None
";

pub struct ControlPlane {
    pub folder: PathBuf,
    pub url: String,
    pub issuer: String,
    pub admin: PathBuf,
    pub kubectl: PathBuf,
    // Ended in this order.
    _controller_manager: Process,
    api_server: Mutex<Option<Process>>,
    api_server_args: Vec<String>,
    etcd: Process,
}

impl ControlPlane {
    pub fn start(folder: &Path, python: &Path) -> Self {
        Self::start_with(folder, python, &[])
    }

    /// The same with more flags of the API server.
    pub fn start_with(folder: &Path, python: &Path, more: &[String]) -> Self {
        let assets = assets(&binaries());
        let (client_port, peer_port, port) = (free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{client_port}");
        let peer_url = format!("http://127.0.0.1:{peer_port}");
        let etcd = Process::start(
            folder,
            "etcd",
            Command::new(assets.join("etcd")).args([
                "--unsafe-no-fsync",
                &format!("--data-dir={}", folder.join("etcd").display()),
                &format!("--listen-client-urls={etcd_url}"),
                &format!("--advertise-client-urls={etcd_url}"),
                &format!("--listen-peer-urls={peer_url}"),
                &format!("--initial-advertise-peer-urls={peer_url}"),
                &format!("--initial-cluster=default={peer_url}"),
            ]),
        );
        let signing_key = folder.join("service-accounts.pem");
        write_rsa_key(python, &signing_key);
        let people = PEOPLE.map(|user| format!("{user}-token,{user},{user}\n")).concat();
        std::fs::write(folder.join("tokens.csv"), format!("admin-token,admin,admin,system:masters\n{people}")).unwrap();
        std::fs::write(folder.join("audit-policy.yaml"), AUDIT_POLICY).unwrap();
        let url = format!("https://127.0.0.1:{port}");
        let key = signing_key.display();
        let mut api_server_args: Vec<String> = [
            format!("--etcd-servers={etcd_url}"),
            format!("--cert-dir={}", folder.join("certs").display()),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--authorization-mode=RBAC".into(),
            format!("--token-auth-file={}", folder.join("tokens.csv").display()),
            format!("--service-account-issuer={url}"),
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={key}"),
            format!("--service-account-jwks-uri={url}/openid/v1/jwks"),
            "--service-cluster-ip-range=10.0.0.0/24".into(),
            format!("--audit-policy-file={}", folder.join("audit-policy.yaml").display()),
            format!("--audit-log-path={}", folder.join("audit.log").display()),
        ]
        .into();
        api_server_args.extend_from_slice(more);
        let api_server = start_api_server(folder, &api_server_args);
        let certificate = folder.join("certs/apiserver.crt");
        let admin = folder.join("admin.kubeconfig");
        write_kubeconfig(&admin, &url, &certificate, "admin-token");
        let kubectl = assets.join("kubectl");
        wait_for_api_server(&kubectl, &admin);
        let controller_manager = Process::start(
            folder,
            "kube-controller-manager",
            Command::new(assets.join("kube-controller-manager")).args([
                format!("--kubeconfig={}", admin.display()),
                format!("--service-account-private-key-file={key}"),
                format!("--root-ca-file={}", certificate.display()),
                "--leader-elect=false".into(),
                format!("--secure-port={}", free_port()),
                format!("--cert-dir={}", folder.join("manager-certs").display()),
                "--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,clusterrole-aggregation-controller,root-ca-certificate-publisher-controller".into(),
            ]),
        );
        Self {
            folder: folder.to_owned(),
            issuer: url.clone(),
            url,
            admin,
            kubectl,
            _controller_manager: controller_manager,
            api_server: Mutex::new(Some(api_server)),
            api_server_args,
            etcd,
        }
    }

    /// A client of its own as admin, for what kubectl is too slow for.
    pub async fn client(&self) -> kube::Client {
        let file = kube::config::Kubeconfig::read_from(&self.admin).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Kills the API server, starts it again and waits until it serves.
    pub fn restart_api_server(&self) {
        let mut api_server = self.api_server.lock().unwrap();
        drop(api_server.take());
        // A connection of somebody else may have been given the port meanwhile, so it is tried until it is free.
        wait_until(Duration::from_secs(60), "the API server serves again", || {
            if !api_server.as_ref().is_some_and(Process::is_running) {
                drop(api_server.take());
                *api_server = Some(start_api_server(&self.folder, &self.api_server_args));
            }
            std::thread::sleep(Duration::from_millis(500));
            is_ready(&self.kubectl, &self.admin).then_some(())
        });
    }

    /// Runs kubectl as admin; panics with what it said when it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, None).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    pub fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        run(Command::new(&self.kubectl).arg("--kubeconfig").arg(&self.admin).args(args), input)
    }

    /// Runs kubectl as one of [`PEOPLE`].
    pub fn kubectl_as(&self, user: &str, args: &[&str], input: Option<&str>) -> Result<String, String> {
        self.try_kubectl(&[args, &["--token", &format!("{user}-token")]].concat(), input)
    }

    /// Lets a user do all of this in a namespace: rules as in a Role.
    pub fn grant(&self, user: &str, namespace: &str, rules: &serde_json::Value) {
        let reference = serde_json::json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user});
        let subject = serde_json::json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
        let metadata = serde_json::json!({"name": user, "namespace": namespace});
        for object in [
            serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}),
            serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "roleRef": reference, "subjects": [subject]}),
        ] {
            self.apply(&object.to_string());
        }
    }

    /// The audit log of the API server so far.
    pub fn audit_log(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.join("audit.log")).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn apply(&self, manifest: &str) {
        let command = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        // Where a mutating policy matches, the API server refuses a new kind until it has read its schema, which it does every
        // five seconds.
        let applied = wait_until(Duration::from_secs(90), "the API server knows the kind", || {
            match self.try_kubectl(&command, Some(manifest)) {
                Err(error) if error.contains("There can be a delay between") => None,
                answer => Some(answer),
            }
        });
        applied.unwrap_or_else(|error| panic!("{error}\n{manifest}"));
    }

    /// A kubeconfig with a fresh token of a service account, as a pod would have it.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.kubectl(&["create", "token", account, "-n", namespace, "--duration=2h"]);
        let path = self.folder.join(format!("{namespace}-{account}.kubeconfig"));
        write_kubeconfig(&path, &self.url, &self.folder.join("certs/apiserver.crt"), token.trim());
        path
    }

    /// A token that the cluster's own key signed and that has expired.
    pub fn expired_token(&self, namespace: &str, account: &str, audience: &str) -> String {
        let good = self.kubectl(&["create", "token", account, "-n", namespace]);
        let header = jsonwebtoken::decode_header(good.trim()).unwrap();
        let key = std::fs::read(self.folder.join("service-accounts.pem")).unwrap();
        let claims = serde_json::json!({
            "iss": self.issuer, "aud": [audience], "exp": 1_700_000_000, "nbf": 1_600_000_000,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
        });
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(&key).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// Processor time of API server and etcd so far, in seconds.
    pub fn cpu_seconds(&self) -> (f64, f64) {
        let api_server = self.api_server.lock().unwrap();
        (api_server.as_ref().unwrap().cpu_seconds(), self.etcd.cpu_seconds())
    }

    /// Writes of a resource that the API server has answered so far, whoever asked for them.
    pub fn writes(&self, resource: &str) -> f64 {
        let metrics = self.kubectl(&["get", "--raw", "/metrics"]);
        let of_resource = format!("resource=\"{resource}\"");
        let writes =
            metrics.lines().filter(|line| line.starts_with("apiserver_request_total{") && line.contains(&of_resource));
        let writes = writes.filter(|line| {
            ["POST", "PUT", "PATCH", "DELETE"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")))
        });
        writes.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Bytes of etcd's database on disk.
    pub fn etcd_size(&self) -> u64 {
        std::fs::metadata(self.folder.join("etcd/member/snap/db")).unwrap().len()
    }

    /// Everything that etcd has written to disk.
    pub fn etcd_bytes(&self) -> Vec<u8> {
        let output = Command::new("cat")
            .arg(self.folder.join("etcd/member/snap/db"))
            .args(std::fs::read_dir(self.folder.join("etcd/member/wal")).unwrap().map(|entry| entry.unwrap().path()))
            .output()
            .unwrap();
        output.stdout
    }
}

fn start_api_server(folder: &Path, args: &[String]) -> Process {
    Process::start(folder, "kube-apiserver", Command::new(assets(&binaries()).join("kube-apiserver")).args(args))
}

fn wait_for_api_server(kubectl: &Path, admin: &Path) {
    wait_until(Duration::from_secs(60), "the API server is ready", || is_ready(kubectl, admin).then_some(()));
}

fn is_ready(kubectl: &Path, admin: &Path) -> bool {
    let probe = Command::new(kubectl).arg("--kubeconfig").arg(admin).args(["get", "--raw", "/readyz"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// Runs a command with an input; its output, or what it complained of. One that waits for what never comes, as `kubectl
/// delete` does where its user may not watch, is ended: the whole suite would wait with it.
pub fn run(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    use std::io::Write;
    use std::process::Stdio;
    const LONGEST: &str = "300";
    let mut bounded = Command::new("timeout");
    bounded.args(["--verbose", LONGEST]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(key, value),
            None => bounded.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    bounded.env_remove("AWS_CA_BUNDLE").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = bounded.spawn().map_err(|error| error.to_string())?;
    child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Made by the Python library that the emulator brings: generating one in an unoptimised build takes half a minute.
pub fn write_rsa_key(python: &Path, path: &Path) {
    const PROGRAM: &str = "
import sys
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import serialization as s
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
open(sys.argv[1], 'wb').write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption()))
";
    run(Command::new(python).arg("-c").arg(PROGRAM).arg(path), None).unwrap();
}

fn write_kubeconfig(path: &Path, url: &str, certificate: &Path, token: &str) {
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": certificate}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    std::fs::write(path, config.to_string()).unwrap();
}
