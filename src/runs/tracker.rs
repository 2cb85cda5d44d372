//! The acting part: makes the calls that the schedule chooses, one task for each account and region, and wakes the runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc as wake_channel;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::command::{Command, Domain};
use super::queue::Queues;
use super::relay::Relay;
use super::sessions::SessionSource;
use super::{Describe, Evidence, Followed, Found, Hint, Look, MachineKey, Outcome, Schedule, Sweep, Sweeps};
use crate::api::v1alpha1::WorkflowRun;
use crate::aws::{
    self, AwsError, AwsErrorKind, CallQuota, Caller, Execution, ExecutionPage, Executions, LogPage, LogRequest, Logs,
    Priority,
};
use crate::iam::binding_role::session::Purpose;
use crate::metrics::Metrics;
use crate::outcome::{Class, Failure};
use crate::plan::express_log;
use crate::plan::run::{machine_name, may_be_invisible};

/// How long what was found waits for its run's reconcile.
const EVIDENCE_LASTS: Duration = Duration::from_secs(30);
/// Lists, descriptions and pages of logs under way at once, in one account and region.
const LISTS: usize = 4;
const DESCRIPTIONS: usize = 8;
const LOG_PAGES: usize = 2;
/// How often the schedule is asked while something is followed, and while an end may come any moment.
const TICK: Duration = Duration::from_millis(200);
const LIVELY_TICK: Duration = Duration::from_millis(50);
/// How often memory is tidied while nothing is followed.
const IDLE_TICK: Duration = Duration::from_secs(60);

/// The tracker as controllers see it.
pub struct Tracker {
    commands: mpsc::UnboundedSender<(Domain, Command)>,
    received: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Domain, Command)>>,
    board: Arc<Board>,
    queues: Queues,
    relay: Arc<Relay>,
    metrics: Arc<Metrics>,
}

type Waker = wake_channel::UnboundedSender<ObjectRef<WorkflowRun>>;

/// What was found and whom to wake.
#[derive(Default)]
struct Board {
    evidence: Mutex<HashMap<String, (Instant, Evidence)>>,
    refusals: Mutex<HashMap<Arc<MachineKey>, Failure>>,
    /// By the namespace that the controller watches; without one, all.
    wakers: Mutex<Vec<(Option<String>, Waker)>>,
}

impl Board {
    fn post(&self, found: Found) {
        let Found { followed, evidence } = found;
        match &evidence {
            Evidence::Refused(failure) => {
                let mut refusals = self.refusals.lock();
                refusals.insert(followed.machine.clone(), failure.clone());
            }
            Evidence::Allowed => {
                self.refusals.lock().remove(&followed.machine);
            }
            _ => {
                let mut board = self.evidence.lock();
                board.insert(followed.execution_arn.clone(), (Instant::now(), evidence));
            }
        }
        self.wake(&followed.machine.namespace, &followed.run);
    }

    fn wake(&self, namespace: &str, run: &str) {
        let mut wakers = self.wakers.lock();
        wakers.retain(|(_, waker)| !waker.is_closed());
        for (watched, waker) in wakers.iter() {
            if watched.as_deref().is_none_or(|scope| scope == namespace) {
                // A controller that has just ended needs no waking.
                let _ = waker.unbounded_send(ObjectRef::new(run).within(namespace));
            }
        }
    }

    /// Drops what nobody came for: its run was deleted, or is followed and found again. And what is known of machines that
    /// the schedule has forgotten.
    fn tidy(&self, forgotten: &[Arc<MachineKey>]) {
        let mut refusals = self.refusals.lock();
        for machine in forgotten {
            refusals.remove(machine);
        }
        drop(refusals);
        let mut evidence = self.evidence.lock();
        evidence.retain(|_, (at, _)| at.elapsed() < EVIDENCE_LASTS);
    }
}

