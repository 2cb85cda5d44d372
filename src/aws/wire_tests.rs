//! What the adapter puts on the wire, and what it makes of the answers.

#![allow(missing_docs)]

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::SecretString;

use super::stand_in::{StandIn, step_functions_at};
use super::*;
use crate::config::Endpoints;
use crate::outcome::Classify;

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-orders";
const EXECUTION: &str = "arn:aws:states:eu-west-1:111122223333:execution:shop-orders:run-1";

fn caller() -> Caller {
    caller_in(Epoch::default())
}

pub(super) fn caller_in(epoch: Epoch) -> Caller {
    Caller::new(Arc::new(session_in(epoch)), &Arc::default())
}

fn session_in(epoch: Epoch) -> Session {
    let credentials = Credentials {
        access_key_id: "ASIASESSION".into(),
        secret_access_key: SecretString::from("canarysecret"),
        session_token: SecretString::from("canarysession"),
    };
    Session {
        gate: Gate::new(credentials, epoch),
        expires_at: Timestamp::MAX,
        refresh_at: Timestamp::MAX,
        region: "eu-west-1".into(),
        account_id: "111122223333".into(),
        assumed_role_arn: "arn:aws:iam::111122223333:role/shop-orders".into(),
        session_name: "shop.orders-hash".into(),
        packed_policy_percent: None,
        origin: SessionOrigin {
            namespace: "shop".into(),
            binding: "orders".into(),
            service_account_uid: "account-uid".into(),
            token_id: "token-id".into(),
            issuer: "https://issuer.example".into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            requester: None,
            authorized_party: None,
        },
    }
}

pub(super) fn start() -> StartExecution {
    StartExecution { target_arn: MACHINE.into(), name: "run-1".into(), input: "{}".into(), trace_root: "1-0-a".into() }
}

fn adapter(server: &StandIn) -> SdkStepFunctions {
    SdkStepFunctions::new(http_client(), &server.endpoints(), Arc::default(), 1.0)
}

fn refusal(code: &str, message: &str) -> String {
    serde_json::json!({"__type": format!("com.amazonaws.states#{code}"), "message": message}).to_string()
}

#[tokio::test]
async fn a_log_group_is_asked_for_by_name_and_an_empty_page_with_a_token_is_no_end() {
    let last = r#"{"events":[{"timestamp":1500,"message":"{}","eventId":"e","logStreamName":"s"},{"message":"x"}]}"#;
    let empty = r#"{"events":[],"searchedLogStreams":[],"nextToken":"t"}"#;
    let server = StandIn::start(move |seen| {
        let page = if seen.body.contains("nextToken") { last } else { empty };
        (200, page.into())
    })
    .await;
    let endpoints = Endpoints { logs: Some(server.url.clone()), ..Endpoints::default() };
    let logs = SdkStepFunctions::new(http_client(), &endpoints, Arc::default(), 1.0);
    let from = Timestamp::from_millisecond(1234).unwrap();
    let first =
        LogRequest { group: "/aws/vendedlogs/states/shop".into(), from, pattern: "{ p }".into(), next_token: None };
    let page = logs.log_page(&caller(), &first).await.unwrap();
    assert_eq!((page.events.len(), page.next_token.as_deref()), (0, Some("t")));
    let page = logs.log_page(&caller(), &LogRequest { next_token: page.next_token, ..first }).await.unwrap();
    assert_eq!((page.events.len(), page.next_token.as_deref()), (1, None));
    assert_eq!(page.events[0].timestamp.as_millisecond(), 1500);
    let seen = &server.seen()[0];
    assert_eq!(seen.header("x-amz-target"), "Logs_20140328.FilterLogEvents");
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"logGroupName": "/aws/vendedlogs/states/shop", "startTime": 1234, "filterPattern": "{ p }"})
    );
}

