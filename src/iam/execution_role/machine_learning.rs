//! `SageMaker` and Bedrock.

use super::data::Location;
use super::task::Task;

const SAGEMAKER: &str = "sagemaker.amazonaws.com";

/// A `SageMaker` integration: what it creates and what that is called.
struct Creates {
    /// The action after `sagemaker:Create`, and after `Describe` and `Stop`.
    noun: &'static str,
    /// Kind in its ARN.
    kind: &'static str,
    /// Field of its name.
    name: &'static str,
    /// Field of its role, where it has one.
    role: Option<&'static str>,
    /// Managed rule when a state waits for it.
    rule: Option<&'static str>,
}

fn creates(action: &str) -> Option<Creates> {
    let one = |noun, kind, name, role, rule| Some(Creates { noun, kind, name, role, rule });
    match action {
        "createTrainingJob" => one(
            "TrainingJob",
            "training-job",
            "TrainingJobName",
            Some("RoleArn"),
            Some("StepFunctionsGetEventsForSageMakerTrainingJobsRule"),
        ),
        "createTransformJob" => one(
            "TransformJob",
            "transform-job",
            "TransformJobName",
            None,
            Some("StepFunctionsGetEventsForSageMakerTransformJobsRule"),
        ),
        "createHyperParameterTuningJob" => one(
            "HyperParameterTuningJob",
            "hyper-parameter-tuning-job",
            "HyperParameterTuningJobName",
            Some("TrainingJobDefinition.RoleArn"),
            Some("StepFunctionsGetEventsForSageMakerTuningJobsRule"),
        ),
        "createProcessingJob" => one(
            "ProcessingJob",
            "processing-job",
            "ProcessingJobName",
            Some("RoleArn"),
            Some("StepFunctionsGetEventsForSageMakerProcessingJobsRule"),
        ),
        "createLabelingJob" => one("LabelingJob", "labeling-job", "LabelingJobName", Some("RoleArn"), None),
        "createModel" => one("Model", "model", "ModelName", Some("ExecutionRoleArn"), None),
        "createEndpointConfig" => one("EndpointConfig", "endpoint-config", "EndpointConfigName", None, None),
        _ => None,
    }
}

pub(super) fn sagemaker(task: &mut Task<'_>, action: &str) -> bool {
    if matches!(action, "createEndpoint" | "updateEndpoint") {
        endpoint(task, action);
        return true;
    }
    let Some(Creates { noun, kind, name, role, rule }) = creates(action) else { return false };
    let created = named(task, name, kind);
    let create = format!("sagemaker:Create{noun}");
    task.need(&[&create, "sagemaker:AddTags", "sagemaker:ListTags"], created.clone());
    if let Some(role) = role {
        task.pass_role(role, SAGEMAKER, "the role of the job");
    }
    if task.is_sync() {
        let (describe, stop) = (format!("sagemaker:Describe{noun}"), format!("sagemaker:Stop{noun}"));
        task.need(&[&describe, &stop], created);
    }
    if let Some(rule) = rule {
        task.managed_rule(rule);
    }
    true
}

fn endpoint(task: &mut Task<'_>, action: &str) {
    let mut resources = named(task, "EndpointName", "endpoint");
    resources.extend(named(task, "EndpointConfigName", "endpoint-config"));
    if action == "createEndpoint" {
        task.need(&["sagemaker:CreateEndpoint", "sagemaker:AddTags", "sagemaker:ListTags"], resources);
    } else {
        task.need(&["sagemaker:UpdateEndpoint"], resources);
    }
}

/// `SageMaker` writes names small in its ARNs.
fn named(task: &mut Task<'_>, field: &str, kind: &str) -> Vec<String> {
    let prefix = format!("{kind}/");
    let arns = task.resource(field, "sagemaker", &prefix, &format!("its {}", kind.replace('-', " ")));
    arns.into_iter()
        .map(|arn| match arn.split_once(&format!(":{prefix}")) {
            Some((before, name)) => format!("{before}:{prefix}{}", name.to_lowercase()),
            None => arn,
        })
        .collect()
}

pub(super) fn bedrock(task: &mut Task<'_>, action: &str) -> bool {
    match action {
        "invokeModel" => {
            invoke(task, "ModelId", "bedrock:InvokeModel");
            let partition = task.here.partition.clone();
            for (field, action) in [("Input.S3Uri", "s3:GetObject"), ("Output.S3Uri", "s3:PutObject")] {
                let value = task.payload.get(field);
                match value.text().and_then(|url| Location::parse(&url)) {
                    Some(location) => task.need(&[action], [location.object(&partition)]),
                    None if value.is_absent() => {}
                    None => {
                        let given = task.given("s3", "");
                        if given.is_empty() {
                            task.open(&value, "an object in S3", field);
                        }
                        task.need(&[action], given);
                    }
                }
            }
        }
        "createModelCustomizationJob" => {
            let mut resources = model(task, "BaseModelIdentifier");
            // The new model's ARN has an id that is made with it.
            resources.push(task.here.arn("bedrock", "custom-model/*"));
            task.need(&["bedrock:CreateModelCustomizationJob"], resources);
            task.pass_role("RoleArn", "bedrock.amazonaws.com", "the role of the job");
            if task.is_sync() {
                let jobs = task.here.arn("bedrock", "model-customization-job/*");
                task.need(&["bedrock:GetModelCustomizationJob", "bedrock:StopModelCustomizationJob"], [jobs]);
            }
        }
        _ => return false,
    }
    true
}

/// A model that is invoked by its id or ARN.
pub(super) fn invoke(task: &mut Task<'_>, field: &str, action: &str) {
    let model = model(task, field);
    task.need(&[action], model);
}

/// Foundation models belong to no account.
fn model(task: &mut Task<'_>, name: &str) -> Vec<String> {
    let field = task.payload.get(name);
    match field.text() {
        Some(arn) if arn.starts_with("arn:") => vec![arn],
        Some(id) => {
            let mut nobody = task.here.clone();
            nobody.account.clear();
            vec![nobody.arn("bedrock", &format!("foundation-model/{id}"))]
        }
        None => {
            let given = task.given("bedrock", "");
            if given.is_empty() {
                task.open(&field, "its model", name);
            }
            given
        }
    }
}
