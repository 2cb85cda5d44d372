//! What is known of one machine's executions, and which list tells most of them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::durations::Durations;
use super::{Followed, later, seconds};
use crate::aws::{ExecutionPage, ExecutionStatus, ListedExecution};
use crate::outcome::Class;

/// Seconds of the past that are listed again each time, because AWS may show an end late.
pub(super) const OVERLAP: f64 = 120.0;
/// An end is looked for at least so often, in seconds, however unlikely it is.
pub(super) const LONGEST: f64 = 30.0;
/// Not listed again sooner, in seconds.
const SHORTEST_LIST: f64 = 0.5;
/// An execution is not described again sooner, in seconds.
const SHORTEST_DESCRIBE: f64 = 0.25;
/// A look is worth its call when it finds so many ends on average.
pub(super) const WORTH: f64 = 0.1;
/// So many open executions are cheaper described than listed: AWS grants three descriptions a list.
pub(super) const FEW: usize = 3;
/// An execution of a machine with many is described by itself when its end is more likely than not.
const LIKELY: f64 = 0.5;
/// How sure a hint or an absence makes of an end.
const SURE: f64 = 0.95;
/// A hint that was not confirmed after so many looks is dropped, and others for the same execution for a while.
const HINT_TRIES: u32 = 8;
/// How long, in seconds, further hints are ignored then: whoever can write to the queue can forge them.
const DISTRUST: f64 = 60.0;
/// Absence from a complete list means something only so long, in seconds, after the start.
const SHOWN_AFTER: f64 = 10.0;
/// After so many lists by status the cheaper list of everything is tried again.
const RETRY_NEWEST: u32 = 64;

/// For so long a machine is not listed after a refusal that nothing but a change can mend: a role may have been changed.
const UNLISTED: Duration = Duration::from_secs(600);
/// Seconds after which a duration tells little of today.
pub(super) const FAR_PAST: f64 = 86_400.0;

/// What the next list by status asks for: ends are listed by their own status, most ends being good, and the running ones
/// show by absence what was missed.
const TURNS: [ExecutionStatus; 8] = [
    ExecutionStatus::Succeeded,
    ExecutionStatus::Failed,
    ExecutionStatus::Succeeded,
    ExecutionStatus::TimedOut,
    ExecutionStatus::Succeeded,
    ExecutionStatus::Aborted,
    ExecutionStatus::Succeeded,
    ExecutionStatus::Running,
];

/// An open execution.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) run: Followed,
    /// It ran then, as AWS showed it.
    pub(super) ran_at: Timestamp,
    /// When it was last described.
    described_at: Option<Timestamp>,
    /// A description was asked for then and is under way.
    pub(super) asked_at: Option<Timestamp>,
    hint: Option<Hinted>,
    distrusted_until: Option<Timestamp>,
    /// A complete list did not show it.
    absent: bool,
    /// How often it was seen running.
    seen: u32,
}

#[derive(Clone, Copy, Debug)]
struct Hinted {
    at: Timestamp,
    not_before: Timestamp,
    tries: u32,
}

impl Open {
    fn new(run: Followed) -> Self {
        let ran_at = run.started_at;
        Self {
            run,
            ran_at,
            described_at: None,
            asked_at: None,
            hint: None,
            distrusted_until: None,
            absent: false,
            seen: 0,
        }
    }

    fn chance(&self, durations: &Durations, blur: f64, now: Timestamp) -> f64 {
        if self.is_hinted(now) {
            return SURE;
        }
        if self.absent || self.run.stopping {
            let patience = SHORTEST_DESCRIBE * f64::from(1_u32 << self.seen.min(6));
            return if seconds(self.ran_at, now) >= patience { SURE } else { 0.0 };
        }
        let start = self.run.started_at;
        durations.chance(seconds(start, self.ran_at).max(0.0), seconds(start, now).max(0.0), blur)
    }

    pub(super) fn is_hinted(&self, now: Timestamp) -> bool {
        self.hint.is_some_and(|hint| hint.not_before <= now)
    }

    /// How many seconds its hint has waited.
    fn hinted_for(&self, now: Timestamp) -> f64 {
        self.hint.filter(|hint| hint.not_before <= now).map_or(0.0, |hint| seconds(hint.at, now))
    }

