//! The states that do their work themselves: Pass, Choice, Wait, Succeed, Fail.

use jiff::Timestamp;
use serde_json::Value;

use super::choice;
use super::data;
use super::engine::{Beside, Engine};
use super::event::Way;
use super::failure::{Failure, Fault};
use super::query;
use super::sight::Sight;
use super::state::{Phase, ScopeId, Timer};
use super::template;
use crate::asl::model::{self, Choice, Data, Fail, Pass, QueryLanguage, Setting, State, Wait};
use crate::asl::position::Node;

impl<'m> Engine<'_, 'm> {
    /// What a state takes for its work, from its own input.
    pub(super) fn taken(&mut self, scope: ScopeId) -> Result<Value, Fault> {
        let Some(state) = self.state(scope) else { return Err(Fault::Bound("a state is gone".to_owned())) };
        let input = self.input(scope);
        self.look(scope, &input, Beside::default(), |sight| data::input(state, sight))
    }

    pub(super) fn pass(&mut self, scope: ScopeId, state: &'m State<'m>, pass: &Pass<'m>) {
        let taken = self.taken(scope);
        let result = taken.and_then(|taken| match (state.query_language, pass.result) {
            (QueryLanguage::JsonPath, Some(result)) => Ok(result.value().clone()),
            (QueryLanguage::JsonPath, None) => {
                self.look(scope, &taken, Beside::default(), |sight| data::payload(state, sight))
            }
            (QueryLanguage::Jsonata, _) => Ok(taken),
        });
        match result {
            Ok(result) => self.finish(scope, &result),
            Err(fault) => self.fault(scope, fault),
        }
    }

    pub(super) fn succeed(&mut self, scope: ScopeId) {
        match self.taken(scope) {
            Ok(taken) => self.finish(scope, &taken),
            Err(fault) => self.fault(scope, fault),
        }
    }

    pub(super) fn choose(&mut self, scope: ScopeId, state: &'m State<'m>, choice: &'m Choice<'m>) {
        let found = self.taken(scope).and_then(|taken| {
            let at = self.look(scope, &taken, Beside::default(), |sight| choice::taken(choice, sight))?;
            Ok((taken, at))
        });
        let (taken, at) = match found {
            Ok(found) => found,
            Err(fault) => return self.fault(scope, fault),
        };
        // A rule has what it sets and gives; the state's own are for the default.
        let (shape, next, way) = match at.map(|at| (at, &choice.choices[at])) {
            Some((at, rule)) => {
                let shape = Data { assign: rule.data.assign, output: rule.data.output, ..state.data };
                (shape, rule.next, Way::Choice(at))
            }
            None => (state.data, choice.default, Way::Default),
        };
        if next.is_none() {
            // The developer guide has States.NoChoiceMatched; what AWS answers is this.
            let words = "Failed to transition out of the state. The state does not point to a next state.";
            return self.fault(scope, Fault::runtime(words));
        }
        self.finish_as(scope, &taken, &shape, next, way);
    }

    pub(super) fn wait(&mut self, scope: ScopeId, state: &'m State<'m>, wait: &Wait<'m>) {
        let until = self.taken(scope).and_then(|taken| {
            let language = state.query_language;
            self.look(scope, &taken, Beside::default(), |sight| until(wait, language, sight))
        });
        let until = match until {
            Ok(Until::Seconds(seconds)) => self.run.after(seconds),
            Ok(Until::Moment(at)) => at,
            Err(fault) => return self.fault(scope, fault),
        };
        let Some(visit) = self.visit(scope) else { return };
        visit.phase = Phase::Waiting;
        let entered = visit.entered;
        let until = until.max(self.run.now);
        self.run.set_timer(until, Timer::Wake(scope, entered));
    }

    pub(super) fn fail(&mut self, scope: ScopeId, state: &'m State<'m>, fail: &Fail<'m>) {
        let language = state.query_language;
        let input = self.input(scope);
        let failure = self.look(scope, &input, Beside::default(), |sight| {
            let error = word(fail.error, language, "Error", sight)?;
            let cause = word(fail.cause, language, "Cause", sight)?;
            Ok(Failure { error, cause, ..Failure::default() })
        });
        match failure {
            Ok(failure) => self.close(scope, Err(failure)),
            Err(fault) => self.fault(scope, fault),
        }
    }
}

