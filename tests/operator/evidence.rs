//! `kubectl sfn evidence` on a real API server with a running operator: what is weak shows up with its control, what may not be
//! read is said, and the page needs nothing and runs nothing.

use std::path::{Path, PathBuf};

use crate::kubectl_verbs::{Ended, sfn};
use crate::support::browser::Browser;
use crate::*;

const HOSTILE: &str = r#"</td><script>globalThis.hacked=1</script><img src=x onerror=globalThis.hacked=1>'"&lt;"#;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json_of(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

fn as_admin(tenant: &Tenant, more: &[&str]) -> Ended {
    sfn(tenant, "admin", &[&["evidence", "--as-group", "system:masters"], more].concat())
}

/// A provider with a stored secret, a role with a wildcard for a hostile name, and a role policy that is too wide.
fn weakened(tenant: &Tenant) {
    tenant.kubectl(&["create", "secret", "generic", "client", "--from-literal=secret=canary-of-the-client"]);
    let client =
        json!({"type": "ClientSecret", "clientID": "old", "secretKeyRef": {"name": "client", "key": "secret"}});
    tenant.apply(
        &json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "old"},
        "spec": {"issuer": "https://issuer.example", "clientAuthentication": client}}),
    );
    let wide = json!([{"apiGroups": ["stepbound.dev"], "resources": ["*"], "verbs": ["*"]}]);
    tenant.bed.control_plane.grant("mallory", &tenant.name, &wide);
    tenant.apply(
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "hostile"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mallory"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": HOSTILE}]}),
    );
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": tenant.name}});
    let rule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Guardrail", "metadata": {"name": format!("evidence-{}", tenant.name)},
        "spec": {"namespaceSelector": selector, "allowedRegions": ["eu-west-1", "us-east-1"]}});
    tenant.bed.control_plane.apply(&rule.to_string());
}

/// What AWS has: a trust policy for every account of the namespace, and permissions that no state needs.
fn of_aws(tenant: &Tenant, folder: &Path) -> (String, String) {
    std::fs::create_dir_all(folder).unwrap();
    let issuer = tenant.bed.control_plane.issuer.trim_start_matches("https://");
    let trust = json!({"Role": {"Arn": tenant.role_arn(), "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")},
        "Condition": {"StringLike": {format!("{issuer}:sub"): "system:serviceaccount:*"}, "StringEquals": {format!("{issuer}:aud"): "sts.amazonaws.com"}}}]}}});
    let wide =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]});
    let (trust_file, wide_file) = (folder.join("role.json"), folder.join("exec.json"));
    std::fs::write(&trust_file, trust.to_string()).unwrap();
    std::fs::write(&wide_file, wide.to_string()).unwrap();
    (text(&trust_file).to_owned(), format!("{}={}", tenant.execution_role_arn(), text(&wide_file)))
}

/// The manifest has every file but itself, with its digest.
fn is_whole(folder: &Path) {
    let manifest = json_of(folder, "manifest.json");
    let named: Vec<String> =
        manifest["files"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    let mut there: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name != "manifest.json");
    there.sort();
    assert_eq!(named, there);
    for one in manifest["files"].as_array().unwrap() {
        let bytes = std::fs::read(folder.join(one["name"].as_str().unwrap())).unwrap();
        let digest = stepbound::digest::sha256_hex(&bytes);
        assert_eq!((&one["sha256"], &one["bytes"]), (&json!(digest), &json!(bytes.len())), "{one}");
    }
}

fn is_found(findings: &Value, code: &str, severity: &str, control: &str) {
    let own: Vec<&Value> = findings["findings"].as_array().unwrap().iter().filter(|one| one["code"] == code).collect();
    let is_so = |one: &&&Value| {
        one["severity"] == severity
            && one["controls"].as_array().unwrap().contains(&json!(control))
            && !one["readFrom"].as_array().unwrap().is_empty()
    };
    assert!(own.iter().any(|one| is_so(&one)), "{code} {severity} {control}: {findings:#}");
}

