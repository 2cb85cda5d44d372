//! Executions.

use async_trait::async_trait;
use jiff::Timestamp;

use super::super::{
    AwsError, Caller, Execution, ExecutionPage, ExecutionStatus, Executions, HistoryEvent, HistoryPage, HistoryRequest,
    ListPage, ListedExecution, MapRunCounts, StartExecution, StartedExecution,
};
use super::state::{Ended, Ran, Refused, State, machine_of, no_execution, no_machine, number_of};
use super::{Does, FakeAws, or_none};
use crate::api::v1alpha1::StateMachineType;
use crate::telemetry::xray_header;

/// Most executions on a page (`ListExecutions`, parameter `maxResults`).
const PAGE: usize = 1000;
/// The reason that AWS gives of an execution that it does not redrive, by what it does.
const BUSY: [(ExecutionStatus, &str); 2] =
    [(ExecutionStatus::Running, "RUNNING"), (ExecutionStatus::Succeeded, "SUCCEEDED")];

impl FakeAws {
    /// Ends an execution.
    pub(crate) fn end(&self, arn: &str, ended: Ended) {
        self.state().executions.get_mut(arn).unwrap().end(ended);
    }

    /// The execution as it is, whatever looks show.
    pub(crate) fn execution(&self, arn: &str) -> Option<Execution> {
        let state = self.state();
        state.executions.get(arn).map(|ran| state.described(ran))
    }

    /// Every execution's ARN.
    pub(crate) fn executions(&self) -> Vec<String> {
        self.state().executions.keys().cloned().collect()
    }

    /// Starts an execution as somebody else would.
    pub(crate) fn start_by_hand(&self, target_arn: &str, name: &str, input: &str) -> String {
        let request = StartExecution {
            target_arn: target_arn.into(),
            name: name.into(),
            input: input.into(),
            trace_root: "1-00000000-000000000000000000000000".into(),
        };
        self.state().start(&request).unwrap().arn
    }

    /// AWS has nothing of an execution any more.
    pub(crate) fn forget_execution(&self, arn: &str) {
        self.state().executions.remove(arn);
    }

    /// How synchronous starts end from now on.
    pub(crate) fn sync_ends(&self, ended: Ended) {
        self.state().sync_end = Some(ended);
    }

    pub(crate) fn refuse_redrive(&self, arn: &str, why: &str) {
        self.state().not_redrivable.insert(arn.into(), why.into());
    }

    /// Gives an execution a history: type and state of each event, oldest first and a second apart.
    pub(crate) fn tell(&self, arn: &str, events: &[(&str, Option<&str>)]) {
        let event = |(at, (kind, name)): (i64, &(&str, Option<&str>))| HistoryEvent {
            id: at + 1,
            previous_id: at,
            timestamp: Timestamp::from_second(at).unwrap(),
            event_type: (*kind).to_owned(),
            name: name.filter(|_| *kind != "MapRunStarted").map(str::to_owned),
            map_run_arn: name.filter(|_| *kind == "MapRunStarted").map(str::to_owned),
            ..HistoryEvent::default()
        };
        self.tell_events(arn, (0..).zip(events).map(event).collect());
    }

    /// Gives an execution a history, oldest event first.
    pub(crate) fn tell_events(&self, arn: &str, events: Vec<HistoryEvent>) {
        self.state().executions.get_mut(arn).unwrap().events = events;
    }

    pub(crate) fn set_map_run(&self, arn: &str, ended: i64, total: i64) {
        let counts = MapRunCounts { succeeded: ended, total, ..MapRunCounts::default() };
        self.state().map_runs.insert(arn.into(), counts);
    }
}

impl State {
    /// Version and alias by which a start runs. An alias divides starts by its weights.
    fn route(&mut self, target: &str) -> Result<(Option<String>, Option<String>), Refused> {
        let machine = machine_of(target);
        let versions: Vec<i64> = self.machine(&machine)?.versions.keys().copied().collect();
        if target == machine {
            return Ok((None, None));
        }
        if let Some(number) = number_of(target) {
            let known = versions.contains(&number);
            return if known { Ok((Some(target.to_owned()), None)) } else { Err(no_machine(target)) };
        }
        let routes = self.aliases.get(target).ok_or_else(|| no_machine(target))?;
        let mut throw = i64::try_from(self.starts % 100).unwrap_or_default();
        let chosen = routes.iter().find(|(_, weight)| {
            throw -= weight;
            throw < 0
        });
        let (version, _) = chosen.or(routes.last()).ok_or_else(|| no_machine(target))?;
        Ok((Some(version.clone()), Some(target.to_owned())))
    }

