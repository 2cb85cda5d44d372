//! Jobs of CI start runs with a token of their own: the very files of `examples/ci`, on an API server that trusts issuers shaped
//! as GitHub's and GitLab's.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use jiff::Timestamp;
use stepbound::plan::attribution::session_name;

use crate::attribution::{records, until_stamps_are_believed};
use crate::kubectl_verbs::Ended;
use crate::support::control_plane::{assets, binaries};
use crate::support::issuers::Issuers;
use crate::support::{TestBed, ministack};
use crate::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ci");
pub(crate) const AUDIENCE: &str = "https://production.clusters.acme.example";
const GITHUB_USER: &str = "github:repo:acme@123456/shop@789012:ref:refs/heads/main";
const GITLAB_USER: &str = "gitlab:project:acme/shop@4711:branch:main";
/// The first of which the API server reads the configuration of the examples.
const STRUCTURED: u32 = 34;

/// A cluster that trusts two issuers, with what the examples apply to it.
pub(crate) struct Ci {
    pub(crate) issuers: Issuers,
    pub(crate) tenant: Tenant,
    operator: Process,
}

/// One for all tests of jobs; `None`, with words, where the API server is too old for it.
pub(crate) fn ci() -> Option<&'static Ci> {
    static SHARED: OnceLock<Option<Ci>> = OnceLock::new();
    SHARED.get_or_init(Ci::start).as_ref()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{EXAMPLES}/{file}")).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_yaml::from_str(&read(file)).unwrap()
}

/// The 34 of `Kubernetes v1.34.4`.
fn minor() -> u32 {
    let version = Command::new(assets(&binaries()).join("kube-apiserver")).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    version.split('.').nth(1).unwrap().parse().unwrap()
}

impl Ci {
    fn start() -> Option<Self> {
        if minor() < STRUCTURED {
            println!("Passed over: this API server has no apiserver.config.k8s.io/v1.");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("stepbound-{}", std::process::id())).join("issuers");
        let issuers = Issuers::start(folder, &ministack::python(&binaries()));
        let configuration = issuers.folder.join("authentication.json");
        std::fs::write(&configuration, issuers.found_by(&read("authentication.yaml")).to_string()).unwrap();
        let bed = TestBed::separate_with("ci", &[format!("--authentication-config={}", configuration.display())]);
        let tenant = bed.tenant("shop");
        let operator = start(&tenant);
        tenant.apply(&tenant.binding("orders"));
        for name in ["nightly", "payments"] {
            tenant.apply(&tenant.workflow(name, &waiting(0)));
            tenant.wait_for(&operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
        }
        for file in ["rbac.yaml", "admission.yaml"] {
            bed.control_plane.kubectl(&["apply", "-f", &format!("{EXAMPLES}/{file}")]);
        }
        let ci = Self { issuers, tenant, operator };
        let token = ci.github(&json!({}));
        wait_until(Duration::from_secs(60), "the API server knows the issuer", || ci.who_is(&token).ok());
        let payments = workflow_run("probe", "payments", &json!({})).to_string();
        let probe = ["-n", "shop", "create", "--dry-run=server", "-f", "-", "--token", &token];
        wait_until(Duration::from_secs(60), "the API server holds to the policy", || {
            ci.tenant.bed.control_plane.try_kubectl(&probe, Some(&payments)).err()?.contains("'ci-jobs'").then_some(())
        });
        Some(ci)
    }

    /// As whom the API server takes a token.
    pub(crate) fn who_is(&self, token: &str) -> Result<Value, String> {
        let who = ["auth", "whoami", "-o", "json", "--token", token];
        let told = self.tenant.bed.control_plane.try_kubectl(&who, None)?;
        Ok(serde_json::from_str::<Value>(&told).unwrap()["status"]["userInfo"].clone())
    }

    pub(crate) fn github(&self, change: &Value) -> String {
        self.issuers.sign("github", "github", &github(change))
    }

    pub(crate) fn gitlab(&self, change: &Value) -> String {
        self.issuers.sign("gitlab", "gitlab", &gitlab(change))
    }
}

/// What GitHub says of a job of the branch main of acme/shop, with a change: null takes a claim away.
pub(crate) fn github(change: &Value) -> Value {
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": AUDIENCE, "jti": format!("github-{now}"),
        "sub": "repo:acme@123456/shop@789012:ref:refs/heads/main", "iat": now, "nbf": now - 300, "exp": now + 300,
        "repository": "acme/shop", "repository_id": "789012", "repository_owner": "acme", "repository_owner_id": "123456",
        "repository_visibility": "private", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "sha": "1af3b93b6815bc44a9784bd300feb67ff0d1eeb3", "event_name": "schedule", "actor": "ada", "actor_id": "17",
        "run_id": "9001", "run_number": "12", "run_attempt": "1", "runner_environment": "github-hosted",
        "workflow": "nightly", "workflow_ref": "acme/shop/.github/workflows/nightly.yaml@refs/heads/main",
        "job_workflow_ref": "acme/shop/.github/workflows/nightly.yaml@refs/heads/main",
    });
    changed(claims, change)
}

