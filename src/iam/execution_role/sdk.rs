//! Any operation of the AWS SDK: the action from the table of integrations, the resource from the operation's own fields.

use super::payload::{Field, origin};
use super::task::Task;
use super::{bedrock, credentials, data, instances, object_store, optional, parti_ql, resources, stored};
use crate::asl::model::Arn;
use crate::iam::document::Conditions;
use crate::integrations::sdk::{Known, On, Operation, Permission};
use crate::integrations::{self, optimised_twin};

pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    let (service, action) = (operation.service, operation.action());
    // What is made for Step Functions and does the same is known exactly.
    if let Some(twin) = optimised_twin(service, &action)
        && super::optimised::optimised(task, twin.service, twin.action)
    {
        return;
    }
    match &operation.known() {
        Known::NotAsked => {}
        Known::Unknown { likely } => {
            let hint = if likely.is_empty() {
                String::new()
            } else {
                format!("; by the rule that most operations follow it is {likely}")
            };
            task.missing(format!(
                "calls aws-sdk:{service}:{action}, whose IAM action is not known here ({}){hint}; add it by hand",
                integrations::sources()
            ));
        }
        Known::Needs(permissions) => {
            if let Some(expression) = task.payload.whole_from_input() {
                task.note(format!("takes all that it hands over from {}", origin(&expression)));
            }
            passed_roles(task, operation, permissions);
            let is_transaction = matches!(operation.name, "TransactGetItems" | "TransactWriteItems");
            if operation.service == "dynamodb"
                && ((is_transaction && data::transaction(task)) || parti_ql::derive(task, operation))
            {
                return;
            }
            for permission in permissions {
                one(task, operation, permission);
            }
            besides(task, operation);
        }
    }
}

/// What the fields of a call ask for beside its own actions. Nothing is known of them where they come from the input as one.
fn besides(task: &mut Task<'_>, operation: &Operation) {
    if task.payload.whole_from_input().is_some() {
        return;
    }
    bedrock::besides(task, operation);
    credentials::derive(task, operation);
    instances::derive(task, operation);
    stored::derive(task, operation);
    match operation.service {
        "dynamodb" => data::restored(task, operation.name),
        "cloudcontrol" | "cloudformation" => provisioned(task, operation),
        "s3" => object_store::besides(task, operation),
        "lambda" => {
            layers(task);
            network(task, operation);
        }
        _ => {}
    }
}

/// Without a role that is handed over, what these calls make and change is made and changed with the rights of the caller, which the
/// call does not write out (CloudFormation API reference, `CreateStack`, parameter `RoleARN`; Cloud Control API reference,
/// `CreateResource`, parameter `RoleArn`).
fn provisioned(task: &mut Task<'_>, operation: &Operation) {
    let (role, what) = match (operation.service, operation.name) {
        (
            "cloudformation",
            "CreateStack" | "UpdateStack" | "DeleteStack" | "RollbackStack" | "ContinueUpdateRollback",
        ) => ("RoleARN", "the resources of its stack, which stand in the template,"),
        ("cloudformation", "CreateChangeSet") => {
            ("RoleARN", "the resources of its change set, which stand in the template,")
        }
        ("cloudcontrol", "CreateResource" | "DeleteResource" | "GetResource" | "ListResources" | "UpdateResource") => {
            ("RoleArn", "its resource")
        }
        _ => return,
    };
    let names_role = ["RoleARN", "RoleArn"].iter().any(|name| !task.payload.get(name).is_absent());
    if !names_role {
        let known = if operation.name.starts_with("Create") || operation.service == "cloudcontrol" {
            ""
        } else {
            ", unless the stack has a role of its own"
        };
        task.missing(format!(
            "handles {what} with the rights of the caller{known}: what that asks for is not known here; add it by hand, or hand over a role ({role})"
        ));
    }
}

/// A function is given its layers by who may read them (Lambda developer guide, "Adding layers to functions").
fn layers(task: &mut Task<'_>) {
    let layers = task.payload.values("Layers").iter().filter_map(Field::text).collect::<Vec<_>>();
    task.need(&["lambda:GetLayerVersion"], layers);
}

/// Who puts a function into a VPC must be able to see it (Lambda developer guide, "Giving Lambda functions access to resources in an
/// Amazon VPC", required permissions of the user).
fn network(task: &mut Task<'_>, operation: &Operation) {
    let has_network =
        ["VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds"].iter().any(|path| !task.payload.values(path).is_empty());
    if matches!(operation.name, "CreateFunction" | "UpdateFunctionConfiguration") && has_network {
        task.need(&["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"], ["*"]);
    }
}

