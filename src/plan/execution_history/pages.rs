//! How events are cut into pages: none larger than what etcd takes with ease, and no more than a history may keep.

use std::io;

use serde::Serialize;

use crate::api::v1alpha1::{EventData, PageEvent};

/// A page with its metadata has at most 512 KiB; this is left of it for events or data.
pub const PAGE_BYTES: usize = (512 - 8) * 1024;
/// What the pages of a history hold together.
pub const HISTORY_BYTES: usize = 4 * 1024 * 1024;
/// What data has of that. A quarter stays for events, which say where it failed.
pub const DATA_BYTES: usize = 3 * 1024 * 1024;
/// A page of a history that is followed grows until it has so many bytes; then the next one begins.
pub const GROWS_TO: usize = 64 * 1024;
/// Most events of a page, as the schema has it.
const MOST_EVENTS: usize = 5000;
/// What the fields of an event's data take without their texts.
const FIELDS: usize = 128;

/// A page, and its data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// From 1.
    pub number: i64,
    /// Its events.
    pub events: Vec<PageEvent>,
    /// What went in and out in them.
    pub data: Vec<EventData>,
    event_bytes: usize,
    data_bytes: usize,
}

impl Page {
    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.event_bytes + self.data_bytes
    }

    fn takes(&self, event_bytes: usize, data_bytes: usize) -> bool {
        self.event_bytes + event_bytes <= PAGE_BYTES
            && self.data_bytes + data_bytes <= PAGE_BYTES
            && self.events.len() < MOST_EVENTS
    }
}

/// Cuts the events of a history into pages, in their order.
#[derive(Debug)]
pub struct Cutter {
    states: Vec<String>,
    open: Page,
    /// Of all pages, the open one included.
    events: i64,
    bytes: usize,
    data_bytes: usize,
    omitted: usize,
    full: bool,
    data_full: bool,
}

impl Cutter {
    /// Events of these states, or all where there is none.
    pub fn new(states: &[String]) -> Self {
        Self {
            states: states.to_vec(),
            open: Page { number: 1, ..Page::default() },
            events: 0,
            bytes: 0,
            data_bytes: 0,
            omitted: 0,
            full: false,
            data_full: false,
        }
    }

    /// Takes the next event, and gives the page that it no longer fits into.
    pub fn add(&mut self, event: PageEvent, data: Option<EventData>) -> Option<Page> {
        let wanted = |state: &String| self.states.contains(state);
        if !self.states.is_empty() && !event.state.as_ref().is_some_and(wanted) {
            return None;
        }
        let event_bytes = encoded(&event) + 1;
        if self.full || self.bytes + event_bytes > HISTORY_BYTES {
            self.full = true;
            self.omitted += event_bytes + data.as_ref().map_or(0, encoded);
            return None;
        }
        let data = data.and_then(|data| self.fitting(data, event_bytes));
        let data_bytes = data.as_ref().map_or(0, |data| encoded(data) + 1);
        let closed = (!self.open.takes(event_bytes, data_bytes)).then(|| self.close());
        self.open.event_bytes += event_bytes;
        self.open.data_bytes += data_bytes;
        self.open.events.push(event);
        self.open.data.extend(data);
        self.events += 1;
        self.bytes += event_bytes + data_bytes;
        self.data_bytes += data_bytes;
        closed
    }

    /// The data as it may be kept, or nothing where there is no room for it any more.
    fn fitting(&mut self, data: EventData, event_bytes: usize) -> Option<EventData> {
        let (data, cut) = cut(data, PAGE_BYTES);
        self.omitted += cut;
        let bytes = encoded(&data) + 1;
        let fits = self.data_bytes + bytes <= DATA_BYTES && self.bytes + event_bytes + bytes <= HISTORY_BYTES;
        if self.data_full || !fits {
            self.data_full = true;
            self.omitted += bytes;
            return None;
        }
        Some(data)
    }

    /// Ends the open page, so that the next event begins another.
    fn close(&mut self) -> Page {
        let next = Page { number: self.open.number + 1, ..Page::default() };
        std::mem::replace(&mut self.open, next)
    }

    /// The page that is not full yet.
    pub fn open(&self) -> &Page {
        &self.open
    }

    /// After the open page was written: where it is large it stays as it is.
    pub fn written(&mut self) {
        if self.open.bytes() > GROWS_TO {
            self.close();
        }
    }

