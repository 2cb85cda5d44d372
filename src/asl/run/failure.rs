//! Errors, which of them a retrier or catcher takes, and how AWS words them.

use serde_json::{Value, json};

pub(super) const ALL: &str = "States.ALL";
pub(super) const DATA_LIMIT: &str = "States.DataLimitExceeded";
pub(super) const QUERY: &str = "States.QueryEvaluationError";
pub(super) const RUNTIME: &str = "States.Runtime";
pub(super) const TASK_FAILED: &str = "States.TaskFailed";
pub(super) const TIMEOUT: &str = "States.Timeout";
pub(super) const HEARTBEAT: &str = "States.HeartbeatTimeout";
pub(super) const THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";
pub(super) const ITEM_READER: &str = "States.ItemReaderFailed";
pub(super) const RESULT_WRITER: &str = "States.ResultWriterFailed";

/// What a state or machine failed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    /// It ends the execution, whatever is around it.
    pub(super) is_fatal: bool,
    /// A heartbeat was missed: told as a timeout, and taken by either name.
    pub(super) is_heartbeat: bool,
}

impl Failure {
    pub(super) fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: Some(error.into()), cause: Some(cause.into()), ..Self::default() }
    }

    /// A result that is larger than AWS keeps.
    pub(super) fn too_large(whose: &str) -> Self {
        let cause = format!(
            "The state/task '{whose}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Self::new(DATA_LIMIT, cause)
    }

    /// What a catcher is given. An error that names none is null, as recorded of a task that failed so.
    pub(super) fn output(&self) -> Value {
        let cause = match (&self.cause, self.error.as_deref()) {
            // What a timeout gives to a catcher is recorded nowhere; its event has no cause.
            (None, Some(_)) => Value::String(String::new()),
            (cause, _) => json!(cause),
        };
        json!({"Error": self.error, "Cause": cause})
    }

    /// True when one of `ErrorEquals` names it.
    ///
    /// A recording (a Lambda function whose answer is too large, behind a catcher of `States.ALL`) shows that the wildcard takes
    /// `States.DataLimitExceeded`, though the developer guide has it otherwise.
    pub(super) fn is_one_of(&self, names: &Value) -> bool {
        names.as_array().into_iter().flatten().filter_map(Value::as_str).any(|name| self.is(name))
    }

    fn is(&self, name: &str) -> bool {
        let own = self.error.as_deref();
        match name {
            _ if self.is_fatal => false,
            ALL => true,
            TASK_FAILED => own != Some(TIMEOUT),
            HEARTBEAT => self.is_heartbeat || own == Some(HEARTBEAT),
            name => own == Some(name),
        }
    }
}

/// What went wrong while a field of a state was worked out, before it is told of which state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends the execution: a path that leads nowhere, a function that does not take its arguments.
    Runtime(String),
    /// An expression has no value, or another than the field takes; with the field.
    Query(String, Option<String>),
    /// A named error that may be caught.
    Named(&'static str, String),
    /// A bound of ours.
    Bound(String),
}

impl Fault {
    pub(super) fn runtime(what: impl Into<String>) -> Self {
        Self::Runtime(what.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_errors_that_aws_lets_it_take() {
        let named = |error: &str| Failure { error: Some(error.to_owned()), ..Failure::default() };
        let runtime = Failure { is_fatal: true, ..named(RUNTIME) };
        let heartbeat = Failure { is_heartbeat: true, ..named(TIMEOUT) };
        for (name, failure, takes) in [
            (ALL, named("X"), true),
            (ALL, named(DATA_LIMIT), true),
            (ALL, Failure::default(), true),
            (ALL, runtime.clone(), false),
            (RUNTIME, runtime, false),
            (TASK_FAILED, named("X"), true),
            (TASK_FAILED, named(TIMEOUT), false),
            (TIMEOUT, heartbeat.clone(), true),
            (HEARTBEAT, heartbeat, true),
            (HEARTBEAT, named(TIMEOUT), false),
            ("X", named("X"), true),
            ("X", named("Y"), false),
            ("X", Failure::default(), false),
        ] {
            assert_eq!(failure.is_one_of(&json!(["never", name])), takes, "{name} {failure:?}");
        }
        assert!(!named("X").is_one_of(&json!("X")), "no list");
    }
}