/// Services that ask IAM for all resources, and not for one of a kind, where this field is left out: Cost Explorer refuses on
/// `arn:aws:ce:us-east-1:…:/GetCostAndUsage` then, which no kind of its resources has, and Polly on none.
const ON_ALL: [(&str, &str); 2] = [("ce", "BillingViewArn"), ("polly", "LexiconNames")];

fn is_on_all(task: &Task<'_>, operation: &Operation, permission: &Permission) -> bool {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let Some((_, field)) = ON_ALL.iter().find(|(of, _)| *of == prefix) else { return false };
    operation.parameters().any(|parameter| parameter.name == *field)
        && task.payload.values(field).is_empty()
        && task.given(prefix, "").is_empty()
}

fn one(task: &mut Task<'_>, operation: &Operation, permission: &Permission) {
    if operation.service == "bedrockruntime" && !task.payload.get("ModelId").is_absent() {
        return bedrock::invoke(task, "ModelId", &permission.action);
    }
    if operation.service == "bedrock" && operation.name == "CreateModelInvocationJob" {
        return bedrock::batch(task, &permission.action);
    }
    if is_on_all(task, operation, permission) || optional::is_left_out(task, operation, permission) {
        return task.need(&[&permission.action], ["*"]);
    }
    if operation.service == "s3" && object_store::reads_source(task, operation, permission) {
        return;
    }
    match &permission.on {
        On::Formats(formats)
            if operation.service == "s3" && object_store::in_other_form(task, operation, permission, formats) => {}
        On::Everything => task.need(&[&permission.action], ["*"]),
        On::AnyResource if operation.service == "ec2" && instances::tagged(task, &permission.action) => {}
        On::AnyResource => any_resource(task, permission),
        On::Formats(formats) => resources::of_formats(task, permission, formats),
    }
}

/// The roles that a call hands over, at any depth: where IAM is known to ask for `iam:PassRole`, and wherever a call that
/// writes has the ARN of a role in a field that speaks of one (IAM user guide, "Granting a user permissions to pass a role to an
/// AWS service").
fn passed_roles(task: &mut Task<'_>, operation: &Operation, permissions: &[Permission]) {
    let asked = permissions.iter().find(|permission| permission.passes_role);
    if asked.is_none() && (reads(operation.name) || matches!(operation.service, "iam" | "sts")) {
        return;
    }
    let mut roles = Vec::new();
    for (name, field) in task.payload.deep() {
        if !name.to_ascii_lowercase().contains("role") {
            continue;
        }
        match (field.text(), asked) {
            (Some(text), _) if is_role(&text) => roles.push(text),
            (Some(text), Some(_))
                if ["Role", "RoleName"].iter().any(|end| name.ends_with(end)) && is_role_name(&text) =>
            {
                let (partition, account) = (&task.here.partition, &task.here.account);
                roles.push(format!("arn:{partition}:iam::{account}:role/{text}"));
            }
            (None, Some(asked)) if matches!(field, Field::FromInput(_)) => {
                let given = task.given("iam", "role/");
                if given.is_empty() {
                    task.open(&field, &format!("the role that {} hands over", asked.action), name);
                }
                roles.extend(given);
            }
            _ => {}
        }
    }
    roles.sort();
    roles.dedup();
    task.need_when(&["iam:PassRole"], roles, Conditions::new());
}

fn is_role(text: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"))
}

/// Characters that the name of a role may have (IAM API reference, `CreateRole`).
fn is_role_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

/// An operation that hands nothing over: a role in it is what is asked for.
fn reads(name: &str) -> bool {
    ["Get", "List", "Describe", "BatchGet", "Search", "Query", "Delete", "Untag", "Tag", "Simulate", "Lookup"]
        .iter()
        .any(|verb| name.starts_with(verb))
}

/// Tags and the like can be set on anything: the ARN stands in one of the fields.
fn any_resource(task: &mut Task<'_>, permission: &Permission) {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let mut arns = resources::written_arns(task);
    arns.retain(|arn| Arn::parse(arn).is_some_and(|parsed| parsed.service == prefix));
    if arns.is_empty() {
        arns = task.given(prefix, "");
    }
    if arns.is_empty() {
        task.missing(format!(
            "needs {} on resources that its fields do not name by ARN; give them with {}, once each",
            permission.action,
            task.flag("ARN")
        ));
    }
    task.need(&[&permission.action], arns);
}
