//! The wildcards of IAM: `*` stands for any text, `?` for one character (IAM user guide, "IAM JSON policy elements:
//! Resource" and "Action"). An escape does not exist.

/// True when the pattern stands for the text.
pub fn matches(pattern: &str, text: &str) -> bool {
    covers(pattern, text)
}

/// True when the pattern stands for the action; names of services and actions have no case.
pub fn matches_action(pattern: &str, action: &str) -> bool {
    covers(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

/// True when every text that `narrow` stands for is one that `wide` stands for. A `*` in `narrow` is covered by a `*` only,
/// which is exact for patterns whose wildcards stand in the same places and errs towards false otherwise.
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow): (Vec<char>, Vec<char>) = (wide.chars().collect(), narrow.chars().collect());
    let (mut w, mut n, mut star) = (0, 0, None);
    while n < narrow.len() {
        if w < wide.len() && wide[w] == '*' {
            star = Some((w, n));
            w += 1;
        } else if w < wide.len() && covers_one(wide[w], narrow[n]) {
            (w, n) = (w + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (w, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    wide[w..].iter().all(|c| *c == '*')
}

fn covers_one(wide: char, narrow: char) -> bool {
    (wide == narrow || wide == '?') && narrow != '*'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_what_iam_says() {
        let cases = [
            ("*", "anything", true),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k/l", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xxaxxab", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(matches_action("S3:getobject", "s3:GetObject"));
    }

    #[test]
    fn a_wide_pattern_covers_narrow_ones_and_never_the_other_way() {
        for (wide, narrow) in
            [("*", "a*"), ("a*", "ab*"), ("a*", "a*"), ("a*c", "ab*c"), ("fn", "fn"), ("fn:*", "fn:*")]
        {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [("a", "*"), ("a?", "a*"), ("ab*", "a*"), ("fn", "fn:*"), ("fn:*", "fn")] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    proptest! {
        #[test]
        fn what_covers_a_pattern_matches_what_that_pattern_matches(
            wide in "[ab*?]{0,6}", narrow in "[ab*?]{0,6}", text in "[ab]{0,6}"
        ) {
            if covers(&wide, &narrow) && matches(&narrow, &text) {
                prop_assert!(matches(&wide, &text), "{} {} {}", wide, narrow, text);
            }
        }
    }
}
