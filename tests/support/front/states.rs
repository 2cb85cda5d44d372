//! Step Functions as AWS has it, where the emulator differs. Each rule cites the fact that it models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::express::refuses_log_group;
use super::policy::Request;
use super::{IssuedSession, Shared, error_json, root};

pub(super) type Answer = (u16, String);

/// A machine whose deletion was asked for, as it was, and its executions.
pub(super) struct Deleting {
    until: Instant,
    machine: Value,
}

impl Shared {
    /// A call as the account's root, which the emulator does not check.
    pub(super) async fn as_root(&self, operation: &str, body: &Value) -> (u16, Value) {
        let sent = self.http.post(&self.upstream).header("authorization", root("states"));
        let sent = sent.header("x-amz-target", format!("AWSStepFunctions.{operation}"));
        let sent = sent.header("content-type", "application/x-amz-json-1.0").body(body.to_string());
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(super) async fn states(self: &Arc<Self>, operation: &str, headers: &HeaderMap, body: String) -> Answer {
        let request: Value = serde_json::from_str(&body).unwrap_or_default();
        if let Err(refused) = self.authorize(operation, headers, &request).await {
            return refused;
        }
        if let Some(refused) = self.refused_while_deleting(operation, &request) {
            return refused;
        }
        if let Some(refused) = Self::refuses_express(&request) {
            return refused;
        }
        if matches!(operation, "StopExecution" | "GetExecutionHistory")
            && let Some(answer) = self.about_played(operation, &request)
        {
            return answer;
        }
        match operation {
            "CreateStateMachine" | "UpdateStateMachine" => self.write_machine(headers, body, &request).await,
            "DeleteStateMachine" => self.delete_machine(headers, body, &request).await,
            "StartExecution" => self.start_execution(headers, body, &request).await,
            "StartSyncExecution" => self.start_sync(request).await,
            "DescribeStateMachine" => self.describe_machine(headers, body, &request).await,
            "ValidateStateMachineDefinition" => validated(&request),
            "CreateActivity" => self.create_activity(&request).await,
            "PublishStateMachineVersion" => self.publish(headers, body, &request).await,
            "CreateStateMachineAlias" => self.create_alias(&request).await,
            "ListExecutions" => self.list_executions(&request).await,
            "RedriveExecution" => self.redrive(&request).await,
            "GetExecutionHistory" => self.history(&request).await,
            "StopExecution" => self.about_execution(operation, headers, body, &request).await,
            "DescribeExecution" => self.describe_execution(headers, body, &request).await,
            "ListTagsForResource"
            | "TagResource"
            | "UntagResource"
            | "DeleteStateMachineVersion"
            | "DescribeActivity"
            | "DeleteActivity"
            | "DescribeMapRun"
            | "ListMapRuns"
            | "DescribeStateMachineAlias"
            | "UpdateStateMachineAlias"
            | "DeleteStateMachineAlias" => {
                let (status, answer) = self.as_root(operation, &request).await;
                (status, answer.to_string())
            }
            _ => self.forward(headers, body).await,
        }
    }

    /// The session whose credentials signed a request.
    pub(super) fn session_of(&self, headers: &HeaderMap) -> Option<IssuedSession> {
        let authorization = headers.get("authorization")?.to_str().ok()?;
        let key = authorization.split("Credential=").nth(1)?.split('/').next()?;
        self.sessions.lock().unwrap().get(key).cloned()
    }

    /// What the emulator authorizes wrongly or not at all: tag calls are authorized on the machine's ARN, a creation
    /// with tags needs `states:TagResource`, publishing needs `states:PublishStateMachineVersion`, a role in the request
    /// needs `iam:PassRole` (service authorization reference, Step Functions). Session policies bound every call.
    async fn authorize(&self, operation: &str, headers: &HeaderMap, request: &Value) -> Result<(), Answer> {
        let Some(session) = self.session_of(headers) else {
            return Err((
                400,
                error_json("UnrecognizedClientException", "The security token included in the request is invalid."),
            ));
        };
        let resource = resource_of(operation, request);
        let mut context = tag_context(request);
        context.extend(self.resource_tags(operation, &resource).await);
        let mut needed = vec![(format!("states:{operation}"), resource.clone())];
        for (action, key) in self.keys_needed(operation, request, &mut context) {
            needed.push((action.to_owned(), key));
        }
        if operation == "CreateStateMachine" && request["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
            needed.push(("states:TagResource".into(), resource.clone()));
        }
        if request["publish"] == true {
            needed.push(("states:PublishStateMachineVersion".into(), resource));
        }
        if let Some(role) = request["roleArn"].as_str() {
            context.insert("iam:PassedToService".into(), vec!["states.amazonaws.com".into()]);
            needed.push(("iam:PassRole".into(), role.to_owned()));
        }
        for (action, resource) in &needed {
            if !self.allowed(&session, &Request { action, resource, context: &context }).await {
                let role = session.role_arn.rsplit('/').next().unwrap();
                let message = format!(
                    "User: arn:aws:sts::000000000000:assumed-role/{role}/{} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
                    session.name
                );
                return Err((400, error_json("AccessDeniedException", &message)));
            }
        }
        Ok(())
    }

    /// AWS assumes the execution role when it validates a creation or update, and answers this where the role does not
    /// exist or does not trust the service. The emulator looks at neither.
    async fn write_machine(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        // An update names at least one of definition and role (`UpdateStateMachine`, MissingRequiredParameter).
        if request["definition"].is_null() && request["roleArn"].is_null() {
            let message = "Either the definition, the role ARN, or both must be specified";
            return (400, error_json("MissingRequiredParameter", message));
        }
        if let Some(arn) = request["roleArn"].as_str() {
            let role = self.role(arn.rsplit('/').next().unwrap()).await;
            if !role.is_some_and(|role| role.trust.to_string().contains("\"states.amazonaws.com\"")) {
                let message = "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role.";
                return (400, error_json("AccessDeniedException", message));
            }
        }
        if let Some(definition) = request["definition"].as_str() {
            if let Some(wrong) = unknown_resource(definition) {
                let message = format!("Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {wrong}'");
                return (400, error_json("InvalidDefinition", &message));
            }
            self.timeouts.lock().unwrap().insert(resource_of("", request), timeout_of(definition));
        }
        if !request["tracingConfiguration"].is_null() {
            let configuration = request["tracingConfiguration"].clone();
            self.tracing.lock().unwrap().insert(resource_of("", request), configuration);
        }
        if let Some(refused) = refuses_log_group(request) {
            return refused;
        }
        self.note_express(&resource_of("", request), request);
        if let Some(machine) = request["stateMachineArn"].as_str() {
            self.keep_old_description(machine).await;
        }
        let (status, answer) = self.forward(headers, body).await;
        self.remember_version(&answer).await;
        (status, answer)
    }

    /// Creating an activity of a name that exists gives the one that exists (`CreateActivity`); the emulator refuses it, and
    /// authorizes activities on a wrong resource.
    async fn create_activity(&self, request: &Value) -> Answer {
        let (status, answer) = self.as_root("CreateActivity", request).await;
        let taken = answer["__type"].as_str().is_some_and(|code| code.contains("ActivityAlreadyExists"));
        if !taken {
            return (status, answer.to_string());
        }
        let (_, found) =
            self.as_root("DescribeActivity", &json!({"activityArn": resource_of("CreateActivity", request)})).await;
        (200, json!({"activityArn": found["activityArn"], "creationDate": found["creationDate"]}).to_string())
    }

    /// A call about an execution, wherever it runs.
    async fn about_execution(&self, operation: &str, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let Some(actual) = self.runs_as(request["executionArn"].as_str().unwrap_or_default()) else {
            return self.forward(headers, body).await;
        };
        let mut changed = request.clone();
        changed["executionArn"] = json!(actual);
        let (status, answer) = self.as_root(operation, &changed).await;
        (status, answer.to_string())
    }

    /// A machine is described with its tracing (`DescribeStateMachine`), which the emulator takes and forgets.
    async fn describe_machine(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let (status, answer) = self.forward(headers, body).await;
        let arn = request["stateMachineArn"].as_str().unwrap_or_default();
        if let Some(old) = self.old_description(arn) {
            return (200, old.to_string());
        }
        let known = self.tracing.lock().unwrap().get(arn).cloned();
        match (status, known) {
            (200, Some(configuration)) => {
                let mut machine: Value = serde_json::from_str(&answer).unwrap();
                machine["tracingConfiguration"] = configuration;
                (200, machine.to_string())
            }
            _ => (status, answer),
        }
    }

    /// While a machine is being deleted it is described as DELETING, and creating or starting it is refused with
    /// `StateMachineDeleting` (`DeleteStateMachine`). In the emulator it is gone at once.
    fn refused_while_deleting(&self, operation: &str, request: &Value) -> Option<Answer> {
        let arn = machine_of(&resource_of(operation, request));
        let mut deleting = self.deleting.lock().unwrap();
        deleting.retain(|_, one| one.until > Instant::now());
        let one = deleting.get(&arn)?;
        match operation {
            "DescribeStateMachine" => {
                let mut machine = one.machine.clone();
                machine["status"] = json!("DELETING");
                Some((200, machine.to_string()))
            }
            "CreateStateMachine" | "UpdateStateMachine" | "StartExecution" | "StartSyncExecution" => {
                let message = format!("State Machine is being deleted: '{arn}'");
                Some((400, error_json("StateMachineDeleting", &message)))
            }
            "DeleteStateMachine" => Some((200, "{}".into())),
            _ => None,
        }
    }

    /// Deleting an absent machine succeeds. Executions keep their history for 90 days, running ones are ended
    /// (`DeleteStateMachine`); the emulator forgets them with the machine.
    async fn delete_machine(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let (found, machine) = self.as_root("DescribeStateMachine", request).await;
        if found == 200 {
            let (_, listed) = self.as_root("ListExecutions", request).await;
            for item in listed["executions"].as_array().into_iter().flatten() {
                let (_, mut execution) =
                    self.as_root("DescribeExecution", &json!({"executionArn": item["executionArn"]})).await;
                if execution["status"] == "RUNNING" {
                    execution["status"] = json!("ABORTED");
                    execution["stopDate"] = execution["startDate"].clone();
                }
                let arn = item["executionArn"].as_str().unwrap().to_owned();
                self.remembered.lock().unwrap().insert(arn, execution);
            }
        }
        match self.forward(headers, body).await {
            (200, answer) => {
                let until = Instant::now() + *self.deletion_takes.lock().unwrap();
                let arn = request["stateMachineArn"].as_str().unwrap().to_owned();
                self.deleting.lock().unwrap().insert(arn, Deleting { until, machine });
                (200, answer)
            }
            (400, answer) if answer.contains("StateMachineDoesNotExist") => (200, "{}".into()),
            other => other,
        }
    }

    /// The same name and input while the execution runs give the first answer; anything else of that name is refused
    /// (`StartExecution`, Standard). The emulator refuses both, and knows no `TimeoutSeconds` of a machine.
    async fn start_execution(self: &Arc<Self>, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        if let Some(answer) = self.start_played(request) {
            return answer;
        }
        if let Some(answer) = self.start_express(request).await {
            return answer;
        }
        let (status, answer) = match self.start_by_version(request).await {
            Some(answer) => answer,
            None => self.forward(headers, body).await,
        };
        if status == 200 {
            self.remember_trace(request, &answer);
            self.end_in_time(request, &answer);
            return (status, answer);
        }
        if !answer.contains("ExecutionAlreadyExists") {
            return (status, answer);
        }
        let machine = machine_of(request["stateMachineArn"].as_str().unwrap());
        let execution = machine.replace(":stateMachine:", ":execution:");
        let arn = format!("{execution}:{}", request["name"].as_str().unwrap());
        let actual = self.runs_as(&arn).unwrap_or_else(|| arn.clone());
        let (_, found) = self.as_root("DescribeExecution", &json!({"executionArn": actual})).await;
        if found["status"] == "RUNNING" && found["input"] == request["input"] {
            return (200, json!({"executionArn": arn, "startDate": found["startDate"]}).to_string());
        }
        (status, answer)
    }

    /// An execution is described with the trace header that it was started with (`DescribeExecution`, `traceHeader`); the emulator
    /// forgets it. A start that is answered with an execution which exists changes nothing of it.
    fn remember_trace(&self, request: &Value, answer: &str) {
        let started: Value = serde_json::from_str(answer).unwrap();
        if let (Some(arn), Some(header)) = (started["executionArn"].as_str(), request["traceHeader"].as_str()) {
            self.trace_headers.lock().unwrap().insert(arn.to_owned(), header.to_owned());
        }
    }

    fn with_trace(&self, arn: &str, execution: &mut Value) {
        if let Some(header) = self.trace_headers.lock().unwrap().get(arn) {
            execution["traceHeader"] = json!(header);
        }
    }

    /// A machine's own `TimeoutSeconds` ends its executions as `TIMED_OUT` (Amazon States Language).
    fn end_in_time(self: &Arc<Self>, request: &Value, answer: &str) {
        let machine = machine_of(request["stateMachineArn"].as_str().unwrap());
        let Some(limit) = self.timeouts.lock().unwrap().get(&machine).copied().flatten() else { return };
        let started: Value = serde_json::from_str(answer).unwrap();
        let (shared, arn) = (self.clone(), started["executionArn"].as_str().unwrap().to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            let execution = json!({"executionArn": arn});
            let (_, found) = shared.as_root("DescribeExecution", &execution).await;
            if found["status"] == "RUNNING" {
                shared.timed_out.lock().unwrap().insert(arn.clone());
                shared.as_root("StopExecution", &json!({"executionArn": arn, "error": "States.Timeout"})).await;
            }
        });
    }