impl Tracker {
    /// A tracker that begins its work with [`Tracker::run`]. `relay` is that of all trackers of the process.
    pub fn new(relay: Arc<Relay>, metrics: Arc<Metrics>) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        relay.join(commands.downgrade());
        let (board, queues) = (Arc::default(), Queues::default());
        Self { commands, received: tokio::sync::Mutex::new(received), board, queues, relay, metrics }
    }

    /// The runs to reconcile because something was found, of a namespace or of all.
    pub fn wakes(&self, scope: Option<&str>) -> wake_channel::UnboundedReceiver<ObjectRef<WorkflowRun>> {
        let (sender, found) = wake_channel::unbounded();
        let mut wakers = self.board.wakers.lock();
        wakers.push((scope.map(str::to_owned), sender));
        found
    }

    /// Has a run reconciled for another reason.
    pub fn wake(&self, namespace: &str, run: &str) {
        self.board.wake(namespace, run);
    }

    /// What was found of an execution since its redrive number `redrive_count`.
    pub fn evidence(&self, execution_arn: &str, redrive_count: i32) -> Option<Evidence> {
        let board = self.board.evidence.lock();
        let (_, evidence) = board.get(execution_arn)?;
        let current = match evidence {
            Evidence::Listed(listed) => listed.redrive_count >= redrive_count,
            Evidence::Described(execution) => execution.redrive_count >= redrive_count,
            _ => true,
        };
        current.then(|| evidence.clone())
    }

    /// Why executions of the machine may not be looked at.
    pub fn refusal(&self, machine: &MachineKey) -> Option<Failure> {
        self.board.refusals.lock().get(machine).cloned()
    }

    /// Follows an execution to its end; its run is woken then. Repeating it changes nothing.
    pub fn follow(&self, followed: Followed) {
        self.send(domain_of(&followed.machine.arn), Command::Follow(followed));
    }

    /// Looks for the end of an execution in a log group, which the machine key names, until it is found or comes no more; its run is
    /// woken then. Repeating it changes nothing.
    pub fn await_end(&self, followed: Followed) {
        self.send(domain_of(&followed.machine.arn), Command::AwaitEnd(followed));
    }

    /// Reads the description of an execution that has ended when the quota allows; its run is woken then.
    pub fn want_output(&self, followed: Followed) {
        self.send(domain_of(&followed.machine.arn), Command::WantOutput(followed));
    }

    /// How long executions of a machine took before this process began, in seconds, the oldest first.
    pub fn remember(&self, machine: MachineKey, seconds: Vec<f64>) {
        self.send(domain_of(&machine.arn), Command::Remember(machine, seconds));
    }

    /// Follows it no longer.
    pub fn forget(&self, execution_arn: &str) {
        self.board.evidence.lock().remove(execution_arn);
        self.send(domain_of(execution_arn), Command::Forget(execution_arn.to_owned()));
    }

    /// Reads hints from a queue as the binding, or no longer where there is no queue.
    pub fn listen(&self, namespace: &str, binding: &str, queue_url: Option<&str>) {
        self.queues.listen(namespace, binding, queue_url);
    }

    /// Before [`Tracker::run`] and after it nothing is received, and nothing has to be.
    fn send(&self, domain: Domain, command: Command) {
        let _ = self.commands.send((domain, command));
    }

    /// Looks until it is dropped. One at a time.
    pub async fn run(
        &self,
        executions: Arc<dyn Executions>,
        logs: Arc<dyn Logs>,
        quota: Arc<dyn CallQuota>,
        queues: Arc<dyn aws::Queues>,
        sessions: Arc<dyn SessionSource>,
    ) {
        let mut received = self.received.lock().await;
        let hint = |hint: Hint| self.relay.pass(&hint);
        tokio::join!(self.queues.run(queues, sessions.clone(), hint), async {
            let mut tasks = JoinSet::new();
            let mut domains: HashMap<Domain, mpsc::UnboundedSender<Command>> = HashMap::new();
            while let Some((domain, command)) = received.recv().await {
                // About an account that nobody here uses.
                if matches!(command, Command::Hint(_) | Command::Forget(_)) && !domains.contains_key(&domain) {
                    continue;
                }
                let place = domain.clone();
                let commands = domains.entry(domain).or_insert_with(|| {
                    let (commands, told) = mpsc::unbounded_channel();
                    let (executions, logs) = (executions.clone(), logs.clone());
                    let reader = Reader { executions, logs, quota: quota.clone(), sessions: sessions.clone() };
                    let (board, metrics) = (self.board.clone(), self.metrics.clone());
                    tasks.spawn(track(place, Arc::new(reader), board, metrics, told));
                    commands
                });
                let _ = commands.send(command);
            }
        });
    }
}

/// Account and region of any ARN of Step Functions or of CloudWatch Logs.
fn domain_of(arn: &str) -> Domain {
    let mut fields = arn.split(':').skip(3);
    let region = fields.next().unwrap_or_default().to_owned();
    (fields.next().unwrap_or_default().to_owned(), region)
}

/// A kind of call that has a bucket of its own, or waits behind others in one.
#[derive(Debug)]
struct Lane {
    under_way: usize,
    /// No token before.
    blocked_until: Option<Instant>,
}

impl Lane {
    const NEW: Self = Self { under_way: 0, blocked_until: None };

