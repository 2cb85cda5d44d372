//! `stepbound mcp` against the real API server, with the rights that its own chart gives it and the official SDK's client.

use std::path::PathBuf;
use std::process::Command;

use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use crate::attribution::until_stamps_are_believed;
use crate::ci_tokens::part;
use crate::mcp_agent::{Agent, Attempts, account, is_asked_by, runs, runtime, workflows};
use crate::support::processes::free_port;
use crate::*;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound-mcp");

/// A server with the account of the chart.
struct Served {
    url: String,
    port: u16,
    health: u16,
    process: Process,
}

impl Served {
    /// Serves the accounts, by namespace.
    fn start(tenant: &Tenant, agents: &Value, more: &[&str]) -> Self {
        let (port, health) = (free_port(), free_port());
        let url = format!("http://127.0.0.1:{port}/mcp");
        let values = json!({"url": url, "tls": {"insecureHTTP": true}, "agents": agents}).to_string();
        let install = ["install", "stepbound-mcp", CHART, "-n", &tenant.system, "-f", "-"];
        tenant.bed.helm(&install, Some(&values)).unwrap();
        let process = Self::process(tenant, &url, port, health, &[&["--insecure-http"], more].concat());
        let served = Self { url, port, health, process };
        wait_until(Duration::from_secs(30), "the server of agents", || {
            process::get(served.health, "/readyz").filter(|(status, _)| *status == 200)
        });
        served
    }

    fn process(tenant: &Tenant, url: &str, port: u16, health: u16, more: &[&str]) -> Process {
        let kubeconfig = tenant.bed.control_plane.kubeconfig_of(&tenant.system, "stepbound-mcp");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
        command.args(["mcp", "--url", url, "--log-format=text"]).env("KUBECONFIG", kubeconfig).env("RUST_LOG", "debug");
        command.args([format!("--listen-addr=127.0.0.1:{port}"), format!("--http-addr=127.0.0.1:{health}")]).args(more);
        Process::start(&tenant.bed.folder, &format!("{}-mcp-{port}", tenant.name), &mut command)
    }

    async fn agent(&self, token: &str) -> Agent {
        self.agent_in(token, "").await
    }

    async fn agent_in(&self, token: &str, rest: &str) -> Agent {
        let config = StreamableHttpClientTransportConfig::with_uri(format!("{}{rest}", self.url)).auth_header(token);
        Agent::over(StreamableHttpClientTransport::from_config(config)).await
    }

    /// A request as anybody could send it: its status, headers and body.
    fn send(&self, token: Option<&str>, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let mut request = http().post(&self.url).body(body.to_owned());
        for (name, value) in [("content-type", "application/json"), ("accept", "application/json, text/event-stream")] {
            if headers.iter().all(|(other, _)| *other != name) {
                request = request.header(name, value);
            }
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().unwrap();
        let headers = format!("{:?}", answer.headers());
        (answer.status().as_u16(), headers, answer.text().unwrap())
    }
}

fn http() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().timeout(Duration::from_secs(90)).build().unwrap()
}

fn token(tenant: &Tenant, account: &str, audience: &str) -> String {
    let flag = format!("--audience={audience}");
    tenant.kubectl(&["create", "token", account, "--duration=2h", &flag]).trim().to_owned()
}

