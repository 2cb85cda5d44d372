//! No adapter gets past the gate.

#![allow(missing_docs)]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::Timestamp;

use super::stand_in::StandIn;
use super::wire_tests::{caller_in, start};
use super::*;
use crate::api::v1alpha1::StateMachineType;
use crate::config::Endpoints;

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-orders";
const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/events";

/// Every call of every port, once.
async fn every_call(caller: &Caller, server: &StandIn) -> Vec<(&'static str, AwsError)> {
    let url = Some(server.url.clone());
    let endpoints = Endpoints {
        step_functions: url.clone(),
        cloudwatch: url.clone(),
        logs: url.clone(),
        iam: url.clone(),
        ..Endpoints::default()
    };
    let states = SdkStepFunctions::new(http_client(), &endpoints, Arc::default(), 1.0);
    let queues = SdkQueues::new(http_client(), url, Arc::default());
    let create = CreateStateMachine {
        name: "m".into(),
        definition: "{}".into(),
        role_arn: "r".into(),
        machine_type: StateMachineType::Standard,
        settings: MachineSettings::default(),
        version_description: None,
        tags: Tags::new(),
    };
    let update = UpdateStateMachine {
        arn: ARN.into(),
        definition: "{}".into(),
        role_arn: "r".into(),
        settings: MachineSettings::default(),
        version_description: None,
    };
    let page = ListPage { arn: ARN.into(), status: None, next_token: None };
    let log = LogRequest { group: "g".into(), from: Timestamp::UNIX_EPOCH, pattern: "{}".into(), next_token: None };
    let (settings, tags, routes) = (MachineSettings::default(), Tags::new(), vec![(ARN.to_owned(), 100)]);
    let mut refused = Vec::new();
    macro_rules! call {
        ($port:ident.$name:ident($($argument:expr),*)) => {
            match $port.$name(caller, $($argument),*).await {
                Ok(_) => panic!("{} was answered", stringify!($name)),
                Err(error) => refused.push((stringify!($name), error)),
            }
        };
    }
    call!(states.describe_state_machine(ARN));
    call!(states.create_state_machine(&create));
    call!(states.update_state_machine(&update));
    call!(states.publish_version(ARN, None, "d"));
    call!(states.delete_version(ARN));
    call!(states.create_alias("a", &routes));
    call!(states.alias_routes(ARN));
    call!(states.update_alias(ARN, &routes));
    call!(states.delete_alias(ARN));
    call!(states.list_executions(ARN, true));
    call!(states.list_page(&page));
    call!(states.has_activity(ARN));
    call!(states.create_activity("a", &settings, &tags));
    call!(states.delete_activity(ARN));
    call!(states.validate_definition("{}", StateMachineType::Standard));
    call!(states.delete_state_machine(ARN));
    call!(states.list_tags(ARN));
    call!(states.tag(ARN, &tags));
    call!(states.untag(ARN, &[]));
    call!(states.has_running_executions(ARN));
    call!(states.start_execution(&start()));
    call!(states.start_sync_execution(&start()));
    call!(states.describe_execution(ARN));
    call!(states.stop_execution(ARN, None));
    call!(states.redrive_execution(ARN, "t"));
    call!(states.history_page(&HistoryRequest::default()));
    call!(states.map_run_counts(ARN));
    call!(states.alarm_states(&["a".into()]));
    call!(states.log_page(&log));
    call!(states.trust_policy("arn:aws:iam::111122223333:role/r"));
    call!(queues.receive(QUEUE));
    call!(queues.delete(QUEUE, &["r".into()]));
    refused
}

