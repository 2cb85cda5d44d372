//! The times of `metadata.managedFields` in answers of the API server, so that each can be read.
//!
//! Whoever may change anything of an object may also write its managed fields, and the API server takes every time up to the year
//! 9999 there, which is more than can be read here. One such object would make every list and watch that it is in unreadable.
//! Nobody here decides by the time at which somebody else's field was written, so an unreadable one is replaced before it is read.

/// Stands for a time that cannot be read.
const INSTEAD: &[u8] = b"1970-01-01T00:00:00Z";
/// No time is longer as text.
const LONGEST: usize = 64;

/// A key that matters, or any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    Items,
    Object,
    Metadata,
    ManagedFields,
    Time,
    #[default]
    Other,
}

impl Key {
    fn of(text: &[u8]) -> Self {
        match text {
            b"items" => Self::Items,
            b"object" => Self::Object,
            b"metadata" => Self::Metadata,
            b"managedFields" => Self::ManagedFields,
            b"time" => Self::Time,
            _ => Self::Other,
        }
    }
}

/// An object, with the key that it is at, or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Object(Key),
    List,
}

/// What a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Key,
    /// A time of managed fields, of which nothing was passed on yet.
    Time,
    Other,
}

/// As deep as a time of managed fields in a list of objects.
const DEEPEST: usize = 6;

/// Where a time of managed fields stands: in an object, in a list of objects, and in an event of a watch.
fn is_managed_time(levels: &[Level]) -> bool {
    use Level::{List, Object};
    let own = [Object(Key::Metadata), Object(Key::ManagedFields), List, Object(Key::Time)];
    match levels.strip_suffix(&own) {
        Some(around) => matches!(around, [] | [Object(Key::Items), List] | [Object(Key::Object)]),
        None => false,
    }
}

/// Reads JSON texts that come in pieces, one after the other, and replaces the times that cannot be read.
#[derive(Debug, Default)]
pub struct Times {
    /// The outermost levels.
    levels: Vec<Level>,
    /// How many levels are open below those.
    below: usize,
    /// The string that is read now.
    string: Option<Text>,
    escaped: bool,
    /// The next string is a key.
    at_key: bool,
    text: Vec<u8>,
}

impl Times {
    /// What becomes of the next piece; `None` where that is the piece itself.
    pub fn mend(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let mut mended: Option<Vec<u8>> = None;
        // What was kept so far, up to where nothing was taken over yet.
        let mut from = 0;
        if self.is_in_time() {
            mended = Some(Vec::new());
        }
        for (at, byte) in piece.iter().enumerate() {
            let was_time = self.is_in_time();
            self.pass(*byte);
            if !was_time && self.is_in_time() {
                let mended = mended.get_or_insert_default();
                mended.extend_from_slice(&piece[from..=at]);
                from = at + 1;
            } else if was_time && !self.is_in_time() {
                let mended = mended.get_or_insert_default();
                mended.extend_from_slice(readable(&self.text));
                from = at;
            }
        }
        let mut mended = mended?;
        if !self.is_in_time() {
            mended.extend_from_slice(&piece[from..]);
        }
        Some(mended)
    }

    fn is_in_time(&self) -> bool {
        self.string == Some(Text::Time)
    }

    fn pass(&mut self, byte: u8) {
        if let Some(string) = self.string {
            return self.pass_in_string(string, byte);
        }
        match byte {
            b'"' => self.begin_string(),
            b'{' => self.open(Level::Object(Key::Other)),
            b'[' => self.open(Level::List),
            b'}' | b']' => self.close(),
            b',' => self.at_key = self.below == 0 && matches!(self.levels.last(), Some(Level::Object(_))),
            b':' => self.at_key = false,
            _ => {}
        }
    }

