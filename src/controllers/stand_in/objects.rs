//! An API server that keeps objects in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, Uri};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::aws::fake::Life;

/// Collections that are there, whether or not they hold anything.
const COLLECTIONS: [&str; 10] = [
    "guardrails",
    "trustbindings",
    "workflows",
    "workflowruns",
    "workflowschedules",
    "activities",
    "identityproviders",
    "executionhistories",
    "configmaps",
    "serviceaccounts",
];

/// Requests of a method whose path ends so that are answered with a code before anything is looked at.
struct Refusal {
    method: &'static str,
    path_ends: String,
    code: u16,
    left: usize,
}

/// Objects by path.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) by_path: Mutex<BTreeMap<String, Value>>,
    versions: AtomicU64,
    /// Requests that are answered with an error before anything is looked at.
    pub(super) refused: AtomicUsize,
    refusals: Mutex<Vec<Refusal>>,
    /// How many writes come before the one that is refused, and with which code.
    refused_write: Mutex<Option<(usize, u16)>>,
    pub(super) events: Mutex<Vec<Value>>,
    pub(super) life: Arc<Life>,
}

impl Objects {
    pub(super) fn of(life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self { life, ..Self::default() })
    }

    pub(super) fn put(&self, path: &str, mut object: Value) -> Value {
        object["metadata"]["resourceVersion"] = json!(self.versions.fetch_add(1, Ordering::SeqCst).to_string());
        self.by_path.lock().insert(path.to_owned(), object.clone());
        object
    }

    pub(super) fn refuse(&self, method: &'static str, path_ends: &str, code: u16, left: usize) {
        self.refusals.lock().push(Refusal { method, path_ends: path_ends.to_owned(), code, left });
    }

    pub(super) fn refuse_write(&self, before: usize, code: u16) {
        *self.refused_write.lock() = Some((before, code));
    }

    fn refused_write(&self) -> Option<u16> {
        let mut planned = self.refused_write.lock();
        let (before, code) = (*planned)?;
        *planned = before.checked_sub(1).map(|before| (before, code));
        planned.is_none().then_some(code)
    }

    fn refusal(&self, method: &Method, path: &str) -> Option<u16> {
        if *method != Method::GET
            && let Some(code) = self.refused_write()
        {
            return Some(code);
        }
        if self.refused.load(Ordering::SeqCst) > 0 {
            self.refused.fetch_sub(1, Ordering::SeqCst);
            return Some(500);
        }
        let mut refusals = self.refusals.lock();
        let meets = |one: &&mut Refusal| one.left > 0 && method == one.method && path.ends_with(&one.path_ends);
        let refusal = refusals.iter_mut().find(meets)?;
        refusal.left -= 1;
        Some(refusal.code)
    }

    fn answer(&self, method: &Method, uri: &Uri, sent: &Value) -> (u16, Value) {
        let path = uri.path();
        if path.contains("/apis/events.k8s.io/") {
            self.events.lock().push(sent.clone());
            return (201, sent.clone());
        }
        if let Some(code) = self.refusal(method, path) {
            return failure(code);
        }
        if *method == Method::POST {
            return self.create(path, sent);
        }
        let object_path = path.trim_end_matches("/status");
        let known = self.by_path.lock().get(object_path).filter(|object| !is_gone(object)).cloned();
        let Some(mut known) = known else {
            let is_collection = COLLECTIONS.iter().any(|name| path.ends_with(&format!("/{name}")));
            return if is_collection { (200, self.list(uri)) } else { failure(404) };
        };
        let uid = sent.pointer("/preconditions/uid").or(sent.pointer("/metadata/uid")).unwrap_or(&Value::Null);
        let version = patched(sent, "/metadata/resourceVersion").unwrap_or(&sent["metadata"]["resourceVersion"]);
        let other = |wanted: &Value, field: &str| !wanted.is_null() && *wanted != known["metadata"][field];
        if other(version, "resourceVersion") || other(uid, "uid") {
            return failure(409);
        }
        match *method {
            Method::PUT if path.ends_with("/status") => known["status"] = sent["status"].clone(),
            Method::PUT => known["spec"] = sent["spec"].clone(),
            Method::PATCH if sent.is_array() => {
                known["status"] = patched(sent, "/status").cloned().unwrap_or_default();
            }
            Method::PATCH => merge(&mut known, sent),
            Method::DELETE => return self.delete(object_path, known),
            _ => return (200, known),
        }
        (200, self.put(object_path, known))
    }

    fn create(&self, path: &str, sent: &Value) -> (u16, Value) {
        let name = sent["metadata"]["name"].as_str().unwrap_or_default();
        let place = format!("{path}/{name}");
        let taken = self.by_path.lock().get(&place).is_some_and(|there| !is_gone(there));
        if taken {
            return failure(409);
        }
        let mut object = sent.clone();
        let mut segments = path.rsplit('/');
        let (plural, namespace) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let metadata = json!({"uid": format!("{plural}-{name}"), "generation": 1, "namespace": namespace,
            "creationTimestamp": Timestamp::now().to_string()});
        merge(&mut object["metadata"], &metadata);
        (201, self.put(&place, object))
    }

    /// What has finalizers goes when they are taken off.
    fn delete(&self, path: &str, mut known: Value) -> (u16, Value) {
        if known["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.by_path.lock().remove(path);
            return (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
        }
        known["metadata"]["deletionTimestamp"] = json!(Timestamp::now().to_string());
        (200, self.put(path, known))
    }

    fn list(&self, uri: &Uri) -> Value {
        let prefix = format!("{}/", uri.path());
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let (fields, labels) = (text("fieldSelector"), text("labelSelector"));
        let picked = |object: &Value| {
            selects(fields, |field| object.pointer(&format!("/{}", field.replace('.', "/"))))
                && selects(labels, |label| object["metadata"]["labels"].get(label))
        };
        let objects = self.by_path.lock();
        let inside = objects.iter().filter(|(path, object)| {
            path.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')) && !is_gone(object) && picked(object)
        });
        let items: Vec<&Value> = inside.map(|(_, object)| object).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
    }
}

