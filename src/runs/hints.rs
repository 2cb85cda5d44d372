//! `EventBridge`'s "Step Functions Execution Status Change", as it arrives in a queue. Whoever can write to the queue can
//! write anything, so a message gives a hint at most.
//!
//! Source: developer guide, "Automating Step Functions event delivery with `EventBridge`".

use serde::Deserialize;

/// An execution that is said to have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its ARN.
    pub execution_arn: String,
    /// Account and region of the ARN.
    pub domain: (String, String),
}

#[derive(Deserialize)]
struct Event {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
}

/// What a message hints at; `None` where it is no end of a Standard execution, or nothing of the kind at all.
pub fn hint_of(message: &str) -> Option<Hint> {
    const ENDS: [&str; 4] = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];
    let event: Event = serde_json::from_str(message).ok()?;
    let known = event.source == "aws.states" && event.detail_type == "Step Functions Execution Status Change";
    if !known || !ENDS.contains(&event.detail.status.as_str()) {
        return None;
    }
    let fields: Vec<&str> = event.detail.execution_arn.split(':').collect();
    // arn:partition:states:region:account:execution:machine:name
    let [_, _, "states", region, account, "execution", _, _] = fields[..] else { return None };
    let domain = (account.to_owned(), region.to_owned());
    Some(Hint { execution_arn: event.detail.execution_arn, domain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:shop:run-1";

    fn event(arn: &str, status: &str) -> serde_json::Value {
        json!({"version": "0", "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "account": "111122223333", "region": "eu-west-1", "resources": [arn],
            "detail": {"executionArn": arn, "stateMachineArn": "m", "name": "run-1", "status": status, "output": null}})
    }

    #[test]
    fn an_end_is_a_hint_and_a_start_is_none() {
        let hint = hint_of(&event(ARN, "SUCCEEDED").to_string()).unwrap();
        assert_eq!((hint.execution_arn.as_str(), hint.domain), (ARN, ("111122223333".into(), "eu-west-1".into())));
        assert_eq!(hint_of(&event(ARN, "RUNNING").to_string()), None);
    }

    #[test]
    fn anything_else_says_nothing() {
        let express = "arn:aws:states:eu-west-1:1:express:shop:run-1:id";
        let mut foreign = event(ARN, "FAILED");
        foreign["source"] = json!("mine");
        for message in ["", "null", "{}", "[1]", &event(express, "FAILED").to_string(), &foreign.to_string()] {
            assert_eq!(hint_of(message), None, "{message}");
        }
        assert_eq!(hint_of(&event("arn:aws:states:x", "FAILED").to_string()), None);
    }
}
