//! What a Task calls: which integration it is, and with whose rights.

use super::caller::Caller;
use super::derived::{Derived, Finding, Need, Reason, Surroundings, TargetRole};
use super::optimised::optimised;
use super::payload::Payload;
use super::task::Task;
use super::walk::Found;
use super::{compute, keys, sdk, tags, template};
use crate::asl::model::{Arn, Pattern, Resource, Target};
use crate::iam::document::Conditions;
use crate::integrations::{self, Call, NotFound, Operation, Way};

pub(super) fn derive(found: &Found<'_>, resource: Resource<'_>, here: &Surroundings, derived: &mut Derived) {
    let payload = Payload::of(found.state, found.jsonata);
    let mut task = Task::new(found, payload, here.clone());
    task.pattern = resource.pattern;
    match Caller::of(found, &mut task) {
        Caller::ExecutionRole => {
            target(&mut task, resource);
            derived.needs.append(&mut task.needs);
        }
        Caller::Roles(roles) => {
            for role in &roles {
                task.calls_from(Arn::parse(role));
                target(&mut task, resource);
                assume(&mut task, role, here, derived);
            }
        }
        Caller::Unknown(field) => {
            task.calls_from(None);
            target(&mut task, resource);
            task.unknown_caller(&field);
        }
    }
    derived.findings.append(&mut task.findings);
}

fn target(task: &mut Task<'_>, resource: Resource<'_>) {
    if let Some(message) = template::told("its Resource", resource.text) {
        return task.missing(message);
    }
    let pattern = match resource.pattern {
        Pattern::RequestResponse => "request-response",
        waiting => waiting.suffix(),
    };
    match resource.target {
        Target::Activity(_) => {}
        Target::Lambda(arn) => {
            task.why = format!("Lambda, {pattern}");
            compute::function(task, &arn.to_string());
        }
        Target::Sdk { service, action } => {
            task.why = format!("AWS SDK {service}:{action}, {pattern}");
            integration(task, integrations::find(Way::Sdk, service, action));
        }
        Target::Optimised { service, action } => {
            // A function is the one thing that a Lambda or HTTP integration can call.
            let what =
                if action == "invoke" { title(service).to_owned() } else { format!("{} {action}", title(service)) };
            task.why = format!("{what}, {pattern}");
            task.is_optimised = true;
            integration(task, integrations::find(Way::Optimised, service, action));
        }
        Target::OtherArn(_) | Target::Unknown => task.missing(format!(
            "has the Resource \"{}\", which is nothing that Step Functions can call; correct it",
            resource.text
        )),
    }
}

/// What the table of integrations knows.
fn integration(task: &mut Task<'_>, found: Result<Call, NotFound>) {
    match found {
        Ok(Call::Sdk(operation)) => {
            sdk::derive(task, &operation);
            of_fields(task, &operation);
        }
        Ok(Call::Optimised(integration)) => {
            let known = optimised(task, integration.service, integration.action);
            let twin = integration.twin.and_then(|(service, name)| integrations::sdk::operation(service, name).ok());
            if let Some(operation) = twin {
                if !known {
                    sdk::derive(task, &operation);
                }
                of_fields(task, &operation);
            }
        }
        Err(error) => {
            let other = "for other operations write arn:aws:states:::aws-sdk:<service>:<operation>";
            let day = integrations::date();
            task.missing(format!("calls what is no integration known on {day}: {error}; correct it, or add what it needs by hand; {other}"));
        }
    }
}

/// What fields ask for that many calls have.
fn of_fields(task: &mut Task<'_>, operation: &Operation) {
    tags::derive(task, operation);
    keys::derive(task, operation);
}

/// The service's name as its documentation has it.
fn title(service: &str) -> &str {
    match service {
        "lambda" => "Lambda",
        "states" => "Step Functions",
        "ecs" => "ECS",
        "batch" => "Batch",
        "codebuild" => "CodeBuild",
        "eks" => "EKS",
        "dynamodb" => "DynamoDB",
        "glue" => "Glue",
        "databrew" => "Glue DataBrew",
        "mediaconvert" => "MediaConvert",
        "athena" => "Athena",
        "elasticmapreduce" => "EMR",
        "emr-containers" => "EMR on EKS",
        "emr-serverless" => "EMR Serverless",
        "sagemaker" => "SageMaker",
        "bedrock" => "Bedrock",
        "sns" => "SNS",
        "sqs" => "SQS",
        "events" => "EventBridge",
        "apigateway" => "API Gateway",
        "http" => "HTTP",
        other => other,
    }
}

/// The execution role may assume the other role, which needs the permissions and must trust it (developer guide,
/// "Accessing resources in other AWS accounts").
fn assume(task: &mut Task<'_>, role: &str, here: &Surroundings, derived: &mut Derived) {
    let why = format!("calls as {role}");
    let reason = Reason { state: task.name.to_owned(), path: task.path.clone(), why };
    derived.needs.push(Need {
        actions: vec!["sts:AssumeRole".into()],
        resources: vec![role.to_owned()],
        conditions: Conditions::new(),
        reason,
    });
    if let Some(known) = derived.targets.iter_mut().find(|target| target.role_arn == role) {
        return known.needs.append(&mut task.needs);
    }
    if here.execution_role_arn.is_none() {
        derived.findings.push(Finding {
            state: task.name.to_owned(),
            path: task.path.clone(),
            message: format!(
                "role {role} must trust the execution role, which is not known here; give it with --execution-role ARN to see the trust policy"
            ),
            missing: false,
        });
    }
    derived.targets.push(TargetRole { role_arn: role.to_owned(), trust: None, needs: std::mem::take(&mut task.needs) });
}