fn call(tool: &str, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

#[test]
fn an_agent_in_the_cluster_acts_as_its_own_account_and_as_no_other() {
    let tenant = test_bed().tenant("mcp-http");
    let operator = start(&tenant);
    workflows(&tenant, &operator);
    account(&tenant, "agent");
    let served = Served::start(&tenant, &json!([{"namespace": tenant.name, "serviceAccounts": ["agent"]}]), &[]);
    until_stamps_are_believed(&tenant);
    let token = token(&tenant, "agent", &served.url);
    runtime().block_on(async {
        let agent = served.agent(&token).await;
        let tools = agent.tools().await;
        assert!(tools.iter().any(|tool| tool.name == "ship") && tools.iter().all(|tool| tool.name != "quiet"));
        let (bad, answer) = agent.call("ship", &json!({"id": "o-1", "stepbound_wait_seconds": 50})).await;
        assert!(!bad && answer["run"]["phase"] == "Succeeded", "{answer:#}");
        is_asked_by(&tenant, answer["run"]["name"].as_str().unwrap(), "agent");
        let (bad, failed) = agent.call("pay", &json!({"stepbound_wait_seconds": 50})).await;
        assert!(bad, "{failed:#}");
        let (_, why) = agent.call("explain_failure", &json!({"name": failed["run"]["name"]})).await;
        assert_eq!(why["data"]["error"], "CardRefused");
        let (_, begun) = agent.call("count_stock", &json!({"stepbound_wait_seconds": 8})).await;
        assert_eq!(begun["run"]["finished"], false);
        assert!(!agent.heard.progress.lock().unwrap().is_empty(), "progress comes in the stream of the answer");
        let (_, stopped) = agent.call("cancel_run", &json!({"name": begun["run"]["name"]})).await;
        assert!(stopped["next"].as_str().unwrap().contains("being stopped"), "{stopped:#}");
        let (_, ended) = agent.call("get_run", &json!({"name": begun["run"]["name"], "wait_seconds": 50})).await;
        assert_eq!(ended["run"]["phase"], "Aborted");
    });
    let metadata = http().get(served.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).send().unwrap();
    let metadata: Value = serde_json::from_str(&metadata.text().unwrap()).unwrap();
    assert_eq!(metadata["resource"], served.url);
    let log = served.process.log_text();
    assert!(!log.contains(token.rsplit('.').next().unwrap()), "a token was written into the log");
    tenant.delete_all(&operator);
}

#[test]
fn a_hostile_caller_gets_nowhere_over_http() {
    let victim = test_bed().tenant("mcp-web-victim");
    let victims = start(&victim);
    workflows(&victim, &victims);
    account(&victim, "agent");
    let tenant = test_bed().tenant("mcp-web-hostile");
    let operator = start(&tenant);
    workflows(&tenant, &operator);
    for name in ["agent", "unlisted"] {
        account(&tenant, name);
    }
    let served = Served::start(&tenant, &json!([{"namespace": tenant.name, "serviceAccounts": ["agent"]}]), &[]);
    let good = token(&tenant, "agent", &served.url);
    let mut attempts = Attempts::default();
    tokens(&tenant, &victim, &served, &mut attempts);
    requests(&served, &good, &mut attempts);
    runtime().block_on(others(&tenant, &served, &good, &mut attempts));
    assert_eq!((runs(&tenant), runs(&victim)), (0, 0), "nothing was started");
    a_thousand_calls(&served, &good, &mut attempts);
    assert!(served.process.is_running());
    own_rights(&tenant, &mut attempts);
    attempts.print(30);
    let log = served.process.log_text();
    assert!(!log.contains(good.rsplit('.').next().unwrap()), "a token was written into the log");
    tenant.delete_all(&operator);
    victim.delete_all(&victims);
}

/// Who is nobody here.
fn tokens(tenant: &Tenant, victim: &Tenant, served: &Served, attempts: &mut Attempts) {
    let control_plane = &tenant.bed.control_plane;
    let list = call("list_runs", &json!({}));
    let of_api_server = tenant.kubectl(&["create", "token", "agent"]).trim().to_owned();
    let both = tenant.kubectl(&[
        "create",
        "token",
        "agent",
        &format!("--audience={}", served.url),
        "--audience",
        &control_plane.issuer,
    ]);
    let good = token(tenant, "agent", &served.url);
    let parts: Vec<&str> = good.split('.').collect();
    let expired = control_plane.expired_token(&tenant.name, "agent", &served.url);
    let soon = jiff::Timestamp::now().as_second() + 3600;
    let claims = json!({"iss": control_plane.issuer, "aud": [served.url], "exp": soon,
        "sub": format!("system:serviceaccount:{}:agent", tenant.name)});
    let forged = format!("{}.{}.{}", parts[0], part(&claims), parts[2]);
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    let cut = good[..good.len() - 4].to_owned() + "AAAA";
    tenant.kubectl(&["create", "serviceaccount", "gone"]);
    let gone = token(tenant, "gone", &served.url);
    tenant.kubectl(&["delete", "serviceaccount", "gone"]);
    for (what, layer, token, words) in [
        ("a token of the API server", "audience", of_api_server, "not made for this server alone"),
        (
            "a token for this server and the API server",
            "audience",
            both.trim().to_owned(),
            "not made for this server alone",
        ),
        (
            "a token for AWS",
            "audience",
            self::token(tenant, "agent", "sts.amazonaws.com"),
            "not made for this server alone",
        ),
        (
            "a token for a URL that is almost ours",
            "audience",
            self::token(tenant, "agent", &format!("{}/", served.url)),
            "not made for",
        ),
        ("a token that has expired", "expiry", expired, "expired"),
        ("a user's token", "form", "admin-token".to_owned(), "no token of a service account"),
        ("a token with claims of one's own", "TokenReview", forged, "does not know the token"),
        ("a token without a signature", "TokenReview", unsigned, "does not know the token"),
        ("a token with another signature", "TokenReview", cut, "does not know the token"),
        ("a token of an account that is gone", "TokenReview", gone, "does not know the token"),
    ] {
        let (status, headers, said) = served.send(Some(&token), &[], &list);
        assert_eq!(status, 401, "{what}: {said}");
        assert!(headers.contains("resource_metadata") && !said.contains(&token), "{headers} {said}");
        attempts.refused(what, layer, words, &said);
    }
    let (status, _, said) = served.send(None, &[], &list);
    assert_eq!(status, 401);
    attempts.refused("no token", "bearer", "a bearer token of a service account is needed", &said);
    let (status, _, said) = served.send(None, &[("authorization", "Basic YTpi")], &list);
    assert_eq!(status, 401);
    attempts.refused("a password", "bearer", "a bearer token of a service account is needed", &said);
    for (what, tenant, name) in [
        ("an account that the server may not act as", tenant, "unlisted"),
        ("an account of another namespace", victim, "agent"),
        ("the server's own namespace's default account", tenant, "default"),
    ] {
        let (status, _, said) = served.send(Some(&token(tenant, name, &served.url)), &[], &list);
        assert_eq!(status, 200, "{said}");
        attempts.refused(what, "RBAC (impersonate)", "cannot impersonate", &said);
    }
}

/// What is wrong with requests of somebody who may.
fn requests(served: &Served, good: &str, attempts: &mut Attempts) {
    let list = call("list_runs", &json!({}));
    for (what, layer, header, status, words) in [
        ("naming a user to act as", "headers", ("impersonate-user", "admin"), 400, "nobody says here as whom"),
        ("naming a group to act in", "headers", ("impersonate-group", "system:masters"), 400, "nobody says here"),
        (
            "naming an account to act as",
            "headers",
            ("impersonate-user", "system:serviceaccount:mcp-web-victim:agent"),
            400,
            "nobody says",
        ),
        ("an old revision of the protocol", "protocol", ("mcp-protocol-version", "2024-11-05"), 400, "not spoken here"),
        ("a revision that is none", "protocol", ("mcp-protocol-version", "latest"), 400, "not spoken here"),
        ("a page of a browser", "Origin", ("origin", "https://evil.example"), 403, "pages of browsers"),
        ("another host (DNS rebinding)", "Host", ("host", "evil.example"), 403, "Host header is not allowed"),
        ("a type that is no JSON", "protocol", ("content-type", "text/plain"), 415, ""),
    ] {
        let (got, _, said) = served.send(Some(good), &[header], &list);
        assert_eq!(got, status, "{what}: {said}");
        attempts.refused(what, layer, words, &said);
    }
    let huge = call("count_stock", &json!({"a": "x".repeat(3 * 1024 * 1024)}));
    let (status, _, said) = served.send(Some(good), &[], &huge);
    assert_eq!(status, 413, "{said}");
    attempts.refused("a body of 3 MiB", "size of a body", "", &said);
    let (status, _, said) = served.send(Some(good), &[], "{\"jsonrpc\": \"2.0\", \"id\": ");
    assert!((400..500).contains(&status), "{status} {said}");
    attempts.refused("a body that is no JSON", "protocol", "", &said);
    let (status, _, said) = served.send(Some(good), &[("mcp-session-id", "of-somebody-else")], &list);
    // There are no sessions, so one that is named means nothing: it is served as the account of the token.
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("\\\"found\\\": 0"), "{said}");
    let answer = http().get(&served.url).bearer_auth(good).header("accept", "text/event-stream").send().unwrap();
    assert_eq!(answer.status().as_u16(), 405, "there is no stream that outlives a request");
}

