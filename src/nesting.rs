//! How deep JSON is nested, told from its text, and answers of the API server that are cut to what can be read.
//!
//! The API server takes objects that are nested 10,000 levels deep, and `serde_json` reads 128. One such object would make every
//! list that it is in unreadable, and so stop the work on all others. So what is deeper is cut off before anything is read, and
//! whoever uses a value that could have been cut refuses one that is deeper than [`MAX`].

use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Levels of a value that are used. Far more than any definition or input has, and with the object and the list around it less than
/// [`CUT`].
pub const MAX: usize = 100;

/// Levels of an answer that are read.
const CUT: usize = 120;

/// The text that stands instead of what was cut off.
pub const MARK: &str = "stepbound.dev/nested-too-deep";

/// Refuses a value, given as JSON, that is nested deeper than [`MAX`].
///
/// # Errors
/// `NestedTooDeep`.
pub fn check(field: &str, json: &str) -> Result<(), Failure> {
    if depth(json) <= MAX {
        return Ok(());
    }
    let message = format!("{field} is nested more than {MAX} levels deep, which is not read. Nest it less.");
    Err(Failure::new(Class::Terminal, Reason::NestedTooDeep, message))
}

/// The number of objects and lists around the innermost value.
pub fn depth(json: &str) -> usize {
    let mut cursor = Cursor::default();
    json.bytes().fold(0, |deepest, byte| {
        cursor.pass(byte);
        deepest.max(cursor.depth)
    })
}

/// Where a reader is in a JSON text.
#[derive(Debug, Default)]
struct Cursor {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Cursor {
    fn pass(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Cuts JSON texts that come in pieces, one after the other.
#[derive(Debug, Default)]
pub struct Cutter {
    cursor: Cursor,
}

impl Cutter {
    /// What is left of the next piece; `None` where that is all of it.
    pub fn cut(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let mut left: Option<Vec<u8>> = None;
        // What was kept so far, up to where nothing was taken over yet.
        let mut from = 0;
        for (at, byte) in piece.iter().enumerate() {
            let before = self.cursor.depth;
            self.cursor.pass(*byte);
            let after = self.cursor.depth;
            if before == CUT && after > CUT {
                let left = left.get_or_insert_default();
                left.extend_from_slice(&piece[from..at]);
                left.extend([b"\"", MARK.as_bytes(), b"\""].concat());
            }
            if before > CUT {
                left.get_or_insert_default();
            }
            if before > CUT || after > CUT {
                from = at + 1;
            }
        }
        left.map(|mut left| {
            left.extend_from_slice(&piece[from..]);
            left
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn nested(levels: usize) -> Value {
        (0..levels)
            .fold(json!("]}\"\\"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({"a": inner}) })
    }

    fn cut_in_pieces(text: &str, size: usize) -> String {
        let mut cutter = Cutter::default();
        let pieces = text.as_bytes().chunks(size).map(|piece| cutter.cut(piece).unwrap_or_else(|| piece.to_vec()));
        String::from_utf8(pieces.flatten().collect()).unwrap()
    }

    fn text(levels: usize) -> String {
        // What serde_json would print, which it does not read.
        let (open, close): (Vec<&str>, Vec<&str>) =
            (0..levels).map(|level| if level % 2 == 0 { ("[", "]") } else { ("{\"a\":", "}") }).unzip();
        format!("{}1{}", open.concat(), close.into_iter().rev().collect::<String>())
    }

    #[test]
    fn what_is_deep_becomes_readable_and_what_stands_beside_it_stays() {
        let whole = format!("{{\"items\":[{},{{\"name\":\"next\"}}]}}\n{{\"type\":\"ADDED\"}}\n", text(5_000));
        for size in [1, 2, 7, 100, whole.len()] {
            let cut = cut_in_pieces(&whole, size);
            let mut values = serde_json::Deserializer::from_str(&cut).into_iter::<Value>();
            let list = values.next().unwrap().unwrap();
            assert_eq!(list["items"][1], json!({"name": "next"}), "in pieces of {size}");
            assert_eq!(values.next().unwrap().unwrap(), json!({"type": "ADDED"}));
            assert!(check("spec.input", &list["items"][0].to_string()).is_err(), "what was cut is refused");
        }
    }

    #[test]
    fn a_value_is_refused_beyond_its_bound_and_its_object_is_read_whole_up_to_it() {
        for (levels, taken) in [(1, true), (MAX, true), (MAX + 1, false)] {
            let value = nested(levels);
            assert_eq!(check("spec.input", &value.to_string()).is_ok(), taken, "{levels}");
        }
        let list = json!({"items": [{"spec": {"runTemplate": {"spec": {"input": nested(MAX)}}}}]}).to_string();
        assert_eq!(Cutter::default().cut(list.as_bytes()), None);
        let failure = check("spec.input", &text(200)).unwrap_err();
        assert_eq!((failure.reason, failure.class), (Reason::NestedTooDeep, Class::Terminal));
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_not_touched(levels in 0..CUT, key in "\\PC*", size in 1_usize..50) {
            let text = json!({key: nested(levels.saturating_sub(1))}).to_string();
            prop_assert_eq!(cut_in_pieces(&text, size), text);
        }

        #[test]
        fn whatever_is_cut_can_be_read(levels in 0..400_usize, size in 1_usize..50) {
            let cut = cut_in_pieces(&text(levels), size);
            prop_assert!(serde_json::from_str::<Value>(&cut).is_ok(), "{}", cut);
        }
    }
}