    /// A page could not be kept for want of room: it and all that follow are left out.
    pub fn leave_out(&mut self, page: &Page) {
        (self.full, self.data_full) = (true, true);
        let open = std::mem::take(&mut self.open);
        if open.number != page.number {
            self.uncount(&open);
        }
        self.uncount(page);
        self.open.number = page.number.min(open.number);
    }

    fn uncount(&mut self, page: &Page) {
        self.events -= i64::try_from(page.events.len()).unwrap_or(i64::MAX);
        self.bytes -= page.bytes();
        self.omitted += page.bytes();
    }

    /// False once no more data is kept: it need not be read.
    pub fn takes_data(&self) -> bool {
        !(self.full || self.data_full)
    }

    /// How many pages there are.
    pub fn pages(&self) -> i64 {
        self.open.number - i64::from(self.open.events.is_empty())
    }

    /// How many events the pages hold.
    pub fn events(&self) -> i64 {
        self.events
    }

    /// How many bytes the pages hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes were read and left out.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

/// Data cut to so many bytes, and how many were cut off. What comes first is kept first.
fn cut(mut data: EventData, most: usize) -> (EventData, usize) {
    let (mut left, mut cut) = (most.saturating_sub(FIELDS), 0);
    for text in [&mut data.input, &mut data.output, &mut data.parameters, &mut data.cause].into_iter().flatten() {
        let mut end = text.len();
        for (at, character) in text.char_indices() {
            let cost = cost(character);
            if cost > left {
                end = at;
                break;
            }
            left -= cost;
        }
        cut += text.len() - end;
        text.truncate(end);
    }
    data.truncated |= cut > 0;
    (data, cut)
}

/// What a character takes in a text of JSON as the API server writes it: it escapes what could be read as HTML.
fn cost(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        control if control < ' ' => 6,
        other => other.len_utf8(),
    }
}