#[tokio::test]
async fn calls_are_signed_with_the_session_and_keep_the_custom_host() {
    let server = StandIn::start(|seen| {
        (200, match seen.operation() {
            "StartSyncExecution" => format!(
                r#"{{"executionArn":"{EXECUTION}","startDate":1.5,"stopDate":2,"status":"SUCCEEDED","output":"{{}}"}}"#
            ),
            _ => format!(
                r#"{{"executionArn":"{EXECUTION}","stateMachineArn":"{MACHINE}","status":"RUNNING","startDate":1.5}}"#
            ),
        })
    })
    .await;
    let adapter = adapter(&server);
    let ended = adapter.start_sync_execution(&caller(), &start()).await.unwrap();
    assert_eq!((ended.status, ended.output.as_deref()), (ExecutionStatus::Succeeded, Some("{}")));
    let found = adapter.describe_execution(&caller(), EXECUTION).await.unwrap().unwrap();
    assert_eq!((found.status, found.started_at.as_millisecond()), (ExecutionStatus::Running, 1500));
    let authority = server.url.authority();
    for seen in server.seen() {
        assert_eq!(seen.header("host"), authority);
        assert!(seen.header("authorization").contains("Credential=ASIASESSION/"), "{}", seen.header("authorization"));
        assert!(seen.header("authorization").contains("/eu-west-1/states/"));
        assert_eq!(seen.header("x-amz-security-token"), "canarysession");
    }
}

#[derive(Clone, Debug, Default)]
struct Nowhere(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Nowhere {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().push(request.uri().to_owned());
        HttpConnectorFuture::ready(Err(ConnectorError::user("the test has no network".into())))
    }
}

#[tokio::test]
async fn endpoints_of_aws_are_regional_and_synchronous_starts_have_their_own_host() {
    let nowhere = Nowhere::default();
    let connector = SharedHttpConnector::new(nowhere.clone());
    let http = aws_sdk_sfn::config::SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()));
    let adapter = SdkStepFunctions::new(http, &Endpoints::default(), Arc::default(), 1.0);
    let error = adapter.start_sync_execution(&caller(), &start()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (AwsErrorKind::Unavailable, "ConnectionFailed"));
    adapter.start_execution(&caller(), &start()).await.unwrap_err();
    let seen = nowhere.0.lock().clone();
    assert_eq!(seen, ["https://sync-states.eu-west-1.amazonaws.com/", "https://states.eu-west-1.amazonaws.com/"]);
}