    fn pass_in_string(&mut self, string: Text, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => return self.end_string(string),
            _ => {}
        }
        // A longer text is no key that matters, and no time that can be read.
        if string != Text::Other && self.text.len() <= LONGEST {
            self.text.push(byte);
        }
    }

    fn begin_string(&mut self) {
        self.string = Some(if std::mem::take(&mut self.at_key) {
            Text::Key
        } else if self.below == 0 && is_managed_time(&self.levels) {
            Text::Time
        } else {
            Text::Other
        });
        self.text.clear();
    }

    fn end_string(&mut self, string: Text) {
        self.string = None;
        if string == Text::Key
            && let Some(Level::Object(key)) = self.levels.last_mut()
        {
            *key = Key::of(&self.text);
        }
    }

    fn open(&mut self, level: Level) {
        if self.below > 0 || self.levels.len() == DEEPEST {
            self.below += 1;
        } else {
            self.levels.push(level);
        }
        self.at_key = self.below == 0 && matches!(level, Level::Object(_));
    }

    fn close(&mut self) {
        self.at_key = false;
        if self.below > 0 {
            self.below -= 1;
        } else {
            self.levels.pop();
        }
    }
}

fn readable(time: &[u8]) -> &[u8] {
    let is_read = |text: &str| text.parse::<jiff::Timestamp>().is_ok();
    if std::str::from_utf8(time).is_ok_and(is_read) { time } else { INSTEAD }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn mended(text: &str, size: usize) -> String {
        let mut times = Times::default();
        let pieces = text.as_bytes().chunks(size).map(|piece| times.mend(piece).unwrap_or_else(|| piece.to_vec()));
        String::from_utf8(pieces.flatten().collect()).unwrap()
    }

    fn map(time: &str) -> Value {
        let entry =
            json!({"manager": "m", "operation": "Update", "time": time, "fieldsV1": {"time": {"f:time": time}}});
        let metadata = json!({"name": "junk", "managedFields": [entry.clone(), entry], "annotations": {"time": time}});
        json!({"metadata": metadata, "data": {"time": time}, "time": time})
    }

    #[test]
    fn an_object_with_a_time_that_cannot_be_read_is_read_alone_in_a_list_and_in_a_watch() {
        for time in ["9999-12-31T23:59:59Z", "2028-01-01T00:00:00.1234567891Z0", &"9".repeat(500)] {
            let (one, other) = (map(time), map("2026-01-02T03:04:05Z"));
            let list = json!({"items": [other, one], "metadata": {"resourceVersion": "1"}});
            let event = json!({"object": one, "type": "MODIFIED"});
            for size in [1, 2, 7, 100, 100_000] {
                let read = |text: &Value| serde_json::from_str::<Value>(&mended(&text.to_string(), size)).unwrap();
                for object in [read(&one), read(&list)["items"][1].clone(), read(&event)["object"].clone()] {
                    let object: ConfigMap = serde_json::from_value(object).unwrap();
                    let fields = object.metadata.managed_fields.unwrap();
                    assert_eq!(fields[1].time.as_ref().unwrap().0.to_string(), "1970-01-01T00:00:00Z");
                    assert_eq!(object.data.unwrap()["time"], time, "what is not a managed field's stays");
                    assert_eq!(fields[0].fields_v1.as_ref().unwrap().0["time"]["f:time"], time);
                }
                assert_eq!(read(&list)["items"][0], other);
            }
        }
    }

    #[test]
    fn several_events_in_one_stream_are_each_mended() {
        let line = json!({"object": map("9999-12-31T23:59:59Z"), "type": "ADDED"}).to_string();
        let stream = format!("{line}\n{line}\n");
        let text = mended(&stream, 13);
        assert_eq!(text.matches("1970-01-01T00:00:00Z").count(), 4);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            Just("items"),
            Just("object"),
            Just("metadata"),
            Just("managedFields"),
            Just("time"),
            Just("a\"\\")
        ];
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(1.5)),
            Just(json!("2026-01-02T03:04:05Z")),
            Just(json!("x\\\"{[,:"))
        ];
        leaf.prop_recursive(8, 64, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_can_be_read_stays_as_it_is_however_it_comes(value in any_json(), size in 1usize..40) {
            let text = value.to_string();
            let unreadable = text.contains("\"time\":\"x");
            prop_assert!(unreadable || mended(&text, size) == text);
            prop_assert!(serde_json::from_str::<Value>(&mended(&text, size)).is_ok());
        }
    }
}