    async fn describe_execution(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let (status, answer) = match self.about_played("DescribeExecution", request) {
            Some(answer) => answer,
            None => self.described(headers, body, request).await,
        };
        let arn = request["executionArn"].as_str().unwrap_or_default();
        if status != 200 || self.lag_of(arn) == 0.0 {
            return (status, answer);
        }
        match self.shown(serde_json::from_str(&answer).unwrap()) {
            Some(execution) => (200, execution.to_string()),
            None => (400, error_json("ExecutionDoesNotExist", &format!("Execution Does Not Exist: '{arn}'"))),
        }
    }

    async fn described(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let (status, answer) = self.about_execution("DescribeExecution", headers, body, request).await;
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let answer = if status == 200 { self.as_started(arn, &answer) } else { answer };
        if status == 200 && self.timed_out.lock().unwrap().contains(arn) {
            return (200, answer.replace("\"ABORTED\"", "\"TIMED_OUT\""));
        }
        if status == 400 && answer.contains("ExecutionDoesNotExist") {
            let remembered = self.remembered.lock().unwrap().get(arn).cloned();
            return remembered.map_or((status, answer), |mut execution| {
                self.with_trace(arn, &mut execution);
                (200, execution.to_string())
            });
        }
        (status, answer)
    }

    /// The description of an execution under the ARNs by which it was started.
    fn as_started(&self, arn: &str, answer: &str) -> String {
        let mut execution: Value = serde_json::from_str(answer).unwrap();
        execution["executionArn"] = json!(arn);
        execution["stateMachineArn"] = json!(machine_of(arn).replace(":execution:", ":stateMachine:"));
        self.with_origin(&mut execution);
        self.with_trace(arn, &mut execution);
        self.with_redrives(&mut execution);
        execution.to_string()
    }

