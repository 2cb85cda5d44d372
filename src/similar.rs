//! "Did you mean": the nearest name of a list.

/// Longest text that is compared; longer ones are cut.
const LONGEST: usize = 160;

/// The name that takes the fewest edits, at most two.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.filter_map(|one| Some((within(one, name, 2)?, one))).min().map(|(_, one)| one)
}

/// True of names that differ in a letter, or in two where there are enough of them: "Not" is no "Next".
pub fn is_near(name: &str, other: &str) -> bool {
    let most = match other.len() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    };
    within(name, other, most).is_some()
}

/// The edit distance where it is at most so much. Names whose lengths tell are not compared.
fn within(a: &str, b: &str, most: usize) -> Option<usize> {
    let length = |text: &str| text.chars().take(LONGEST).count();
    if length(a).abs_diff(length(b)) > most {
        return None;
    }
    Some(distance(a, b)).filter(|edits| *edits <= most)
}

/// Edit distance: how many letters are to be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(LONGEST).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_short_name_fewer_letters_may_be_others() {
        for (name, other, near) in
            [("Nxt", "Next", true), ("Not", "Next", false), ("Variabel", "Variable", true), ("And", "End", false)]
        {
            assert_eq!(is_near(name, other), near, "{name} {other}");
        }
    }

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let names = ["dynamodb", "s3", "sqs"];
        assert_eq!(nearest("dynamdb", names.into_iter()), Some("dynamodb"));
        assert_eq!(nearest("kinesis", names.into_iter()), None);
    }
}
