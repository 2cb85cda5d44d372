//! The wildcards of IAM: `*` stands for any text, `?` for one character (IAM user guide, "IAM JSON policy elements:
//! Resource" and "Action"). `${*}`, `${?}` and `${$}` stand for the signs themselves (the same guide, "Variables and tags",
//! "Specifying special characters").

/// A sign of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Any,
    One,
    Itself(char),
}

fn signs(pattern: &str) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix("${").and_then(|inside| special(inside.get(..2)?.strip_suffix('}')?));
        signs.push(match (escaped, first) {
            (Some(special), _) => Sign::Itself(special),
            (None, '*') => Sign::Any,
            (None, '?') => Sign::One,
            (None, other) => Sign::Itself(other),
        });
        rest = &rest[if escaped.is_some() { "${*}".len() } else { first.len_utf8() }..];
    }
    signs
}

/// Signs that have a meaning in a pattern.
const SPECIAL: [char; 3] = ['*', '?', '$'];

fn special(inside: &str) -> Option<char> {
    SPECIAL.into_iter().find(|special| inside.chars().eq([*special]))
}

fn escape(special: char) -> String {
    format!("${{{special}}}")
}

/// The pattern that stands for just this text. A `$` has a meaning only before a brace; `${Name}` is left, for it is a name of a
/// template, which stands for a text that is not known here.
pub fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    let mut rest = text;
    // Behind the last brace nothing is searched for one.
    let last = text.rfind('}').unwrap_or_default();
    while let Some(first) = rest.chars().next() {
        let is_before = text.len() - rest.len() < last;
        let after = &rest[first.len_utf8()..];
        let name =
            after.strip_prefix('{').filter(|_| first == '$' && is_before).and_then(|inside| inside.split_once('}'));
        if let Some((name, behind)) = name.filter(|(name, _)| is_name(name)) {
            pattern.extend(["${", name, "}"]);
            rest = behind;
            continue;
        }
        match first {
            '*' | '?' => pattern.push_str(&escape(first)),
            '$' if after.starts_with(['{', '*', '?', '$']) => pattern.push_str(&escape(first)),
            other => pattern.push(other),
        }
        rest = after;
    }
    pattern
}

/// True of what stands in `${…}` where that is a name of a template, and neither empty nor an escape.
pub fn is_name(inside: &str) -> bool {
    let inside = inside.trim();
    !inside.is_empty() && special(inside).is_none()
}

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
    let (wide, narrow) = (signs(wide), signs(narrow));
    let (mut w, mut n, mut star) = (0, 0, None);
    while n < narrow.len() {
        if w < wide.len() && wide[w] == Sign::Any {
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
    wide[w..].iter().all(|sign| *sign == Sign::Any)
}

fn covers_one(wide: Sign, narrow: Sign) -> bool {
    (wide == narrow || wide == Sign::One) && narrow != Sign::Any
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
    fn an_escaped_sign_stands_for_itself() {
        for (text, pattern) in [
            ("a*b", "a${*}b"),
            ("a?b", "a${?}b"),
            ("$LATEST", "$LATEST"),
            ("${Topic}-*", "${Topic}-${*}"),
            ("${*}", "${$}{${*}}"),
            ("a${b", "a${$}{b"),
            ("${}$*", "${$}{}${$}${*}"),
            ("ä*", "ä${*}"),
        ] {
            assert_eq!(literal(text), pattern, "{text}");
        }
        assert!(covers("a*", "a${*}b") && covers("a?b", "a${*}b") && covers("a${*}b", "a${*}b"));
        assert!(!covers("a${*}b", "axb") && !covers("a${*}b", "a*b") && !covers("a${?}b", "axb"));
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
