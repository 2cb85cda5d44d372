//! Which log group is read next. Pure, as the schedule is.
//!
//! All executions whose end is waited for in a log group are looked for together: one reading of the group, from the oldest start
//! on that is due, finds the ends of all that started since. The younger an execution is, the more often it is looked for, so that
//! one whose end never comes does not have the log read from its start again and again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::fairness::Turns;
use super::{Evidence, Followed, Found, MachineKey, Outcome, later, seconds};
use crate::aws::LogPage;
use crate::outcome::Failure;
use crate::plan::express_log::{self, LoggedEnd};

/// The shortest and the longest pause between two looks for one execution, in seconds. A group is not read more often either.
const PAUSE: (f64, f64) = (1.0, 30.0);
/// The pause, as a part of the time since the start.
const OF_AGE: f64 = 0.25;
/// The first and the longest rest after a failed call, in seconds.
const REST: (f64, f64) = (1.0, 60.0);

/// A page of a log group to ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The log group, and who may read it.
    pub group: Arc<MachineKey>,
    /// Since when.
    pub from: Timestamp,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// An execution whose end is waited for.
#[derive(Debug)]
struct Awaited {
    run: Followed,
    /// Since when: a reading that had begun before may have passed its end already.
    since: Timestamp,
    /// When the last whole reading began that would have shown its end.
    looked_at: Option<Timestamp>,
}

impl Awaited {
    fn is_due(&self, now: Timestamp) -> bool {
        let last = self.looked_at.unwrap_or(self.run.started_at);
        let pause = (seconds(self.run.started_at, last) * OF_AGE).clamp(PAUSE.0, PAUSE.1);
        // After a start in the future, as a clock may have it, it is looked for at once.
        !(0.0..pause).contains(&seconds(last, now))
    }
}

/// A reading that goes on over pages.
#[derive(Debug)]
struct Reading {
    began: Timestamp,
    from: Timestamp,
    next_token: Option<String>,
}

#[derive(Debug, Default)]
struct Group {
    awaited: BTreeMap<String, Awaited>,
    reading: Option<Reading>,
    /// A call is under way.
    asked: bool,
    last_began: Option<Timestamp>,
    failures: u32,
    rests_until: Option<Timestamp>,
    refused: bool,
}

impl Group {
    fn wants(&self, now: Timestamp) -> bool {
        let rests = self.rests_until.is_some_and(|until| now < until);
        if self.asked || rests || self.awaited.is_empty() {
            return false;
        }
        let is_early = self.last_began.is_some_and(|last| (0.0..PAUSE.0).contains(&seconds(last, now)));
        self.reading.is_some() || (!is_early && self.awaited.values().any(|one| one.is_due(now)))
    }

    /// The reading under way, or one that begins where the oldest that is due has started.
    fn read(&mut self, now: Timestamp) -> &Reading {
        let due = self.awaited.values().filter(|one| one.is_due(now)).map(|one| one.run.started_at).min();
        let from = due.unwrap_or(now).checked_sub(express_log::SKEW).unwrap_or(Timestamp::MIN);
        self.last_began = self.reading.as_ref().map_or(Some(now), |_| self.last_began);
        self.asked = true;
        self.reading.get_or_insert(Reading { began: now, from, next_token: None })
    }
}

/// The log groups in which ends are waited for, in one account and region.
#[derive(Debug, Default)]
pub struct Sweeps {
    groups: HashMap<Arc<MachineKey>, Group>,
    by_execution: HashMap<String, Arc<MachineKey>>,
    turns: Turns,
}

impl Sweeps {
    /// Waits for the end of an execution. Repeating it changes nothing.
    pub fn await_end(&mut self, run: Followed, now: Timestamp) {
        let (group, arn) = (run.machine.clone(), run.execution_arn.clone());
        if self.by_execution.get(&arn).is_some_and(|known| *known == group) {
            return;
        }
        self.forget(&arn);
        self.by_execution.insert(arn.clone(), group.clone());
        self.groups.entry(group).or_default().awaited.insert(arn, Awaited { run, since: now, looked_at: None });
    }

    /// Waits for it no longer.
    pub fn forget(&mut self, execution_arn: &str) {
        self.end(execution_arn);
    }

    fn end(&mut self, execution_arn: &str) -> Option<Followed> {
        let group = self.by_execution.remove(execution_arn)?;
        self.groups.get_mut(&group)?.awaited.remove(execution_arn).map(|one| one.run)
    }

    /// How many executions are waited for.
    pub fn open(&self) -> usize {
        self.by_execution.len()
    }

    /// True when nothing is waited for.
    pub fn is_idle(&self) -> bool {
        self.by_execution.is_empty()
    }

    /// Drops the groups in which nothing is waited for, and gives them.
    pub fn tidy(&mut self) -> Vec<Arc<MachineKey>> {
        let is_left = |group: &Group| group.awaited.is_empty() && !group.asked;
        let left: Vec<_> = self.groups.iter().filter(|(_, group)| is_left(group)).map(|(key, _)| key.clone()).collect();
        self.groups.retain(|_, group| !is_left(group));
        left
    }

