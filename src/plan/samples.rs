//! For tests: what a run's first attempt and its execution look like, to be changed where a test is about it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{Attempt, AttemptCause};
use crate::aws::{Execution, ExecutionStatus};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn attempt() -> Attempt {
    Attempt {
        number: 1,
        execution_name: "uid".into(),
        target_arn: "arn:aws:states:r:1:stateMachine:m".into(),
        trust_binding_name: "b".into(),
        input_digest: "d".into(),
        recorded_at: Time(at(1000)),
        redrive_count: 0,
        cause: AttemptCause::Run,
        requested_by: None,
        approved_by: None,
        alias_arn: None,
        finished_at: None,
        error: None,
    }
}

pub(crate) fn execution(status: ExecutionStatus) -> Execution {
    Execution {
        arn: "arn:e".into(),
        state_machine_arn: "arn:aws:states:r:1:stateMachine:m".into(),
        version_arn: None,
        alias_arn: None,
        trace_header: None,
        status,
        started_at: at(1000),
        stopped_at: None,
        redrive_count: 0,
        input: None,
        output: None,
        error: None,
        cause: None,
        redrivable: None,
    }
}
