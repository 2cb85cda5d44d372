//! Our model of the part of AWS that the emulator does not model. It stands between the operator and the emulator,
//! verifies tokens for real, corrects semantics, injects faults and records every call. Each rule cites the fact.

mod account;
mod alarms;
mod conditions;
mod execution_role;
mod express;
mod faults;
mod histories;
mod identity;
mod meter;
mod played;
mod policy;
mod queues;
mod redrive;
mod states;
mod sts;
mod versions;
mod visibility;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

pub use faults::{Fault, Percent};

/// The emulator takes this key for the account's root and does not check its signature.
pub fn root(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=root/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
    )
}

/// One call that reached the front. Its status is 0 while it is under way.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub access_key: String,
    pub body: String,
    pub status: u16,
    pub at: Instant,
    /// As in the answer and in CloudTrail.
    pub request_id: String,
    /// Name of the session that made the call, or that it asks for.
    pub session_name: String,
}

pub struct Front {
    pub url: String,
    runtime: tokio::runtime::Handle,
    shared: Arc<Shared>,
}

/// A session that STS issued through this front.
#[derive(Clone)]
struct IssuedSession {
    role_arn: String,
    name: String,
    policy: Option<Value>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    /// Published keys by issuer and key id.
    keys: Mutex<HashMap<String, Vec<(String, DecodingKey)>>>,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<faults::Faults>,
    meters: Mutex<Vec<meter::Meter>>,
    secrets: Mutex<Vec<String>>,
    /// By access key id.
    sessions: Mutex<HashMap<String, IssuedSession>>,
    roles: Mutex<HashMap<String, account::Role>>,
    deleting: Mutex<HashMap<String, states::Deleting>>,
    deletion_takes: Mutex<Duration>,
    /// Executions of machines that were deleted, by ARN.
    remembered: Mutex<HashMap<String, Value>>,
    /// `TimeoutSeconds` of machines, by ARN.
    timeouts: Mutex<HashMap<String, Option<Duration>>>,
    timed_out: Mutex<HashSet<String>>,
    /// Keys of KMS by alias, and those of machines by ARN.
    aliases: Mutex<HashMap<String, String>>,
    encrypted: Mutex<HashMap<String, String>>,
    /// Published versions as they were, by ARN.
    versions: Mutex<HashMap<String, Value>>,
    /// Executions started by version or alias, by the ARN that AWS would give them.
    origins: Mutex<HashMap<String, versions::Origin>>,
    /// `traceHeader` of executions, by ARN.
    trace_headers: Mutex<HashMap<String, String>>,
    /// `tracingConfiguration` of machines, by ARN.
    tracing: Mutex<HashMap<String, Value>>,
    lags: Mutex<Vec<visibility::Lag>>,
    /// Machines as they are described until an update is shown, by ARN.
    outdated: Mutex<HashMap<String, (Instant, Value)>>,
    played: Mutex<played::Stage>,
    express: Mutex<express::Express>,
    /// Executions that were redriven, by ARN.
    redrives: Mutex<HashMap<String, redrive::Redriven>>,
    redriving: tokio::sync::Mutex<()>,
    /// Histories that a test tells, by a text in the ARN of the execution.
    histories: Mutex<Vec<(String, Vec<Value>)>>,
    /// Executions that mention a text are not redrivable, for a reason.
    refused_redrives: Mutex<Vec<(String, String)>>,
    /// Cognito identities by pool and subject of the login.
    identities: Mutex<HashMap<(String, String), String>>,
}