/// Nothing but the file itself is needed to see it, and nothing in it runs.
fn needs_and_runs_nothing(tenant: &Tenant, folder: &Path) {
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    for part in ["<script", "<link", "<img", "<iframe", " src=\"", "url(", "@import"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.split("href=\"").skip(1).all(|rest| rest.starts_with('#')), "links lead to the page itself");
    let place = tenant.bed.folder.join("evidence-browser");
    std::fs::create_dir_all(&place).unwrap();
    let mut browser = Browser::start(&place);
    let mut tab = browser.tab();
    for (width, dark) in [(1280, false), (1280, true), (400, false)] {
        tab.look(width, dark);
        tab.open(&format!("file://{}", text(&folder.join("index.html"))));
        let shown = tab.text();
        for part in ["SubjectWildcard", "WildcardRight", "LongLivedSecret", HOSTILE, "SOC 2 CC6.1", "Where it was read"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(tab.eval("globalThis.hacked === undefined"), true);
        let wide = tab.eval("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= u64::from(width), "{wide} on {width}");
        tab.picture(
            &folder.with_file_name(format!("evidence-{width}-{}.png", if dark { "dark" } else { "light" })),
            4000,
        );
    }
    assert_eq!(tab.problems(), Vec::<String>::new());
}

#[test]
fn what_is_weak_in_a_cluster_is_in_its_evidence_with_its_control() {
    let tenant = test_bed().tenant("evidence");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedExecutionRoleARNs"] = json!([tenant.execution_role_arn()]);
    tenant.apply(&binding);
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"card": "PAYLOAD-4711"}})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.apply(&workflow_run("gone", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/gone", "Complete", "True", "Succeeded");
    tenant.kubectl(&["delete", "sfnrun/gone"]);
    weakened(&tenant);
    let beside = folder("evidence-files");
    let (trust, exec) = of_aws(&tenant, &beside);
    let log = beside.join("operator.log");
    std::fs::write(&log, operator.log_text()).unwrap();

    let out = folder("evidence");
    let asked = ["-o", text(&out), "--trust-policy", &trust, "--role-policy", &exec, "--audit-log", text(&log)];
    let ended = as_admin(&tenant, &asked);
    assert_eq!(ended.code, 1, "a finding is an error: {}{}", ended.out, ended.said);
    is_whole(&out);
    let findings = json_of(&out, "findings.json");
    is_found(&findings, "SubjectWildcard", "Error", "SOC 2 CC6.1");
    is_found(&findings, "LongLivedSecret", "Warning", "ISO 27001 A.5.17");
    is_found(&findings, "WildcardRight", "Error", "SOC 2 CC6.3");
    is_found(&findings, "RoleWiderThanNeeded", "Warning", "ISO 27001 A.8.2");
    // Stamps are believed once the policies are a minute old.
    if tenant.get("sfnrun/order").unwrap()["status"]["requestedBy"].is_null() {
        is_found(&findings, "RequesterUnknown", "Warning", "SOC 2 CC8.1");
    }
    let is_own = |one: &&Value| one["subject"].as_str().is_some_and(|subject| subject.contains(&tenant.system));
    let mut own = findings["findings"].as_array().unwrap().iter().filter(is_own);
    assert!(own.all(|one| one["code"] != "PolicyWeakened"), "{findings:#}");

    let runs = json_of(&out, "runs.json");
    let run = |name: &str| {
        runs["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["subject"] == format!("WorkflowRun evidence/{name}"))
            .unwrap()
            .clone()
    };
    assert_eq!(run("order")["facts"]["knownBy"], "object and audit log", "{runs:#}");
    assert_eq!(run("gone")["facts"]["knownBy"], "audit log alone", "{runs:#}");
    let sources = run("order")["readFrom"].to_string();
    assert!(
        sources.contains(&tenant.get("sfnrun/order").unwrap()["metadata"]["uid"].to_string())
            && sources.contains("\"line\":"),
        "{sources}"
    );
    let bindings = json_of(&out, "bindings.json");
    assert_eq!(bindings["items"][0]["facts"]["trust"]["exactness"], "weak", "{bindings:#}");
    let secrets = json_of(&out, "secrets.json");
    assert!(secrets["items"][0]["facts"]["lastWritten"].is_string(), "{secrets:#}");
    assert!(json_of(&out, "sessions.json")["items"].as_array().is_some_and(|all| !all.is_empty()));
    assert!(json_of(&out, "admission.json")["items"].as_array().is_some_and(|all| all.len() > 10));
    for entry in std::fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for secret in ["PAYLOAD-4711", "canary-of-the-client", "eyJ"] {
            assert!(!text.contains(secret), "{} has {secret}", path.display());
        }
    }
    needs_and_runs_nothing(&tenant, &out);

    // What is there is not lost.
    let again = as_admin(&tenant, &asked);
    assert!(again.code == 2 && again.said.contains("--force"), "{}", again.said);
    assert_eq!(as_admin(&tenant, &[&asked[..], &["--force"]].concat()).code, 1);
    is_whole(&out);
    who_may_read_less_is_told_what_is_missing(&tenant);
}

fn who_may_read_less_is_told_what_is_missing(tenant: &Tenant) {
    let out = folder("evidence-less");
    let ended = sfn(tenant, "auditor", &["evidence", "-o", text(&out)]);
    assert_eq!(ended.code, 3, "{}{}", ended.out, ended.said);
    assert!(ended.said.contains("cannot list resource \"trustbindings\""), "{}", ended.said);
    assert!(!out.exists(), "nothing is written where nothing was read");

    let see = json!([{"apiGroups": ["stepbound.dev"], "resources": ["*"], "verbs": ["get", "list"]}]);
    tenant.bed.control_plane.grant("auditor", &tenant.name, &see);
    let ended = wait_until(Duration::from_secs(60), "the role holds", || {
        Some(sfn(tenant, "auditor", &["evidence", "-o", text(&out)])).filter(|ended| ended.code != 3)
    });
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.said);
    assert!(
        ended.out.contains("not read (access): Roles: roles.rbac.authorization.k8s.io is forbidden"),
        "{}",
        ended.out
    );
    let access = json_of(&out, "access.json");
    assert_eq!((&access["items"], &access["says"]), (&json!([]), &json!([])), "nothing is said of it: {access:#}");
    let unread = json_of(&out, "not-read.json").to_string();
    for part in [
        "RoleBindings: ",
        "ClusterRoles: ",
        "Guardrails: ",
        "ValidatingAdmissionPolicies: ",
        "Secret evidence/client",
        "--audit-log",
        "--trust-policy",
        "--role-policy",
    ] {
        assert!(unread.contains(part), "{part}: {unread}");
    }
    assert_eq!(json_of(&out, "runs.json")["items"][0]["facts"]["knownBy"], "object alone");
    assert_eq!(json_of(&out, "manifest.json")["readAs"], "auditor");
}
