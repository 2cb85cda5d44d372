//! Conditions in a path, `[?(@.price < 10 && @.title =~ /a.*/i)]`, as Jayway reads them.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::asl::grammar::jsonpath::{self, Query};

/// Parentheses and negations inside of each other.
const MAX_NESTING: usize = 32;
/// Memory that a regular expression may take once it is compiled.
const MAX_REGEX: usize = 1 << 20;

/// A condition.
#[derive(Debug)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    Every(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Operand, Operator, Operand),
}

#[derive(Debug)]
pub(super) enum Operand {
    /// From the item (`@`), or from the whole (`$`).
    Path(Query, bool),
    Value(Value),
    Regex(Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    Contains,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
}

/// Longer ones first: one is the beginning of another.
const OPERATORS: [(&str, Operator); 17] = [
    ("===", Operator::Equal),
    ("!==", Operator::NotEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=~", Operator::Matches),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("contains", Operator::Contains),
    ("subsetof", Operator::SubsetOf),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
];

impl Filter {
    /// Reads what is between the parentheses.
    ///
    /// # Errors
    /// What cannot stand there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let filter = reader.any(0)?;
        reader.space();
        if reader.rest.is_empty() { Ok(filter) } else { Err(reader.wrong()) }
    }

    /// True when the condition holds for the item.
    pub(super) fn takes(&self, item: &Value, root: &Value, find: Find<'_>) -> bool {
        match self {
            Self::Any(inner) => inner.iter().any(|filter| filter.takes(item, root, find)),
            Self::Every(inner) => inner.iter().all(|filter| filter.takes(item, root, find)),
            Self::Not(inner) => !inner.takes(item, root, find),
            Self::Exists(operand) => operand.value(item, root, find).is_some(),
            Self::Compare(left, operator, right) => {
                let value = left.value(item, root, find);
                if let (Operand::Regex(regex), Operator::Matches) = (right, operator) {
                    return value.as_ref().and_then(Value::as_str).is_some_and(|text| regex.is_match(text));
                }
                let (Some(left), Some(right)) = (value, right.value(item, root, find)) else {
                    return *operator == Operator::NotEqual || *operator == Operator::NotIn;
                };
                compare(&left, *operator, &right)
            }
        }
    }
}

/// Follows a path from a value.
type Find<'f> = &'f dyn Fn(&Query, &Value) -> Option<Value>;

impl Operand {
    fn value(&self, item: &Value, root: &Value, find: Find<'_>) -> Option<Value> {
        match self {
            Self::Path(query, is_of_item) => find(query, if *is_of_item { item } else { root }),
            Self::Value(value) => Some(value.clone()),
            Self::Regex(_) => None,
        }
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    use crate::asl::same;
    let order = || match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let has = |list: &[Value], value: &Value| list.iter().any(|item| same(item, value));
    match operator {
        Operator::Equal => same(left, right),
        Operator::NotEqual => !same(left, right),
        Operator::Less => order() == Some(Ordering::Less),
        Operator::Greater => order() == Some(Ordering::Greater),
        Operator::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Operator::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        Operator::Matches => false,
        Operator::In => has(&list(right), left),
        Operator::NotIn => !has(&list(right), left),
        Operator::Contains => match (left, right) {
            (Value::String(left), Value::String(right)) => left.contains(right.as_str()),
            (Value::Array(items), right) => has(items, right),
            _ => false,
        },
        Operator::SubsetOf => list(left).iter().all(|item| has(&list(right), item)),
        Operator::AnyOf => list(left).iter().any(|item| has(&list(right), item)),
        Operator::NoneOf => !list(left).iter().any(|item| has(&list(right), item)),
        Operator::Size => length(left).is_some_and(|length| right.as_u64() == Some(length)),
        Operator::Empty => length(left).is_some_and(|length| right.as_bool() == Some(length == 0)),
    }
}

fn length(value: &Value) -> Option<u64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        _ => return None,
    };
    u64::try_from(length).ok()
}

