//! Our model of the part of AWS that the emulator does not model. It stands between the operator and the emulator,
//! verifies tokens for real, corrects semantics, injects faults and records every call. Each rule cites the fact.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

/// The emulator takes this key for the account's root and does not check its signature.
const ROOT: &str =
    "AWS4-HMAC-SHA256 Credential=root/20260101/eu-west-1/states/aws4_request, SignedHeaders=host, Signature=00";

/// One call that reached the front.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub access_key: String,
    pub body: String,
    pub status: u16,
    pub at: std::time::Instant,
}

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Throttle,
    Unavailable,
    /// AWS applies the call and its answer is lost.
    LoseAnswer,
    /// STS answers for another account.
    AnotherAccount,
}

pub struct Front {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    issuer: String,
    keys: Vec<(String, DecodingKey)>,
    http: reqwest::Client,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<(String, String, Fault, u32)>>,
    secrets: Mutex<Vec<String>>,
    issued: Mutex<Vec<String>>,
}

impl Front {
    /// Serves on a runtime of its own, because each test has one that ends with it.
    pub fn start(upstream: &str, issuer: &str, jwks: &Value) -> Self {
        let keys = jwks["keys"].as_array().unwrap().iter().map(|key| {
            let components = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
            let decoding = DecodingKey::from_rsa_components(components.0, components.1).unwrap();
            (key["kid"].as_str().unwrap().to_owned(), decoding)
        });
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            issuer: issuer.to_owned(),
            keys: keys.collect(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            secrets: Mutex::default(),
            issued: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(shared.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        Self { url, shared }
    }

    /// Every call whose body mentions the text, in order.
    pub fn calls_about(&self, text: &str) -> Vec<Call> {
        self.shared.calls.lock().unwrap().iter().filter(|call| call.body.contains(text)).cloned().collect()
    }

    /// The next calls of an operation whose body mentions the text meet a fault.
    pub fn inject_for(&self, operation: &str, text: &str, fault: Fault, times: u32) {
        self.shared.faults.lock().unwrap().push((operation.to_owned(), text.to_owned(), fault, times));
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

    /// Every token and credential that passed through here: none of them may be found anywhere else.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.secrets.lock().unwrap().clone()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let operation = match form.get("Action") {
        Some(action) => action.clone(),
        None => target.rsplit('.').next().unwrap_or_default().to_owned(),
    };
    let fault = shared.next_fault(&operation, &text);
    let (status, answer) = match (fault, operation.as_str()) {
        (Some(Fault::Throttle), _) => (400, error_json("ThrottlingException", "Rate exceeded")),
        (Some(Fault::Unavailable), _) => (503, error_json("ServiceUnavailable", "try later")),
        (_, "AssumeRoleWithWebIdentity") => shared.assume_role(&form, fault == Some(Fault::AnotherAccount)).await,
        (_, "StartExecution") => shared.start_execution(&headers, &text).await,
        (_, "ListTagsForResource" | "TagResource" | "UntagResource") => shared.tags(&headers, text.clone()).await,
        (_, "StartSyncExecution") => shared.start_sync(&headers, &text).await,
        (_, "DeleteStateMachine") => shared.delete_state_machine(&headers, &text).await,
        _ => shared.forward(&headers, text.clone()).await,
    };
    let access_key = headers.get("authorization").and_then(|value| value.to_str().ok());
    let access_key = access_key.and_then(|value| value.split("Credential=").nth(1)?.split('/').next());
    let body = if form.contains_key("WebIdentityToken") { form["RoleArn"].clone() } else { text };
    let at = std::time::Instant::now();
    let call = Call { operation, access_key: access_key.unwrap_or_default().to_owned(), body, status, at };
    shared.calls.lock().unwrap().push(call);
    if fault == Some(Fault::LoseAnswer) {
        return (StatusCode::GATEWAY_TIMEOUT, "the answer was lost").into_response();
    }
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}

fn error_json(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}

/// STS answers in XML.
fn error_xml(code: &str, message: &str) -> String {
    format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{:x}</RequestId></ErrorResponse>"#,
        rand::random::<u128>()
    )
}

impl Shared {
    fn next_fault(&self, called: &str, body: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let meets = |(operation, text, _, left): &&mut (String, String, Fault, u32)| {
            *left > 0 && operation == called && body.contains(text.as_str())
        };
        let (_, _, fault, left) = faults.iter_mut().find(meets)?;
        *left -= 1;
        Some(*fault)
    }

