//! Counters, gauges and histograms of the operator, in the text format of `OpenMetrics`. docs/metrics.md lists them.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    api: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StalledLabels {
    kind: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlingLabels {
    handling: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    account: String,
    region: String,
}

/// What an exemplar points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

/// From a millisecond to half a minute, within which every call and every reconcile ends.
#[derive(Clone)]
struct Short;

impl MetricConstructor<HistogramWithExemplars<TraceLabels>> for Short {
    fn new_metric(&self) -> HistogramWithExemplars<TraceLabels> {
        HistogramWithExemplars::new(exponential_buckets(0.001, 2.0, 16))
    }
}

/// From 50 ms to 27 minutes: what people wait for.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(0.05, 2.0, 16))
}

/// Percent, in tenths.
fn percent() -> Histogram {
    Histogram::new(linear_buckets(10.0, 10.0, 10))
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, HistogramWithExemplars<TraceLabels>, Short>,
    reconciles_running: Family<KindLabels, Gauge>,
    queued_objects: Family<KindLabels, Gauge>,
    stalled_objects: Family<StalledLabels, Gauge>,
    aws_calls: Family<CallLabels, HistogramWithExemplars<TraceLabels>, Short>,
    quota_wait: Family<ApiLabels, Histogram, fn() -> Histogram>,
    token_mints: Family<OutcomeLabels, Counter>,
    session_cache: Family<OutcomeLabels, Counter>,
    packed_policy: Histogram,
    runs_finished: Family<PhaseLabels, Counter>,
    run_start: Histogram,
    run_detection: Histogram,
    rollouts: Family<OutcomeLabels, Counter>,
    drift: Family<HandlingLabels, Counter>,
    orphaned: Family<KindLabels, Counter>,
    leading: Gauge,
    open_executions: Family<PlaceLabels, Gauge>,
    shards: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stepbound"),
            reconciles: Family::new_with_constructor(Short),
            reconciles_running: Family::default(),
            queued_objects: Family::default(),
            stalled_objects: Family::default(),
            aws_calls: Family::new_with_constructor(Short),
            quota_wait: Family::new_with_constructor(long as fn() -> Histogram),
            token_mints: Family::default(),
            session_cache: Family::default(),
            packed_policy: percent(),
            runs_finished: Family::default(),
            run_start: long(),
            run_detection: long(),
            rollouts: Family::default(),
            drift: Family::default(),
            orphaned: Family::default(),
            leading: Gauge::default(),
            open_executions: Family::default(),
            shards: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let to = &mut self.registry;
        let seconds = || Unit::Seconds;
        to.register_with_unit(
            "reconcile",
            "Duration of reconciles by kind and class",
            seconds(),
            self.reconciles.clone(),
        );
        to.register("reconciles_running", "Reconciles under way", self.reconciles_running.clone());
        let help = "Objects of which a change was seen and whose reconcile has not begun";
        to.register("queued_objects", help, self.queued_objects.clone());
        to.register("stalled_objects", "Objects that only a person can help", self.stalled_objects.clone());
        to.register_with_unit(
            "aws_call",
            "Duration of AWS calls by API and outcome",
            seconds(),
            self.aws_calls.clone(),
        );
        let help = "How long a call that was put off has to wait for its share of the quota";
        to.register_with_unit("quota_wait", help, seconds(), self.quota_wait.clone());
        to.register("token_mints", "Service account tokens asked for, by outcome", self.token_mints.clone());
        to.register("session_cache", "Look-ups of the session cache, by outcome", self.session_cache.clone());
        let help = "How much of AWS's room for session policy and session tags a new session takes, in percent";
        to.register("session_policy_packed_percent", help, self.packed_policy.clone());
        to.register("runs_finished", "Runs that ended, by phase", self.runs_finished.clone());
        let help = "From the creation of a run to the start of its execution";
        to.register_with_unit("run_start", help, seconds(), self.run_start.clone());
        let help = "From the end of an execution to the moment it was seen";
        to.register_with_unit("run_detection", help, seconds(), self.run_detection.clone());
        to.register("rollouts", "Rollouts of new versions that ended, by outcome", self.rollouts.clone());
        to.register("drift", "Changes by somebody else found in AWS, by handling", self.drift.clone());
        let help = "Objects let go while something of theirs may remain in AWS";
        to.register("orphaned", help, self.orphaned.clone());
        to.register("open_executions", "Executions that are followed", self.open_executions.clone());
        to.register("shards_held", "Shards that this replica works on", self.shards.clone());
        to.register("leading", "1 where this process leads", self.leading.clone());
    }

    /// A session was made whose policy and tags take so much of what AWS allows, in percent.
    pub fn packed_policy(&self, percent: i32) {
        self.packed_policy.observe(f64::from(percent));
    }

    /// One reconcile: `class` is `success` or the label of the failure's class.
    pub fn reconcile(&self, kind: &'static str, class: &'static str, duration: Duration) {
        let labels = ReconcileLabels { kind, class };
        self.reconciles.get_or_create(&labels).observe(duration.as_secs_f64(), exemplar(), None);
    }

    /// What is counted of the objects that one set of controllers works on, for as long as it does.
    pub fn objects(&self) -> Objects {
        Objects {
            running: self.reconciles_running.clone(),
            queued: self.queued_objects.clone(),
            stalled: self.stalled_objects.clone(),
            known: Mutex::default(),
        }
    }

    /// One call to AWS.
    pub fn aws_call(&self, api: &'static str, outcome: &'static str, duration: Duration) {
        let labels = CallLabels { api, outcome };
        self.aws_calls.get_or_create(&labels).observe(duration.as_secs_f64(), exemplar(), None);
    }

    /// One call put off for so long, for want of quota.
    pub fn quota_wait(&self, api: &'static str, wait: Duration) {
        self.quota_wait.get_or_create(&ApiLabels { api }).observe(wait.as_secs_f64());
    }

    /// One token asked for.
    pub fn token_mint(&self, outcome: &'static str) {
        self.token_mints.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// One look-up of the session cache.
    pub fn session_cache(&self, hit: bool) {
        self.session_cache.get_or_create(&OutcomeLabels { outcome: if hit { "hit" } else { "miss" } }).inc();
    }

    /// One run whose execution has started, so long after the run was created.
    pub fn run_started(&self, latency: Duration) {
        self.run_start.observe(latency.as_secs_f64());
    }

    /// One run that has ended, and how long ago its execution did.
    pub fn run_finished(&self, phase: &'static str, latency: Option<Duration>) {
        self.runs_finished.get_or_create(&PhaseLabels { phase }).inc();
        if let Some(latency) = latency {
            self.run_detection.observe(latency.as_secs_f64());
        }
    }

    /// One rollout that has ended: `complete` or `rolled_back`.
    pub fn rollout(&self, outcome: &'static str) {
        self.rollouts.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Changes that somebody else made in AWS: `corrected` or `reported`.
    pub fn drift(&self, handling: &'static str) {
        self.drift.get_or_create(&HandlingLabels { handling }).inc();
    }

    /// One object let go while something of it may remain in AWS.
    pub fn orphaned(&self, kind: &'static str) {
        self.orphaned.get_or_create(&KindLabels { kind }).inc();
    }

    /// Executions that one tracker follows in an account and region. Those of several trackers add up, and each takes its
    /// own out when it ends.
    pub fn open_executions(&self, account: &str, region: &str) -> OpenExecutions {
        let place = PlaceLabels { account: account.to_owned(), region: region.to_owned() };
        OpenExecutions { gauge: self.open_executions.get_or_create_owned(&place), number: 0 }
    }

    /// Whether this process leads.
    pub fn leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// How many shards this replica works on.
    pub fn shards_held(&self, held: usize) {
        self.shards.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// Everything as text.
    ///
    /// # Errors
    /// When the encoder cannot write into a string, which it always can.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Gauges over objects. An object counts from what was seen of it until [`Objects::forget`], and all of them until this is
/// dropped: another process or another part of this one counts them then.
pub struct Objects {
    running: Family<KindLabels, Gauge>,
    queued: Family<KindLabels, Gauge>,
    stalled: Family<StalledLabels, Gauge>,
    known: Mutex<KnownObjects>,
}

#[derive(Default)]
struct KnownObjects {
    queued: HashMap<String, KindLabels>,
    stalled: HashMap<String, StalledLabels>,
}

impl Objects {
    fn known(&self) -> MutexGuard<'_, KnownObjects> {
        self.known.lock()
    }

    /// A change of the object was seen; its reconcile will follow.
    pub fn queued(&self, kind: &'static str, uid: &str) {
        if self.known().queued.insert(uid.to_owned(), KindLabels { kind }).is_none() {
            self.queued.get_or_create(&KindLabels { kind }).inc();
        }
    }

    /// A reconcile of the object begins; the guard says when it ends.
    pub fn reconciling(&self, kind: &'static str, uid: &str) -> impl Drop + use<> {
        self.begun(uid);
        Running::new(self.running.get_or_create_owned(&KindLabels { kind }))
    }

    fn begun(&self, uid: &str) {
        if let Some(labels) = self.known().queued.remove(uid) {
            self.queued.get_or_create(&labels).dec();
        }
    }

    /// Whether the object is stalled, and why.
    pub fn stalled(&self, kind: &'static str, uid: &str, reason: Option<&str>) {
        let mut known = self.known();
        let now = reason.map(|reason| StalledLabels { kind, reason: reason.to_owned() });
        let before = match &now {
            Some(labels) => known.stalled.insert(uid.to_owned(), labels.clone()),
            None => known.stalled.remove(uid),
        };
        if before == now {
            return;
        }
        if let Some(labels) = before {
            self.stalled.get_or_create(&labels).dec();
        }
        if let Some(labels) = now {
            self.stalled.get_or_create(&labels).inc();
        }
    }

    /// The object is gone, or nobody here works on it any more.
    pub fn forget(&self, kind: &'static str, uid: &str) {
        self.begun(uid);
        self.stalled(kind, uid, None);
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        let known = std::mem::take(&mut *self.known());
        for labels in known.queued.values() {
            self.queued.get_or_create(labels).dec();
        }
        for labels in known.stalled.values() {
            self.stalled.get_or_create(labels).dec();
        }
    }
}

/// One tracker's part of the gauge of an account and region.
pub struct OpenExecutions {
    gauge: Gauge,
    number: i64,
}

impl OpenExecutions {
    /// So many are followed now.
    pub fn set(&mut self, number: usize) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if number != self.number {
            self.gauge.inc_by(number - self.number);
            self.number = number;
        }
    }
}

impl Drop for OpenExecutions {
    fn drop(&mut self) {
        self.gauge.dec_by(self.number);
    }
}

/// Counts a reconcile as under way until it is dropped.
struct Running(Gauge);

impl Running {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn exemplar() -> Option<TraceLabels> {
    telemetry::trace_id().map(|trace_id| TraceLabels { trace_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_rendered() {
        let metrics = Metrics::default();
        metrics.reconcile("Workflow", "success", Duration::from_millis(3));
        metrics.session_cache(true);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"stepbound_reconcile_seconds_count{kind="Workflow",class="success"} 1"#), "{text}");
        assert!(text.contains(r#"stepbound_session_cache_total{outcome="hit"} 1"#), "{text}");
    }

    #[test]
    fn an_object_is_queued_once_and_stalled_for_one_reason_at_a_time() {
        let metrics = Metrics::default();
        let objects = metrics.objects();
        let shows = |line: &str| metrics.render().unwrap().contains(line);
        objects.queued("Workflow", "a");
        objects.queued("Workflow", "a");
        assert!(shows(r#"stepbound_queued_objects{kind="Workflow"} 1"#));
        let running = objects.reconciling("Workflow", "a");
        assert!(shows(r#"stepbound_queued_objects{kind="Workflow"} 0"#));
        assert!(shows(r#"stepbound_reconciles_running{kind="Workflow"} 1"#));
        drop(running);
        assert!(shows(r#"stepbound_reconciles_running{kind="Workflow"} 0"#));

        objects.stalled("Workflow", "a", Some("First"));
        objects.stalled("Workflow", "a", Some("Second"));
        objects.stalled("Workflow", "a", Some("Second"));
        assert!(shows(r#"stepbound_stalled_objects{kind="Workflow",reason="First"} 0"#));
        assert!(shows(r#"stepbound_stalled_objects{kind="Workflow",reason="Second"} 1"#));
        objects.stalled("Workflow", "a", None);
        assert!(shows(r#"stepbound_stalled_objects{kind="Workflow",reason="Second"} 0"#));
    }

    #[test]
    fn an_object_that_is_gone_or_worked_on_elsewhere_is_in_no_gauge() {
        let metrics = Metrics::default();
        let shows = |line: &str| metrics.render().unwrap().contains(line);
        let (one, two) = (metrics.objects(), metrics.objects());
        for (objects, uid) in [(&one, "a"), (&one, "b"), (&two, "c")] {
            objects.queued("WorkflowRun", uid);
            objects.stalled("WorkflowRun", uid, Some("AccessDenied"));
        }
        assert!(shows(r#"stepbound_stalled_objects{kind="WorkflowRun",reason="AccessDenied"} 3"#));
        one.forget("WorkflowRun", "a");
        one.forget("WorkflowRun", "a");
        assert!(shows(r#"stepbound_stalled_objects{kind="WorkflowRun",reason="AccessDenied"} 2"#));
        assert!(shows(r#"stepbound_queued_objects{kind="WorkflowRun"} 2"#));
        drop(one);
        assert!(shows(r#"stepbound_stalled_objects{kind="WorkflowRun",reason="AccessDenied"} 1"#));
        assert!(shows(r#"stepbound_queued_objects{kind="WorkflowRun"} 1"#));
    }

    #[test]
    fn the_executions_that_several_trackers_follow_add_up() {
        let metrics = Metrics::default();
        let shows = |line: &str| metrics.render().unwrap().contains(line);
        let (mut one, mut two) = (metrics.open_executions("1", "eu-west-1"), metrics.open_executions("1", "eu-west-1"));
        one.set(5);
        two.set(2);
        assert!(shows(r#"stepbound_open_executions{account="1",region="eu-west-1"} 7"#));
        one.set(4);
        assert!(shows(r#"stepbound_open_executions{account="1",region="eu-west-1"} 6"#));
        drop(one);
        assert!(shows(r#"stepbound_open_executions{account="1",region="eu-west-1"} 2"#));
    }
}