    /// The same name and input while the execution runs give the first answer; anything else of that name is refused
    /// (`StartExecution`, Standard). Names of Express executions may repeat.
    fn start(&mut self, request: &StartExecution) -> Result<StartedExecution, Refused> {
        let machine = machine_of(&request.target_arn);
        let express = self.machine(&machine)?.now.machine_type == StateMachineType::Express;
        let (version_arn, alias_arn) = self.route(&request.target_arn)?;
        self.starts += 1;
        let arn = if express {
            format!("{}:{}:{}", machine.replace(":stateMachine:", ":express:"), request.name, self.starts)
        } else {
            format!("{}:{}", machine.replace(":stateMachine:", ":execution:"), request.name)
        };
        if let Some(known) = self.executions.get(&arn).map(|ran| &ran.execution) {
            if known.status == ExecutionStatus::Running && known.input.as_deref() == Some(&request.input) {
                return Ok(StartedExecution { arn, started_at: known.started_at });
            }
            return Err(("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'")));
        }
        let execution = Execution {
            arn: arn.clone(),
            state_machine_arn: machine,
            version_arn,
            alias_arn,
            trace_header: Some(xray_header(&request.trace_root)),
            status: ExecutionStatus::Running,
            started_at: Timestamp::now(),
            stopped_at: None,
            redrive_count: 0,
            input: Some(request.input.clone()),
            output: None,
            error: None,
            cause: None,
            redrivable: None,
        };
        let started_at = execution.started_at;
        self.executions.insert(arn.clone(), Ran { execution, tokens: Vec::new(), events: Vec::new() });
        Ok(StartedExecution { arn, started_at })
    }

    fn not_redrivable(&self, execution: &Execution) -> Option<String> {
        let busy = BUSY.iter().find(|(status, _)| *status == execution.status);
        let busy = busy.map(|(_, word)| format!("Execution is {word} and cannot be redriven"));
        busy.or_else(|| self.not_redrivable.get(&execution.arn).cloned())
    }

    fn described(&self, ran: &Ran) -> Execution {
        let redrivable = self.not_redrivable(&ran.execution).map_or(Ok(()), Err);
        Execution { redrivable: Some(redrivable), ..ran.execution.clone() }
    }

    /// A repeat with a token that was used changes nothing (`RedriveExecution`, `clientToken`).
    fn redrive(&mut self, arn: &str, token: &str) -> Result<(), Refused> {
        let ran = self.executions.get(arn).ok_or_else(|| no_execution(arn))?;
        if ran.tokens.iter().any(|used| used == token) {
            return Ok(());
        }
        if let Some(why) = self.not_redrivable(&ran.execution) {
            return Err(("ExecutionNotRedrivable", why));
        }
        let Some(ran) = self.executions.get_mut(arn) else { return Err(no_execution(arn)) };
        ran.tokens.push(token.to_owned());
        let execution = &mut ran.execution;
        execution.redrive_count += 1;
        execution.status = ExecutionStatus::Running;
        (execution.stopped_at, execution.error, execution.cause) = (None, None, None);
        Ok(())
    }

    /// By machine, version or alias, newest first. Express machines keep no list.
    fn list(&mut self, target: &str, status: Option<ExecutionStatus>) -> Result<Vec<ListedExecution>, Refused> {
        let machine = machine_of(target);
        let known = self.machines.get(&machine).ok_or_else(|| no_machine(&machine))?;
        if known.now.machine_type == StateMachineType::Express {
            return Err(("StateMachineTypeNotSupported", "This operation is not supported by this type".to_owned()));
        }
        let is_of = |execution: &&Execution| {
            execution.state_machine_arn == machine
                && (target == machine
                    || execution.version_arn.as_deref() == Some(target)
                    || execution.alias_arn.as_deref() == Some(target))
                && status.is_none_or(|status| execution.status == status)
        };
        let mut found: Vec<&Execution> = self.executions.values().map(|ran| &ran.execution).filter(is_of).collect();
        found.sort_by_key(|execution| std::cmp::Reverse(execution.started_at));
        let item = |execution: &Execution| ListedExecution {
            arn: execution.arn.clone(),
            version_arn: execution.version_arn.clone(),
            status: execution.status,
            started_at: execution.started_at,
            stopped_at: execution.stopped_at,
            redrive_count: execution.redrive_count,
        };
        Ok(found.into_iter().map(item).collect())
    }
}

fn running(running: bool) -> Option<ExecutionStatus> {
    running.then_some(ExecutionStatus::Running)
}

#[async_trait]
impl Executions for FakeAws {
    async fn start_execution(&self, caller: &Caller, request: &StartExecution) -> Result<StartedExecution, AwsError> {
        let start = |state: &mut State| state.start(request);
        self.call(caller, "states:StartExecution", &request.target_arn, Does::Change, start).await
    }