    /// Sends the request on as it was signed, host included.
    async fn forward(&self, headers: &HeaderMap, body: String) -> (u16, String) {
        let mut headers = headers.clone();
        headers.remove("content-length");
        headers.remove("transfer-encoding");
        let answer = self.http.post(&self.upstream).headers(headers).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// STS checks the token's signature, issuer, audience and times before it looks at the role's trust policy
    /// (`AssumeRoleWithWebIdentity`, errors `InvalidIdentityToken` and `ExpiredTokenException`); the emulator checks nothing
    /// of it. The duration is 900 seconds to the role's maximum, 3600 unless set.
    async fn assume_role(&self, form: &HashMap<String, String>, another_account: bool) -> (u16, String) {
        let token = &form["WebIdentityToken"];
        self.secrets.lock().unwrap().push(token.clone());
        let claims = match self.verified(token) {
            Ok(claims) => claims,
            Err((code, message)) => return (400, error_xml(code, &message)),
        };
        let seconds: u32 = form.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
        if !(900..=3600).contains(&seconds) {
            return (
                400,
                error_xml(
                    "ValidationError",
                    "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                ),
            );
        }
        // A trust policy compares `aud` as a string; the emulator fails on the list that cluster tokens carry.
        let flat = json!({"iss": claims["iss"], "sub": claims["sub"], "aud": audience(&claims), "exp": claims["exp"]});
        let unsigned =
            format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}"), URL_SAFE_NO_PAD.encode(flat.to_string()));
        let mut changed = form.clone();
        changed.insert("WebIdentityToken".into(), unsigned);
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(changed).finish();
        let sent =
            self.http.post(&self.upstream).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = sent.send().await.unwrap();
        let (status, mut text) = (answer.status().as_u16(), answer.text().await.unwrap());
        if status == 200 {
            for tag in ["SecretAccessKey", "SessionToken"] {
                self.secrets.lock().unwrap().push(element(&text, tag).unwrap_or_default().to_owned());
            }
            self.issued.lock().unwrap().push(element(&text, "AccessKeyId").unwrap_or_default().to_owned());
            // The emulator answers with constants here; STS with what the token says.
            set_element(&mut text, "SubjectFromWebIdentityToken", claims["sub"].as_str().unwrap());
            set_element(&mut text, "Audience", &audience(&claims));
            set_element(&mut text, "Provider", claims["iss"].as_str().unwrap());
            if another_account {
                text = text.replace("arn:aws:sts::000000000000:", "arn:aws:sts::999999999999:");
            }
        }
        (status, text)
    }

    fn verified(&self, token: &str) -> Result<Value, (&'static str, String)> {
        let invalid = |message: &str| ("InvalidIdentityToken", message.to_owned());
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid("The token is not a JWT"))?;
        let key = self.keys.iter().find(|(id, _)| Some(id) == header.kid.as_ref());
        let (_, key) = key.ok_or_else(|| invalid("Couldn't retrieve verification key from your identity provider"))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&["sts.amazonaws.com"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        let decoded = jsonwebtoken::decode::<Value>(token, key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::ExpiredSignature => (
                    "ExpiredTokenException",
                    "Token expired: current date/time must be before the expiration date/time".to_owned(),
                ),
                ErrorKind::InvalidAudience => invalid("Incorrect token audience"),
                ErrorKind::InvalidIssuer => invalid("No OpenIDConnect provider found in your account for the issuer"),
                _ => invalid("The web identity token that was passed could not be validated"),
            }
        })?;
        Ok(decoded.claims)
    }