    fn is_open(&self, most: usize) -> bool {
        self.under_way < most && self.blocked_until.is_none_or(|until| until <= Instant::now())
    }

    fn ended(&mut self, wait: Option<Duration>) {
        self.under_way -= 1;
        if let Some(wait) = wait {
            self.blocked_until = Some(Instant::now() + wait.clamp(Duration::from_millis(20), Duration::from_secs(2)));
        }
    }
}

/// What became of a call, and how long there is no token where it was not made.
#[expect(clippy::large_enum_variant, reason = "handed on at once, one for each call")]
enum Done {
    List(Look, Outcome<ExecutionPage>, Option<Duration>),
    Describe(Describe, Outcome<Option<Execution>>, Option<Duration>),
    Sweep(Sweep, Outcome<LogPage>, Option<Duration>),
}

/// The task of one account and region.
async fn track(
    (account, region): Domain,
    reader: Arc<Reader>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    mut told: mpsc::UnboundedReceiver<Command>,
) {
    let (mut schedule, mut sweeps) = (Schedule::default(), Sweeps::default());
    let [mut lists, mut descriptions, mut outputs, mut pages] = [const { Lane::NEW }; 4];
    let mut under_way: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    let (mut tidied, mut open) = (Instant::now(), metrics.open_executions(&account, &region));
    loop {
        open.set(schedule.open() + sweeps.open());
        while descriptions.is_open(DESCRIPTIONS)
            && let Some(describe) = schedule.next_describe(Timestamp::now())
        {
            descriptions.under_way += 1;
            under_way.push(Box::pin(reader.clone().describe(describe)));
        }
        while lists.is_open(LISTS)
            && let Some(look) = schedule.next_list(Timestamp::now())
        {
            lists.under_way += 1;
            under_way.push(Box::pin(reader.clone().list(look)));
        }
        while outputs.is_open(DESCRIPTIONS)
            && let Some(describe) = schedule.next_output(Timestamp::now())
        {
            outputs.under_way += 1;
            under_way.push(Box::pin(reader.clone().describe(describe)));
        }
        while pages.is_open(LOG_PAGES)
            && let Some(sweep) = sweeps.next(Timestamp::now())
        {
            pages.under_way += 1;
            under_way.push(Box::pin(reader.clone().sweep(sweep)));
        }
        if tidied.elapsed() > Duration::from_secs(5) {
            tidied = Instant::now();
            board.tidy(&schedule.tidy(Timestamp::now()));
            board.tidy(&sweeps.tidy());
        }
        let pause = match (schedule.is_idle() && sweeps.is_idle(), schedule.is_lively(Timestamp::now())) {
            (true, _) => IDLE_TICK,
            (false, true) => LIVELY_TICK,
            (false, false) => TICK,
        };
        let found = tokio::select! {
            command = told.recv() => {
                let Some(command) = command else { return };
                obey(&mut schedule, &mut sweeps, command);
                // A burst of starts is taken in at once.
                while let Ok(command) = told.try_recv() {
                    obey(&mut schedule, &mut sweeps, command);
                }
                Vec::new()
            }
            Some(done) = under_way.next(), if !under_way.is_empty() => match done {
                Done::List(look, outcome, wait) => {
                    lists.ended(wait);
                    schedule.listed(&look, outcome, Timestamp::now())
                }
                Done::Sweep(sweep, outcome, wait) => {
                    pages.ended(wait);
                    sweeps.swept(&sweep, outcome, Timestamp::now())
                }
                Done::Describe(describe, outcome, wait) => {
                    if describe.output { outputs.ended(wait) } else { descriptions.ended(wait) }
                    let now = Timestamp::now();
                    schedule.described(&describe, outcome, |started| !may_be_invisible(started, now), now)
                }
            },
            () = tokio::time::sleep(pause) => Vec::new(),
        };
        for one in found {
            board.post(one);
        }
    }
}

fn obey(schedule: &mut Schedule, sweeps: &mut Sweeps, command: Command) {
    let now = Timestamp::now();
    match command {
        Command::Remember(machine, seconds) => schedule.remember(machine, &seconds),
        Command::Follow(followed) => schedule.follow(followed, now),
        Command::WantOutput(followed) => schedule.want_output(followed, now),
        Command::AwaitEnd(followed) => sweeps.await_end(followed, now),
        Command::Forget(execution_arn) => {
            schedule.forget(&execution_arn);
            sweeps.forget(&execution_arn);
        }
        Command::Hint(execution_arn) => schedule.hint(&execution_arn, now),
    }
}

/// Makes calls as the bindings.
struct Reader {
    executions: Arc<dyn Executions>,
    logs: Arc<dyn Logs>,
    quota: Arc<dyn CallQuota>,
    sessions: Arc<dyn SessionSource>,
}

