//! Tags of what is ours: our keys and the spec's are managed, what others have set stays.

use crate::aws::Tags;
use crate::printable::is_obeyed;

/// Tags to set and keys to remove. `managed` are the keys that were set for the object before, `present` what AWS has.
pub fn changes(wanted: Tags, managed: &[String], present: &Tags) -> (Tags, Vec<String>) {
    let is_gone = |key: &&String| !wanted.contains_key(*key) && present.contains_key(*key);
    let gone = managed.iter().filter(is_gone).cloned().collect();
    let missing = wanted.into_iter().filter(|(key, value)| present.get(key) != Some(value)).collect();
    (missing, gone)
}

/// Keys to be on record before tags with keys of `setting` are set: a tag that was set without record, by a process that died
/// or by a call without an answer, would later be taken for somebody else's and stay. `None` where the record has them.
pub fn to_record<'a>(managed: &[String], setting: impl Iterator<Item = &'a String>) -> Option<Vec<String>> {
    let new: Vec<String> = setting.filter(|key| !managed.contains(*key)).cloned().collect();
    (!new.is_empty()).then(|| managed.iter().cloned().chain(new).collect())
}

/// Longest key and value, in characters.
const LONGEST: (usize, usize) = (128, 256);

/// What AWS refuses of a tag (Step Functions API reference, `Tag` and `TagResource`). What the schema bounds too is left to it.
pub fn problem(key: &str, value: &str) -> Option<String> {
    const SIGNS: &str = "letters, digits, spaces and _ . : / = + - @";
    let stray = |text: &str| text.chars().find(|char| !is_of_tag(*char)).map(|char| char.escape_debug().to_string());
    let length = key.chars().count();
    if length == 0 || length > LONGEST.0 {
        return Some(format!("the key of a tag has {length} characters; AWS takes 1 to {}", LONGEST.0));
    }
    if let Some(sign) = stray(key) {
        return Some(format!("the key of a tag has the sign \"{sign}\"; AWS takes {SIGNS}"));
    }
    if value.chars().count() > LONGEST.1 {
        return None;
    }
    let sign = stray(value)?;
    Some(format!("the value of tag {key} has the sign \"{sign}\"; AWS takes {SIGNS}"))
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. Marks that belong to a letter are let pass, for in some scripts no word does without.
fn is_of_tag(char: char) -> bool {
    let is_space = char.is_whitespace() && !char.is_control();
    let is_mark = !char.is_ascii() && !char.is_control() && !is_obeyed(char);
    char.is_alphanumeric() || is_space || "_.:/=+-@".contains(char) || (is_mark && !is_symbol(char))
}

/// Pictures and general punctuation, which are neither letters nor marks.
fn is_symbol(char: char) -> bool {
    matches!(char, '\u{a1}'..='\u{bf}' | '\u{2010}'..='\u{2bff}' | '\u{3001}'..='\u{3003}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_refuses_of_a_tag_is_told() {
        for (key, value) in [("team", "shop"), ("a b:/=+-@_.", ""), ("größe", "注文 हिन्दी"), (&"k".repeat(128), "v")]
        {
            assert_eq!(problem(key, value), None, "{key}");
        }
        for (key, value, said) in [
            ("", "v", "0 characters"),
            (&"k".repeat(129) as &str, "v", "129 characters"),
            ("a#b", "v", "the sign \"#\""),
            ("a", "b;c", "the value of tag a has the sign \";\""),
            ("a", "{x}", "{"),
            ("a", "b\nc", "\\n"),
            ("a", "✔", "✔"),
            ("a", "😀", "😀"),
        ] {
            assert!(problem(key, value).is_some_and(|told| told.contains(said)), "{key} {value}");
        }
    }

    #[test]
    fn a_key_is_on_record_before_its_tag_is_set_and_recorded_once() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(to_record(&keys(&["a"]), keys(&["a", "b"]).iter()), Some(keys(&["a", "b"])));
        assert_eq!(to_record(&keys(&["a", "b"]), keys(&["b"]).iter()), None);
        assert_eq!(to_record(&[], [].iter()), None);
    }

    #[test]
    fn others_tags_stay_and_our_dropped_ones_go() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let present = tags(&[("a", "1"), ("b", "1"), ("theirs", "x")]);
        let managed = ["a".to_owned(), "b".to_owned(), "absent".to_owned()];
        let (set, remove) = changes(tags(&[("a", "2"), ("c", "1")]), &managed, &present);
        assert_eq!((set, remove), (tags(&[("a", "2"), ("c", "1")]), vec!["b".to_owned()]));
    }
}
