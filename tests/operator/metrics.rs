//! Metrics over TLS, for whoever may read them.

use reqwest::blocking::{Client, Response};

use crate::support::processes::free_port;
use crate::*;

const READER: &str = "metrics-reader";

fn client() -> Client {
    Client::builder().no_proxy().danger_accept_invalid_certs(true).build().unwrap()
}

/// An operator that guards its metrics, with the ports of health and of metrics. What it logs it logs at length.
pub(crate) fn guarded(tenant: &Tenant, more: &[(&str, &str)]) -> (Process, u16, u16) {
    let (health, metrics) = (free_port(), free_port());
    let address = format!("127.0.0.1:{metrics}");
    let environment = [&[("STEPBOUND_METRICS_ADDR", address.as_str()), ("RUST_LOG", "trace")], more].concat();
    let operator = tenant.operator_on(health, Path::new(env!("CARGO_BIN_EXE_stepbound")), &environment);
    wait_until(Duration::from_secs(60), "ready", || {
        let ready = client().get(format!("http://127.0.0.1:{health}/readyz")).send();
        ready.ok().filter(|answer| answer.status() == 200)
    });
    (operator, health, metrics)
}

pub(crate) fn read(port: u16, token: Option<&str>) -> Response {
    let request = client().get(format!("https://127.0.0.1:{port}/metrics"));
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.send().unwrap()
}

fn token_of(tenant: &Tenant, account: &str, more: &[&str]) -> String {
    tenant.kubectl(&[&["create", "token", account], more].concat()).trim().to_owned()
}

fn may_read(tenant: &Tenant, account: &str) {
    let (role, subject) =
        (format!("--clusterrole={}-stepbound-{READER}", tenant.system), format!("{}:{account}", tenant.name));
    let name = format!("{}-{account}-{READER}", tenant.name);
    tenant.kubectl(&["create", "clusterrolebinding", &name, &role, &format!("--serviceaccount={subject}")]);
}

#[test]
fn metrics_are_read_over_tls_by_whoever_may_and_by_nobody_else() {
    let tenant = test_bed().tenant("scraped");
    for account in ["prometheus", "stranger", "removed"] {
        tenant.kubectl(&["create", "serviceaccount", account]);
    }
    may_read(&tenant, "prometheus");
    may_read(&tenant, "removed");
    let (operator, health, port) = guarded(&tenant, &[]);
    let prometheus = token_of(&tenant, "prometheus", &[]);
    let stranger = token_of(&tenant, "stranger", &[]);
    let elsewhere = token_of(&tenant, "prometheus", &["--audience=sts.amazonaws.com"]);
    let removed = token_of(&tenant, "removed", &[]);
    tenant.kubectl(&["delete", "serviceaccount", "removed"]);
    let expired = tenant.bed.control_plane.expired_token(&tenant.name, "prometheus", &tenant.bed.control_plane.issuer);
    let forged = format!("{}AAAA", &prometheus[..prometheus.len() - 4]);

    for (what, token) in [
        ("no token", None),
        ("an empty token", Some("")),
        ("nobody's token", Some("guessed")),
        ("a token with another signature", Some(forged.as_str())),
        ("a token for AWS", Some(&elsewhere)),
        ("an expired token", Some(&expired)),
        ("the token of an account that is gone", Some(&removed)),
    ] {
        let answer = read(port, token);
        assert_eq!(answer.status(), 401, "{what}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{what}");
        assert!(!answer.text().unwrap().contains("stepbound_"), "{what}");
    }
    let answer = read(port, Some(&stranger));
    assert_eq!(answer.status(), 403);
    let said = answer.text().unwrap();
    assert!(said.contains("--serviceaccount=scraped:stranger") && !said.contains("stepbound_"), "{said}");
    let answer = read(port, Some(&prometheus));
    assert_eq!(answer.status(), 200);
    assert!(answer.text().unwrap().contains("stepbound_leading"));
    // The operator's own token reads nothing that it does not need.
    let own = tenant.bed.control_plane.kubectl(&["create", "token", "stepbound", "-n", &tenant.system]);
    assert_eq!(read(port, Some(own.trim())).status(), 403);

    assert!(client().get(format!("http://127.0.0.1:{port}/metrics")).send().is_err(), "plain http is refused");
    let open = client().get(format!("http://127.0.0.1:{health}/metrics")).send().unwrap();
    assert_eq!(open.status(), 404, "health is open and tells no metrics");
    assert!(open.text().unwrap().contains("https://"));

    let log = operator.log_text();
    for token in [&prometheus, &stranger, &elsewhere, &removed, &expired, &forged] {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "a token is in the log");
    }
}

#[test]
fn a_right_that_is_given_is_seen_and_the_api_server_gone_lets_nobody_in() {
    let tenant = test_bed().tenant("granted");
    tenant.kubectl(&["create", "serviceaccount", "prometheus"]);
    let (_operator, _, port) = guarded(&tenant, &[]);
    let token = token_of(&tenant, "prometheus", &[]);
    assert_eq!(read(port, Some(&token)).status(), 403);
    may_read(&tenant, "prometheus");
    wait_until(Duration::from_secs(90), "the right is seen", || {
        (read(port, Some(&token)).status() == 200).then_some(())
    });
    // Without the right to ask, the operator lets nobody in and says what it lacks.
    let auth = format!("{}-stepbound-metrics-auth", tenant.system);
    tenant.kubectl(&["delete", "clusterrolebinding", &auth]);
    let other = token_of(&tenant, "prometheus", &[]);
    let answer = wait_until(Duration::from_secs(60), "the right to ask is gone", || {
        let token = token_of(&tenant, "prometheus", &[]);
        Some(read(port, Some(&token))).filter(|answer| answer.status() == 503)
    });
    let said = answer.text().unwrap();
    assert!(said.contains("subjectaccessreviews") && !said.contains(&other), "{said}");
}

#[test]
fn the_certificate_of_the_folder_is_served_and_read_again_when_it_changes() {
    let tenant = test_bed().tenant("certified");
    tenant.kubectl(&["create", "serviceaccount", "prometheus"]);
    may_read(&tenant, "prometheus");
    let folder = tempfile::tempdir().unwrap();
    let write = || {
        let made = rcgen::generate_simple_self_signed(["stepbound.test".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
        made.cert.pem()
    };
    let first = write();
    let (_operator, _, port) = guarded(&tenant, &[("STEPBOUND_METRICS_CERT_DIR", folder.path().to_str().unwrap())]);
    let token = token_of(&tenant, "prometheus", &[]);
    let trusting = |certificate: &str| {
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = Client::builder().no_proxy().add_root_certificate(root);
        let client = client.resolve("stepbound.test", ([127, 0, 0, 1], port).into()).build().unwrap();
        client.get(format!("https://stepbound.test:{port}/metrics")).bearer_auth(&token).send()
    };
    assert_eq!(trusting(&first).unwrap().status(), 200);
    let second = write();
    assert_eq!(trusting(&second).unwrap().status(), 200, "the new certificate is served at once");
    assert!(trusting(&first).is_err(), "and the old one no more");
}