/// What a value takes as JSON, as the API server writes it.
pub fn encoded(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() + 5 * bytes.iter().filter(|byte| b"<>&".contains(byte)).count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither the counter nor these types can fail; what could not be written would be too large for any page.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX / 4, |()| count.0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use proptest::prelude::*;

    use super::*;
    use crate::api::v1alpha1::{ExecutionDataPageSpec, ExecutionHistoryPageSpec};

    fn event(id: i64, state: Option<&str>) -> PageEvent {
        PageEvent {
            id,
            previous_event_id: id - 1,
            event_type: "TaskStateEntered".into(),
            timestamp: MicroTime("2026-01-01T00:00:00Z".parse().unwrap()),
            state: state.map(str::to_owned),
            path: state.map(|state| format!("/States/{state}")),
            iteration: None,
            resource: None,
            error: None,
            cause: None,
        }
    }

    fn data(id: i64, text: &str) -> EventData {
        EventData { id, input: Some(text.to_owned()), ..EventData::default() }
    }

    /// All pages of events with data of these texts.
    fn pages(cutter: &mut Cutter, texts: impl IntoIterator<Item = String>) -> Vec<Page> {
        let mut all = Vec::new();
        for (id, text) in (1..).zip(texts) {
            all.extend(cutter.add(event(id, Some("Charge")), Some(data(id, &text))));
        }
        all.extend((!cutter.open().events.is_empty()).then(|| cutter.open().clone()));
        all
    }

    /// The largest of the two specs of a page.
    fn largest(page: &Page) -> usize {
        let events = ExecutionHistoryPageSpec { number: page.number, events: page.events.clone() };
        let data = ExecutionDataPageSpec { number: page.number, data: page.data.clone() };
        encoded(&events).max(encoded(&data))
    }

    #[test]
    fn twenty_five_thousand_events_are_cut_into_pages_of_half_a_megabyte() {
        let mut cutter = Cutter::new(&[]);
        let all = pages(&mut cutter, (0..25_000).map(|_| "x".repeat(100)));
        assert!(all.iter().all(|page| largest(page) <= 512 * 1024));
        let numbers: Vec<i64> = all.iter().map(|page| page.number).collect();
        assert_eq!(numbers, (1..=cutter.pages()).collect::<Vec<_>>());
        let ids: Vec<i64> = all.iter().flat_map(|page| page.events.iter().map(|event| event.id)).collect();
        assert_eq!(ids, (1..=cutter.events()).collect::<Vec<_>>(), "none is left out between others");
        assert!(cutter.bytes() <= HISTORY_BYTES && cutter.bytes() > HISTORY_BYTES - 1000, "{}", cutter.bytes());
        assert!(cutter.omitted() > 0 && !cutter.takes_data());
    }

    #[test]
    fn data_leaves_room_for_the_events_that_follow() {
        let mut cutter = Cutter::new(&[]);
        let all = pages(&mut cutter, (0..100).map(|_| "x".repeat(100_000)));
        let kept: usize = all.iter().map(|page| page.data.len()).sum();
        assert!((30..=32).contains(&kept), "{kept}");
        assert_eq!(cutter.events(), 100, "events are kept when data no longer is");
        let left_out = (100 - kept) * 100_000;
        assert!(cutter.omitted() >= left_out && cutter.omitted() < left_out + 5000, "{}", cutter.omitted());
        assert_eq!(cutter.bytes(), all.iter().map(Page::bytes).sum::<usize>());
    }

    #[test]
    fn a_text_that_grows_where_it_is_stored_still_fits_its_page() {
        for text in ["<".repeat(262_144), "\"".repeat(262_144), "\u{1}".repeat(262_144), "é\u{2028}".repeat(100_000)] {
            let mut cutter = Cutter::new(&[]);
            let all = pages(&mut cutter, [text.clone()]);
            assert!(largest(&all[0]) <= 512 * 1024);
            let kept = &all[0].data[0];
            let length = kept.input.as_ref().unwrap().len();
            assert_eq!(kept.truncated, length < text.len());
            assert_eq!(cutter.omitted(), text.len() - length);
        }
    }

    #[test]
    fn only_events_of_the_states_that_were_asked_for_are_kept() {
        let mut cutter = Cutter::new(&["Charge".into(), "Ship".into()]);
        for (id, state) in (1..).zip([None, Some("Charge"), Some("Pack"), Some("Ship"), Some("charge")]) {
            assert_eq!(cutter.add(event(id, state), None), None);
        }
        let ids: Vec<i64> = cutter.open().events.iter().map(|event| event.id).collect();
        assert_eq!((ids, cutter.omitted()), (vec![2, 4], 0), "what was not asked for is not left out");
    }

    #[test]
    fn a_page_that_is_followed_grows_until_it_is_large() {
        let mut cutter = Cutter::new(&[]);
        assert_eq!((cutter.pages(), cutter.open().number), (0, 1));
        for id in 1..=3 {
            cutter.add(event(id, None), Some(data(id, &"x".repeat(30_000))));
            cutter.written();
        }
        assert_eq!((cutter.pages(), cutter.open().number, cutter.open().events.len()), (1, 2, 0));
        cutter.add(event(4, None), None);
        assert_eq!(cutter.pages(), 2);
    }

    #[test]
    fn what_finds_no_room_is_left_out_with_all_that_follows() {
        let mut cutter = Cutter::new(&[]);
        let texts = || (0..20).map(|_| "x".repeat(100_000));
        let all = pages(&mut cutter, texts());
        assert_eq!(all.len(), 4);
        let held = cutter.bytes();
        cutter.leave_out(&all[2]);
        assert_eq!(cutter.pages(), 2);
        assert_eq!(cutter.bytes() + cutter.omitted(), held);
        assert_eq!(cutter.events(), i64::try_from(all[0].events.len() + all[1].events.len()).unwrap());
        cutter.add(event(21, None), None);
        assert_eq!(cutter.pages(), 2, "nothing follows a gap");
        let mut open = Cutter::new(&[]);
        open.add(event(1, None), None);
        let page = open.open().clone();
        open.leave_out(&page);
        assert_eq!((open.pages(), open.events(), open.bytes()), (0, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn whatever_comes_no_page_and_no_history_is_too_large(lengths in prop::collection::vec((0_usize..400_000, 0_usize..4), 0..30)) {
            let mut cutter = Cutter::new(&[]);
            let texts = lengths.iter().map(|(length, kind)| ["x", "<", "\"", "é"][*kind].repeat(*length));
            let all = pages(&mut cutter, texts);
            for page in &all {
                prop_assert!(largest(page) <= 512 * 1024);
                let ids: Vec<i64> = page.events.iter().map(|event| event.id).collect();
                prop_assert!(page.data.iter().all(|data| ids.contains(&data.id)));
            }
            prop_assert!(cutter.bytes() <= HISTORY_BYTES);
            prop_assert_eq!(cutter.bytes(), all.iter().map(Page::bytes).sum::<usize>());
            prop_assert_eq!(cutter.events(), i64::try_from(all.iter().map(|page| page.events.len()).sum::<usize>()).unwrap());
        }
    }
}