/// Names of the calls that the ports promise.
fn promised() -> Vec<String> {
    let ports = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws.rs")).unwrap();
    let names = ports.split("async fn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned());
    names.collect()
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
#[tokio::test]
async fn requirement_27_no_call_of_any_port_is_made_once_the_epoch_is_over() {
    let server = StandIn::start(|_| (200, "{}".into())).await;
    let epoch = Epoch::default();
    let caller = caller_in(epoch.clone());
    epoch.end();
    let refused = every_call(&caller, &server).await;
    assert_eq!(server.seen().len(), 0);
    for (name, error) in &refused {
        assert_eq!((error.kind, error.code.as_str()), (AwsErrorKind::SessionExpired, "SessionGivenUp"), "{name}");
    }
    let made: Vec<String> = refused.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut promised = promised();
    promised.retain(|name| !made.contains(name));
    assert!(promised.is_empty(), "calls of a port that this test does not make: {promised:?}");
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
/// The signer refuses by itself, whatever an adapter forgets: the epoch ends between the look and the signature.
#[tokio::test]
async fn requirement_27_the_signer_is_the_gate_for_every_attempt() {
    let (arrived, there) = mpsc::channel();
    let epoch = Epoch::default();
    let ends = epoch.clone();
    let server = StandIn::start(move |_| {
        ends.end();
        arrived.send(()).unwrap();
        (500, "{}".into())
    })
    .await;
    let caller = caller_in(epoch);
    let states = SdkStepFunctions::new(http_client(), &server.endpoints(), Arc::default(), 1.0);
    let error = states.list_tags(&caller, ARN).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (AwsErrorKind::SessionExpired, "SessionGivenUp"), "{error}");
    assert_eq!(there.iter().take(1).count(), 1);
    assert_eq!(server.seen().len(), 1, "the second attempt was not signed");
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
/// A long poll is broken off, and what came in is neither believed nor deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requirement_27_a_long_poll_ends_with_the_epoch_and_nothing_of_it_is_believed() {
    let epoch = Epoch::default();
    let (arrived, there) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    let told = parking_lot::Mutex::new(told);
    let server = StandIn::start(move |_| {
        arrived.send(()).unwrap();
        // Without a word the answer comes all the same.
        let _ = told.lock().recv_timeout(Duration::from_secs(20));
        (200, r#"{"Messages": [{"Body": "{}", "ReceiptHandle": "r", "MessageId": "m", "MD5OfBody": "99914b932bd37a50b983c5e7c90ae93b"}]}"#.into())
    })
    .await;
    let queues = Arc::new(SdkQueues::new(http_client(), Some(server.url.clone()), Arc::default()));
    let caller = caller_in(epoch.clone());
    let polling = tokio::spawn({
        let (queues, caller) = (queues.clone(), caller.clone());
        async move { queues.receive(&caller, QUEUE).await }
    });
    let wait = move || there.recv_timeout(Duration::from_secs(20)).map(|()| there).unwrap();
    let there = tokio::task::spawn_blocking(wait).await.unwrap();
    epoch.end();
    // It ends although the queue has not answered.
    let error = polling.await.unwrap().unwrap_err();
    assert_eq!(error.code, "SessionGivenUp");
    go.send(()).unwrap();
    let deleted = queues.delete(&caller, QUEUE, &["r".into()]).await.unwrap_err();
    assert_eq!(deleted.code, "SessionGivenUp");
    assert!(there.try_recv().is_err(), "another request");
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
/// What no test of behaviour can show: that nobody else builds a client with credentials, or reads them.
#[test]
fn requirement_27_only_the_gate_gives_credentials_to_a_client() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut clients = 0;
    for folder in ["aws", "identity"] {
        let mut open = vec![root.join(folder), root.join(folder).with_extension("rs")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if name.contains("tests") || path.extension().is_none_or(|end| end != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap().replace("TimeoutConfig::builder", "");
            if folder == "aws" && name != "aws/gate.rs" {
                for word in ["credentials_provider", "expose_secret", "Config::builder", "Config::new", "load_from_env"]
                {
                    assert!(!text.contains(word), "{name} says {word}: clients are configured by gate::config");
                }
                clients += text.matches("config!(").count();
                let sent = text.matches(".send()").count();
                let through = text.matches("self.call(").count() + text.matches("call::call(").count();
                assert!(sent <= through, "{name} sends {sent} requests and makes {through} calls through the gate");
            }
            if folder == "identity" {
                assert!(!text.contains("credentials_provider"), "{name} signs a call");
                let (builders, unsigned) =
                    (text.matches("Config::builder").count(), text.matches(".allow_no_auth()").count());
                let other = text.matches("ClientConfig::builder").count();
                assert_eq!(builders - other, unsigned, "{name} builds a client that may sign");
            }
        }
    }
    assert_eq!(clients, 5, "states, cloudwatch, logs, iam and sqs");
}