async fn others(tenant: &Tenant, served: &Served, good: &str, attempts: &mut Attempts) {
    let agent = served.agent(good).await;
    for (what, layer, tool, arguments, words) in [
        ("a Workflow that did not opt in", "no such tool", "quiet", json!({}), "there is no tool"),
        ("an unknown tool", "no such tool", "approve", json!({}), "there is no tool"),
        ("an input that does not fit", "inputSchema", "ship", json!({"id": 5}), "does not fit"),
        (
            "a namespace in the arguments",
            "arguments",
            "list_runs",
            json!({"namespace": "mcp-web-victim"}),
            "unknown field",
        ),
    ] {
        attempts.refused(what, layer, words, &agent.refused(tool, &arguments).await);
    }
    let elsewhere = served.agent_in(good, "/mcp-web-victim").await;
    let said = elsewhere.refused("list_runs", &json!({})).await;
    attempts.refused("another namespace by the path", "RBAC", "cannot list resource", &said);
    let said = elsewhere.refused("ship", &json!({"id": "a"})).await;
    attempts.refused("a Workflow of another namespace", "RBAC", "cannot list resource", &said);
    let (_, own) = served.agent_in(good, &format!("/{}", tenant.name)).await.call("list_runs", &json!({})).await;
    assert_eq!(own["data"]["found"], 0);
}

