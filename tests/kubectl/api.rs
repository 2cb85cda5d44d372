//! An API server that knows a few objects and forgets all rights: for what the plugin prints and how it ends. What the real
//! one lets people do is tried in tests/operator.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// All that is in the cluster.
#[derive(Default)]
pub struct World {
    /// By plural and name.
    pub objects: BTreeMap<(String, String), Value>,
    /// What a watch of objects of a kind tells, before it goes quiet.
    pub news: BTreeMap<String, Vec<Value>>,
    /// The same for a watch that goes on: told as soon as it is here.
    pub later: BTreeMap<String, Vec<Value>>,
    /// Verbs that whoever asks has no right to, as the API server says when it is asked.
    pub denied: Vec<&'static str>,
    /// What is told of a change in place of making it.
    pub refuses: Option<(u16, String)>,
    /// Whoever asks, where that is not alice.
    pub user: Option<&'static str>,
    /// Kinds that are not installed.
    pub unknown: Vec<&'static str>,
    /// Method and path of each request.
    pub asked: Vec<String>,
    /// What each came with as its `Authorization`.
    pub authorized: Vec<String>,
}

pub struct Api {
    pub world: Arc<Mutex<World>>,
    pub folder: tempfile::TempDir,
    /// When it was started, to the second.
    pub begun: Timestamp,
    pub url: String,
}

/// A time before now, as the API writes it.
pub fn ago(seconds: i64) -> String {
    before(second(), seconds)
}

fn before(time: Timestamp, seconds: i64) -> String {
    (time - SignedDuration::from_secs(seconds)).to_string()
}

fn second() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

impl Api {
    pub fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let router = Router::new().fallback(answer).with_state(world.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        let api = Self { world, folder: tempfile::tempdir().unwrap(), begun: second(), url };
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": api.url}}],
            "users": [{"name": "test", "user": {"token": "t"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "shop"}}]});
        std::fs::write(api.kubeconfig(), config.to_string()).unwrap();
        api
    }

    /// A time before its beginning.
    pub fn ago(&self, seconds: i64) -> String {
        before(self.begun, seconds)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub fn put(&self, object: Value) {
        let plural = match object["kind"].as_str().unwrap() {
            "ExecutionHistory" => "executionhistories".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.world.lock().unwrap().objects.insert((plural, name), object);
    }

    /// A run with this status, three hours and half a minute old.
    pub fn run(&self, name: &str, status: &Value) -> Value {
        let run = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "7",
                "creationTimestamp": self.ago(3 * 3600 + 30), "managedFields": [{"manager": "test"}]},
            "spec": {"workflowRef": {"name": "fulfil"}, "input": {"order": 7}}, "status": status});
        self.put(run.clone());
        run
    }

    /// A run that alice asked for and that waits for an approval, with its Approval: by name and attempt. Bob looks at it.
    pub fn waits(&self, run: &str) -> Value {
        self.world.lock().unwrap().user = Some("bob@example.com");
        let (asked, expires) = (self.ago(3 * 3600 + 30), self.ago(-21 * 3600));
        let name = format!("{run}-1");
        let approval = json!({"name": name, "uid": name, "attempt": 1, "expiresAt": expires});
        let message = format!(
            "Workflow \"fulfil\" wants an approval by somebody else than alice@example.com. Approval \"{name}\" waits for it until {expires}."
        );
        let ready = json!({"type": "Ready", "status": "False", "reason": "WaitingForApproval", "message": message,
            "lastTransitionTime": asked});
        self.run(run, &json!({"phase": "Pending", "requestedBy": "alice@example.com", "approval": approval, "conditions": [ready]}));
        let arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3";
        let input = json!({"order": 7}).to_string();
        let mut request = json!({"runName": run, "runUID": run, "attempt": 1, "requester": "alice@example.com", "input": input,
            "inputDigest": stepbound::digest::sha256_hex(input.as_bytes()), "targetARN": arn,
            "definitionHash": stepbound::digest::sha256_hex(b"{}"), "executionRoleARN": "arn:aws:iam::111122223333:role/exec",
            "stepRoleARNs": ["arn:aws:iam::111122223333:role/pack"], "bindingUID": "8d9f8a1e-6c1c-4f0b-9a56-1c7c2d1f0b7e",
            "policyRevision": "41,42", "expiresAt": expires, "digest": ""});
        let typed = serde_json::from_value(request.clone()).unwrap();
        request["digest"] = json!(stepbound::plan::approval::digest(&typed));
        let approval = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval", "metadata": {"name": name, "namespace": "shop",
            "uid": name, "resourceVersion": "9", "creationTimestamp": asked}, "spec": {"request": request}});
        self.put(approval.clone());
        approval
    }

    pub fn workflow(&self, name: &str) {
        let definition = json!({"StartAt": "Pick", "States": {"Pick": {"Type": "Pass", "Next": "Pack"},
            "Pack": {"Type": "Pass", "End": true}}});
        self.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": self.ago(86_400 * 9)},
            "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/exec",
                "definition": definition}}));
    }

    /// The plugin with these arguments, which ends by itself. Signals have their usual meaning there, whatever the tests were started
    /// by: what runs under `nohup` or in the background of a script ignores some of them, and so would the plugin.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_kubectl-sfn")]);
        command.args(arguments).env("KUBECONFIG", self.kubeconfig()).env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    pub fn ends(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// The plugin with these arguments, which goes on.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn asked(&self) -> Vec<String> {
        self.world.lock().unwrap().asked.clone()
    }
}

