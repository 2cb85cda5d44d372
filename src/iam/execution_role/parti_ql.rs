//! Statements in `PartiQL`: each has its verb and its table (`DynamoDB` developer guide, "IAM security policies with `PartiQL` for
//! `DynamoDB`").

use super::payload::policy_text;
use super::task::Task;
use crate::integrations::sdk::Operation;

/// True where all statements of the call are written out; what they need is then said.
pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) -> bool {
    let list = match operation.name {
        "ExecuteStatement" => None,
        "BatchExecuteStatement" => Some("Statements"),
        "ExecuteTransaction" => Some("TransactStatements"),
        _ => return false,
    };
    let payloads = match list {
        None => vec![task.payload],
        Some(list) => task.payload.items(list).unwrap_or_default(),
    };
    let texts: Option<Vec<String>> = payloads.iter().map(|payload| payload.get("Statement").raw()).collect();
    let read = |text: &String| Statement::read(text);
    let Some(statements) = texts.and_then(|texts| texts.iter().map(read).collect::<Option<Vec<_>>>()) else {
        return false;
    };
    for Statement { actions, resource } in &statements {
        let resource = policy_text(resource);
        let is_arn = resource.starts_with("arn:");
        let arn = if is_arn { resource } else { task.here.arn("dynamodb", &format!("table/{resource}")) };
        task.need(actions, [arn]);
    }
    !statements.is_empty()
}

#[derive(Debug, PartialEq, Eq)]
struct Statement {
    actions: &'static [&'static str],
    /// Table, or table and index.
    resource: String,
}

/// A word, or what stands in double quotes; texts and everything in brackets are left out.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

impl Statement {
    /// `SELECT … FROM "t"."i"`, `INSERT INTO t`, `UPDATE t`, `DELETE FROM t`, and in transactions `EXISTS(SELECT … FROM t)`, which
    /// is a condition check (`DynamoDB` developer guide, "Using the EXISTS function").
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("EXISTS")) {
            let inside = text[6..].trim().strip_prefix('(')?.strip_suffix(')')?;
            let Self { resource, .. } = Self::read(inside)?;
            return Some(Self { actions: &["dynamodb:ConditionCheckItem", "dynamodb:PartiQLSelect"], resource });
        }
        let tokens = tokens(text)?;
        let is = |at: usize, word: &str| matches!(tokens.get(at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        let (actions, at): (&[&str], _) = if is(0, "SELECT") {
            (&["dynamodb:PartiQLSelect"], (1..tokens.len()).find(|at| is(*at, "FROM"))? + 1)
        } else if is(0, "INSERT") && is(1, "INTO") {
            (&["dynamodb:PartiQLInsert"], 2)
        } else if is(0, "UPDATE") {
            (&["dynamodb:PartiQLUpdate"], 1)
        } else if is(0, "DELETE") && is(1, "FROM") {
            (&["dynamodb:PartiQLDelete"], 2)
        } else {
            return None;
        };
        let name = |at: usize| match tokens.get(at)? {
            Token::Word(name) | Token::Quoted(name) if !name.is_empty() => Some(name.clone()),
            _ => None,
        };
        let table = name(at)?;
        let index = if tokens.get(at + 1) == Some(&Token::Sign('.')) { Some(name(at + 2)?) } else { None };
        Some(Self { actions, resource: index.map_or(table.clone(), |index| format!("{table}/index/{index}")) })
    }
}

/// Nothing where quotes or brackets do not close.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut found, mut rest, mut depth) = (Vec::new(), text, 0_usize);
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        if letter == '"' || letter == '\'' {
            let (inside, behind) = after.split_once(letter)?;
            if letter == '"' && depth == 0 {
                found.push(Token::Quoted(inside.to_owned()));
            }
            rest = behind;
        } else if is_of_a_word(letter) {
            let end = rest.find(|c: char| !is_of_a_word(c)).unwrap_or(rest.len());
            if depth == 0 {
                found.push(Token::Word(rest[..end].to_owned()));
            }
            rest = &rest[end..];
        } else {
            match letter {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.checked_sub(1)?,
                _ if letter.is_whitespace() || depth > 0 => {}
                _ => found.push(Token::Sign(letter)),
            }
            rest = after;
        }
    }
    (depth == 0).then_some(found)
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_verb_and_a_table() {
        for (text, expected) in [
            ("SELECT * FROM orders", Some("PartiQLSelect orders")),
            (
                "select a, \"from\" from \"Orders\".\"by-day\" where b = 'x from y'",
                Some("PartiQLSelect Orders/index/by-day"),
            ),
            ("SELECT size(a.b) FROM orders WHERE id IN [1, 2]", Some("PartiQLSelect orders")),
            ("INSERT INTO \"orders\" VALUE {'id': 'it''s'}", Some("PartiQLInsert orders")),
            (" UPDATE orders SET a=1 WHERE id=?", Some("PartiQLUpdate orders")),
            ("DELETE FROM orders WHERE id=?", Some("PartiQLDelete orders")),
            ("EXISTS(SELECT * FROM orders WHERE id=?)", Some("ConditionCheckItem orders")),
            ("DROP TABLE orders", None),
            ("SELECT * FROM (x)", None),
            ("UPDATE \"orders", None),
            ("SELECT 1", None),
            ("", None),
        ] {
            let found = Statement::read(text)
                .map(|one| format!("{} {}", one.actions[0].trim_start_matches("dynamodb:"), one.resource));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
