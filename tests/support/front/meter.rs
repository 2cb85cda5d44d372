//! AWS's quotas, counted as AWS counts them: a bucket a call, filled at a rate, and `ThrottlingException` once it is empty.
//! The figures stand here once more, apart from the operator's, so that a wrong figure there is found.

use std::collections::HashMap;
use std::time::Instant;

/// Calls that mention a text, as one account and region (eu-west-1, a large one).
pub(super) struct Meter {
    pub(super) text: String,
    buckets: HashMap<String, (f64, Instant)>,
    drained: bool,
}

impl Meter {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), buckets: HashMap::new(), drained: false }
    }

    pub(super) fn drain(&mut self) {
        self.buckets.clear();
        self.drained = true;
    }

    /// True when the call is within the quota.
    pub(super) fn admits(&mut self, operation: &str) -> bool {
        let (burst, rate) = match operation {
            "StartExecution" => (1300.0, 300.0),
            "StopExecution" => (1000.0, 200.0),
            "DescribeExecution" => (300.0, 15.0),
            "ListExecutions" => (200.0, 5.0),
            "GetExecutionHistory" => (400.0, 20.0),
            "DescribeStateMachine" => (200.0, 20.0),
            "TagResource" | "UntagResource" | "DescribeStateMachineAlias" => (200.0, 1.0),
            "AssumeRoleWithWebIdentity" | "ReceiveMessage" | "DeleteMessageBatch" => return true,
            _ => (100.0, 1.0),
        };
        let now = Instant::now();
        let (tokens, filled) =
            self.buckets.entry(operation.to_owned()).or_insert((if self.drained { 0.0 } else { burst }, now));
        *tokens = (*tokens + filled.elapsed().as_secs_f64() * rate).min(burst);
        *filled = now;
        let admitted = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(admitted));
        admitted
    }
}
