//! What a Choice compares, and with what.

use serde_json::Value;

use super::super::grammar::jsonpath;
use super::super::model::{Condition, Kind, QueryLanguage, State};
use super::super::position::Node;
use super::fields::{is_misspelt, misspelt};
use super::report::{Lint, inside};
use super::values;

/// What an operand is called, and whether a value has its form.
type Operand = (&'static str, fn(&Value) -> bool);

/// The form of the operand, by operator.
fn operand(operator: &str) -> Option<Operand> {
    let is_time = |value: &Value| value.as_str().is_some();
    Some(match operator {
        "StringEquals"
        | "StringLessThan"
        | "StringGreaterThan"
        | "StringLessThanEquals"
        | "StringGreaterThanEquals"
        | "StringMatches" => ("text", Value::is_string),
        "NumericEquals"
        | "NumericLessThan"
        | "NumericGreaterThan"
        | "NumericLessThanEquals"
        | "NumericGreaterThanEquals" => ("a number", Value::is_number),
        "BooleanEquals" | "IsNull" | "IsPresent" | "IsNumeric" | "IsString" | "IsBoolean" | "IsTimestamp" => {
            ("true or false", Value::is_boolean)
        }
        "TimestampEquals"
        | "TimestampLessThan"
        | "TimestampGreaterThan"
        | "TimestampLessThanEquals"
        | "TimestampGreaterThanEquals" => ("a time as in RFC 3339", is_time),
        _ => return None,
    })
}

/// Operators that compare with what a path leads to: each but `StringMatches` and the tests `Is…`.
fn compares_with_path(operator: &str) -> bool {
    operator
        .strip_suffix("Path")
        .is_some_and(|base| !base.starts_with("Is") && base != "StringMatches" && operand(base).is_some())
}

/// Operators that hold comparisons.
const GROUPS: [&str; 3] = ["And", "Or", "Not"];
/// Fields of a rule that no comparison has.
const RULE: [&str; 6] = ["Next", "Comment", "Assign", "Output", "Condition", "QueryLanguage"];

/// The rules of a Choice.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let Kind::Choice(choice) = &state.kind else { return };
    if state.node.get("Choices").is_some_and(|choices| lint.is_unknown(choices)) {
        return;
    }
    if choice.choices.is_empty() {
        let is_other = state.node.get("Choices").is_some_and(|choices| !choices.value().is_array());
        if is_other || is_misspelt(state.node, "Choices") {
            return;
        }
        return lint.report_key("SB008", state.node, format!("state \"{}\" is a Choice without Choices", state.name));
    }
    let mut always = false;
    for rule in &choice.choices {
        if always {
            lint.report("SB033", rule.node, "the rule before this one always holds, so this one is never reached");
            break;
        }
        match &rule.condition {
            // A missing or wrong Condition is told with the fields.
            Condition::Expression(expression) => {
                let text = expression.as_str().unwrap_or_default();
                always = expression.value() == true || text.trim_matches(['{', '%', '}', ' ']) == "true";
            }
            condition if state.query_language == QueryLanguage::JsonPath => comparison(lint, condition, true),
            _ => {}
        }
    }
    if choice.default.is_none() && !always {
        let message = format!(
            "state \"{}\" has no Default: when no rule holds, the execution fails with States.NoChoiceMatched",
            state.name
        );
        lint.report_key("SB031", state.node, message);
    }
}