/// What GitLab says of a job of the protected branch main of acme/shop.
pub(crate) fn gitlab(change: &Value) -> Value {
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://gitlab.com", "aud": AUDIENCE, "jti": format!("gitlab-{now}"),
        "sub": "project_path:acme/shop:ref_type:branch:ref:main", "iat": now, "nbf": now - 5, "exp": now + 3600,
        "namespace_id": "9970", "namespace_path": "acme", "project_id": "4711", "project_path": "acme/shop",
        "user_id": "17", "user_login": "ada", "user_email": "ada@acme.example", "pipeline_id": "5001",
        "pipeline_source": "schedule", "job_id": "6001", "ref": "main", "ref_type": "branch", "ref_protected": "true",
        "ref_path": "refs/heads/main", "runner_id": 1, "runner_environment": "gitlab-hosted",
        "ci_config_ref_uri": "gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main", "project_visibility": "private",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    });
    changed(claims, change)
}

fn changed(mut claims: Value, change: &Value) -> Value {
    let fields = claims.as_object_mut().unwrap();
    for (claim, value) in change.as_object().unwrap() {
        match value {
            Value::Null => fields.remove(claim),
            value => fields.insert(claim.clone(), value.clone()),
        };
    }
    claims
}

/// The machine that a job is given: a folder, an environment, and the programs of the example.
pub(crate) struct Job {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Job {
    pub(crate) fn new(ci: &Ci, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control_plane = &ci.tenant.bed.control_plane;
        for name in ["bin", "ci", "home", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        symlink(&control_plane.kubectl, folder.path().join("bin/kubectl")).unwrap();
        symlink(env!("CARGO_BIN_EXE_kubectl-sfn"), folder.path().join("bin/kubectl-sfn")).unwrap();
        let authority = control_plane.folder.join("certs/apiserver.crt");
        std::fs::copy(authority, folder.path().join("ci/cluster-ca.crt")).unwrap();
        let own = |name: &str| folder.path().join(name).display().to_string();
        let mut environment = vec![
            ("PATH".to_owned(), format!("{}:/usr/bin:/bin", own("bin"))),
            ("HOME".to_owned(), own("home")),
            ("TMPDIR".to_owned(), own("tmp")),
            ("SERVER".to_owned(), control_plane.url.clone()),
        ];
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { folder, environment }
    }

    /// Runs the lines of a job as runners do, and keeps what the environment is at their end.
    fn run(&self, script: &str) -> Ended {
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &format!("{script}\nenv > environment")]);
        self.ended(&mut shell)
    }

    /// The plugin with a token in a file.
    pub(crate) fn sfn(&self, token: &str, arguments: &[&str]) -> Ended {
        let file = self.folder.path().join("token");
        std::fs::write(&file, token).unwrap();
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_kubectl-sfn"));
        let server = self.environment.iter().find(|(name, _)| name == "SERVER").unwrap().1.clone();
        plugin.args(arguments).args(["--server", &server, "--certificate-authority", "ci/cluster-ca.crt"]);
        self.ended(plugin.arg("--token-file").arg(&file))
    }

