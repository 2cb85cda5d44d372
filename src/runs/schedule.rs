//! Which look at AWS comes next. Pure: the time is given, and what AWS answered is told.
//!
//! Two kinds of call are to be had, lists and descriptions, each from a bucket of its own. A machine's list is worth the
//! number of ends that it is expected to show, times how long they may have waited; a description the same for its one
//! execution. Hints come first, then the most valuable, in turns among tenants. Outputs are read with what is left.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::fairness::Turns;
use super::machine::{Machine, Worth};
use super::{Evidence, Followed, MachineKey, later, seconds};
use crate::aws::{Execution, ExecutionPage, ExecutionStatus, ListPage};
use crate::outcome::Failure;

/// How long, in seconds, an order of candidates is good.
const RANK_LASTS: f64 = 0.2;
/// And where something new has come meanwhile.
const RANK_LASTS_WITH_NEWS: f64 = 0.02;
/// Ordering costs time in proportion to what is open: so much longer an order lasts for each, in seconds.
const RANK_LASTS_FOR_EACH: f64 = 0.000_02;
/// How long AWS may take to show an end, in seconds, before anything is known of it, and the longest that is believed.
const BLUR: (f64, f64) = (1.0, 15.0);
/// How fast a slow showing is forgotten, with each end that was shown at once.
const BLUR_FORGOTTEN: f64 = 0.98;
/// Hints at executions that are not followed yet are kept so long, in seconds, and so many of them.
const EARLY_HINTS: (f64, usize) = (30.0, 10_000);
/// The first and the longest rest after a failed call, in seconds.
const REST: (f64, f64) = (1.0, 60.0);

/// A list to ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Of which machine.
    pub machine: Arc<MachineKey>,
    /// Which page.
    pub page: ListPage,
}

/// A description to ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Describe {
    /// Of which machine.
    pub machine: Arc<MachineKey>,
    /// Which execution.
    pub execution_arn: String,
    /// True when it is known to have ended and only its output is wanted.
    pub output: bool,
}

/// An answer to a call.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// AWS answered.
    Answer(T),
    /// No call was made for want of quota.
    Deferred,
    /// The role may not make this call, or there is no session.
    Denied(Failure),
    /// It failed and may succeed later.
    Failed,
}

/// Something to tell a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The run and its execution.
    pub followed: Followed,
    /// What was found.
    pub evidence: Evidence,
}

/// A candidate for a call.
#[derive(Debug)]
struct Candidate {
    machine: Arc<MachineKey>,
    execution_arn: String,
    worth: Worth,
}

/// Candidates by tenant, the best last.
type Ranking = HashMap<(String, String), Vec<Candidate>>;

/// An output that is still to be read.
#[derive(Debug)]
struct Wanted {
    followed: Followed,
    not_before: Timestamp,
    tries: u32,
}

/// What is followed in one account and region, and what to ask for next.
#[derive(Debug)]
pub struct Schedule {
    machines: HashMap<Arc<MachineKey>, Machine>,
    by_execution: HashMap<String, Arc<MachineKey>>,
    outputs: HashMap<(String, String), VecDeque<Wanted>>,
    reading: HashMap<String, Wanted>,
    early_hints: HashMap<String, Timestamp>,
    blur: f64,
    lists: Ranking,
    descriptions: Ranking,
    list_turns: Turns,
    describe_turns: Turns,
    output_turns: Turns,
    /// True when an execution was described without a hint since an output was read last.
    guessed: bool,
    ranked_at: Option<Timestamp>,
    news: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            machines: HashMap::new(),
            by_execution: HashMap::new(),
            outputs: HashMap::new(),
            reading: HashMap::new(),
            early_hints: HashMap::new(),
            blur: BLUR.0,
            lists: HashMap::new(),
            descriptions: HashMap::new(),
            list_turns: Turns::default(),
            describe_turns: Turns::default(),
            output_turns: Turns::default(),
            guessed: false,
            ranked_at: None,
            news: false,
        }
    }
}

impl Schedule {
    /// Follows an execution until its end was found. Following it again changes nothing but whether it is being stopped.
    pub fn follow(&mut self, run: Followed, now: Timestamp) {
        let (machine, arn) = (run.machine.clone(), run.execution_arn.clone());
        if let Some(other) = self.by_execution.insert(arn.clone(), machine.clone()).filter(|other| *other != machine) {
            self.remove(&other, &arn);
            self.by_execution.insert(arn.clone(), machine.clone());
        }
        let one = self.machines.entry(machine).or_default();
        one.follow(run);
        if self.early_hints.remove(&arn).is_some_and(|at| seconds(at, now) < EARLY_HINTS.0) {
            one.hint(&arn, 0.0, now);
        }
        self.news = true;
    }

