//! Tags of what is ours: our keys and the spec's are managed, what others have set stays.

use crate::aws::Tags;

/// Tags to set and keys to remove. `managed` are the keys that were set for the object before, `present` what AWS has.
pub fn changes(wanted: Tags, managed: &[String], present: &Tags) -> (Tags, Vec<String>) {
    let is_gone = |key: &&String| !wanted.contains_key(*key) && present.contains_key(*key);
    let gone = managed.iter().filter(is_gone).cloned().collect();
    let missing = wanted.into_iter().filter(|(key, value)| present.get(key) != Some(value)).collect();
    (missing, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

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