    /// AWS was asked at `asked` and has shown it running. It may have ended while the answer was under way.
    fn seen_running(&mut self, asked: Timestamp, now: Timestamp, blur: f64) {
        self.ran_at = self.ran_at.max(asked);
        self.absent = false;
        self.seen = self.seen.saturating_add(1);
        let Some(hint) = &mut self.hint else { return };
        hint.tries += 1;
        // The end may not be shown yet.
        hint.not_before = later(now, (blur / 4.0).clamp(0.3, 2.0));
        if hint.tries >= HINT_TRIES {
            self.hint = None;
            self.distrusted_until = Some(later(now, DISTRUST));
        }
    }
}

/// A list under way, page by page.
#[derive(Clone, Debug, PartialEq)]
struct Sweep {
    status: Option<ExecutionStatus>,
    began: Timestamp,
    next_token: Option<String>,
    /// Newest end on any page so far.
    newest_end: Option<Timestamp>,
    /// Those of ours that were on a page.
    seen: HashSet<String>,
}

/// How likely something is found, and how long it has been waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Worth {
    /// True when somebody hinted at it.
    pub(super) hinted: bool,
    /// Ends that are expected, times the seconds for which they may have waited.
    pub(super) value: f64,
}

/// One machine.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) open: HashMap<String, Open>,
    durations: Durations,
    listed_at: Option<Timestamp>,
    sweep: Option<Sweep>,
    pub(super) listing: bool,
    /// The newest 1,000 do not reach all that are open.
    deep: bool,
    turn: u32,
    /// Ends before these times have been seen, by status.
    marks: HashMap<ExecutionStatus, Timestamp>,
    /// Until then nothing is called, because it failed.
    pub(super) rests_until: Option<Timestamp>,
    pub(super) failures: u32,
    /// Its runs were told that they may not be looked at.
    pub(super) refused: bool,
    /// Until then executions are described, because they may not be listed.
    pub(super) unlisted_until: Option<Timestamp>,
    /// How often in a row a list was refused.
    list_refusals: u32,
    /// Since when nothing of it is open.
    idle_since: Option<Timestamp>,
}

impl Machine {
    /// Follows an execution; what is known of it already stays.
    pub(super) fn follow(&mut self, run: Followed) {
        match self.open.get_mut(&run.execution_arn) {
            Some(open) => {
                if run.redrive_count > open.run.redrive_count {
                    *open = Open::new(run);
                } else {
                    open.run = run;
                }
            }
            None => drop(self.open.insert(run.execution_arn.clone(), Open::new(run))),
        }
    }

    /// Somebody says that it has ended. `blur` is how long AWS has lately taken to show it.
    pub(super) fn hint(&mut self, execution_arn: &str, blur: f64, now: Timestamp) {
        let Some(open) = self.open.get_mut(execution_arn) else { return };
        let distrusted = open.distrusted_until.is_some_and(|until| now < until);
        if open.hint.is_none() && !distrusted {
            open.hint = Some(Hinted { at: now, not_before: later(now, blur / 2.0), tries: 0 });
        }
    }

    pub(super) fn rests(&self, now: Timestamp) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn describes_only(&self, now: Timestamp) -> bool {
        self.open.len() <= FEW || self.unlisted_until.is_some_and(|until| now < until)
    }

    /// What a list would be worth now; `None` where it is not worth a call.
    pub(super) fn list_worth(&self, blur: f64, now: Timestamp) -> Option<Worth> {
        let busy = self.listing || self.rests(now) || self.open.is_empty();
        if busy || self.describes_only(now) && self.sweep.is_none() {
            return None;
        }
        let since = self.listed_at.map_or(f64::INFINITY, |at| seconds(at, now));
        let idle = self.open.values().filter(|open| open.asked_at.is_none());
        let (mut expected, mut hinted, mut oldest) = (0.0, 0.0, now);
        for open in idle {
            expected += open.chance(&self.durations, blur, now);
            hinted += open.hinted_for(now) + f64::from(u8::from(open.is_hinted(now)));
            oldest = oldest.min(open.ran_at);
        }
        let waited = if since.is_finite() { since } else { seconds(oldest, now) };
        let due = self.sweep.is_some() || expected >= WORTH || waited >= LONGEST;
        if hinted > 0.0 {
            return Some(Worth { hinted: true, value: hinted });
        }
        // A list by status goes on with its next page at once.
        (due && (since >= SHORTEST_LIST || self.sweep.is_some()))
            .then(|| Worth { hinted: false, value: expected.max(0.01) * waited.max(0.01) })
    }

