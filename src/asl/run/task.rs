//! Tasks: the call, its time, and what it comes to.

use serde_json::{Value, json};

use super::data;
use super::engine::{Beside, Details, Engine, MAX_PAYLOAD, details, payload};
use super::event::{Answer, Effect, Invoke, Purpose, TaskId};
use super::failure::{Failure, Fault, TIMEOUT};
use super::leaving::error_details;
use super::sight::Sight;
use super::state::{Calling, Phase, ScopeId, Timer, Told};
use super::template;
use crate::asl::model::{Arn, Kind, Pattern, State, Target, Task};
use crate::asl::position::Node;

/// What a Task calls, worked out.
struct Call {
    input: Value,
    credentials: Option<Value>,
    timeout: Option<f64>,
    heartbeat: Option<f64>,
}

impl<'m> Engine<'_, 'm> {
    pub(super) fn task(&mut self, scope: ScopeId, state: &'m State<'m>, task: &'m Task<'m>) {
        let resource = task.resource_node.and_then(Node::as_str).unwrap_or_default();
        let pattern = task.resource.map_or(Pattern::RequestResponse, |resource| resource.pattern);
        if pattern == Pattern::WaitForTaskToken {
            let token = self.run.random.uuid();
            if let Some(visit) = self.visit(scope) {
                visit.token = Some(token);
            }
        }
        let call = self
            .taken(scope)
            .and_then(|taken| self.look(scope, &taken, Beside::default(), |sight| worked_out(state, task, sight)));
        let call = match call {
            Ok(call) => call,
            Err(fault) => return self.fault(scope, fault),
        };
        let told = match task.resource.map(|resource| resource.target) {
            Some(Target::Lambda(_)) => Told::Lambda(resource.to_owned()),
            Some(Target::Activity(_)) => Told::Activity(resource.to_owned()),
            Some(Target::Optimised { service, action }) => {
                Told::Service(service.to_owned(), format!("{action}{}", pattern.suffix()))
            }
            Some(Target::Sdk { service, action }) => {
                Told::Service(format!("aws-sdk:{service}"), format!("{action}{}", pattern.suffix()))
            }
            Some(Target::OtherArn(Arn { service, resource, .. })) => {
                Told::Service(service.to_owned(), resource.to_owned())
            }
            Some(Target::Unknown) | None => Told::Service(String::new(), resource.to_owned()),
        };
        self.schedule(scope, told, call, resource, pattern);
    }

    fn schedule(&mut self, scope: ScopeId, told: Told, call: Call, resource: &str, pattern: Pattern) {
        let Some(text) = self.text(&call.input) else { return };
        let mut scheduled = match &told {
            Told::Lambda(resource) | Told::Activity(resource) => {
                let mut details = details([("resource", json!(resource))]);
                payload(&mut details, "input", text);
                details
            }
            Told::Service(kind, resource) => details([
                ("resourceType", json!(kind)),
                ("resource", json!(resource)),
                ("region", json!(self.run.identity.region)),
                ("parameters", Value::String(text)),
            ]),
            Told::Untold => Details::new(),
        };
        let seconds = [("timeoutInSeconds", call.timeout), ("heartbeatInSeconds", call.heartbeat)];
        #[allow(clippy::cast_possible_truncation)] // a field of seconds is far smaller
        scheduled.extend(seconds.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value? as i64)))));
        if let Some(role) = call.credentials.as_ref().and_then(|credentials| credentials.get("RoleArn")) {
            scheduled.insert("taskCredentials".to_owned(), json!({"roleArn": role}));
        }
        self.tell(scope, &told, "Scheduled", scheduled);
        if matches!(told, Told::Lambda(_) | Told::Service(..)) {
            self.tell(scope, &told, "Started", Details::new());
        }
        let started = !matches!(told, Told::Activity(_));
        let Some(task) = self.call(scope, Purpose::Task, resource, pattern, call.input, call.credentials) else {
            return;
        };
        if let Some(visit) = self.visit(scope) {
            let resource = resource.to_owned();
            let calling = Calling { task, told, resource, heartbeat: call.heartbeat, beat: 0, is_started: started };
            visit.phase = Phase::Calling(Box::new(calling));
        }
        if let Some(timeout) = call.timeout {
            let until = self.run.after(timeout);
            self.run.set_timer(until, Timer::Timeout(scope, task));
        }
        self.await_heartbeat(scope);
    }

    /// A Map or Parallel whose result the driver gives.
    pub(super) fn ask(&mut self, scope: ScopeId) {
        let Some(state) = self.state(scope) else { return };
        let input = match &state.kind {
            Kind::Map(map) => self.begun(scope, state, map).map(|(_, _, items)| Value::Array(items.values.into())),
            _ => self
                .taken(scope)
                .and_then(|taken| self.look(scope, &taken, Beside::default(), |sight| data::payload(state, sight))),
        };
        let input = match input {
            Ok(input) => input,
            Err(fault) => return self.fault(scope, fault),
        };
        let Some(task) = self.call(scope, Purpose::State, "", Pattern::RequestResponse, input, None) else { return };
        if let Some(visit) = self.visit(scope) {
            let resource = String::new();
            let calling = Calling { task, told: Told::Untold, resource, heartbeat: None, beat: 0, is_started: true };
            visit.phase = Phase::Calling(Box::new(calling));
        }
    }

    /// Has something called; nothing where the run has ended.
    pub(super) fn call(
        &mut self,
        scope: ScopeId,
        purpose: Purpose,
        resource: &str,
        pattern: Pattern,
        input: Value,
        credentials: Option<Value>,
    ) -> Option<TaskId> {
        let (attempt, token) = self.visit(scope).map(|visit| (visit.attempt, visit.token.clone()))?;
        self.run.last_call += 1;
        let task = TaskId(self.run.last_call);
        self.run.calls.insert(task, scope);
        let path = self.place(scope);
        let resource = resource.to_owned();
        let invoke = Invoke { task, path, purpose, resource, pattern, input, attempt, token, credentials };
        self.effects.push(Effect::Invoke(Box::new(invoke)));
        Some(task)
    }

    fn tell(&mut self, scope: ScopeId, told: &Told, what: &str, mut fields: Details) {
        let kind = match told {
            Told::Lambda(_) => "LambdaFunction",
            Told::Activity(_) => "Activity",
            Told::Service(kind, resource) => {
                fields.insert("resourceType".to_owned(), json!(kind));
                fields.insert("resource".to_owned(), json!(resource));
                "Task"
            }
            Told::Untold => return,
        };
        self.emit(scope, &format!("{kind}{what}"), fields);
    }

    fn calling(&mut self, scope: ScopeId, task: TaskId) -> Option<&mut Calling> {
        match &mut self.visit(scope)?.phase {
            Phase::Calling(calling) if calling.task == task => Some(calling),
            _ => None,
        }
    }

    fn await_heartbeat(&mut self, scope: ScopeId) {
        let Some(Phase::Calling(calling)) = self.visit(scope).map(|visit| &visit.phase) else { return };
        let (task, beat, Some(seconds)) = (calling.task, calling.beat, calling.heartbeat) else { return };
        let until = self.run.after(seconds);
        self.run.set_timer(until, Timer::Heartbeat(scope, task, beat));
        self.effects.push(Effect::Heartbeat { task, until });
    }

    /// What a call came to.
    pub(super) fn answered(&mut self, scope: ScopeId, task: TaskId, answer: Answer) {
        let Some(calling) = self.calling(scope, task) else { return };
        let (told, resource) = (calling.told.clone(), calling.resource.clone());
        if matches!(told, Told::Activity(_)) && !calling.is_started {
            calling.is_started = true;
            let worker = match &answer {
                Answer::Started { worker: Some(worker) } => details([("workerName", json!(worker))]),
                _ => Details::new(),
            };
            self.tell(scope, &told, "Started", worker);
        }
        match answer {
            Answer::Started { .. } | Answer::Heartbeat => self.beat(scope, task),
            Answer::Submitted(output) => {
                if matches!(told, Told::Service(..)) {
                    let Some(fields) = self.output(&output) else { return };
                    self.tell(scope, &told, "Submitted", fields);
                }
            }
            Answer::Succeeded(output) => {
                let Some(fields) = self.output(&output) else { return };
                let text = fields.get("output").and_then(Value::as_str).unwrap_or_default();
                if text.len() > MAX_PAYLOAD && !matches!(told, Told::Untold) {
                    return self.gone_wrong(scope, task, "Failed", Failure::too_large(&resource));
                }
                self.run.calls.remove(&task);
                self.tell(scope, &told, "Succeeded", fields);
                self.finish(scope, &output);
            }
            Answer::Failed { error, cause } => {
                self.gone_wrong(scope, task, "Failed", Failure { error, cause, ..Failure::default() });
            }
            Answer::TimedOut { cause } => self.timed_out(scope, task, cause, false),
        }
    }

    fn output(&mut self, output: &Value) -> Option<Details> {
        let mut fields = Details::new();
        payload(&mut fields, "output", self.text(output)?);
        Some(fields)
    }

    fn beat(&mut self, scope: ScopeId, task: TaskId) {
        if let Some(calling) = self.calling(scope, task) {
            calling.beat += 1;
            self.await_heartbeat(scope);
        }
    }

    /// Its time is over. AWS tells a missed heartbeat as a timeout, which recordings show.
    pub(super) fn timed_out(&mut self, scope: ScopeId, task: TaskId, cause: Option<String>, is_heartbeat: bool) {
        let failure = Failure { error: Some(TIMEOUT.to_owned()), cause, is_heartbeat, ..Failure::default() };
        self.gone_wrong(scope, task, "TimedOut", failure);
    }

    /// True while this heartbeat is the one that counts.
    pub(super) fn is_silent(&mut self, scope: ScopeId, task: TaskId, beat: u64) -> bool {
        self.calling(scope, task).is_some_and(|calling| calling.beat == beat)
    }

    fn gone_wrong(&mut self, scope: ScopeId, task: TaskId, how: &str, failure: Failure) {
        let Some(told) = self.calling(scope, task).map(|calling| calling.told.clone()) else { return };
        self.run.calls.remove(&task);
        self.tell(scope, &told, how, error_details(&failure));
        self.failed(scope, failure);
    }
}

fn worked_out(state: &State<'_>, task: &Task<'_>, sight: Sight<'_>) -> Result<Call, Fault> {
    let language = state.query_language;
    let timeout = data::whole(task.timeout, language, "TimeoutSeconds", sight)?;
    let heartbeat = data::whole(task.heartbeat, language, "HeartbeatSeconds", sight)?;
    let input = data::payload(state, sight)?;
    let credentials = task.credentials.map(|node| template::fill(node.value(), language, "Credentials", sight));
    #[allow(clippy::cast_precision_loss)] // seconds are far fewer
    let seconds = |value: Option<i64>| value.map(|value| value as f64);
    Ok(Call { input, credentials: credentials.transpose()?, timeout: seconds(timeout), heartbeat: seconds(heartbeat) })
}
