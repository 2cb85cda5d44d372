//! Condition operators. Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Conditions with
//! multiple context keys or values".

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::iam::pattern;
use crate::similar::nearest;

/// Every operator, in IAM's spelling.
const NAMES: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// A condition operator in its parts: `ForAnyValue:StringLikeIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator<'a> {
    /// `Some(true)` with `ForAllValues:`, `Some(false)` with `ForAnyValue:`.
    pub every: Option<bool>,
    /// The operator without set and suffix.
    pub base: &'a str,
    /// True with `IfExists`.
    pub if_exists: bool,
}

impl<'a> Operator<'a> {
    /// Takes an operator apart. Names of operators have no case in IAM; they are compared so by [`holds`].
    pub fn parse(text: &'a str) -> Self {
        let (every, rest) = match text.split_once(':') {
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAllValues") => (Some(true), rest),
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAnyValue") => (Some(false), rest),
            _ => (None, text),
        };
        let cut = rest.len().saturating_sub("IfExists".len());
        let if_exists = rest.is_char_boundary(cut) && rest[cut..].eq_ignore_ascii_case("IfExists") && cut > 0;
        Self { every, base: if if_exists { &rest[..cut] } else { rest }, if_exists }
    }

    /// What is wrong with it, where IAM has no such operator.
    pub fn problem(&self) -> Option<String> {
        let set = match self.every {
            None => "",
            Some(true) => "ForAllValues:",
            Some(false) => "ForAnyValue:",
        };
        let written = format!("{set}{}{}", self.base, if self.if_exists { "IfExists" } else { "" });
        let is_null = self.base.eq_ignore_ascii_case("Null");
        if is_null && (self.if_exists || self.every.is_some()) {
            return Some(format!("{written} is no condition operator of IAM: Null stands alone"));
        }
        if is_null || comparison(&self.base.to_ascii_lowercase()).is_some() {
            return None;
        }
        let hint = near(self.base)
            .map(|name| format!("; did you mean {set}{name}{}?", if self.if_exists { "IfExists" } else { "" }));
        Some(format!("{written} is no condition operator of IAM{}", hint.unwrap_or_default()))
    }

    /// True for operators that hold for values other than those named.
    pub fn is_negated(&self) -> bool {
        self.base.to_ascii_lowercase().contains("not")
    }

    /// True where `*` and `?` stand for other characters.
    pub fn takes_wildcards(&self) -> bool {
        let base = self.base.to_ascii_lowercase();
        base.starts_with("arn") || base.ends_with("like")
    }
}

/// Whether the condition holds for the values of the key, `None` where the key is not in the request.
///
/// # Errors
/// Names an operator that IAM does not have, or one that no key of a web identity is for.
pub fn holds(operator: &str, expected: &[String], actual: Option<&[String]>) -> Result<bool, String> {
    let parsed = Operator::parse(operator);
    if let Some(problem) = parsed.problem() {
        return Err(problem);
    }
    let base = parsed.base.to_ascii_lowercase();
    if base == "null" {
        let must_be_absent = expected.first().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        return Ok(actual.is_none() == must_be_absent);
    }
    let compare = comparison(&base).ok_or_else(|| format!("{operator} is no condition operator of IAM"))?;
    let Some(actual) = actual.filter(|actual| !actual.is_empty()) else {
        return Ok(match parsed.every {
            Some(every) => every || parsed.if_exists,
            None => parsed.if_exists || parsed.is_negated(),
        });
    };
    let matches = |value: &String| {
        let any = expected.iter().any(|one| compare(one, value));
        any != parsed.is_negated()
    };
    Ok(match parsed.every {
        Some(true) => actual.iter().all(matches),
        Some(false) => actual.iter().any(matches),
        // A key of several values needs a set operator; without one the condition does not hold, negated or not.
        None => actual.len() == 1 && matches(&actual[0]),
    })
}

/// The operator that was probably meant, with its set where that was misspelt too.
fn near(base: &str) -> Option<String> {
    let sets = ["", "ForAnyValue:", "ForAllValues:"];
    let all: Vec<String> = sets.iter().flat_map(|set| NAMES.iter().map(move |name| format!("{set}{name}"))).collect();
    nearest(base, all.iter().map(String::as_str)).map(str::to_owned)
}

/// Compares one expected value with one actual value; negation is the caller's.
fn comparison(base: &str) -> Option<fn(&str, &str) -> bool> {
    Some(match base {
        "stringequals" | "stringnotequals" | "binaryequals" => |expected, actual| expected == actual,
        "stringequalsignorecase" | "stringnotequalsignorecase" => {
            |expected, actual| expected.eq_ignore_ascii_case(actual)
        }
        "stringlike" | "stringnotlike" => pattern::matches,
        "arnequals" | "arnlike" | "arnnotequals" | "arnnotlike" => arn_matches,
        "bool" => |expected, actual| expected.eq_ignore_ascii_case(actual),
        "ipaddress" | "notipaddress" => in_network,
        "numericequals" | "numericnotequals" => {
            |expected, actual| number(actual).partial_cmp(&number(expected)) == Some(Ordering::Equal)
        }
        "numericlessthan" => |expected, actual| number(actual) < number(expected),
        "numericlessthanequals" => |expected, actual| number(actual) <= number(expected),
        "numericgreaterthan" => |expected, actual| number(actual) > number(expected),
        "numericgreaterthanequals" => |expected, actual| number(actual) >= number(expected),
        "dateequals" | "datenotequals" => |expected, actual| date(actual) == date(expected),
        "datelessthan" => |expected, actual| date(actual) < date(expected),
        "datelessthanequals" => |expected, actual| date(actual) <= date(expected),
        "dategreaterthan" => |expected, actual| date(actual) > date(expected),
        "dategreaterthanequals" => |expected, actual| date(actual) >= date(expected),
        _ => return None,
    })
}