/// An error or a cause.
fn word(set: Setting<'_>, language: QueryLanguage, field: &str, sight: Sight<'_>) -> Result<Option<String>, Fault> {
    let value = match (language, set.value, set.path.and_then(Node::as_str)) {
        (QueryLanguage::JsonPath, _, Some(text)) => template::path_or_call(text, &format!("{field}Path"), sight)?,
        (QueryLanguage::JsonPath, Some(node), None) => node.value().clone(),
        (QueryLanguage::Jsonata, Some(node), _) => {
            let value = query::field(node.value(), field, sight)?;
            if !value.is_string() {
                return Err(query::unexpected(node.value(), field, "string", &value));
            }
            value
        }
        (_, None, _) => return Ok(None),
    };
    match value {
        Value::String(text) => Ok(Some(text)),
        other => Err(Fault::Runtime(format!("The {field}Path parameter does not reference a string value: {other}"))),
    }
}

enum Until {
    Seconds(f64),
    Moment(Timestamp),
}

fn until(wait: &Wait<'_>, language: QueryLanguage, sight: Sight<'_>) -> Result<Until, Fault> {
    if wait.timestamp.is_set() {
        moment(wait.timestamp, language, sight)
    } else {
        seconds(wait.seconds, language, sight)
    }
}

/// What a path of a Wait leads to, in words of its own where it leads nowhere.
fn referenced(set: model::Setting<'_>, field: &str, sight: Sight<'_>) -> Result<(Value, String), Fault> {
    let path = set.path.and_then(Node::as_str).unwrap_or_default();
    let nowhere = |_| Fault::Runtime(format!("The {field} parameter does not reference an input value: {path}"));
    Ok((template::path(path, sight).map_err(nowhere)?, path.to_owned()))
}

fn seconds(set: Setting<'_>, language: QueryLanguage, sight: Sight<'_>) -> Result<Until, Fault> {
    const MOST: f64 = 99_999_999.0;
    if language == QueryLanguage::JsonPath && set.path.is_some() {
        let (value, path) = referenced(set, "SecondsPath", sight)?;
        let whole = value.as_f64().filter(|number| number.fract() == 0.0);
        return match whole {
            Some(number) if number < 0.0 => {
                Err(Fault::Runtime(format!("The SecondsPath parameter references a negative value: {path} == {value}")))
            }
            Some(number) if number <= MOST => Ok(Until::Seconds(number)),
            _ => Err(Fault::Runtime(format!(
                "The SecondsPath parameter cannot be parsed as a long value: {path} == {value}"
            ))),
        };
    }
    let Some(node) = set.value else { return Ok(Until::Seconds(0.0)) };
    let value = match language {
        QueryLanguage::JsonPath => node.value().clone(),
        QueryLanguage::Jsonata => query::field(node.value(), "Seconds", sight)?,
    };
    match value.as_f64().filter(|number| number.fract() == 0.0) {
        Some(number) if (0.0..=MOST).contains(&number) => Ok(Until::Seconds(number)),
        Some(_) => {
            let words = format!("The Seconds field has a value that is out of range: {value}");
            Err(Fault::Query(words, Some("Seconds".to_owned())))
        }
        None => Err(query::unexpected(node.value(), "Seconds", "integer", &value)),
    }
}

fn moment(set: Setting<'_>, language: QueryLanguage, sight: Sight<'_>) -> Result<Until, Fault> {
    const FORM: &str = "ISO-8601 extended offset date-time format string";
    if language == QueryLanguage::JsonPath && set.path.is_some() {
        let (value, path) = referenced(set, "TimestampPath", sight)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let wrong = || {
            Fault::Runtime(format!("The TimestampPath parameter does not reference a valid {FORM}: {path} == {text}"))
        };
        return query::moment(&text).map(Until::Moment).ok_or_else(wrong);
    }
    let held = set.value.map_or(&Value::Null, Node::value);
    let value = match language {
        QueryLanguage::JsonPath => held.clone(),
        QueryLanguage::Jsonata => query::field(held, "Timestamp", sight)?,
    };
    let Some(text) = value.as_str() else { return Err(query::unexpected(held, "Timestamp", "string", &value)) };
    query::moment(text).map(Until::Moment).ok_or_else(|| {
        let words = format!("The Timestamp field cannot be parsed as an {FORM}: {text}");
        Fault::Query(words, Some("Timestamp".to_owned()))
    })
}
