//! In whose name a state calls: that of the execution role, or that of the role of `Credentials` (developer guide, "Accessing
//! resources in other AWS accounts").

use super::payload::{Field, Payload};
use super::task::Task;
use super::walk::Found;
use crate::asl::model::Arn;

/// Whose rights a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Those of the execution role.
    ExecutionRole,
    /// Those of each of these roles, or of the roles that a pattern stands for.
    Roles(Vec<String>),
    /// Those of a role that nobody can tell from the definition; the field.
    Unknown(String),
}

impl Caller {
    pub(super) fn of(found: &Found<'_>, task: &mut Task<'_>) -> Self {
        let field = Payload::in_field(found.state, "Credentials", found.jsonata).get("RoleArn");
        if field.is_absent() {
            return Self::ExecutionRole;
        }
        if let Some(arn) = field.text() {
            return Self::Roles(vec![arn]);
        }
        let given = task.given("iam", "role/");
        if !given.is_empty() {
            return Self::Roles(given);
        }
        let Field::FromInput(expression) = field else { return Self::Unknown("no text".to_owned()) };
        let Some(role) = pattern(&expression, found.jsonata).filter(|role| names_a_role(role)) else {
            return Self::Unknown(expression);
        };
        if role.contains('*') {
            task.note(format!(
                "calls as a role of which the definition says {role} alone; narrow it with {}",
                task.flag("ARN")
            ));
        }
        Self::Roles(vec![role])
    }
}

/// True of an ARN, or of a pattern of ARNs, that says at least a part of the role's name.
fn names_a_role(text: &str) -> bool {
    let name = Arn::parse(text).filter(|arn| arn.service == "iam").and_then(|arn| arn.resource.strip_prefix("role/"));
    name.is_some_and(|name| name.contains(|letter| !matches!(letter, '*' | '/')))
}

/// The text that an expression makes, as far as it is written out, with `*` for each part that is not.
fn pattern(expression: &str, jsonata: bool) -> Option<String> {
    if jsonata { concatenated(expression) } else { formatted(expression) }
}

/// `States.Format('arn:aws:iam::{}:role/orders', $.account)`
fn formatted(expression: &str) -> Option<String> {
    let inside = expression.trim().strip_prefix("States.Format(")?.strip_suffix(')')?;
    let mut arguments = parts(inside, ',')?.into_iter();
    let template = literal(arguments.next()?, &['\''])?;
    let mut pieces = template.split("{}");
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let value = arguments.next()?;
        text.push_str(literal(value, &['\'']).unwrap_or("*"));
        text.push_str(piece);
    }
    Some(text)
}

/// `{% 'arn:aws:iam::' & $account & ':role/orders' %}`
fn concatenated(expression: &str) -> Option<String> {
    let inside = expression.strip_prefix("{%")?.strip_suffix("%}")?;
    let mut text = String::new();
    for part in parts(inside, '&')? {
        match literal(part, &['\'', '"']) {
            Some(known) => text.push_str(known),
            None if is_one_value(part) => text.push('*'),
            None => return None,
        }
    }
    Some(text)
}

/// What stands in quotes, where it says itself: without escapes.
fn literal<'a>(text: &'a str, quotes: &[char]) -> Option<&'a str> {
    let text = text.trim();
    let quote = *quotes.iter().find(|quote| text.starts_with(**quote))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inside.contains([quote, '\\'])).then_some(inside)
}

/// True of a path, a variable or a call: no operator stands outside of its brackets, so it is a part of the text as a whole.
fn is_one_value(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut is_one = true;
    for letter in text.trim().chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => is_one &= letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$' | '.'),
        }
    }
    is_one && !text.trim().is_empty()
}

/// The parts between a separator that stands outside of quotes and brackets; `None` where these do not close.
fn parts(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut found, mut start, mut depth, mut quote, mut escaped) = (Vec::new(), 0, 0_usize, None, false);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, _) if letter == separator && depth == 0 => {
                found.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    (depth == 0 && quote.is_none()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_expression_that_makes_an_arn_the_written_parts_are_known() {
        for (expression, jsonata, expected) in [
            ("States.Format('arn:aws:iam::{}:role/orders', $.account)", false, Some("arn:aws:iam::*:role/orders")),
            ("States.Format('arn:aws:iam::{}:role/{}', $.a, 'orders')", false, Some("arn:aws:iam::*:role/orders")),
            (
                "States.Format('arn:aws:iam::1:role/{}-x', States.Hash($.a, 'MD5'))",
                false,
                Some("arn:aws:iam::1:role/*-x"),
            ),
            ("States.Format('arn:aws:iam::{}:role/{}', $.a, $.b)", false, None),
            ("States.Format('{}', $.arn)", false, None),
            ("States.Format($.template, $.a)", false, None),
            ("States.Format('arn:aws:iam::{}:role/a\\'b', $.a)", false, None),
            ("$.arn", false, None),
            (
                "{% 'arn:aws:iam::' & $states.input.account & ':role/orders' %}",
                true,
                Some("arn:aws:iam::*:role/orders"),
            ),
            ("{% \"arn:aws:iam::1:role/\" & $lookup($m, 'a & b') & \"-x\" %}", true, Some("arn:aws:iam::1:role/*-x")),
            ("{% $a & ':role/orders' %}", true, None),
            ("{% 'arn:aws:iam::1:role/a' & $b ? 'x' : 'y' %}", true, None),
            ("{% $c ? 'arn:aws:iam::1:role/a' : $d %}", true, None),
            ("{% 'arn:aws:iam::1:role/a %}", true, None),
        ] {
            let found = pattern(expression, jsonata).filter(|text| names_a_role(text));
            assert_eq!(found.as_deref(), expected, "{expression}");
        }
    }
}