/// Each of the six parts of an ARN is compared by itself, so that a wildcard does not reach over a colon.
fn arn_matches(expected: &str, actual: &str) -> bool {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.splitn(6, ':').collect(), actual.splitn(6, ':').collect());
    expected.len() == 6 && actual.len() == 6 && expected.iter().zip(&actual).all(|(e, a)| pattern::matches(e, a))
}

/// Not a number compares as unequal to and in no order with anything.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    let epoch = || text.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    text.parse().ok().or_else(epoch)
}

fn in_network(network: &str, address: &str) -> bool {
    let (base, length) = network.split_once('/').map_or((network, None), |(base, length)| (base, Some(length)));
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let (Ok(base), Ok(address)) = (base.parse::<IpAddr>(), address.parse::<IpAddr>()) else { return false };
    let ((base, size), (address, other)) = (bits(base), bits(address));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    let length = length.map_or(Some(size), |text| digits(text).filter(|length| *length <= size));
    let Some(length) = length.filter(|_| size == other) else { return false };
    length == 0 || (base ^ address).checked_shr(128 - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(operator: &str, expected: &[&str], actual: Option<&[&str]>) -> bool {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        holds(operator, &own(expected), actual.map(own).as_deref()).unwrap()
    }

    #[test]
    fn strings_are_compared_as_iam_does() {
        for (operator, expected, actual, result) in [
            ("StringEquals", "a", "a", true),
            ("StringEquals", "a*", "ab", false),
            ("StringEquals", "A", "a", false),
            ("StringEqualsIgnoreCase", "A", "a", true),
            ("StringNotEquals", "a", "a", false),
            ("StringNotEquals", "a", "b", true),
            ("StringLike", "a*", "ab", true),
            ("StringLike", "a?", "a", false),
            ("StringNotLike", "a*", "ab", false),
            ("stringequals", "a", "a", true),
            ("ArnLike", "arn:aws:iam::*:role/a*", "arn:aws:iam::1:role/ab", true),
            ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::1:role/ab", false),
            ("ArnEquals", "arn:aws:iam::1:role/*", "arn:aws:iam::1:role/b", true),
            ("Bool", "true", "True", true),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", true),
            ("IpAddress", "10.0.0.0/8", "11.1.2.3", false),
            ("NotIpAddress", "10.0.0.0/8", "11.1.2.3", true),
            ("IpAddress", "0.0.0.0/0", "11.1.2.3", true),
            ("IpAddress", "10.0.0.0/+8", "10.1.2.3", false),
            ("IpAddress", "2001:db8::/32", "2001:db8::1", true),
            ("IpAddress", "0.0.0.0/0", "2001:db8::1", false),
            ("NumericLessThan", "10", "9", true),
            ("NumericEquals", "x", "x", false),
            ("DateLessThan", "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", true),
            ("DateGreaterThan", "1600000000", "2025-01-01T00:00:00Z", true),
        ] {
            assert_eq!(ask(operator, &[expected], Some(&[actual])), result, "{operator} {expected} {actual}");
        }
    }

    /// The table of the user guide on keys that are missing.
    #[test]
    fn a_missing_key_fails_but_for_negation_if_exists_and_for_all_values() {
        for (operator, result) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("StringEqualsIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringEqualsIfExists", true),
            ("ForAnyValue:StringNotEquals", false),
            ("BoolIfExists", true),
        ] {
            assert_eq!(ask(operator, &["a"], None), result, "{operator}");
        }
        assert!(ask("Null", &["true"], None) && !ask("Null", &["false"], None));
        assert!(ask("Null", &["false"], Some(&["a"])) && !ask("Null", &["true"], Some(&["a"])));
    }

    #[test]
    fn several_values_need_a_set_operator() {
        let two = ["a", "b"];
        assert!(ask("ForAnyValue:StringEquals", &["b"], Some(&two)));
        assert!(!ask("ForAllValues:StringEquals", &["b"], Some(&two)));
        assert!(ask("ForAllValues:StringEquals", &["a", "b", "c"], Some(&two)));
        assert!(!ask("StringEquals", &["a"], Some(&two)));
    }

    #[test]
    fn an_operator_that_iam_does_not_have_is_named() {
        for (written, said) in [
            ("StringEqual", "StringEqual is no condition operator of IAM; did you mean StringEquals?"),
            ("ForAnyValue:StringLikes", "did you mean ForAnyValue:StringLike?"),
            ("ForAnyValues:StringEquals", "did you mean ForAnyValue:StringEquals?"),
            ("StringEqualIfExists", "did you mean StringEqualsIfExists?"),
            ("NullIfExists", "Null stands alone"),
            ("Whatever", "Whatever is no condition operator of IAM"),
        ] {
            let problem = holds(written, &[], None).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        for name in NAMES {
            assert_eq!(Operator::parse(name).problem(), None, "{name}");
        }
        let parsed = Operator::parse("ForAnyValue:StringLikeIfExists");
        assert_eq!((parsed.every, parsed.base, parsed.if_exists), (Some(false), "StringLike", true));
        assert_eq!(Operator::parse("é").base, "é");
    }
}
