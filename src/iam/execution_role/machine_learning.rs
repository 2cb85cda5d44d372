//! `SageMaker`.

use super::task::Task;
use super::template::small;

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
    task.need(&[&create], created.clone());
    tags(task, created.clone());
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

/// Step Functions tags what it creates by its own integrations.
fn tags(task: &mut Task<'_>, created: Vec<String>) {
    if task.is_optimised {
        task.need(&["sagemaker:AddTags", "sagemaker:ListTags"], created);
    }
}

fn endpoint(task: &mut Task<'_>, action: &str) {
    let mut resources = named(task, "EndpointName", "endpoint");
    resources.extend(named(task, "EndpointConfigName", "endpoint-config"));
    if action == "createEndpoint" {
        task.need(&["sagemaker:CreateEndpoint"], resources.clone());
        tags(task, resources);
    } else {
        task.need(&["sagemaker:UpdateEndpoint"], resources);
    }
}

/// Kinds of resources whose names `SageMaker` writes small in the ARNs of its answers.
const SMALL: [&str; 9] = [
    "endpoint",
    "endpoint-config",
    "hyper-parameter-tuning-job",
    "labeling-job",
    "model",
    "notebook-instance",
    "processing-job",
    "training-job",
    "transform-job",
];

/// True of the format of an ARN in which `SageMaker` writes the name small.
pub(super) fn is_small(format: &str) -> bool {
    SMALL.iter().any(|kind| format.contains(&format!(":{kind}/")))
}

fn named(task: &mut Task<'_>, field: &str, kind: &str) -> Vec<String> {
    let prefix = format!("{kind}/");
    let arns = task.resource(field, "sagemaker", &prefix, &format!("its {}", kind.replace('-', " ")));
    let in_small = |arn: &String| {
        let (before, name) = arn.split_once(&format!(":{prefix}"))?;
        Some(format!("{before}:{prefix}{}", small(name)))
    };
    let mut both: Vec<String> = arns.iter().filter_map(in_small).chain(arns.iter().cloned()).collect();
    both.sort();
    both.dedup();
    both
}