fn comparison<'a>(lint: &mut Lint<'a>, condition: &Condition<'a>, outermost: bool) {
    match condition {
        Condition::And(inner) | Condition::Or(inner) => inner.iter().for_each(|inner| comparison(lint, inner, false)),
        Condition::Not(inner) => comparison(lint, inner, false),
        Condition::Expression(node) => {
            lint.report_key(
                "SB018",
                *node,
                "Condition is a field of JSONata, and this is JSONPath; write Variable and an operator",
            );
        }
        Condition::Comparison { node, variable, operators } => {
            // A rule that is no object is told with the fields.
            if !node.value().is_object() && outermost {
                return;
            }
            if !node.value().is_object() {
                return lint.report("SB019", *node, "a comparison must be an object with Variable and an operator");
            }
            if !outermost {
                for (key, field) in node.fields().filter(|(key, _)| matches!(*key, "Next" | "Assign" | "Output")) {
                    lint.report_key(
                        "SB017",
                        field,
                        format!("{key} stands in the rule itself, not in a comparison inside it"),
                    );
                }
            }
            one_comparison(lint, *node, *variable, operators);
        }
    }
}

fn one_comparison<'a>(lint: &mut Lint<'a>, node: Node<'a>, variable: Option<Node<'a>>, operators: &[(&str, Node<'a>)]) {
    let meant = misspelt(node, "Variable").filter(|_| variable.is_none());
    let compares = operators.iter().any(|(operator, _)| !RULE.contains(operator));
    match (variable, meant) {
        (None, None) if !compares => {
            return lint.report("SB021", node, "a comparison needs the field Variable and an operator");
        }
        // And, Or and Not in other letters are told as operators.
        (None, None) if GROUPS.iter().any(|group| is_misspelt(node, group)) => {}
        (Some(variable), _) => reference(lint, variable, "Variable"),
        (None, Some(key)) => {
            let message = format!("a comparison needs the field Variable; did you mean it by \"{key}\"?");
            lint.report_key("SB021", node.get(key).unwrap_or(node), message);
        }
        (None, None) => lint.report("SB021", node, "a comparison needs the field Variable"),
    }
    let (mut known, mut unknown) = (0, 0);
    for (operator, field) in operators.iter().filter(|(operator, _)| Some(*operator) != meant) {
        if compares_with_path(operator) {
            known += 1;
            reference(lint, *field, operator);
        } else if let Some((form, has_form)) = operand(operator) {
            known += 1;
            let placeholder = field.as_str().is_some_and(|text| lint.is_placeholder(text));
            if !has_form(field.value()) && !placeholder {
                lint.report("SB019", *field, format!("{operator} compares with {form}"));
            } else if !placeholder && is_no_time(operator, field.value()) {
                let message =
                    format!("{operator} compares with {form}, such as 2016-03-14T01:59:00Z, which this is not");
                lint.report("SB085", *field, message);
            }
        } else if !RULE.contains(operator) {
            lint.report_key("SB030", *field, format!("there is no operator \"{operator}\"{}", near(operator)));
            unknown += 1;
        }
    }
    if known != 1 && unknown == 0 {
        lint.report("SB030", node, format!("a comparison has exactly one operator; this one has {known}"));
    }
}

fn is_no_time(operator: &str, value: &Value) -> bool {
    operator.starts_with("Timestamp") && !value.as_str().is_some_and(values::is_timestamp)
}

fn near(operator: &str) -> String {
    const ALL: [&str; 3] = ["NumericEquals", "StringEquals", "BooleanEquals"];
    let group = GROUPS.into_iter().find(|known| known.eq_ignore_ascii_case(operator));
    let near = group.or_else(|| {
        ALL.into_iter().find(|known| {
            known.eq_ignore_ascii_case(operator)
                || known[..6].eq_ignore_ascii_case(&operator[..operator.floor_char_boundary(6)])
        })
    });
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn reference<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: &str) {
    let Some(text) = node.as_str() else {
        return lint.report("SB019", node, format!("{field} must be a path"));
    };
    if lint.is_placeholder(text) {
        return;
    }
    match jsonpath::parse(text) {
        Err(error) => {
            let span = inside(node, error.at);
            lint.report_at("SB034", node, span, format!("{field} \"{text}\" is not a path: {}", error.message));
        }
        Ok(path) if !path.is_reference => {
            let message =
                format!("{field} \"{text}\" can lead to several places; the specification wants a path to one");
            lint.report("SB032", node, message);
        }
        Ok(_) => {}
    }
}