/// What the plugin printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub said: String,
}

impl Ended {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), said: text(&output.stderr) }
    }

    /// How it ended by this signal.
    pub fn by(mut child: Child, signal: &str) -> Self {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("{signal} does not end it");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self::of(&child.wait_with_output().unwrap())
    }
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn answer(State(shared): State<Arc<Mutex<World>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = parts.uri.path().to_owned();
    let mut world = shared.lock().unwrap();
    let watches = if query.contains_key("watch") { "WATCH" } else { parts.method.as_str() };
    world.asked.push(format!("{watches} {path}"));
    let header = parts.headers.get("authorization").map_or("", |header| header.to_str().unwrap());
    world.authorized.push(header.to_owned());
    let mut words = path.trim_matches('/').split('/').skip_while(|word| *word != "namespaces").skip(2);
    let all = path.rsplit('/').next().unwrap_or_default().to_owned();
    let (plural, name) = match words.next() {
        Some(plural) => (plural.to_owned(), words.next().map(str::to_owned)),
        None => (all, None),
    };
    let (plural, name) = match path.strip_prefix("/api/v1/namespaces/").filter(|name| !name.contains('/')) {
        Some(name) => ("namespaces".to_owned(), Some(name.to_owned())),
        None => (plural, name),
    };
    if world.unknown.contains(&plural.as_str()) {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    match (watches, name) {
        ("WATCH", _) => {
            let news = world.news.remove(&plural).unwrap_or_default();
            for object in &news {
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                world.objects.insert((plural.clone(), name), object.clone());
            }
            watch(news, plural, shared.clone())
        }
        ("GET", None) => listed(&world, &plural, query.get("fieldSelector").map_or("", String::as_str)),
        ("GET", Some(name)) => one(&world, &plural, &name),
        ("POST", _) if plural == "selfsubjectaccessreviews" => {
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            let verb = review["spec"]["resourceAttributes"]["verb"].as_str().unwrap_or_default().to_owned();
            review["status"] = json!({"allowed": !world.denied.iter().any(|denied| *denied == verb)});
            json_of(StatusCode::CREATED, &review)
        }
        ("POST", _) if plural == "selfsubjectreviews" => {
            json_of(StatusCode::CREATED, &whoami(&parts.headers, world.user))
        }
        ("POST", _) => created(&mut world, plural, &body, query.contains_key("dryRun")),
        ("PATCH", Some(name)) => {
            let change: Value = serde_json::from_slice(&body).unwrap();
            if let Some((code, message)) = world.refuses.take() {
                return refused(&plural, &name, code, &message);
            }
            let version = |value: &Value| value["metadata"]["resourceVersion"].as_str().map(str::to_owned);
            let is_of = world.objects.get(&(plural.clone(), name.clone())).and_then(version);
            if version(&change).is_some_and(|wanted| Some(wanted) != is_of) {
                return refused(&plural, &name, 409, "the object has been modified");
            }
            if query.contains_key("dryRun") {
                let Some(mut object) = world.objects.get(&(plural.clone(), name.clone())).cloned() else {
                    return one(&world, &plural, &name);
                };
                merge(&mut object, &change);
                return json_of(StatusCode::OK, &object);
            }
            if let Some(object) = world.objects.get_mut(&(plural.clone(), name.clone())) {
                merge(object, &change);
            }
            one(&world, &plural, &name)
        }
        ("DELETE", Some(name)) => {
            let answer = one(&world, &plural, &name);
            world.objects.remove(&(plural, name));
            answer
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn json_of(code: StatusCode, value: &Value) -> Response {
    (code, [("content-type", "application/json")], value.to_string()).into_response()
}

fn one(world: &World, plural: &str, name: &str) -> Response {
    if let Some(object) = world.objects.get(&(plural.to_owned(), name.to_owned())) {
        return json_of(StatusCode::OK, object);
    }
    refused(plural, name, 404, &format!("{plural}.stepbound.dev \"{name}\" not found"))
}

fn refused(plural: &str, name: &str, code: u16, message: &str) -> Response {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        _ => "Conflict",
    };
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": {"name": name, "kind": plural}});
    json_of(StatusCode::from_u16(code).unwrap(), &status)
}

/// Whoever asks is alice, unless the world says otherwise or they act as somebody.
fn whoami(headers: &HeaderMap, user: Option<&str>) -> Value {
    let user = user.unwrap_or("alice@example.com");
    let user = headers.get("impersonate-user").map_or(user, |user| user.to_str().unwrap());
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
        "status": {"userInfo": {"username": user}}})
}

fn listed(world: &World, plural: &str, fields: &str) -> Response {
    let fits = |object: &Value| {
        fields.split(',').filter(|field| !field.is_empty()).all(|field| {
            let (path, value) = field.split_once('=').unwrap();
            object.pointer(&format!("/{}", path.replace('.', "/"))).and_then(Value::as_str) == Some(value)
        })
    };
    let of_kind = world.objects.iter().filter(|((kind, _), _)| kind == plural).map(|(_, object)| object);
    let items: Vec<&Value> = of_kind.filter(|object| fits(object)).collect();
    json_of(
        StatusCode::OK,
        &json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "8"}, "items": items}),
    )
}

