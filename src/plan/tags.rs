//! Tags of what is ours: our keys and the spec's are managed, what others have set stays.

use crate::aws::Tags;

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

#[cfg(test)]
mod tests {
    use super::*;

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
