//! Roles of steps, and what the execution role needs then, for Terraform and CloudFormation.

use serde_json::{Map, Value, json};

use super::StepRole;
use crate::iam::document::Document;
use crate::iam::trust::{heredoc, quoted, role_name, role_path};

/// The roles with their policies, and the policy of the execution role.
pub fn terraform(roles: &[StepRole], execution_roles: &[(String, Document)]) -> String {
    let mut blocks = Vec::new();
    for (number, role) in (1..).zip(roles) {
        let trust = role.trust().map(|trust| heredoc(&trust.pretty())).unwrap_or_default();
        blocks.push(format!(
            "# {}\nresource \"aws_iam_role\" \"step_{number}\" {{\n  name               = {}\n  path               = {}\n  assume_role_policy = {trust}}}\n",
            what(role),
            quoted(role_name(&role.role_arn)),
            quoted(&role_path(&role.role_arn)),
        ));
        if !role.needs.is_empty() {
            blocks.push(format!(
                "resource \"aws_iam_role_policy\" \"step_{number}\" {{\n  name   = \"step\"\n  role   = aws_iam_role.step_{number}.name\n  policy = {}}}\n",
                heredoc(&role.document().pretty()),
            ));
        }
    }
    for (number, (arn, policy)) in (1..).zip(execution_roles) {
        blocks.push(format!(
            "# {arn}: the policy that it has instead of those of its steps\nresource \"aws_iam_role_policy\" \"execution_{number}\" {{\n  name   = \"execution\"\n  role   = {}\n  policy = {}}}\n",
            quoted(role_name(arn)),
            heredoc(&policy.pretty()),
        ));
    }
    blocks.join("\n")
}

fn what(role: &StepRole) -> String {
    let states: Vec<&str> = role.states.iter().map(|state| state.name.as_str()).collect();
    format!("{}, of {}", role.role_arn, states.join(", "))
}

/// The same as a template of CloudFormation, in JSON.
pub fn cloud_formation(roles: &[StepRole], execution_roles: &[(String, Document)]) -> Value {
    let mut resources = Map::new();
    for (number, role) in (1..).zip(roles) {
        let mut properties = json!({"RoleName": role_name(&role.role_arn), "Path": role_path(&role.role_arn),
            "Description": "Role of steps of a state machine"});
        if let Some(trust) = role.trust() {
            properties["AssumeRolePolicyDocument"] = trust.to_value();
        }
        if !role.needs.is_empty() {
            properties["Policies"] = json!([{"PolicyName": "step", "PolicyDocument": role.document().to_value()}]);
        }
        resources.insert(format!("StepRole{number}"), json!({"Type": "AWS::IAM::Role", "Properties": properties}));
    }
    for (number, (arn, policy)) in (1..).zip(execution_roles) {
        let properties =
            json!({"PolicyName": "execution", "RoleName": role_name(arn), "PolicyDocument": policy.to_value()});
        resources.insert(
            format!("ExecutionRole{number}"),
            json!({"Type": "AWS::IAM::RolePolicy", "Properties": properties}),
        );
    }
    json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
}