    fn ended(&self, command: &mut Command) -> Ended {
        command.env_clear().envs(self.environment.iter().cloned()).current_dir(self.folder.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), said: text(output.stderr) }
    }

    /// All that is left on the machine, without the programs.
    fn left(&self) -> Vec<(String, Vec<u8>)> {
        let mut open = vec![self.folder.path().to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    let name = entry.path().strip_prefix(self.folder.path()).unwrap().display().to_string();
                    found.push((name, std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        found
    }
}

/// The run that a job has started, from what it printed.
fn run_of(ci: &Ci, ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.said);
    let created = ended.out.lines().find_map(|line| line.strip_suffix(" created")).expect("a run was created");
    assert!(ended.out.contains("succeeded after"), "{}", ended.out);
    ci.tenant.get(created).unwrap()
}

/// Who asked, in each of the three logs.
fn is_traced(ci: &Ci, run: &Value, user: &str, repository: &str) {
    assert_eq!(run["status"]["phase"], "Succeeded", "{run:#}");
    let name = run["metadata"]["name"].as_str().unwrap();
    let log = ci.tenant.bed.control_plane.audit_log();
    let created = log.iter().find(|event| {
        event["verb"] == "create"
            && event["objectRef"]["resource"] == "workflowruns"
            && event["responseStatus"]["code"] == 201
            && event["user"]["username"] == user
    });
    let created = created.unwrap_or_else(|| panic!("no event of {user} in {} events", log.len()));
    assert!(created["user"]["extra"]["ci.acme.example/run"][0].is_string(), "{created}");
    if !ci.tenant.bed.stamps() {
        println!("The session is not looked at: this API server has no MutatingAdmissionPolicy.");
        return;
    }
    assert_eq!(run["status"]["requestedBy"], user);
    let session = run["status"]["sessionName"].as_str().unwrap();
    assert_eq!(session, session_name(user));
    assert!(session.contains(repository), "{session}");
    let execution = run["status"]["attempts"][0]["executionName"].as_str().unwrap();
    let calls = ci.tenant.bed.front.calls_about(execution);
    let start = calls.iter().find(|call| call.operation == "StartExecution").expect("it was started");
    assert_eq!(start.session_name, session, "as CloudTrail has it");
    let ours = records(&ci.operator);
    let ours = ours.iter().find(|one| one["api"] == "states:StartExecution" && one["name"] == name).unwrap();
    assert_eq!(ours["requester"], user, "the whole name is in the audit record");
    println!("{name}: {user} in session {session}");
}

/// What would be a key, or a token, in whatever holds it.
fn secrets_in(bytes: &[u8], tokens: &[&str]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let signatures = tokens.iter().map(|token| token.rsplit('.').next().unwrap());
    let words = [
        "PRIVATE KEY",
        "client-key-data",
        "client-certificate-data",
        "eyJhbGciOi",
        "eyJ0eXAiOi",
        "aws_secret_access_key",
    ];
    let mut found: Vec<String> =
        words.into_iter().chain(signatures).filter(|word| text.contains(word)).map(str::to_owned).collect();
    // Ids of AWS's keys: long-lived ones and those of sessions.
    for begin in ["AKIA", "ASIA"] {
        let is_id = |rest: &str| {
            let id: Vec<char> = rest.chars().take(16).collect();
            id.len() == 16 && id.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        };
        found.extend(text.match_indices(begin).filter(|(at, _)| is_id(&text[at + 4..])).map(|_| begin.to_owned()));
    }
    found
}

/// Every object of every kind, what etcd has written and the logs of API server and operator.
fn nothing_secret_is_kept(ci: &Ci, tokens: &[&str]) {
    let control_plane = &ci.tenant.bed.control_plane;
    let kinds = control_plane.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
    assert!(kinds.lines().count() > 40, "{kinds}");
    for kind in kinds.lines() {
        let objects = control_plane.kubectl(&["get", kind, "-A", "-o", "json", "--show-managed-fields"]);
        assert_eq!(secrets_in(objects.as_bytes(), tokens), Vec::<String>::new(), "{kind}");
    }
    let kinds =
        control_plane.kubectl(&["get", "secrets", "-A", "-o", "jsonpath={range .items[*]}{.type}{\"\\n\"}{end}"]);
    let kinds: BTreeSet<&str> = kinds.lines().collect();
    assert_eq!(kinds, BTreeSet::from(["helm.sh/release.v1"]), "Helm's own records of the charts, and no other Secret");
    let releases = control_plane.kubectl(&[
        "get",
        "secrets",
        "-A",
        "-o",
        "jsonpath={range .items[*]}{.data.release}{\"\\n\"}{end}",
    ]);
    for release in releases.lines() {
        let open = crate::support::control_plane::run(
            Command::new("sh").args(["-c", "base64 -d | base64 -d | gunzip"]),
            Some(release),
        );
        assert_eq!(secrets_in(open.unwrap().as_bytes(), tokens), Vec::<String>::new());
    }
    let logs = ["audit.log", "kube-apiserver.log"].map(|name| std::fs::read(control_plane.folder.join(name)).unwrap());
    let own = ci.operator.log_text();
    let written = control_plane.etcd_bytes();
    for bytes in [logs[0].as_slice(), logs[1].as_slice(), own.as_bytes(), written.as_slice()] {
        let text = String::from_utf8_lossy(bytes);
        for token in tokens {
            assert!(!text.contains(token.rsplit('.').next().unwrap()), "a token was written down");
        }
    }
}

#[test]
fn a_ci_jobs_own_token_starts_a_run_to_its_end_and_the_session_names_its_repository() {
    let Some(ci) = ci() else { return };
    if ci.tenant.bed.stamps() {
        until_stamps_are_believed(&ci.tenant);
    }
    let token = ci.github(&json!({}));
    ci.issuers.give(AUDIENCE, &token);
    let known = ci.who_is(&token).unwrap();
    assert_eq!(known["username"], GITHUB_USER);
    assert_eq!(known["groups"], json!(["github:repository:789012", "github:owner:123456", "system:authenticated"]));
    let workflow = yaml("github-actions.yaml");
    let job = &workflow["jobs"]["nightly"];
    let step = job["steps"].as_array().unwrap().iter().find(|step| step["name"] == "Run the workflow").unwrap();
    let (url, certificate) = (ci.issuers.request_url(), ci.issuers.certificate());
    let machine = Job::new(
        ci,
        &[
            ("AUDIENCE", job["env"]["AUDIENCE"].as_str().unwrap()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-this-job"),
            ("CURL_CA_BUNDLE", certificate.to_str().unwrap()),
        ],
    );
    let ended = machine.run(step["run"].as_str().unwrap());
    is_traced(ci, &run_of(ci, &ended), GITHUB_USER, "acme@123456-shop@789012");
    for (name, bytes) in machine.left() {
        assert_eq!(secrets_in(&bytes, &[&token]), Vec::<String>::new(), "{name}");
        assert!(["ci/cluster-ca.crt", "environment"].contains(&name.as_str()), "{name} is left");
    }
    let told = format!("{}{}", ended.out, ended.said);
    assert_eq!(secrets_in(told.as_bytes(), &[&token]), Vec::<String>::new());
    nothing_secret_is_kept(ci, &[&token]);
}

#[test]
fn a_job_of_gitlab_starts_a_run_to_its_end_and_the_session_names_its_project() {
    let Some(ci) = ci() else { return };
    if ci.tenant.bed.stamps() {
        until_stamps_are_believed(&ci.tenant);
    }
    let job = &yaml("gitlab-ci.yaml")["nightly"];
    let token = ci.gitlab(&json!({"aud": job["id_tokens"]["CLUSTER_TOKEN"]["aud"]}));
    assert_eq!(ci.who_is(&token).unwrap()["username"], GITLAB_USER);
    let machine = Job::new(ci, &[("CLUSTER_TOKEN", token.as_str())]);
    let lines: Vec<&str> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let ended = machine.run(&lines.join("\n"));
    is_traced(ci, &run_of(ci, &ended), GITLAB_USER, "acme-shop@4711");
    // GitLab itself gives the token by a variable, and nothing else has it.
    for (name, bytes) in machine.left().into_iter().filter(|(name, _)| name != "environment") {
        assert_eq!(secrets_in(&bytes, &[&token]), Vec::<String>::new(), "{name}");
        assert_eq!(name, "ci/cluster-ca.crt");
    }
    nothing_secret_is_kept(ci, &[&token]);
}
