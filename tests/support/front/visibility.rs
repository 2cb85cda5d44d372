//! Eventual consistency on request. `ListExecutions`, `DescribeExecution` and `DescribeStateMachine` are eventually
//! consistent (API reference, each call's description): a start, an end and an update are shown late.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Shared;

/// Executions and machines whose ARN contains the text are shown up to so late, each always as late.
pub(super) struct Lag {
    pub(super) text: String,
    pub(super) longest: Duration,
}

pub(super) fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

impl Shared {
    /// How late, in seconds.
    pub(super) fn lag_of(&self, arn: &str) -> f64 {
        let lags = self.lags.lock().unwrap();
        let Some(lag) = lags.iter().rev().find(|lag| arn.contains(&lag.text)) else { return 0.0 };
        let mut hasher = DefaultHasher::new();
        arn.hash(&mut hasher);
        let part = f64::from(u32::try_from(hasher.finish() % 1_000).unwrap()) / 999.0;
        lag.longest.as_secs_f64() * part
    }

    /// An execution as it is shown now; `None` while its start is not shown.
    pub(super) fn shown(&self, mut execution: Value) -> Option<Value> {
        let lag = self.lag_of(execution["executionArn"].as_str().unwrap_or_default());
        if lag == 0.0 {
            return Some(execution);
        }
        let now = epoch_seconds();
        let later = |field: &str| execution[field].as_f64().is_some_and(|time| time + lag > now);
        if later("startDate") {
            return None;
        }
        if execution["status"] != "RUNNING" && later("stopDate") {
            execution["status"] = json!("RUNNING");
            for field in ["stopDate", "output", "error", "cause"] {
                execution.as_object_mut().unwrap().remove(field);
            }
        }
        Some(execution)
    }

    /// Before an update is applied: the machine is described as it was for a while.
    pub(super) async fn keep_old_description(&self, machine: &str) {
        let lag = Duration::from_secs_f64(self.lag_of(machine));
        if !lag.is_zero() {
            let (status, old) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": machine})).await;
            if status == 200 {
                self.outdated.lock().unwrap().insert(machine.to_owned(), (Instant::now() + lag, old));
            }
        }
    }

    /// The machine's old description while an update of it is not shown.
    pub(super) fn old_description(&self, machine: &str) -> Option<Value> {
        let mut outdated = self.outdated.lock().unwrap();
        outdated.retain(|_, (until, _)| *until > Instant::now());
        outdated.get(machine).map(|(_, old)| old.clone())
    }
}
