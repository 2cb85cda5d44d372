//! AWS in memory, behind the ports, for tests: what it answers follows from what it was asked before, as AWS's reference has it.
//! `tests/aws_scripts.rs` plays the same scripts to it and to what the tests of the whole operator have for AWS.

#[path = "../../tests/support/aws_scripts.rs"]
mod aws_scripts;
mod faults;
mod life;
mod logs;
mod machines;
mod runs;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use super::sdk::CallQuota;
use super::sdk_error::kind_of;
use super::{
    Activities, AlarmState, Alarms, AwsError, AwsErrorKind, Caller, ExecutionStatus, Iam, MachineSettings, Message,
    Priority, Queues, Session, Tagging, Tags,
};
use faults::{Fault, Faults};
pub(crate) use life::Life;
pub(crate) use machines::UNKNOWN_RESOURCE;
pub(crate) use state::Ended;
use state::{Refused, State, no_resource};

use crate::reason::Reason;

/// What a call is answered with for which there is no quota.
const QUEUED: &str = Reason::WaitingForQuota.as_str();

/// One call, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Without its service: `StartExecution`.
    pub(crate) operation: &'static str,
    /// Name or ARN that it was about.
    pub(crate) target: String,
    /// Who asked for just this call.
    pub(crate) requester: Option<String>,
}

/// AWS with one account in each region, whose roles may do everything that is not denied.
#[derive(Default)]
pub(crate) struct FakeAws {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    made: Mutex<Vec<Made>>,
    pub(crate) life: Arc<Life>,
}

/// What a call does to AWS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Look,
    Change,
}

impl FakeAws {
    pub(crate) fn new(life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self { life, ..Self::default() })
    }

    /// The next call of an operation is refused with a code of AWS, and changes nothing.
    pub(crate) fn fail_next(&self, operation: &str, code: &str) {
        self.faults.lock().add(operation, Fault::Refuse(code.into(), "no".into()), 1);
    }

    /// Every call of an operation is refused, until [`Self::allow`].
    pub(crate) fn fail(&self, operation: &str, code: &str) {
        self.faults.lock().add(operation, Fault::Refuse(code.into(), "no".into()), usize::MAX);
    }

    /// The next call of an operation is made, and its answer is lost.
    pub(crate) fn lose_answer(&self, operation: &str) {
        self.faults.lock().add(operation, Fault::LoseAnswer, 1);
    }

    /// Nothing is refused any more that was told to be.
    pub(crate) fn allow(&self, operation: &str) {
        self.faults.lock().end(operation);
    }

    /// There is no quota left for an operation.
    pub(crate) fn use_up(&self, operation: &str) {
        self.faults.lock().add(operation, Fault::NoQuota, usize::MAX);
    }

    /// The call of the n-th change from now on, whatever it is, meets a fault: it is refused with the code, or, without one, its
    /// answer is lost.
    pub(crate) fn disturb_change(&self, number: usize, code: Option<&str>) {
        let fault = code.map_or(Fault::LoseAnswer, |code| Fault::Refuse(code.into(), "no".into()));
        self.faults.lock().at_change(number, fault);
    }

    /// The next so many looks show what is there now, whatever is changed meanwhile.
    pub(crate) fn lag(&self, looks: usize) {
        let mut state = self.state();
        state.shown = Some((looks, Box::new(state.clone())));
    }

    /// How often an operation was asked for.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.made.lock().iter().filter(|made| made.operation == operation).count()
    }

    /// Every call so far.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.made.lock().clone()
    }

    /// What was asked for that changes something.
    pub(crate) fn changes(&self) -> Vec<&'static str> {
        let looks = ["Describe", "List", "Get", "Validate", "Receive", "Filter"];
        let made = self.made().into_iter().map(|made| made.operation);
        made.filter(|operation| looks.iter().all(|look| !operation.starts_with(look))).collect()
    }

    pub(crate) fn set_alarm(&self, name: &str, alarm: AlarmState) {
        self.state().alarms.insert(name.into(), alarm);
    }

    pub(crate) fn set_trust(&self, role_arn: &str, policy: &str) {
        self.state().roles.insert(role_arn.into(), policy.into());
    }

    /// Puts an activity there as somebody else would.
    pub(crate) fn add_activity(&self, arn: &str, tags: &Tags) {
        let mut state = self.state();
        state.activities.insert(arn.into());
        state.tags.insert(arn.into(), tags.clone());
    }

    pub(crate) fn has(&self, arn: &str) -> bool {
        let state = self.state();
        state.activities.contains(arn) || state.machines.contains_key(arn) || state.executions.contains_key(arn)
    }

    pub(crate) fn tags(&self, arn: &str) -> Tags {
        self.state().tags.get(arn).cloned().unwrap_or_default()
    }

    /// Sets a tag as somebody else would.
    pub(crate) fn set_tag(&self, arn: &str, key: &str, value: &str) {
        self.state().tags.entry(arn.into()).or_default().insert(key.into(), value.into());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// One call: it passes the gate of its session, meets the fault that is due, and is answered from what is there.
    async fn call<T>(
        &self,
        caller: &Caller,
        operation: &'static str,
        target: &str,
        does: Does,
        act: impl FnOnce(&mut State) -> Result<T, Refused> + Send,
    ) -> Result<T, AwsError> {
        caller.gate.check(operation)?;
        self.life.lives().await;
        if does == Does::Change {
            self.life.tries_to_change();
        }
        let short = operation.rsplit(':').next().unwrap_or(operation);
        let fault = self.faults.lock().next(short, does == Does::Change);
        if matches!(fault, Some(Fault::NoQuota)) {
            return Err(error(operation, QUEUED, "the operator's share of the quota is used up for now"));
        }
        let made = Made { operation: short, target: target.to_owned(), requester: caller.requester.clone() };
        self.made.lock().push(made);
        if let Some(Fault::Refuse(code, message)) = &fault {
            return Err(error(operation, code, message));
        }
        let answer = {
            let mut state = self.state();
            match state.as_shown(does == Does::Look) {
                Some(mut shown) => act(&mut shown),
                None => act(&mut state),
            }
        };
        if does == Does::Change {
            self.life.changed().await;
        }
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return Err(error(operation, super::error::TIMEOUT, "no answer in time"));
        }
        answer.map_err(|(code, message)| error(operation, code, &message))
    }
}