    /// The next page worth a call. It is under way until its outcome is told.
    pub fn next(&mut self, now: Timestamp) -> Option<Sweep> {
        let wanting: Vec<(Arc<MachineKey>, (String, String))> = self
            .groups
            .iter()
            .filter(|(_, group)| group.wants(now))
            .map(|(key, _)| (key.clone(), key.tenant()))
            .collect();
        let tenant = self.turns.next(wanting.iter().map(|(_, tenant)| tenant))?.clone();
        let of_tenant = wanting.into_iter().filter(|(_, of)| *of == tenant).map(|(key, _)| key);
        let key = of_tenant.min_by_key(|key| self.groups.get(key).and_then(|group| group.last_began))?;
        self.turns.took(&tenant);
        let reading = self.groups.get_mut(&key)?.read(now);
        Some(Sweep { from: reading.from, next_token: reading.next_token.clone(), group: key })
    }

    /// What became of a page.
    pub fn swept(&mut self, sweep: &Sweep, outcome: Outcome<LogPage>, now: Timestamp) -> Vec<Found> {
        let Some(group) = self.groups.get_mut(&sweep.group) else { return Vec::new() };
        group.asked = false;
        match outcome {
            Outcome::Answer(page) => {
                (group.failures, group.rests_until) = (0, None);
                let mut found = allowed(group);
                found.extend(self.ends(&sweep.group, &page, now));
                // AWS gives no token twice; with one it would never end.
                if page.next_token.is_some() && page.next_token == sweep.next_token {
                    self.groups.get_mut(&sweep.group).into_iter().for_each(|group| rest(group, now));
                } else {
                    found.extend(self.read_on(&sweep.group, page.next_token));
                }
                found
            }
            Outcome::Deferred => Vec::new(),
            Outcome::Failed => {
                rest(group, now);
                Vec::new()
            }
            Outcome::Denied(failure) => {
                rest(group, now);
                refused(group, &failure)
            }
        }
    }

    /// The ends on a page of executions that are waited for here. Of several of one execution the earliest counts.
    fn ends(&mut self, key: &Arc<MachineKey>, page: &LogPage, now: Timestamp) -> Vec<Found> {
        let Some(group) = self.groups.get(key) else { return Vec::new() };
        let mut ends: BTreeMap<String, LoggedEnd> = BTreeMap::new();
        for event in &page.events {
            let Some(end) = express_log::end(event) else { continue };
            let Some(awaited) = group.awaited.get(&end.execution_arn) else { continue };
            let is_earlier = ends.get(&end.execution_arn).is_none_or(|known| end.at < known.at);
            if is_earlier && express_log::is_of(&end, event.timestamp, awaited.run.started_at, now) {
                ends.insert(end.execution_arn.clone(), end);
            }
        }
        let found = ends.into_iter().filter_map(|(arn, end)| {
            Some(Found { followed: self.end(&arn)?, evidence: Evidence::Logged(Arc::new(end)) })
        });
        found.collect()
    }

    /// Reads on, or ends the reading: of what it would have shown and did not, nothing comes any more after a while.
    fn read_on(&mut self, key: &Arc<MachineKey>, next_token: Option<String>) -> Vec<Found> {
        let Some(group) = self.groups.get_mut(key) else { return Vec::new() };
        let Some(mut reading) = group.reading.take() else { return Vec::new() };
        let (from, began) = (reading.from, reading.began);
        let covers = |one: &Awaited| one.run.started_at >= from && one.since <= began;
        if next_token.is_some() && group.awaited.values().any(covers) {
            reading.next_token = next_token;
            group.reading = Some(reading);
            return Vec::new();
        }
        let mut missing = Vec::new();
        for (arn, one) in group.awaited.iter_mut().filter(|(_, one)| covers(one)) {
            one.looked_at = Some(began);
            if began >= express_log::gives_up_at(one.run.started_at) {
                missing.push(arn.clone());
            }
        }
        let gone = |arn: String| Some(Found { followed: self.end(&arn)?, evidence: Evidence::Missing });
        missing.into_iter().filter_map(gone).collect()
    }
}

/// A call failed: the group is read anew after a rest, longer each time.
fn rest(group: &mut Group, now: Timestamp) {
    let pause = (REST.0 * f64::from(1_u32 << group.failures.min(10))).min(REST.1);
    group.failures += 1;
    (group.rests_until, group.reading) = (Some(later(now, pause)), None);
}

/// Tells every run of a group, once, that it may not be read.
fn refused(group: &mut Group, failure: &Failure) -> Vec<Found> {
    if std::mem::replace(&mut group.refused, true) {
        return Vec::new();
    }
    tell(group, &Evidence::Refused(failure.clone()))
}

fn allowed(group: &mut Group) -> Vec<Found> {
    if std::mem::take(&mut group.refused) { tell(group, &Evidence::Allowed) } else { Vec::new() }
}

fn tell(group: &Group, evidence: &Evidence) -> Vec<Found> {
    let told = |one: &Awaited| Found { followed: one.run.clone(), evidence: evidence.clone() };
    group.awaited.values().map(told).collect()
}

#[cfg(test)]
mod tests;