    /// An Express execution is started by the ARN of a version too (developer guide, state machine versions); the
    /// emulator knows only machines here. The signature covers the body, so the changed one is sent by another key.
    async fn start_sync(&self, mut request: Value) -> Answer {
        request["stateMachineArn"] = json!(machine_of(request["stateMachineArn"].as_str().unwrap()));
        let (status, answer) = self.as_root("StartSyncExecution", &request).await;
        (status, answer.to_string())
    }
}

/// The ARN that a call is authorized on.
pub(super) fn resource_of(operation: &str, request: &Value) -> String {
    let fields = [
        "stateMachineArn",
        "executionArn",
        "mapRunArn",
        "resourceArn",
        "activityArn",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
    ];
    let named = fields.iter().find_map(|field| request[field].as_str());
    match named {
        // Starts and listings by version or alias are authorized on the machine.
        Some(arn) if operation.starts_with("Start") || operation == "ListExecutions" => machine_of(arn),
        Some(arn) => arn.to_owned(),
        // A new alias is authorized on its machine.
        None if operation == "CreateStateMachineAlias" => {
            machine_of(request["routingConfiguration"][0]["stateMachineVersionArn"].as_str().unwrap_or_default())
        }
        None if operation == "CreateActivity" => {
            format!("arn:aws:states:eu-west-1:000000000000:activity:{}", request["name"].as_str().unwrap_or_default())
        }
        None if operation == "ValidateStateMachineDefinition" => "*".to_owned(),
        None => {
            let name = request["name"].as_str().unwrap_or("*");
            format!("arn:aws:states:eu-west-1:000000000000:stateMachine:{name}")
        }
    }
}