impl Front {
    /// Serves on a runtime of its own, because each test has one that ends with it.
    pub fn start(upstream: &str, issuer: &str, jwks: &Value) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            keys: Mutex::new(HashMap::from([(issuer.to_owned(), published(jwks))])),
            calls: Mutex::default(),
            faults: Mutex::default(),
            meters: Mutex::default(),
            secrets: Mutex::default(),
            sessions: Mutex::default(),
            roles: Mutex::default(),
            deleting: Mutex::default(),
            deletion_takes: Mutex::new(Duration::from_millis(300)),
            remembered: Mutex::default(),
            timeouts: Mutex::default(),
            timed_out: Mutex::default(),
            aliases: Mutex::default(),
            encrypted: Mutex::default(),
            versions: Mutex::default(),
            origins: Mutex::default(),
            trace_headers: Mutex::default(),
            tracing: Mutex::default(),
            lags: Mutex::default(),
            outdated: Mutex::default(),
            played: Mutex::default(),
            express: Mutex::default(),
            redrives: Mutex::default(),
            redriving: tokio::sync::Mutex::default(),
            histories: Mutex::default(),
            refused_redrives: Mutex::default(),
            identities: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let handle_of_runtime = runtime.handle().clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        Self { url, runtime: handle_of_runtime, shared }
    }

    /// Lets STS know the keys of another issuer, as if it had fetched them.
    pub fn publish_keys(&self, issuer: &str, jwks: &Value) {
        self.shared.keys.lock().unwrap().insert(issuer.to_owned(), published(jwks));
    }

    /// Session policies of the sessions of a role that were issued so far.
    pub fn session_policies(&self, role_arn: &str) -> Vec<Option<Value>> {
        let sessions = self.shared.sessions.lock().unwrap();
        sessions.values().filter(|session| session.role_arn == role_arn).map(|session| session.policy.clone()).collect()
    }

    /// Every call whose body mentions the text, in order of arrival.
    pub fn calls_about(&self, text: &str) -> Vec<Call> {
        self.shared.calls.lock().unwrap().iter().filter(|call| call.body.contains(text)).cloned().collect()
    }

    /// How many calls of an operation about the text were answered well.
    pub fn answered(&self, operation: &str, text: &str) -> usize {
        let calls = self.shared.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| call.operation == operation && call.status == 200 && call.body.contains(text))
            .count()
    }

    /// Every call that asks for or is made with a session whose name begins so, in order of arrival.
    pub fn calls_of_session(&self, name: &str) -> Vec<Call> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|call| call.session_name.starts_with(name)).cloned().collect()
    }

    /// The next calls of an operation whose body mentions the text meet a fault.
    pub fn inject_for(&self, operation: &str, text: &str, fault: Fault, times: u32) {
        self.shared.faults.lock().unwrap().add(operation, text, fault, times);
    }

    /// From now on a share of all calls whose body mentions the text meets a fault.
    pub fn disturb(&self, text: &str, percent: Percent, seed: u64) {
        self.shared.faults.lock().unwrap().share(text, percent, seed);
    }

    pub fn calm(&self, text: &str) {
        self.shared.faults.lock().unwrap().end_share(text);
    }

    /// Calls that were looked at by shares of faults, and how many were throttled, failed and lost.
    pub fn disturbed(&self) -> (u64, [u64; 3]) {
        self.shared.faults.lock().unwrap().tally()
    }

    /// Executions whose ARN or input mentions the text cannot be redriven, for a reason that AWS would give.
    pub fn refuse_redrive(&self, text: &str, reason: &str) {
        self.shared.refused_redrives.lock().unwrap().push((text.to_owned(), reason.to_owned()));
    }

    /// Meters the calls whose body mentions the text, from full buckets on.
    pub fn meter(&self, text: &str) {
        self.shared.meters.lock().unwrap().push(meter::Meter::new(text));
    }

    /// Empties the buckets of a meter, as if somebody had just used them up.
    pub fn drain(&self, text: &str) {
        self.shared.meters.lock().unwrap().iter_mut().filter(|meter| meter.text == text).for_each(meter::Meter::drain);
    }

    /// What AWS shows of executions and machines whose ARN contains the text is up to so late from now on.
    pub fn lag(&self, text: &str, longest: Duration) {
        self.shared.lags.lock().unwrap().push(visibility::Lag { text: text.to_owned(), longest });
    }

    /// Asks for a session as any client could.
    pub fn assume_role(&self, role_arn: &str, token: &str) -> String {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("RoleArn", role_arn)
            .append_pair("RoleSessionName", "test")
            .append_pair("WebIdentityToken", token)
            .finish();
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let sent = http.post(&self.url).header("content-type", "application/x-www-form-urlencoded").body(form);
        sent.send().unwrap().text().unwrap()
    }

    /// What AWS would answer to the account's root, without a session.
    fn ask<T: Send + 'static>(&self, ask: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, answer) = std::sync::mpsc::channel();
        self.runtime.spawn(async move { sender.send(ask.await) });
        answer.recv().unwrap()
    }

    /// Starts an execution as somebody else in the account would.
    pub fn start_by_hand(&self, request: &Value) {
        let (shared, asked) = (self.shared.clone(), request.clone());
        let (status, answer) = self.ask(async move {
            if let Some(answer) = shared.start_by_version(&asked).await {
                return answer;
            }
            let (status, answer) = shared.as_root("StartExecution", &asked).await;
            (status, answer.to_string())
        });
        assert_eq!(status, 200, "{answer}");
    }

    /// Every execution of a machine, as AWS lists it.
    pub fn executions(&self, machine_arn: &str) -> Vec<Value> {
        let mut found = std::collections::BTreeMap::new();
        let mut request = json!({"stateMachineArn": machine_arn});
        loop {
            let (shared, asked) = (self.shared.clone(), request.clone());
            let (status, text) = self.ask(async move { shared.list_executions(&asked).await });
            assert_eq!(status, 200, "{text}");
            let page: Value = serde_json::from_str(&text).unwrap();
            for item in page["executions"].as_array().unwrap() {
                found.insert(item["executionArn"].as_str().unwrap().to_owned(), item.clone());
            }
            if page["nextToken"].is_null() {
                return found.into_values().collect();
            }
            request["nextToken"] = page["nextToken"].clone();
        }
    }

    /// Every token and credential that passed through here: none of them may be found anywhere else.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.secrets.lock().unwrap().clone()
    }
}