fn error(operation: &'static str, code: &str, message: &str) -> AwsError {
    let kind = match code {
        QUEUED => AwsErrorKind::Queued,
        super::error::TIMEOUT => AwsErrorKind::Unavailable,
        code => kind_of(code, message, None),
    };
    AwsError { kind, operation, code: code.into(), message: message.into() }
}

/// What the adapters make of an answer that there is none.
fn or_none<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Err(error) if error.kind == AwsErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[async_trait]
impl Tagging for FakeAws {
    async fn list_tags(&self, caller: &Caller, arn: &str) -> Result<Tags, AwsError> {
        let list = |state: &mut State| state.tags.get(arn).cloned().ok_or_else(|| no_resource(arn));
        self.call(caller, "states:ListTagsForResource", arn, Does::Look, list).await
    }

    async fn tag(&self, caller: &Caller, arn: &str, tags: &Tags) -> Result<(), AwsError> {
        let tag = |state: &mut State| {
            state.tags.get_mut(arn).ok_or_else(|| no_resource(arn))?.extend(tags.clone());
            Ok(())
        };
        self.call(caller, "states:TagResource", arn, Does::Change, tag).await
    }

    async fn untag(&self, caller: &Caller, arn: &str, keys: &[String]) -> Result<(), AwsError> {
        let untag = |state: &mut State| {
            state.tags.get_mut(arn).ok_or_else(|| no_resource(arn))?.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        self.call(caller, "states:UntagResource", arn, Does::Change, untag).await
    }
}

#[async_trait]
impl Activities for FakeAws {
    async fn has_activity(&self, caller: &Caller, arn: &str) -> Result<bool, AwsError> {
        let look = |state: &mut State| Ok(state.activities.contains(arn));
        self.call(caller, "states:DescribeActivity", arn, Does::Look, look).await
    }