/// One that calls as often as it can is cut to its share; another is served meanwhile.
fn a_thousand_calls(served: &Served, good: &str, attempts: &mut Attempts) {
    let list = call("list_runs", &json!({}));
    let begin = std::time::Instant::now();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = || (0..125).map(|_| loud(served, good, &list)).collect::<Vec<_>>();
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let taken = begin.elapsed();
    let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
    println!("1,000 calls in {taken:?}: {} answered, {} told to wait", count(200), count(429));
    assert_eq!(count(200) + count(429) + count(0), 1000, "{statuses:?}");
    assert!(count(429) > 500, "{}", count(429));
    // Two seconds are saved, and what began in the last second may end after it.
    let share = (usize::try_from(taken.as_secs()).unwrap() + 4) * 10;
    assert!(count(200) <= share, "{} answered, its share is {share}", count(200));
    let (status, headers, said) = wait_until(Duration::from_secs(10), "a refusal with a time", || {
        Some(served.send(Some(good), &[], &list)).filter(|(status, ..)| *status == 429)
    });
    assert!(status == 429 && headers.contains("retry-after"), "{headers}");
    attempts.refused("1,000 calls a second", "calls of an account", "you call too often", &said);
    let (health, _) = process::get(served.health, "/healthz").unwrap();
    assert_eq!(health, 200);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(served.send(Some(good), &[], &list).0, 200, "afterwards it is served as before");
    assert!(std::net::TcpStream::connect(("127.0.0.1", served.port)).is_ok());
}

/// 0 where the connection was not taken.
fn loud(served: &Served, good: &str, list: &str) -> u16 {
    let request = http().post(&served.url).bearer_auth(good).body(list.to_owned());
    let request =
        request.header("content-type", "application/json").header("accept", "application/json, text/event-stream");
    request.send().map_or(0, |answer| answer.status().as_u16())
}

/// What the server itself may do with its account.
fn own_rights(tenant: &Tenant, attempts: &mut Attempts) {
    let kubeconfig: PathBuf = tenant.bed.control_plane.kubeconfig_of(&tenant.system, "stepbound-mcp");
    let as_server = |arguments: &[&str]| {
        let mut command = Command::new(&tenant.bed.control_plane.kubectl);
        command.arg("--kubeconfig").arg(&kubeconfig).args(arguments);
        support::control_plane::run(&mut command, None)
    };
    let operator = format!("--as=system:serviceaccount:{}:stepbound", tenant.system);
    let namespace = tenant.name.as_str();
    for (what, arguments, words) in [
        ("the server reads runs as itself", vec!["get", "sfnrun", "-n", namespace], "cannot list resource"),
        ("the server acts as a user", vec!["get", "sfnrun", "-n", namespace, "--as=admin"], "cannot impersonate"),
        (
            "the server acts as the operator",
            vec!["get", "sfnrun", "-n", namespace, operator.as_str()],
            "cannot impersonate",
        ),
        ("the server reads Secrets", vec!["get", "secrets", "-A"], "cannot list resource"),
    ] {
        attempts.refused(what, "RBAC", words, &as_server(&arguments).unwrap_err());
    }
    let own = format!("--as=system:serviceaccount:{namespace}:agent");
    let grouped = ["get", "sfnrun", "-n", namespace, own.as_str(), "--as-group=system:masters"];
    attempts.refused("the server acts in a group", "RBAC", "cannot impersonate", &as_server(&grouped).unwrap_err());
    as_server(&["get", "sfnrun", "-n", namespace, own.as_str()]).expect("it may act as the account that is listed");
}