    /// Follows it no longer, and wants no output of it.
    pub fn forget(&mut self, execution_arn: &str) {
        if let Some(machine) = self.by_execution.get(execution_arn).cloned() {
            self.remove(&machine, execution_arn);
        }
        self.reading.remove(execution_arn);
        for wanted in self.outputs.values_mut() {
            wanted.retain(|one| one.followed.execution_arn != execution_arn);
        }
    }

    /// Wants the description of an execution that has ended, when there is quota for it.
    pub fn want_output(&mut self, followed: Followed, now: Timestamp) {
        let arn = &followed.execution_arn;
        let queue = self.outputs.entry(followed.machine.tenant()).or_default();
        if !self.reading.contains_key(arn) && !queue.iter().any(|one| one.followed.execution_arn == *arn) {
            queue.push_back(Wanted { followed, not_before: now, tries: 0 });
        }
    }

    /// Somebody says that an execution has ended: it is looked at soon if it is followed, and nothing else follows from it.
    pub fn hint(&mut self, execution_arn: &str, now: Timestamp) {
        if let Some(machine) = self.by_execution.get(execution_arn) {
            if let Some(machine) = self.machines.get_mut(machine) {
                machine.hint(execution_arn, if self.blur > BLUR.0 { self.blur } else { 0.0 }, now);
                self.news = true;
            }
            return;
        }
        if self.early_hints.len() >= EARLY_HINTS.1 {
            self.early_hints.retain(|_, at| seconds(*at, now) < EARLY_HINTS.0);
        }
        if self.early_hints.len() < EARLY_HINTS.1 {
            self.early_hints.insert(execution_arn.to_owned(), now);
        }
    }

    /// How long executions of a machine took before this process began, the oldest first.
    pub fn remember(&mut self, machine: MachineKey, seconds: &[f64]) {
        self.machines.entry(Arc::new(machine)).or_default().remember(seconds);
    }

    /// Drops what nothing will ask for any more. Gives the machines of which nothing is known from now on.
    pub fn tidy(&mut self, now: Timestamp) -> Vec<Arc<MachineKey>> {
        self.outputs.retain(|_, wanted| !wanted.is_empty());
        self.early_hints.retain(|_, at| seconds(*at, now) < EARLY_HINTS.0);
        let forgotten =
            |(key, machine): (&Arc<MachineKey>, &mut Machine)| machine.is_forgotten(now).then(|| key.clone());
        let forgotten: Vec<Arc<MachineKey>> = self.machines.iter_mut().filter_map(forgotten).collect();
        for key in &forgotten {
            self.machines.remove(key);
        }
        forgotten
    }

    /// How many executions are followed.
    pub fn open(&self) -> usize {
        self.by_execution.len()
    }

    /// True when there is nothing to look at, now or later.
    pub fn is_idle(&self) -> bool {
        self.by_execution.is_empty() && self.reading.is_empty() && self.outputs.values().all(VecDeque::is_empty)
    }

    /// True when some execution is so young that its end may come any moment.
    pub fn is_lively(&self, now: Timestamp) -> bool {
        let young = |machine: &Machine| machine.open.values().any(|open| seconds(open.run.started_at, now) < 5.0);
        self.by_execution.len() <= 100 && self.machines.values().any(young)
    }

    /// The next list worth a call. It is under way until its outcome is told.
    pub fn next_list(&mut self, now: Timestamp) -> Option<Look> {
        self.rank(now);
        loop {
            let tenant = next_of(&self.lists, &self.list_turns)?;
            let candidate = self.lists.get_mut(&tenant)?.pop()?;
            let blur = self.blur;
            let Some(machine) = self.machines.get_mut(&candidate.machine) else { continue };
            // A description may have taken meanwhile what it was wanted for.
            if machine.list_worth(blur, now).is_none() {
                continue;
            }
            let (status, next_token) = machine.next_page(now);
            self.list_turns.took(&tenant);
            let page = ListPage { arn: candidate.machine.arn.clone(), status, next_token };
            return Some(Look { machine: candidate.machine, page });
        }
    }

    /// The next description worth a call, of an execution that may have ended.
    pub fn next_describe(&mut self, now: Timestamp) -> Option<Describe> {
        self.rank(now);
        loop {
            let tenant = next_of(&self.descriptions, &self.describe_turns)?;
            let hinted = self.descriptions.get(&tenant)?.last()?.worth.hinted;
            if !hinted && self.guessed && self.is_output_due(now) {
                return None;
            }
            let candidate = self.descriptions.get_mut(&tenant)?.pop()?;
            let machine = self.machines.get_mut(&candidate.machine);
            let Some(open) = machine.and_then(|machine| machine.open.get_mut(&candidate.execution_arn)) else {
                continue;
            };
            if open.asked_at.is_some() {
                continue;
            }
            open.asked_at = Some(now);
            self.describe_turns.took(&tenant);
            self.guessed |= !hinted;
            let (machine, execution_arn) = (candidate.machine, candidate.execution_arn);
            return Some(Describe { machine, execution_arn, output: false });
        }
    }

