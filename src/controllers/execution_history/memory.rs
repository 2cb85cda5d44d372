//! What a process remembers of the histories that it reads. Another one reads them anew.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api::v1alpha1::{EventData, ExecutionHistorySpec, PageEvent};
use crate::aws::{HistoryEvent, HistoryPage, HistoryRequest, LogEvent, LogRequest};
use crate::plan::execution_history::pace::Pace;
use crate::plan::execution_history::pages::{Cutter, Page};
use crate::plan::execution_history::room::Kept;
use crate::plan::execution_history::{is_end, told};
use crate::plan::express_log;
use crate::plan::timeline::{Paths, Reader};

/// Answers with data that are in memory at once: each may have as many megabytes as it has events, and a quarter.
const ANSWERS_WITH_DATA: usize = 2;
/// Events of an answer without data (`GetExecutionHistory`, parameter `maxResults`).
const EVENTS: i32 = 1000;
/// Events of an answer with data. Each may have 256 KiB, so that this is 6 MB at most.
const EVENTS_WITH_DATA: i32 = 25;

/// Room for events of a log that wait for those before them. What has none is read again: whoever may write to the log must not
/// fill the memory with events of which the first never comes.
const AHEAD_BYTES: usize = 8 * 1024 * 1024;

/// The histories that are read, and those that are kept.
pub(in crate::controllers) struct Histories {
    readings: Mutex<HashMap<String, Reading>>,
    begun: Mutex<Begun>,
    pub(super) pace: Mutex<Pace>,
    answers: Semaphore,
}

/// Those that have begun since this process has, by UID.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) kept: HashMap<String, Kept>,
    /// Those that were told to go.
    pub(super) going: HashSet<String>,
    /// Since when those are refused that do not get on.
    pub(super) refused: HashMap<String, Timestamp>,
}

impl Default for Histories {
    fn default() -> Self {
        Self {
            readings: Mutex::default(),
            begun: Mutex::default(),
            pace: Mutex::default(),
            answers: Semaphore::new(ANSWERS_WITH_DATA),
        }
    }
}

impl Histories {
    /// What was read of a history. Whoever takes it gives it back; where that is cut off, it is read anew.
    pub(super) fn take(&self, uid: &str) -> Option<Reading> {
        self.readings.lock().remove(uid)
    }

    pub(super) fn give_back(&self, uid: &str, reading: Reading) {
        self.readings.lock().insert(uid.to_owned(), reading);
    }

    pub(super) fn end_reading(&self, uid: &str) {
        self.readings.lock().remove(uid);
        let mut begun = self.begun.lock();
        begun.refused.remove(uid);
        if let Some(kept) = begun.kept.get_mut(uid) {
            kept.finished.get_or_insert_with(Timestamp::now);
        }
    }

    /// Forgets a history that has gone.
    pub(in crate::controllers) fn forget(&self, uid: &str) {
        self.readings.lock().remove(uid);
        let mut begun = self.begun.lock();
        begun.kept.remove(uid);
        begun.going.remove(uid);
        begun.refused.remove(uid);
    }

    /// Since when it is refused.
    pub(super) fn refused_since(&self, uid: &str, now: Timestamp) -> Timestamp {
        *self.begun.lock().refused.entry(uid.to_owned()).or_insert(now)
    }

    /// It gets on.
    pub(super) fn gets_on(&self, uid: &str) {
        self.begun.lock().refused.remove(uid);
    }

    /// Of what has a place others have none: nothing was read of it, so there is nothing to keep.
    pub(super) fn leave_place(&self, uid: &str) {
        self.begun.lock().kept.remove(uid);
    }

    /// Decides with what has begun. Nothing else begins meanwhile.
    pub(super) fn with_begun<T>(&self, decide: impl FnOnce(&mut Begun) -> T) -> T {
        decide(&mut self.begun.lock())
    }

    /// Lets a status of the namespace be written now, or says how long that has to wait.
    pub(super) fn may_write(&self, namespace: &str, now: Duration) -> Result<(), Duration> {
        self.pace.lock().take(namespace, now)
    }

    /// Waits until one more answer with data may be in memory.
    pub(super) async fn answer(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.answers.acquire().await.ok()
    }
}

/// A history under way: each event is read once.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Reading {
    arn: String,
    /// Where the newest answer began: it may have had more to give. A token holds for a day.
    token: Option<String>,
    with_data: bool,
    /// Id of the newest event.
    pub(super) observed: i64,
    /// The newest event is the end of the execution.
    pub(super) ended: bool,
    /// AWS has shown nothing that was not read.
    pub(super) at_end: bool,
    /// How often it was read to the end since the run was seen to have ended.
    pub(super) looks: u32,
    /// When AWS was asked last, and when the status was written, since the start of the process.
    pub(super) looked_at: Option<Duration>,
    pub(super) wrote_at: Option<Duration>,
    /// Of a log: events that were read before those that they follow.
    ahead: BTreeMap<i64, (usize, HistoryEvent)>,
    ahead_bytes: usize,
    pub(super) cutter: Cutter,
    pub(super) timeline: Reader,
    /// Pages that are full and not written yet.
    pub(super) to_write: VecDeque<Page>,
    /// What is written: bytes of the pages that are full, and events of the open one.
    pub(super) written: u64,
    pub(super) open_events: usize,
    /// Another process may have written more pages than this one will.
    pub(super) follows_another: bool,
}