/// True of what is being deleted and held by nobody.
pub(super) fn is_gone(object: &Value) -> bool {
    let metadata = &object["metadata"];
    !metadata["deletionTimestamp"].is_null() && metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
}

fn selects<'a>(selector: &str, value: impl Fn(&str) -> Option<&'a Value>) -> bool {
    let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().all(|(key, wanted)| value(key).and_then(Value::as_str).unwrap_or_default() == wanted)
}

/// The value that a JSON patch puts at a place.
fn patched<'a>(patch: &'a Value, place: &str) -> Option<&'a Value> {
    patch.as_array()?.iter().find(|operation| operation["path"] == place).map(|operation| &operation["value"])
}

pub(super) fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().unwrap() {
        if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else {
            into[key] = value.clone();
        }
    }
}

fn failure(code: u16) -> (u16, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code});
    (code, status)
}

/// A client of these objects, without a network.
pub(super) fn client(objects: Arc<Objects>) -> Client {
    Client::new(Server(objects), "default")
}

#[derive(Clone)]
struct Server(Arc<Objects>);

impl tower_service::Service<Request<kube::client::Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let objects = self.0.clone();
        async move {
            let (parts, body) = request.into_parts();
            if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
                let nothing = futures::stream::pending::<Result<Vec<u8>, Infallible>>().boxed();
                return Ok(Response::new(Body::from_stream(nothing)));
            }
            let body = body.collect().await.unwrap().to_bytes();
            objects.life.lives().await;
            let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            // Events are told by the way: nothing is decided by them.
            let writes = parts.method != Method::GET && !parts.uri.path().contains("/events.k8s.io/");
            if writes {
                objects.life.tries_to_change();
            }
            let (code, answer) = objects.answer(&parts.method, &parts.uri, &sent);
            if writes && code < 300 {
                objects.life.changed().await;
            }
            let mut response = Response::new(Body::from(answer.to_string()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            Ok(response)
        }
        .boxed()
    }
}