    async fn start_sync_execution(&self, caller: &Caller, request: &StartExecution) -> Result<Execution, AwsError> {
        let start = |state: &mut State| {
            let started = state.start(request)?;
            let ended = state.sync_end.unwrap_or(Ended::Well("{}"));
            let ran = state.executions.get_mut(&started.arn).ok_or_else(|| no_execution(&started.arn))?;
            ran.end(ended);
            // Version and alias are not told (`StartSyncExecution`, response).
            Ok(Execution { version_arn: None, alias_arn: None, ..ran.execution.clone() })
        };
        self.call(caller, "states:StartSyncExecution", &request.target_arn, Does::Change, start).await
    }

    async fn describe_execution(&self, caller: &Caller, arn: &str) -> Result<Option<Execution>, AwsError> {
        let look = |state: &mut State| {
            let ran = state.executions.get(arn).ok_or_else(|| no_execution(arn))?;
            Ok(state.described(ran))
        };
        or_none(self.call(caller, "states:DescribeExecution", arn, Does::Look, look).await)
    }

    async fn stop_execution(&self, caller: &Caller, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError> {
        let stop = |state: &mut State| {
            let ran = state.executions.get_mut(arn).ok_or_else(|| no_execution(arn))?;
            if ran.execution.stopped_at.is_none() {
                ran.end(Ended::Aborted);
                ran.execution.error = why.map(|(error, _)| error.to_owned());
                ran.execution.cause = why.map(|(_, cause)| cause.to_owned());
            }
            Ok(())
        };
        self.call(caller, "states:StopExecution", arn, Does::Change, stop).await
    }

    async fn redrive_execution(&self, caller: &Caller, arn: &str, token: &str) -> Result<(), AwsError> {
        let redrive = |state: &mut State| state.redrive(arn, token);
        self.call(caller, "states:RedriveExecution", arn, Does::Change, redrive).await
    }

    async fn list_executions(
        &self,
        caller: &Caller,
        arn: &str,
        only_running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError> {
        let list = |state: &mut State| {
            let mut found = state.list(arn, running(only_running))?;
            found.truncate(PAGE);
            Ok(found)
        };
        self.call(caller, "states:ListExecutions", arn, Does::Look, list).await
    }

    async fn list_page(&self, caller: &Caller, request: &ListPage) -> Result<ExecutionPage, AwsError> {
        let list = |state: &mut State| {
            let found = state.list(&request.arn, request.status)?;
            let from: usize = request.next_token.as_ref().map_or(0, |token| token.parse().unwrap());
            let next_token = (from + PAGE < found.len()).then(|| (from + PAGE).to_string());
            Ok(ExecutionPage { executions: found.into_iter().skip(from).take(PAGE).collect(), next_token })
        };
        self.call(caller, "states:ListExecutions", &request.arn, Does::Look, list).await
    }

    async fn has_running_executions(&self, caller: &Caller, state_machine_arn: &str) -> Result<bool, AwsError> {
        let list = |state: &mut State| match state.list(state_machine_arn, running(true)) {
            Err(("StateMachineTypeNotSupported" | "StateMachineDoesNotExist", _)) => Ok(false),
            listed => Ok(!listed?.is_empty()),
        };
        self.call(caller, "states:ListExecutions", state_machine_arn, Does::Look, list).await
    }

    async fn history_page(&self, caller: &Caller, request: &HistoryRequest) -> Result<HistoryPage, AwsError> {
        let look = |state: &mut State| {
            let ran = state.executions.get(&request.arn).ok_or_else(|| no_execution(&request.arn))?;
            let from: usize = request.next_token.as_ref().map_or(0, |token| token.parse().unwrap());
            let size = usize::try_from(request.max_events).unwrap().min(PAGE);
            let next_token = (from + size < ran.events.len()).then(|| (from + size).to_string());
            let mut events = ran.events.clone();
            if request.newest_first {
                events.reverse();
            }
            let shown = events.into_iter().skip(from).take(size);
            let shown =
                shown.map(|event| if request.include_data { event } else { HistoryEvent { data: None, ..event } });
            Ok(HistoryPage { events: shown.collect(), next_token })
        };
        self.call(caller, "states:GetExecutionHistory", &request.arn, Does::Look, look).await
    }

    async fn map_run_counts(&self, caller: &Caller, arn: &str) -> Result<Option<MapRunCounts>, AwsError> {
        let look = |state: &mut State| Ok(state.map_runs.get(arn).copied());
        self.call(caller, "states:DescribeMapRun", arn, Does::Look, look).await
    }
}