impl Reading {
    pub(super) fn new(arn: &str, spec: &ExecutionHistorySpec, paths: Arc<Paths>, follows_another: bool) -> Self {
        Self {
            arn: arn.to_owned(),
            token: None,
            with_data: spec.include_data,
            observed: 0,
            ended: false,
            at_end: false,
            looks: 0,
            looked_at: None,
            wrote_at: None,
            ahead: BTreeMap::new(),
            ahead_bytes: 0,
            cutter: Cutter::new(&spec.states),
            timeline: Reader::new(paths),
            to_write: VecDeque::new(),
            written: 0,
            open_events: 0,
            follows_another,
        }
    }

    /// What is asked for next. Once no more data is kept it is no longer asked for, which begins from the front: a token holds
    /// for the question that it was an answer to.
    pub(super) fn request(&mut self) -> HistoryRequest {
        if self.with_data && !self.cutter.takes_data() {
            (self.with_data, self.token) = (false, None);
        }
        HistoryRequest {
            arn: self.arn.clone(),
            newest_first: false,
            include_data: self.with_data,
            max_events: if self.with_data { EVENTS_WITH_DATA } else { EVENTS },
            next_token: self.token.clone(),
        }
    }

    /// The token holds no longer: what was read is read over.
    pub(super) fn begin_from_the_front(&mut self) {
        self.token = None;
    }

    /// Takes what AWS has answered, as far as it is new.
    pub(super) fn take_in(&mut self, answer: HistoryPage) {
        answer.events.into_iter().for_each(|event| self.take_event(event));
        self.at_end = answer.next_token.is_none();
        if answer.next_token.is_some() {
            self.token = answer.next_token;
        }
    }

    fn take_event(&mut self, event: HistoryEvent) {
        if event.id <= self.observed {
            return;
        }
        self.observed = event.id;
        self.ended = is_end(&event.event_type);
        self.timeline.read([&event]);
        let (event, data) = told(event, self.timeline.place());
        self.close(event, data);
    }

    /// What is asked of the log next: from its beginning on, since what came late stands among what was read.
    pub(super) fn log_request(&self, group: &str, started_at: Timestamp) -> Option<LogRequest> {
        Some(LogRequest {
            group: express_log::group_name(group).to_owned(),
            from: started_at.checked_sub(express_log::SKEW).unwrap_or(Timestamp::MIN),
            pattern: express_log::of_execution(&self.arn)?,
            next_token: self.token.clone(),
        })
    }

    /// Takes a page of the log, as far as it is new and in the order in which it happened. True where there are no more pages.
    pub(super) fn take_log(&mut self, events: &[LogEvent], next_token: Option<String>, started_at: Timestamp) -> bool {
        let with_data = self.with_data && self.cutter.takes_data();
        for logged in events {
            let Some(event) = express_log::history_event(logged, &self.arn, started_at, with_data) else { continue };
            let size = logged.message.len();
            if event.id == self.observed + 1 {
                self.take_event(event);
            } else if event.id > self.observed && self.ahead_bytes + size <= AHEAD_BYTES {
                self.ahead.entry(event.id).or_insert_with(|| {
                    self.ahead_bytes += size;
                    (size, event)
                });
            }
            while let Some((size, event)) = self.ahead.remove(&(self.observed + 1)) {
                self.ahead_bytes -= size;
                self.take_event(event);
            }
        }
        self.token = next_token;
        self.token.is_none()
    }

    /// True of a log that was not read to the end of its pages.
    pub(super) fn has_more_pages(&self) -> bool {
        self.token.is_some()
    }

    /// Takes what is there: what is missing in between comes no more.
    pub(super) fn take_rest_of_log(&mut self) {
        self.ahead_bytes = 0;
        for (_, (_, event)) in std::mem::take(&mut self.ahead) {
            self.take_event(event);
        }
    }

    fn close(&mut self, event: PageEvent, data: Option<EventData>) {
        if let Some(full) = self.cutter.add(event, data) {
            self.open_events = 0;
            self.to_write.push_back(full);
        }
    }
}

#[cfg(test)]
impl Reading {
    /// What waits for what was not read yet.
    pub(super) fn bytes_ahead(&self) -> usize {
        self.ahead.values().map(|(size, _)| size).sum()
    }
}
