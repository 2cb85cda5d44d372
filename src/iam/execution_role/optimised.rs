//! The integrations made for Step Functions.

use super::task::Task;
use super::{analytics, bedrock, compute, data, elastic_map_reduce, http, machine_learning, messaging};

/// What such an integration needs; false where nothing is known beside the table.
pub(super) fn optimised(task: &mut Task<'_>, service: &str, action: &str) -> bool {
    match service {
        "lambda" => compute::lambda(task, action),
        "states" => compute::nested(task, action),
        "ecs" => compute::ecs(task, action),
        "batch" => compute::batch(task, action),
        "codebuild" => compute::codebuild(task, action),
        "eks" => compute::eks(task, action),
        "dynamodb" => data::dynamodb(task, action),
        "glue" => data::glue(task, action),
        "databrew" => data::databrew(task, action),
        "mediaconvert" => data::mediaconvert(task, action),
        "athena" => analytics::athena(task, action),
        "elasticmapreduce" => elastic_map_reduce::clusters(task, action),
        "emr-containers" => elastic_map_reduce::containers(task, action),
        "emr-serverless" => elastic_map_reduce::serverless(task, action),
        "sagemaker" => machine_learning::sagemaker(task, action),
        "bedrock" => bedrock::derive(task, action),
        "sns" => messaging::sns(task, action),
        "sqs" => messaging::sqs(task, action),
        "events" => messaging::events(task, action),
        "apigateway" => http::api_gateway(task, action),
        "http" => http::endpoint(task, action),
        _ => false,
    }
}