    /// The same name and input while the execution runs give the first answer; anything else of that name is refused
    /// (`StartExecution`, Standard). The emulator refuses both.
    async fn start_execution(&self, headers: &HeaderMap, body: &str) -> (u16, String) {
        let (status, answer) = self.forward(headers, body.to_owned()).await;
        if status == 200 || !answer.contains("ExecutionAlreadyExists") {
            return (status, answer);
        }
        let request: Value = serde_json::from_str(body).unwrap();
        let machine: Vec<&str> = request["stateMachineArn"].as_str().unwrap().split(':').take(7).collect();
        let arn = format!(
            "{}:{}",
            machine.join(":").replace(":stateMachine:", ":execution:"),
            request["name"].as_str().unwrap()
        );
        let sent = self.http.post(&self.upstream).header("authorization", ROOT);
        let sent = sent.header("x-amz-target", "AWSStepFunctions.DescribeExecution");
        let sent =
            sent.header("content-type", "application/x-amz-json-1.0").body(json!({"executionArn": arn}).to_string());
        let found: Value = sent.send().await.unwrap().json().await.unwrap();
        if found["status"] == "RUNNING" && found["input"] == request["input"] {
            return (200, json!({"executionArn": arn, "startDate": found["startDate"]}).to_string());
        }
        (status, answer)
    }

    /// Tag calls are authorized on the machine's ARN (service authorization reference, Step Functions); the emulator
    /// checks another resource and denies them all. The front asks for a session that was issued through it instead.
    async fn tags(&self, headers: &HeaderMap, body: String) -> (u16, String) {
        self.forward_as_root(headers, body).await
    }

    /// An Express execution is started by the ARN of a version too (developer guide, state machine versions); the
    /// emulator knows only machines here. The signature covers the body, so the changed one is sent by another key.
    async fn start_sync(&self, headers: &HeaderMap, body: &str) -> (u16, String) {
        let mut request: Value = serde_json::from_str(body).unwrap();
        let machine: Vec<&str> = request["stateMachineArn"].as_str().unwrap().split(':').take(7).collect();
        request["stateMachineArn"] = json!(machine.join(":"));
        self.forward_as_root(headers, request.to_string()).await
    }

    /// For sessions that were issued through this front alone.
    async fn forward_as_root(&self, headers: &HeaderMap, body: String) -> (u16, String) {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.issued.lock().unwrap().iter().any(|key| authorization.contains(&format!("Credential={key}/"))) {
            return (400, error_json("AccessDeniedException", "the session was not issued by this STS"));
        }
        let mut headers = headers.clone();
        headers.insert("authorization", ROOT.parse().unwrap());
        self.forward(&headers, body).await
    }

    /// Deleting a machine that does not exist succeeds (`DeleteStateMachine`); the emulator refuses it.
    async fn delete_state_machine(&self, headers: &HeaderMap, body: &str) -> (u16, String) {
        match self.forward(headers, body.to_owned()).await {
            (400, answer) if answer.contains("StateMachineDoesNotExist") => (200, "{}".into()),
            other => other,
        }
    }
}

fn audience(claims: &Value) -> String {
    let aud = &claims["aud"];
    aud.as_str().or_else(|| aud[0].as_str()).unwrap_or_default().to_owned()
}

fn element<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    xml.split(&format!("<{tag}>")).nth(1)?.split(&format!("</{tag}>")).next()
}

fn set_element(xml: &mut String, tag: &str, value: &str) {
    let changed = match element(xml, tag) {
        Some(old) => xml.replace(&format!("<{tag}>{old}</{tag}>"), &format!("<{tag}>{value}</{tag}>")),
        None => xml.replace("<AssumedRoleUser>", &format!("<{tag}>{value}</{tag}><AssumedRoleUser>")),
    };
    *xml = changed;
}