    /// The next output to read.
    pub fn next_output(&mut self, now: Timestamp) -> Option<Describe> {
        let wanting = self.outputs.iter().filter(|(_, queue)| has_due(queue, now)).map(|(tenant, _)| tenant);
        let tenant = self.output_turns.next(wanting)?.clone();
        let queue = self.outputs.get_mut(&tenant)?;
        let at = queue.iter().position(|one| one.not_before <= now)?;
        let wanted = queue.remove(at)?;
        self.output_turns.took(&tenant);
        self.guessed = false;
        let (machine, execution_arn) = (wanted.followed.machine.clone(), wanted.followed.execution_arn.clone());
        self.reading.insert(execution_arn.clone(), wanted);
        Some(Describe { machine, execution_arn, output: true })
    }

    fn is_output_due(&self, now: Timestamp) -> bool {
        self.outputs.values().any(|queue| has_due(queue, now))
    }

    /// What became of a list.
    pub fn listed(&mut self, look: &Look, outcome: Outcome<ExecutionPage>, now: Timestamp) -> Vec<Found> {
        let blur = self.blur;
        let Some(machine) = self.machines.get_mut(&look.machine) else { return Vec::new() };
        self.news = true;
        let ended = match outcome {
            Outcome::Answer(page) => machine.page(&page, blur, now),
            Outcome::Deferred => {
                machine.page_deferred();
                return Vec::new();
            }
            Outcome::Denied(failure) => {
                machine.page_refused(failure.class, now);
                return Vec::new();
            }
            Outcome::Failed => {
                machine.page_failed();
                self.rest(&look.machine, now);
                return Vec::new();
            }
        };
        let mut found = self.allowed(&look.machine);
        for item in ended {
            if let Some(followed) = self.end(&look.machine, &item.arn, item.stopped_at) {
                found.push(Found { followed, evidence: Evidence::Listed(item) });
            }
        }
        found
    }

    /// What became of a description; an answer of `None` is an execution that AWS does not show. `long_gone` says whether
    /// that proves anything for one that started then.
    pub fn described(
        &mut self,
        describe: &Describe,
        outcome: Outcome<Option<Execution>>,
        long_gone: impl Fn(Timestamp) -> bool,
        now: Timestamp,
    ) -> Vec<Found> {
        self.news = true;
        if describe.output {
            return self.output_read(&describe.execution_arn, outcome, now).into_iter().collect();
        }
        let (blur, arn) = (self.blur, &describe.execution_arn);
        let Some(machine) = self.machines.get_mut(&describe.machine) else { return Vec::new() };
        let Some(open) = machine.open.get(arn) else { return Vec::new() };
        let (started_at, redrive_count) = (open.run.started_at, open.run.redrive_count);
        match outcome {
            Outcome::Answer(Some(execution)) => {
                machine.failures = 0;
                let mut found = Self::tell_allowed(machine);
                let ended = execution.stopped_at.filter(|_| execution.status != ExecutionStatus::Running);
                let (Some(stopped), true) = (ended, execution.redrive_count >= redrive_count) else {
                    machine.described_running(arn, blur, now);
                    return found;
                };
                machine.learn(execution.started_at, stopped, execution.redrive_count);
                let followed = self.end(&describe.machine, arn, Some(stopped));
                let evidence = Evidence::Described(Arc::new(execution));
                found.extend(followed.map(|followed| Found { followed, evidence }));
                found
            }
            Outcome::Answer(None) if long_gone(started_at) => {
                let followed = self.end(&describe.machine, arn, None);
                followed.map(|followed| Found { followed, evidence: Evidence::Missing }).into_iter().collect()
            }
            Outcome::Answer(None) => {
                machine.described_running(arn, blur, now);
                Vec::new()
            }
            Outcome::Deferred => {
                machine.describe_failed(arn);
                Vec::new()
            }
            Outcome::Failed => {
                machine.describe_failed(arn);
                self.rest(&describe.machine, now);
                Vec::new()
            }
            Outcome::Denied(failure) => {
                machine.describe_failed(arn);
                self.rest(&describe.machine, now);
                self.refused(&describe.machine, &failure)
            }
        }
    }