/// Signing keys of a key set, by id. STS takes RSA keys; those for encryption are passed over.
fn published(jwks: &Value) -> Vec<(String, DecodingKey)> {
    let signing = jwks["keys"].as_array().unwrap().iter().filter(|key| key["use"] != "enc" && key["kty"] == "RSA");
    signing
        .map(|key| {
            let (n, e) = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
            (key["kid"].as_str().unwrap().to_owned(), DecodingKey::from_rsa_components(n, e).unwrap())
        })
        .collect()
}

async fn handle(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let form: HashMap<String, String> =
        if target.is_empty() { url::form_urlencoded::parse(&body).into_owned().collect() } else { HashMap::new() };
    let operation = match form.get("Action") {
        Some(action) => action.clone(),
        // CloudWatch's protocol names the operation in the path.
        None if target.is_empty() => uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
        None => target.rsplit('.').next().unwrap_or_default().to_owned(),
    };
    let fault = if shared.within_quota(&operation, &text) {
        shared.next_fault(&operation, &text)
    } else {
        Some(Fault::Throttle)
    };
    let recorded = shared.record(&headers, &operation, &form, &text);
    if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let (status, answer) = match (fault, operation.as_str()) {
        // STS speaks XML.
        (Some(Fault::Throttle), "AssumeRoleWithWebIdentity") => (400, sts::error_xml("Throttling", "Rate exceeded")),
        (Some(Fault::Throttle), _) => (400, error_json("ThrottlingException", "Rate exceeded")),
        (Some(Fault::Unavailable), _) => (503, error_json("ServiceUnavailable", "try later")),
        (_, "DescribeAlarms") => return shared.describe_alarms(&uri, &headers, body).await,
        (_, "AssumeRoleWithWebIdentity") => shared.assume_role(&form, fault).await,
        (_, "FilterLogEvents") => shared.filter_log(&headers, &text).await,
        _ if target.starts_with("AmazonSQS.") => shared.queues(&operation, &headers, text).await,
        (_, "GetRole") => shared.get_role(&headers, &form).await,
        (_, "GetId" | "GetOpenIdToken") => shared.cognito(&operation, &headers, &text).await,
        _ => {
            // What AWS has begun it ends, whatever becomes of whoever asked.
            let (shared, operation, headers) = (shared.clone(), operation.clone(), headers.clone());
            tokio::spawn(async move { shared.states(&operation, &headers, text).await }).await.unwrap()
        }
    };
    let request_id = {
        let mut calls = shared.calls.lock().unwrap();
        calls[recorded].status = status;
        calls[recorded].request_id.clone()
    };
    match fault {
        Some(Fault::LoseAnswer) => return (StatusCode::GATEWAY_TIMEOUT, "the answer was lost").into_response(),
        Some(Fault::DelayAnswer(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    // Every answer names the request, as CloudTrail does (`x-amzn-RequestId`, common to all services).
    (StatusCode::from_u16(status).unwrap(), [("x-amzn-requestid", request_id)], answer).into_response()
}

fn error_json(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}

impl Shared {
    fn within_quota(&self, operation: &str, body: &str) -> bool {
        let mut meters = self.meters.lock().unwrap();
        meters.iter_mut().filter(|meter| body.contains(&meter.text)).all(|meter| meter.admits(operation))
    }

    fn next_fault(&self, called: &str, body: &str) -> Option<Fault> {
        self.faults.lock().unwrap().next(called, body)
    }

    /// Records a call at its arrival, without the token that it may carry.
    fn record(&self, headers: &HeaderMap, operation: &str, form: &HashMap<String, String>, text: &str) -> usize {
        let access_key = headers.get("authorization").and_then(|value| value.to_str().ok());
        let access_key = access_key.and_then(|value| value.split("Credential=").nth(1)?.split('/').next());
        let access_key = access_key.unwrap_or_default();
        let of_session = || self.sessions.lock().unwrap().get(access_key).map(|session| session.name.clone());
        let session_name = form.get("RoleSessionName").cloned().or_else(of_session).unwrap_or_default();
        let body = form.get("RoleArn").map_or(text, String::as_str).to_owned();
        let call = Call {
            operation: operation.to_owned(),
            access_key: access_key.to_owned(),
            body,
            status: 0,
            at: Instant::now(),
            request_id: format!("{:032x}", rand::random::<u128>()),
            session_name,
        };
        let mut calls = self.calls.lock().unwrap();
        calls.push(call);
        calls.len() - 1
    }

    /// Sends the request on as it was signed, host included. What is authorized here goes on as the account's root: the emulator
    /// denies whatever has a condition on tags.
    async fn forward(&self, headers: &HeaderMap, body: String) -> (u16, String) {
        let mut headers = headers.clone();
        if headers.get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"AWSStepFunctions.")) {
            headers.insert("authorization", root("states").parse().unwrap());
            headers.remove("x-amz-security-token");
        }
        headers.remove("content-length");
        headers.remove("transfer-encoding");
        let answer = self.http.post(&self.upstream).headers(headers).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