    /// What describing each execution would be worth now, where it is worth a call.
    pub(super) fn describe_worth(&self, blur: f64, now: Timestamp) -> Vec<(String, Worth)> {
        if self.rests(now) {
            return Vec::new();
        }
        let only = self.describes_only(now);
        let worth = |(arn, open): (&String, &Open)| {
            let since = open.described_at.map_or(f64::INFINITY, |at| seconds(at, now));
            // One that was likely to have ended and has not is not asked for again at once.
            let shortest = if open.chance(&self.durations, 0.0, now) < LIKELY {
                (blur / 4.0).max(SHORTEST_DESCRIBE)
            } else {
                SHORTEST_DESCRIBE
            };
            if open.asked_at.is_some() || since < shortest {
                return None;
            }
            let chance = open.chance(&self.durations, blur, now);
            let waited = seconds(open.ran_at, now).max(0.0);
            let hinted = open.is_hinted(now);
            let due = hinted || chance >= LIKELY || only && (chance >= WORTH || waited >= LONGEST);
            let value = if hinted { 1.0 + open.hinted_for(now) } else { chance * waited.max(0.01) };
            due.then(|| (arn.clone(), Worth { hinted, value }))
        };
        self.open.iter().filter_map(worth).collect()
    }

    /// The next page to ask for.
    pub(super) fn next_page(&mut self, now: Timestamp) -> (Option<ExecutionStatus>, Option<String>) {
        self.listing = true;
        if let Some(sweep) = &self.sweep {
            return (sweep.status, sweep.next_token.clone());
        }
        if self.deep && self.turn >= RETRY_NEWEST {
            (self.deep, self.turn) = (false, 0);
        }
        let status = self.deep.then(|| TURNS[self.turn as usize % TURNS.len()]);
        self.turn = if self.deep { self.turn + 1 } else { 0 };
        self.sweep = Some(Sweep { status, began: now, next_token: None, newest_end: None, seen: HashSet::new() });
        (status, None)
    }

    /// The page could not be had; the list begins anew the next time.
    pub(super) fn page_failed(&mut self) {
        self.listing = false;
        self.sweep = None;
    }

    /// It may not be listed, and is tried again as the refusal's class says. Describing may be allowed all the same.
    pub(super) fn page_refused(&mut self, class: Class, now: Timestamp) {
        self.page_failed();
        self.list_refusals = self.list_refusals.saturating_add(1);
        let rest = class.delay(self.list_refusals, 1.0).unwrap_or(UNLISTED);
        self.unlisted_until = Some(later(now, rest.as_secs_f64()));
    }

    /// Only wait for a token: the list goes on where it was.
    pub(super) fn page_deferred(&mut self) {
        self.listing = false;
        if self.sweep.as_ref().is_some_and(|sweep| sweep.next_token.is_none()) {
            self.sweep = None;
            self.turn = self.turn.saturating_sub(u32::from(self.deep));
        }
    }

    /// A page has come: the executions that it proves to have ended.
    pub(super) fn page(&mut self, page: &ExecutionPage, blur: f64, now: Timestamp) -> Vec<ListedExecution> {
        self.listing = false;
        self.failures = 0;
        self.list_refusals = 0;
        let Some(mut sweep) = self.sweep.take() else { return Vec::new() };
        let mut ended = Vec::new();
        for item in &page.executions {
            sweep.newest_end = sweep.newest_end.max(item.stopped_at);
            self.learn_from(item, sweep.status, sweep.began);
            let Some(open) = self.open.get_mut(&item.arn) else { continue };
            sweep.seen.insert(item.arn.clone());
            if proves_end(open, item) {
                ended.push(item.clone());
            } else if item.status == ExecutionStatus::Running && item.redrive_count >= open.run.redrive_count {
                open.seen_running(sweep.began, now, blur);
            }
        }
        self.listed_at = Some(now);
        let reached = self.reached(page, &sweep);
        if !reached && sweep.status.is_some() && page.next_token.is_some() {
            sweep.next_token.clone_from(&page.next_token);
            self.sweep = Some(sweep);
        } else {
            self.end_sweep(&sweep, page.next_token.is_none(), now);
        }
        ended
    }