impl Reader {
    async fn list(self: Arc<Self>, look: Look) -> Done {
        let session = match self.session(&look.machine).await {
            Ok(session) => session,
            Err(failure) => {
                // The next description is told the same, and tells the runs.
                let outcome = if passes(&failure) { Outcome::Failed } else { Outcome::Denied(failure) };
                return Done::List(look, outcome, None);
            }
        };
        let wait = self.quota.quota_wait(&session, "states:ListExecutions", Priority::Observe);
        if !wait.is_zero() {
            return Done::List(look, Outcome::Deferred, Some(wait));
        }
        let answer = self.executions.list_page(&session, &look.page).await;
        Done::List(look, outcome_of(answer), None)
    }

    async fn describe(self: Arc<Self>, describe: Describe) -> Done {
        let session = match self.session(&describe.machine).await {
            Ok(session) => session,
            Err(failure) => {
                let outcome = if passes(&failure) { Outcome::Failed } else { Outcome::Denied(failure) };
                return Done::Describe(describe, outcome, None);
            }
        };
        let priority = if describe.output { Priority::Output } else { Priority::Observe };
        let wait = self.quota.quota_wait(&session, "states:DescribeExecution", priority);
        if !wait.is_zero() {
            return Done::Describe(describe, Outcome::Deferred, Some(wait));
        }
        let answer = self.executions.describe_execution(&session, &describe.execution_arn).await;
        Done::Describe(describe, outcome_of(answer), None)
    }

    async fn sweep(self: Arc<Self>, sweep: Sweep) -> Done {
        let MachineKey { namespace, binding, arn } = &*sweep.group;
        let session = match self.sessions.session(namespace, binding, &Purpose::ReadLog(arn)).await {
            Ok(session) => session,
            Err(failure) => {
                let outcome = if passes(&failure) { Outcome::Failed } else { Outcome::Denied(failure) };
                return Done::Sweep(sweep, outcome, None);
            }
        };
        let wait = self.quota.quota_wait(&session, "logs:FilterLogEvents", Priority::Observe);
        if !wait.is_zero() {
            return Done::Sweep(sweep, Outcome::Deferred, Some(wait));
        }
        let request = LogRequest {
            group: express_log::group_name(arn).to_owned(),
            from: sweep.from,
            pattern: express_log::ENDS.to_owned(),
            next_token: sweep.next_token.clone(),
        };
        let answer = self.logs.log_page(&session, &request).await;
        // A token that holds no longer: the group is read anew.
        let is_stale = |error: &AwsError| error.code == "InvalidParameterException" && request.next_token.is_some();
        let outcome = if answer.as_ref().is_err_and(is_stale) { Outcome::Failed } else { outcome_of(answer) };
        Done::Sweep(sweep, outcome, None)
    }

    async fn session(&self, machine: &MachineKey) -> Result<Caller, Failure> {
        let purpose = Purpose::Observe(machine_name(&machine.arn));
        self.sessions.session(&machine.namespace, &machine.binding, &purpose).await
    }
}

/// True of what passes by itself soon.
fn passes(failure: &Failure) -> bool {
    matches!(failure.class, Class::Transient | Class::Conflict)
}

fn outcome_of<T>(answer: Result<T, AwsError>) -> Outcome<T> {
    match answer {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => match error.kind {
            AwsErrorKind::Queued => Outcome::Deferred,
            AwsErrorKind::Throttled | AwsErrorKind::Unavailable | AwsErrorKind::SessionExpired => Outcome::Failed,
            // The list has to begin anew.
            _ if error.code == "InvalidToken" => Outcome::Failed,
            _ => Outcome::Denied(error.into()),
        },
    }
}

#[cfg(test)]
impl Tracker {
    /// As if a look had found this.
    pub(crate) fn found(&self, execution: Execution) {
        self.saw(&execution.arn.clone(), Evidence::Described(Arc::new(execution)));
    }

    /// As if a look at an execution had come to this.
    pub(crate) fn saw(&self, execution_arn: &str, evidence: Evidence) {
        let mut board = self.board.evidence.lock();
        board.insert(execution_arn.to_owned(), (Instant::now(), evidence));
    }

    /// As if executions of a machine might not be looked at, or might be again.
    pub(crate) fn was_refused(&self, machine: MachineKey, failure: Option<Failure>) {
        let mut refusals = self.board.refusals.lock();
        match failure {
            Some(failure) => refusals.insert(Arc::new(machine), failure),
            None => refusals.remove(&machine),
        };
    }
}