/// The machine's ARN, without a version or alias.
pub(super) fn machine_of(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

fn tag_context(request: &Value) -> BTreeMap<String, Vec<String>> {
    let tags: Vec<&Value> = request["tags"].as_array().into_iter().flatten().collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut context: BTreeMap<String, Vec<String>> =
        tags.iter().map(|tag| (format!("aws:RequestTag/{}", text(&tag["key"])), vec![text(&tag["value"])])).collect();
    if !tags.is_empty() {
        context.insert("aws:TagKeys".into(), tags.iter().map(|tag| text(&tag["key"])).collect());
    }
    context
}

/// AWS knows its integrations and refuses others when a machine is created, updated or validated; the emulator takes any.
fn unknown_resource(definition: &str) -> Option<String> {
    const UNKNOWN: &str = "arn:aws:states:::nonsense:run";
    definition.contains(UNKNOWN).then(|| {
        format!("The resource provided {UNKNOWN} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/A/Resource")
    })
}

/// `ValidateStateMachineDefinition` gives everything that is wrong, with its place.
fn validated(request: &Value) -> Answer {
    let wrong = unknown_resource(request["definition"].as_str().unwrap_or_default());
    let diagnostics: Vec<Value> = wrong
        .iter()
        .map(|message| {
            json!({"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message, "location": "/States/A/Resource"})
        })
        .collect();
    let result = if diagnostics.is_empty() { "OK" } else { "FAIL" };
    (200, json!({"result": result, "diagnostics": diagnostics, "truncated": false}).to_string())
}

fn timeout_of(definition: &str) -> Option<Duration> {
    let definition: Value = serde_json::from_str(definition).ok()?;
    definition["TimeoutSeconds"].as_u64().map(Duration::from_secs)
}