    /// Durations are learned from every end that is seen for the first time, of ours or not.
    fn learn_from(&mut self, item: &ListedExecution, status: Option<ExecutionStatus>, began: Timestamp) {
        let Some(end) = item.stopped_at.filter(|_| item.status != ExecutionStatus::Running) else { return };
        let known = match status {
            Some(status) => self.marks.get(&status).is_some_and(|mark| end <= *mark),
            None => self.listed_at.is_some_and(|at| seconds(end, at) > 0.0),
        };
        // A redriven one spent time at rest, and one of the far past tells little of today.
        if !known && item.redrive_count == 0 && seconds(end, began) < FAR_PAST {
            self.durations.learn(seconds(item.started_at, end));
        }
    }

    /// True when what comes after the page has been seen before.
    fn reached(&self, page: &ExecutionPage, sweep: &Sweep) -> bool {
        let Some(status) = sweep.status else { return false };
        // Without a mark nothing was seen before: no run that is open now ended before it started.
        let oldest_start = || self.open.values().map(|open| open.run.started_at).min().unwrap_or(sweep.began);
        let mark = self.marks.get(&status).copied().unwrap_or_else(oldest_start);
        let oldest = page.executions.iter().filter_map(|item| item.stopped_at).min();
        oldest.is_some_and(|oldest| seconds(oldest, mark) > OVERLAP)
    }

    fn end_sweep(&mut self, sweep: &Sweep, complete: bool, now: Timestamp) {
        let shown = |open: &Open| sweep.seen.contains(&open.run.execution_arn);
        let settled = |open: &Open| seconds(open.run.started_at, sweep.began) > SHOWN_AFTER;
        match sweep.status {
            None if !complete => self.deep = self.open.values().any(|open| !shown(open) && settled(open)),
            None | Some(ExecutionStatus::Running) if complete => {
                for open in self.open.values_mut() {
                    open.absent = open.absent || (!shown(open) && settled(open));
                }
            }
            Some(status) if status != ExecutionStatus::Running => {
                let mark = sweep.newest_end.unwrap_or(sweep.began).min(now);
                let before = self.marks.insert(status, mark);
                if let Some(before) = before.filter(|before| *before > mark) {
                    self.marks.insert(status, before);
                }
            }
            _ => {}
        }
    }

    /// It was described as running, or was not shown.
    pub(super) fn described_running(&mut self, execution_arn: &str, blur: f64, now: Timestamp) {
        if let Some(open) = self.open.get_mut(execution_arn) {
            let asked = open.asked_at.take().unwrap_or(now);
            open.described_at = Some(now);
            open.seen_running(asked, now, blur);
        }
    }

    /// It could not be described.
    pub(super) fn describe_failed(&mut self, execution_arn: &str) {
        if let Some(open) = self.open.get_mut(execution_arn) {
            open.asked_at = None;
        }
    }

    /// How long executions took that ended before this process began, the oldest first.
    pub(super) fn remember(&mut self, seconds: &[f64]) {
        for one in seconds {
            self.durations.learn(*one);
        }
    }

    /// True when nothing of it was open for so long that what was learned tells little.
    pub(super) fn is_forgotten(&mut self, now: Timestamp) -> bool {
        if !self.open.is_empty() || self.listing {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        seconds(since, now) >= FAR_PAST
    }

    /// An end was described.
    pub(super) fn learn(&mut self, started: Timestamp, ended: Timestamp, redrive_count: i32) {
        if redrive_count == 0 {
            self.durations.learn(seconds(started, ended));
        }
    }
}

/// An end counts when it is of the round that the run is in: an earlier round's end may still be shown after a redrive.
fn proves_end(open: &Open, item: &ListedExecution) -> bool {
    item.status != ExecutionStatus::Running && item.redrive_count >= open.run.redrive_count
}
