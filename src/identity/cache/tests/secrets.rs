//! What must never be seen, and what always must: secrets and the audit log.

#![allow(missing_docs)]

use super::*;

/// Everything that was logged, at TRACE.
#[derive(Clone, Default)]
struct Log(Arc<StdMutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Logs what the filter lets through, on this thread, until the guard is dropped.
fn listen(filter: fn(&tracing::Metadata<'_>) -> bool) -> (Log, tracing::subscriber::DefaultGuard) {
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    // Without a subscriber on every thread, a test elsewhere that comes by an event first turns it off for all.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    let filter = tracing_subscriber::filter::filter_fn(filter);
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.with_filter(filter)));
    (log, guard)
}

/// Runs the whole flow, from token to a call of Step Functions, with everything logged that the filter lets through.
async fn logged(filter: fn(&tracing::Metadata<'_>) -> bool) -> String {
    let (log, _guard) = listen(filter);
    let world = world().await;
    let cache = world.cache();
    world.sts_errors.lock().push(sts_error("AccessDenied", &format!("no {}", token("shop", "orders"))));
    let error = refusal(&cache, &key()).await;
    tracing::error!(%error, debug = ?error, "refused");
    let session = world.cache().session(&key(), &Cause::default()).await.ok().unwrap();
    let states = crate::aws::SdkStepFunctions::new(http_client(), &world.server.endpoints(), Arc::default(), 1.0);
    let arn = "arn:aws:states:eu-west-1:111122223333:execution:m:x";
    let call = crate::aws::Executions::describe_execution(&states, &caller(&session), arn).await;
    tracing::error!(debug = ?call, "called");
    log.text()
}

/// Requirement 12 of docs/security.md: secrets without Debug, also at TRACE.
/// Requirement 12: secrets are in no line of the log, at TRACE neither.
#[tokio::test]
async fn requirement_12_no_secret_is_logged_even_at_trace() {
    assert!(logged(|_| true).await.contains("canary"), "without the filter the crates below do print secrets");
    let log = logged(crate::telemetry::may_be_logged).await;
    assert!(log.contains("token-id"), "the test sees the flow");
    let leak = log.lines().find(|line| line.contains("canary"));
    assert!(leak.is_none(), "{}", leak.unwrap());
}

/// Requirement of the audit log: one line for each assumption and each call, which joins both audit trails.
#[tokio::test]
async fn every_assumption_and_every_call_is_one_audit_line() {
    let log = logged(|metadata| metadata.target() == crate::audit::TARGET).await;
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["api"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [
            ("sts:AssumeRoleWithWebIdentity", "AccessDenied"),
            ("sts:AssumeRoleWithWebIdentity", "Success"),
            ("states:DescribeExecution", "AccessDeniedException"),
        ]
    );
    for line in &lines {
        assert_eq!(line["binding"], "orders");
        assert_eq!(line["namespace"], "shop");
        assert_eq!(line["service_account_uid"], "account");
        assert_eq!(line["token_id"], "token-id");
        assert_eq!(line["role_arn"], key().role_arn);
        assert_eq!(line["session_name"], crate::identity::session_name("shop", "orders"));
        assert!(line["request_id"].as_str().unwrap().starts_with("00000000-0000-"), "{line}");
    }
    assert_eq!(lines[2]["target_arn"], "arn:aws:states:eu-west-1:111122223333:execution:m:x");
}

/// Runs only as a child of the next test, in an environment full of other people's credentials.
#[tokio::test]
#[ignore = "a part of requirement_08_ambient_credentials_are_never_used"]
async fn the_flow_in_a_poisoned_environment() {
    assert_eq!(std::env::var("AWS_ACCESS_KEY_ID").as_deref(), Ok("AKIAPOISON"));
    let world = world().await;
    let session = world.cache().session(&key(), &Cause::default()).await.ok().unwrap();
    let states = crate::aws::SdkStepFunctions::new(http_client(), &world.server.endpoints(), Arc::default(), 1.0);
    let _ = crate::aws::Executions::describe_execution(&states, &caller(&session), "arn").await;
    let seen = world.server.seen();
    assert_eq!(seen.len(), 3, "token, role, call");
    assert_eq!(seen[1].header("authorization"), "");
    assert!(seen[2].header("authorization").contains("Credential=ASIAEXAMPLE/"));
    assert!(seen[2].header("authorization").contains("/eu-west-1/states/"));
}

/// Requirement 8 of docs/security.md: no ambient credentials.
/// Requirement 8: no environment, no profile, no instance metadata, no endpoint but the flag's.
#[tokio::test(flavor = "multi_thread")]
async fn requirement_08_ambient_credentials_are_never_used() {
    let trap = StandIn::start(|_| (200, String::from("{}"))).await;
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("credentials");
    std::fs::write(
        &profile,
        "[default]\naws_access_key_id = AKIAPOISON\naws_secret_access_key = x\nregion = us-east-1\n",
    )
    .unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "identity::cache::tests::secrets::the_flow_in_a_poisoned_environment"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        child.env(name, "AKIAPOISON");
    }
    for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
        child.env(name, &profile);
    }
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_SFN",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        child.env(name, trap.url.as_str());
    }
    child.env("AWS_REGION", "us-east-1").env("AWS_ROLE_ARN", "arn:aws:iam::999999999999:role/poison");
    child.env("NO_PROXY", "").env("no_proxy", "");
    let output = child.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(trap.seen().len(), 0, "{:?}", trap.seen().iter().map(|seen| seen.path.clone()).collect::<Vec<_>>());
}

/// A reconcile that runs out of time drops its call, which AWS may have carried out all the same.
#[tokio::test]
async fn a_call_that_nobody_waits_for_is_in_the_audit_log_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent: url::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (log, _guard) = listen(|metadata| metadata.target() == crate::audit::TARGET);
    let states =
        crate::aws::SdkStepFunctions::new(http_client(), &step_functions_at(silent.clone()), Arc::default(), 1.0);
    let session = old_session(60);
    let caller = caller(&session);
    let call = crate::aws::Executions::describe_execution(&states, &caller, "arn");
    tokio::time::timeout(Duration::from_millis(50), call).await.unwrap_err();
    let exchanger = Exchanger::new(http_client(), Some(silent));
    let token = super::super::super::token::tests::token(&serde_json::json!({
        "iss": "https://issuer.example", "sub": "system:serviceaccount:shop:orders", "aud": "sts.amazonaws.com",
    }));
    let key = key();
    let cause = Cause::default();
    let exchange = exchanger.exchange(&key, &cause, token.ok().unwrap(), Timestamp::now());
    assert!(tokio::time::timeout(Duration::from_millis(50), exchange).await.is_err());
    let text = log.text();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["api"].clone(), line["outcome"].clone())).collect();
    let expected = ["states:DescribeExecution", "sts:AssumeRoleWithWebIdentity"]
        .map(|api| (serde_json::json!(api), serde_json::json!("Abandoned")));
    assert_eq!(told, expected);
}