    fn output_read(&mut self, arn: &str, outcome: Outcome<Option<Execution>>, now: Timestamp) -> Option<Found> {
        let mut wanted = self.reading.remove(arn)?;
        let shown = |execution: &Execution| execution.status != ExecutionStatus::Running;
        match outcome {
            Outcome::Answer(Some(execution)) if shown(&execution) => {
                return Some(Found { followed: wanted.followed, evidence: Evidence::Described(Arc::new(execution)) });
            }
            Outcome::Deferred => {}
            // Not shown as ended yet, not shown any more, or not allowed: tried again ever more rarely.
            _ => {
                wanted.tries += 1;
                wanted.not_before = later(now, REST.0 * f64::from(1_u32 << wanted.tries.min(9)));
            }
        }
        let tenant = wanted.followed.machine.tenant();
        self.outputs.entry(tenant).or_default().push_front(wanted);
        None
    }

    /// A call about a machine failed: it rests, longer each time.
    fn rest(&mut self, key: &Arc<MachineKey>, now: Timestamp) {
        let Some(machine) = self.machines.get_mut(key) else { return };
        let rest = (REST.0 * f64::from(1_u32 << machine.failures.min(10))).min(REST.1);
        machine.failures += 1;
        machine.rests_until = Some(later(now, rest));
    }

    /// Tells every run of a machine, once, that it may not be looked at.
    fn refused(&mut self, key: &Arc<MachineKey>, failure: &Failure) -> Vec<Found> {
        let Some(machine) = self.machines.get_mut(key) else { return Vec::new() };
        if std::mem::replace(&mut machine.refused, true) {
            return Vec::new();
        }
        let evidence = || Evidence::Refused(failure.clone());
        machine.open.values().map(|open| Found { followed: open.run.clone(), evidence: evidence() }).collect()
    }

    fn allowed(&mut self, key: &Arc<MachineKey>) -> Vec<Found> {
        self.machines.get_mut(key).map(Self::tell_allowed).unwrap_or_default()
    }

    fn tell_allowed(machine: &mut Machine) -> Vec<Found> {
        if !std::mem::replace(&mut machine.refused, false) {
            return Vec::new();
        }
        let runs = machine.open.values().map(|open| open.run.clone());
        runs.map(|followed| Found { followed, evidence: Evidence::Allowed }).collect()
    }

    /// Takes an execution out, learning how long AWS took to show its end.
    fn end(&mut self, key: &Arc<MachineKey>, arn: &str, stopped: Option<Timestamp>) -> Option<Followed> {
        let open = self.machines.get(key)?.open.get(arn)?;
        if let Some(stopped) = stopped {
            let late = seconds(stopped, open.ran_at) + 0.1;
            let shown_late = if open.ran_at > stopped { late } else { 0.0 };
            self.blur = (self.blur * BLUR_FORGOTTEN).max(shown_late).clamp(BLUR.0, BLUR.1);
        }
        self.remove(key, arn)
    }

    fn remove(&mut self, key: &Arc<MachineKey>, arn: &str) -> Option<Followed> {
        self.by_execution.remove(arn);
        let machine = self.machines.get_mut(key)?;
        let open = machine.open.remove(arn)?;
        Some(open.run)
    }

    /// Orders the candidates anew where the last order is too old.
    fn rank(&mut self, now: Timestamp) {
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let with_news = RANK_LASTS_WITH_NEWS + self.by_execution.len() as f64 * RANK_LASTS_FOR_EACH;
        let lasts = if self.news { with_news.min(RANK_LASTS) } else { RANK_LASTS };
        if self.ranked_at.is_some_and(|at| (0.0..lasts).contains(&seconds(at, now))) {
            return;
        }
        (self.ranked_at, self.news) = (Some(now), false);
        self.lists.clear();
        self.descriptions.clear();
        for (key, machine) in &self.machines {
            if let Some(worth) = machine.list_worth(self.blur, now) {
                let candidate = Candidate { machine: key.clone(), execution_arn: String::new(), worth };
                self.lists.entry(key.tenant()).or_default().push(candidate);
            }
            for (execution_arn, worth) in machine.describe_worth(self.blur, now) {
                let candidate = Candidate { machine: key.clone(), execution_arn, worth };
                self.descriptions.entry(key.tenant()).or_default().push(candidate);
            }
        }
        for candidates in self.lists.values_mut().chain(self.descriptions.values_mut()) {
            candidates.sort_by(|a, b| {
                a.worth.hinted.cmp(&b.worth.hinted).then_with(|| a.worth.value.total_cmp(&b.worth.value))
            });
        }
    }
}

fn has_due(queue: &VecDeque<Wanted>, now: Timestamp) -> bool {
    queue.iter().any(|one| one.not_before <= now)
}

fn next_of(ranking: &Ranking, turns: &Turns) -> Option<(String, String)> {
    let wanting = ranking.iter().filter(|(_, candidates)| !candidates.is_empty()).map(|(tenant, _)| tenant);
    turns.next(wanting).cloned()
}

#[cfg(test)]
mod tests;