#[tokio::test]
async fn starts_are_sent_once_and_reads_twice_at_most() {
    let server = StandIn::start(|_| (500, String::from("{}"))).await;
    let adapter = adapter(&server);
    let sent = |operation: &str| server.seen().iter().filter(|seen| seen.operation() == operation).count();
    let error = adapter.start_sync_execution(&caller(), &start()).await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Unavailable);
    adapter.start_execution(&caller(), &start()).await.unwrap_err();
    adapter.describe_execution(&caller(), EXECUTION).await.unwrap_err();
    let counts = ["StartSyncExecution", "StartExecution", "DescribeExecution"].map(sent);
    assert_eq!(counts, [1, 1, 2]);
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_is_not_sent_again_on_another_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(Mutex::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock() += 1;
            // Reads something of the request, then closes without an answer.
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64]).await;
        }
    });
    let adapter = SdkStepFunctions::new(http_client(), &step_functions_at(url), Arc::default(), 1.0);
    let error = adapter.start_sync_execution(&caller(), &start()).await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Unavailable);
    assert_eq!(*connections.lock(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_its_meaning_and_loses_ids_and_tokens() {
    let server = StandIn::start(|_| {
        let id = Timestamp::now().as_nanosecond().rem_euclid(1_000_000_000_000);
        let text = format!("no (RequestId: 6f6f3b7e-0f7a-4b6e-9d5c-{id:012}) eyJhbGciOiJSUzI1NiJ9.e30.canarysignature");
        (400, refusal("InvalidDefinition", &text))
    })
    .await;
    let adapter = adapter(&server);
    let request = UpdateStateMachine {
        arn: MACHINE.into(),
        definition: "{}".into(),
        role_arn: "arn:aws:iam::111122223333:role/x".into(),
        settings: MachineSettings::default(),
        version_description: Some("v".into()),
    };
    let first = adapter.update_state_machine(&caller(), &request).await.unwrap_err();
    let second = adapter.update_state_machine(&caller(), &request).await.unwrap_err();
    assert_eq!(first, second);
    assert_eq!(first.kind, AwsErrorKind::InvalidDefinition);
    assert_eq!(
        first.public(),
        "AWS refused states:UpdateStateMachine: InvalidDefinition: no (RequestId: …) …. Correct the definition."
    );
    assert!(!format!("{first:?}").contains("canary"));
}

#[tokio::test]
async fn what_does_not_exist_is_no_error_where_absence_is_an_answer() {
    let server = StandIn::start(|seen| {
        let code = match seen.operation() {
            "DescribeExecution" | "StopExecution" => "ExecutionDoesNotExist",
            "DescribeStateMachineAlias" | "DeleteStateMachineAlias" => "ResourceNotFound",
            "DescribeActivity" | "DeleteActivity" => "ActivityDoesNotExist",
            _ => "StateMachineDoesNotExist",
        };
        (400, refusal(code, "none"))
    })
    .await;
    let adapter = adapter(&server);
    assert_eq!(adapter.describe_state_machine(&caller(), MACHINE).await, Ok(None));
    assert_eq!(adapter.describe_execution(&caller(), EXECUTION).await, Ok(None));
    assert_eq!(adapter.delete_state_machine(&caller(), MACHINE).await, Ok(()));
    assert_eq!(adapter.has_running_executions(&caller(), MACHINE).await, Ok(false));
    let (alias, activity) = (format!("{MACHINE}:live"), MACHINE.replace(":stateMachine:", ":activity:"));
    assert_eq!(adapter.alias_routes(&caller(), &alias).await, Ok(None));
    assert_eq!(adapter.delete_alias(&caller(), &alias).await, Ok(()));
    assert_eq!(adapter.has_activity(&caller(), &activity).await, Ok(false));
    assert_eq!(adapter.delete_activity(&caller(), &activity).await, Ok(()));
    assert_eq!(adapter.list_tags(&caller(), MACHINE).await.unwrap_err().kind, AwsErrorKind::NotFound);
    let stopped = adapter.stop_execution(&caller(), EXECUTION, Some(("Cancelled", "by its owner"))).await;
    assert_eq!(stopped.unwrap_err().kind, AwsErrorKind::NotFound);
}

#[tokio::test]
async fn a_history_is_read_as_it_is_asked_for_and_without_execution_data() {
    let server = StandIn::start(|_| {
        let events = serde_json::json!({"nextToken": "older", "events": [
            {"id": 5, "previousEventId": 4, "timestamp": 5, "type": "MapIterationStarted", "mapIterationStartedEventDetails": {"name": "Each", "index": 0}},
            {"id": 4, "previousEventId": 3, "timestamp": 4, "type": "MapRunStarted", "mapRunStartedEventDetails": {"mapRunArn": "arn:run"}},
            {"id": 3, "previousEventId": 2, "timestamp": 3, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Charge"}},
            {"id": 2, "previousEventId": 0, "timestamp": 2, "type": "PassStateExited", "stateExitedEventDetails": {"name": "First"}},
        ]});
        (200, events.to_string())
    })
    .await;
    let request = HistoryRequest {
        arn: EXECUTION.into(),
        newest_first: true,
        max_events: 200,
        next_token: Some("token".into()),
        ..HistoryRequest::default()
    };
    let page = adapter(&server).history_page(&caller(), &request).await.unwrap();
    assert_eq!(page.next_token.as_deref(), Some("older"));
    let names: Vec<_> = page.events.iter().map(|event| (event.name.as_deref(), event.index)).collect();
    assert_eq!(names, [(Some("Each"), Some(0)), (None, None), (Some("Charge"), None), (Some("First"), None)]);
    assert_eq!(page.events[1].map_run_arn.as_deref(), Some("arn:run"));
    let asked: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    let expected = serde_json::json!({"executionArn": EXECUTION, "maxResults": 200, "reverseOrder": true, "includeExecutionData": false, "nextToken": "token"});
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn an_event_tells_time_error_resource_and_length_and_its_data_only_where_asked_for() {
    let server = StandIn::start(|_| {
        let cause = "c".repeat(1000);
        let events = serde_json::json!({"events": [
            {"id": 1, "previousEventId": 0, "timestamp": 1.5, "type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{\"pin\":1}", "inputDetails": {"truncated": true}}},
            {"id": 2, "previousEventId": 0, "timestamp": 2, "type": "MapStateStarted", "mapStateStartedEventDetails": {"length": 7}},
            {"id": 3, "previousEventId": 2, "timestamp": 3, "type": "TaskScheduled", "taskScheduledEventDetails": {"resourceType": "sqs", "resource": "sendMessage", "region": "r", "parameters": "{\"pin\":1}"}},
            {"id": 4, "previousEventId": 3, "timestamp": 4, "type": "TaskFailed", "taskFailedEventDetails": {"resourceType": "sqs", "resource": "sendMessage", "error": "E", "cause": cause}},
            {"id": 5, "previousEventId": 4, "timestamp": 5, "type": "LambdaFunctionScheduled", "lambdaFunctionScheduledEventDetails": {"resource": "arn:f"}},
        ]});
        (200, events.to_string())
    })
    .await;
    let (adapter, mut request) = (adapter(&server), HistoryRequest { max_events: 1000, ..HistoryRequest::default() });
    let without = adapter.history_page(&caller(), &request).await.unwrap().events;
    request.include_data = true;
    let with = adapter.history_page(&caller(), &request).await.unwrap().events;
    assert_eq!(without[0].timestamp.as_millisecond(), 1500);
    assert_eq!((without[1].length, without[2].resource.as_deref()), (Some(7), Some("sqs:sendMessage")));
    assert_eq!((without[3].error.as_deref(), without[3].cause.as_ref().map(String::len)), (Some("E"), Some(256)));
    assert_eq!(without[4].resource.as_deref(), Some("arn:f"));
    assert!(without.iter().all(|event| event.data.is_none()), "whatever AWS sends along");
    let data: Vec<&EventPayload> = with.iter().filter_map(|event| event.data.as_deref()).collect();
    assert_eq!((data[0].input.as_deref(), data[0].truncated), (Some("{\"pin\":1}"), true));
    assert_eq!(
        (data[1].parameters.as_deref(), data[2].cause.as_ref().map(String::len)),
        (Some("{\"pin\":1}"), Some(1000))
    );
    assert_eq!(data.len(), 3);
    assert!(!format!("{with:?}").contains("pin"), "payloads are not printed");
}

#[tokio::test]
async fn a_stop_without_a_reason_sends_neither_error_nor_cause() {
    let server = StandIn::start(|_| (200, r#"{"stopDate":1}"#.into())).await;
    let adapter = adapter(&server);
    adapter.stop_execution(&caller(), EXECUTION, None).await.unwrap();
    adapter.stop_execution(&caller(), EXECUTION, Some(("E", "c"))).await.unwrap();
    let asked: Vec<serde_json::Value> =
        server.seen().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    assert_eq!(asked[0], serde_json::json!({"executionArn": EXECUTION}));
    assert_eq!(asked[1], serde_json::json!({"executionArn": EXECUTION, "error": "E", "cause": "c"}));
}

#[tokio::test]
async fn a_redrive_carries_its_token_and_the_description_says_what_aws_counts() {
    let server = StandIn::start(|seen| match seen.operation() {
        "RedriveExecution" => (200, r#"{"redriveDate":1}"#.into()),
        _ => (200, format!(
            r#"{{"executionArn":"{EXECUTION}","stateMachineArn":"{MACHINE}","status":"FAILED","startDate":1.5,"redriveCount":2,"redriveStatus":"NOT_REDRIVABLE","redriveStatusReason":"Execution history event limit exceeded"}}"#
        )),
    })
    .await;
    let adapter = adapter(&server);
    adapter.redrive_execution(&caller(), EXECUTION, "uid-1").await.unwrap();
    let asked: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    assert_eq!(asked, serde_json::json!({"executionArn": EXECUTION, "clientToken": "uid-1"}));
    let found = adapter.describe_execution(&caller(), EXECUTION).await.unwrap().unwrap();
    assert_eq!(found.redrive_count, 2);
    assert_eq!(found.redrivable, Some(Err("Execution history event limit exceeded".into())));
}

#[tokio::test]
async fn a_creation_publishes_a_described_version_with_its_tags() {
    let server = StandIn::start(|_| {
        (200, format!(r#"{{"stateMachineArn":"{MACHINE}","creationDate":1,"stateMachineVersionArn":"{MACHINE}:1"}}"#))
    })
    .await;
    let request = CreateStateMachine {
        name: "shop-orders".into(),
        definition: "{\"StartAt\":\"A\"}".into(),
        role_arn: "arn:aws:iam::111122223333:role/x".into(),
        machine_type: crate::api::v1alpha1::StateMachineType::Express,
        settings: MachineSettings::default(),
        version_description: Some("stepbound:uid:hash".into()),
        tags: Tags::from([("owner".into(), "uid".into())]),
    };
    let created = adapter(&server).create_state_machine(&caller(), &request).await.unwrap();
    assert_eq!(created.version_arn, Some(format!("{MACHINE}:1")));
    let asked: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    assert_eq!(asked["definition"], request.definition);
    assert_eq!(asked["type"], "EXPRESS");
    assert_eq!(asked["publish"], true);
    assert_eq!(asked["versionDescription"], "stepbound:uid:hash");
    assert_eq!(asked["tags"], serde_json::json!([{"key": "owner", "value": "uid"}]));
}