    /// The activity of a name that exists is answered, and its tags stay (`CreateActivity`, "idempotent").
    async fn create_activity(
        &self,
        caller: &Caller,
        name: &str,
        _: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError> {
        let arn = format!("arn:aws:states:{}:{}:activity:{name}", caller.region, caller.account_id);
        let create = |state: &mut State| {
            if state.activities.insert(arn.clone()) {
                state.tags.insert(arn, tags.clone());
            }
            Ok(())
        };
        self.call(caller, "states:CreateActivity", name, Does::Change, create).await
    }

    async fn delete_activity(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let delete = |state: &mut State| {
            state.activities.remove(arn);
            state.tags.remove(arn);
            Ok(())
        };
        self.call(caller, "states:DeleteActivity", arn, Does::Change, delete).await
    }
}

impl CallQuota for FakeAws {
    fn has_quota(&self, session: &Session, operation: &'static str) -> Result<(), AwsError> {
        if self.quota_wait(session, operation, Priority::Change).is_zero() {
            return Ok(());
        }
        Err(error(operation, QUEUED, "the operator's share of the quota is used up for now"))
    }

    fn quota_wait(&self, _: &Session, operation: &'static str, _: Priority) -> Duration {
        let short = operation.rsplit(':').next().unwrap_or(operation);
        let used_up = self.faults.lock().is_used_up(short);
        if used_up { Duration::from_secs(30) } else { Duration::ZERO }
    }
}

#[async_trait]
impl Queues for FakeAws {
    /// An empty queue is waited for.
    async fn receive(&self, caller: &Caller, queue_url: &str) -> Result<Vec<Message>, AwsError> {
        let receive = |state: &mut State| {
            let queue =
                state.queues.get(queue_url).ok_or(("AWS.SimpleQueueService.NonExistentQueue", String::new()))?;
            Ok(queue.iter().take(10).cloned().collect())
        };
        self.call(caller, "sqs:ReceiveMessage", queue_url, Does::Look, receive).await
    }

    async fn delete(&self, caller: &Caller, queue_url: &str, receipts: &[String]) -> Result<(), AwsError> {
        let delete = |state: &mut State| {
            if let Some(queue) = state.queues.get_mut(queue_url) {
                queue.retain(|message| !receipts.contains(&message.receipt));
            }
            Ok(())
        };
        self.call(caller, "sqs:DeleteMessage", queue_url, Does::Change, delete).await
    }
}

#[async_trait]
impl Alarms for FakeAws {
    async fn alarm_states(&self, caller: &Caller, names: &[String]) -> Result<BTreeMap<String, AlarmState>, AwsError> {
        let asked: BTreeSet<&String> = names.iter().collect();
        let look = |state: &mut State| {
            let known = state.alarms.iter().filter(|(name, _)| asked.contains(name));
            Ok(known.map(|(name, alarm)| (name.clone(), *alarm)).collect())
        };
        self.call(caller, "cloudwatch:DescribeAlarms", &names.join(" "), Does::Look, look).await
    }
}

#[async_trait]
impl Iam for FakeAws {
    async fn trust_policy(&self, caller: &Caller, role_arn: &str) -> Result<Option<String>, AwsError> {
        let look = |state: &mut State| Ok(state.roles.get(role_arn).cloned());
        self.call(caller, "iam:GetRole", role_arn, Does::Look, look).await
    }
}

#[tokio::test]
async fn aws_in_memory_answers_as_the_scripts_say() {
    for (what, script) in aws_scripts::SCRIPTS {
        let (aws, caller) = (FakeAws::new(Arc::default()), crate::controllers::caller());
        let end = |arn: &str, status: ExecutionStatus| {
            aws.end(arn, if status == ExecutionStatus::Failed { Ended::Failed("E") } else { Ended::Well("{}") });
        };
        let execution_role = "arn:aws:iam::111122223333:role/run";
        let stage = aws_scripts::Stage { aws: &*aws, caller: &caller, prefix: "", execution_role, end: &end };
        let wrong = aws_scripts::play(&stage, script).await;
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    }
}