fn created(world: &mut World, plural: String, body: &Bytes, is_dry: bool) -> Response {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = json!(format!("{}x7k2p", object["metadata"]["generateName"].as_str().unwrap()));
    }
    object["metadata"]["namespace"] = json!("shop");
    object["metadata"]["creationTimestamp"] = json!(ago(0));
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    if !is_dry {
        world.objects.insert((plural, name), object.clone());
    }
    json_of(StatusCode::CREATED, &object)
}

fn watch(news: Vec<Value>, plural: String, world: Arc<Mutex<World>>) -> Response {
    let later = stream::unfold(plural, move |plural| {
        let world = world.clone();
        async move {
            loop {
                let news = world.lock().unwrap().later.remove(&plural);
                if let Some(news) = news {
                    return Some((stream::iter(news), plural));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let lines = stream::iter(news).chain(later.flatten());
    let line = |object| format!("{}\n", json!({"type": "MODIFIED", "object": object}));
    let lines = lines.map(move |object| Ok::<_, Infallible>(Bytes::from(line(object))));
    ([("content-type", "application/json")], Body::from_stream(lines)).into_response()
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        object.clone_from(patch);
        return;
    };
    for (key, value) in fields {
        match object.as_object_mut() {
            Some(object) if value.is_null() => drop(object.remove(key)),
            _ => merge(&mut object[key], value),
        }
    }
}
