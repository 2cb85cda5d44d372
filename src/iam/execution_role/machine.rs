//! What the machine as a whole needs: logging, tracing, encryption.

use super::derived::{Derived, ENCRYPTION, Finding, Need, Reason, Surroundings};
use crate::iam::document::Conditions;

pub(super) fn derive(here: &Surroundings, derived: &mut Derived) {
    if here.logging {
        // IAM knows no resource for the delivery of logs (developer guide, "Logging using CloudWatch Logs").
        let actions = [
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ];
        need(derived, &actions, "*".into(), Conditions::new(), "logging of executions");
    }
    if here.tracing {
        let actions =
            ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"];
        need(derived, &actions, "*".into(), Conditions::new(), "tracing with X-Ray");
    }
    if let Some(key) = &here.kms_key_id {
        encryption(key, here, derived);
    }
}

/// Data keys are asked for in the context of this machine alone (developer guide, "Data at rest encryption").
fn encryption(key: &str, here: &Surroundings, derived: &mut Derived) {
    let given = here.resources.get(ENCRYPTION).and_then(|given| given.first());
    let alias = key.starts_with("alias/") || key.contains(":alias/");
    let key = match (given, alias) {
        (Some(arn), _) => arn.clone(),
        (None, true) => {
            return find(
                derived,
                format!(
                    "the key of the encryption is named by its alias ({key}), and IAM allows keys by their own ARN; give it with --resource {ENCRYPTION}=ARN"
                ),
            );
        }
        (None, false) if key.starts_with("arn:") => key.to_owned(),
        (None, false) => here.arn("kms", &format!("key/{key}")),
    };
    let Some(machine) = here.state_machine_arn() else {
        return find(derived, "the key of the encryption is used in the context of the state machine, whose name is not known here; give it with --name".into());
    };
    let context = ("kms:EncryptionContext:aws:states:stateMachineArn".to_owned(), vec![machine]);
    let conditions = Conditions::from([("StringEquals".into(), [context].into())]);
    need(derived, &["kms:Decrypt", "kms:GenerateDataKey"], key, conditions, "encryption with a key of the account");
}

fn need(derived: &mut Derived, actions: &[&str], resource: String, conditions: Conditions, why: &str) {
    derived.needs.push(Need {
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: vec![resource],
        conditions,
        reason: Reason { state: String::new(), path: "/".into(), why: why.into() },
    });
}

fn find(derived: &mut Derived, message: String) {
    derived.findings.push(Finding { state: String::new(), path: "/".into(), message, missing: true });
}