/// `@.length-1`, the only script that there is a use for.
pub(super) fn script(text: &str, length: usize) -> Option<i64> {
    let text: String = text.split_whitespace().collect();
    let rest = text.strip_prefix("@.length()").or_else(|| text.strip_prefix("@.length"))?;
    let length = i64::try_from(length).ok()?;
    if rest.is_empty() { Some(length) } else { length.checked_sub(rest.strip_prefix('-')?.parse().ok()?) }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn wrong(&self) -> String {
        format!("a filter cannot have \"{}\" here", self.rest.chars().take(20).collect::<String>())
    }

    fn any(&mut self, depth: usize) -> Result<Filter, String> {
        let mut all = vec![self.every(depth)?];
        while self.eat("||") {
            all.push(self.every(depth)?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::Any(all) })
    }

    fn every(&mut self, depth: usize) -> Result<Filter, String> {
        let mut all = vec![self.one(depth)?];
        while self.eat("&&") {
            all.push(self.one(depth)?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::Every(all) })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > MAX_NESTING {
            return Err("a filter is nested too deep".to_owned());
        }
        self.space();
        if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
            self.rest = &self.rest[1..];
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.any(depth + 1)?;
            return if self.eat(")") { Ok(inner) } else { Err(self.wrong()) };
        }
        let left = self.operand()?;
        self.space();
        let lower = self.rest.get(..8).unwrap_or(self.rest).to_ascii_lowercase();
        let found = OPERATORS.into_iter().find(|(sign, _)| lower.starts_with(sign));
        let Some((sign, operator)) = found else { return Ok(Filter::Exists(left)) };
        self.rest = &self.rest[sign.len()..];
        Ok(Filter::Compare(left, operator, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.space();
        match self.rest.bytes().next() {
            Some(b'@' | b'$') => self.path(),
            Some(b'\'' | b'"') => Ok(Operand::Value(Value::String(self.quoted()?))),
            Some(b'/') => self.regex(),
            Some(b'[') => self.list(),
            _ => self.word(),
        }
    }

    /// To the next sign that no path has outside of its brackets.
    fn path(&mut self) -> Result<Operand, String> {
        let mut depth = 0usize;
        let mut quote = None;
        let end = self.rest.char_indices().skip(1).find(|(_, sign)| {
            match (quote, sign) {
                (Some(open), sign) if open == *sign => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') if depth > 0 => quote = Some(*sign),
                (None, '[' | '(') => depth += 1,
                (None, ']' | ')') if depth > 0 => depth -= 1,
                (None, sign) => return depth == 0 && (sign.is_whitespace() || "=!<>&|),]".contains(*sign)),
            }
            false
        });
        let (text, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(at, _)| at));
        let is_of_item = text.starts_with('@');
        let query = jsonpath::query(&format!("${}", &text[1..])).map_err(|error| error.message)?;
        self.rest = rest;
        Ok(Operand::Path(query, is_of_item))
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut signs = self.rest.char_indices();
        let quote = signs.next().map(|(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, sign)) = signs.next() {
            match sign {
                '\\' => text.extend(signs.next().map(|(_, sign)| sign)),
                sign if Some(sign) == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                sign => text.push(sign),
            }
        }
        Err("a quote in a filter is not closed".to_owned())
    }

    fn regex(&mut self) -> Result<Operand, String> {
        let body = &self.rest[1..];
        let mut is_escaped = false;
        let end = body.find(|sign| {
            let ends = sign == '/' && !is_escaped;
            is_escaped = sign == '\\' && !is_escaped;
            ends
        });
        let Some(end) = end else { return Err(self.wrong()) };
        let flags = &body[end + 1..];
        let length = flags.find(|sign: char| !sign.is_ascii_alphabetic()).unwrap_or(flags.len());
        let is_caseless = flags[..length].contains('i');
        // Jayway wants the whole text to match.
        let mut builder = RegexBuilder::new(&format!("^(?:{})$", &body[..end]));
        let regex = builder.case_insensitive(is_caseless).size_limit(MAX_REGEX).build();
        let regex = regex.map_err(|error| error.to_string())?;
        self.rest = &flags[length..];
        Ok(Operand::Regex(regex))
    }

    fn list(&mut self) -> Result<Operand, String> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while !self.eat("]") {
            if !items.is_empty() && !self.eat(",") {
                return Err(self.wrong());
            }
            self.space();
            match self.rest.bytes().next() {
                Some(b'\'' | b'"') => items.push(Value::String(self.quoted()?)),
                _ => match self.word()? {
                    Operand::Value(value) => items.push(value),
                    _ => return Err(self.wrong()),
                },
            }
        }
        Ok(Operand::Value(Value::Array(items)))
    }

    fn word(&mut self) -> Result<Operand, String> {
        let ends = |sign: char| !(sign.is_ascii_alphanumeric() || "+-.".contains(sign));
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        let value = serde_json::from_str::<Value>(word).map_err(|_| self.wrong())?;
        self.rest = rest;
        Ok(Operand::Value(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_holds_where_jayway_says() {
        let item = json!({"n": 5, "t": "Moby Dick", "l": [1, 2], "z": null, "o": {"p": 2}});
        for (text, holds) in [
            ("@.n", true),
            ("@.x", false),
            ("!@.x", true),
            ("@.z", true),
            ("@.n == 5.0", true),
            ("@.n<6&&@.n>=5", true),
            ("@.n != 5 || (@.o.p == 2)", true),
            ("@['t'] == \"Moby Dick\"", true),
            ("@.t =~ /moby.*/i", true),
            ("@.t =~ /Dick/", false),
            ("@.n in [4, 5]", true),
            ("@.t nin ['a', 'b']", true),
            ("@.l contains 2", true),
            ("@.l size 2", true),
            ("@.l empty false", true),
            ("@.l subsetof [1, 2, 3]", true),
            ("@.z == null", true),
            ("@.x == null", false),
            ("@.n > 'a'", false),
            ("$.limit == @.n", true),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let find = |query: &Query, value: &Value| {
                let mut found = Some(value.clone());
                for segment in &query.segments {
                    let jsonpath::Step::Names(names) = &segment.step else { panic!("a name") };
                    found = found.and_then(|value| value.get(&names[0]).cloned());
                }
                found
            };
            assert_eq!(filter.takes(&item, &json!({"limit": 5}), &find), holds, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_an_error() {
        for text in ["", "@.", "@.a ==", "@.a == 'x", "(@.a", "@.a =~ /(/", "@.a && ", "5 5", "@.a in [1"] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"!".repeat(10_000)).is_err());
        assert!(Filter::parse(&"(".repeat(10_000)).is_err());
    }
}
