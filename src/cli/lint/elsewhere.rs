//! What a manifest names in another account or region than that of its `TrustBinding`. The operator does not refuse it, and AWS does
//! not find it, or refuses it later.

use crate::api::v1alpha1::{Encryption, TrustBindingSpec, WorkflowSpec};
use crate::asl::model::Arn;
use crate::iam::partition::by_id;

/// Where, and what about it.
pub(super) type Doubt = (String, String);

/// Of a binding: its queue, which is read at the endpoint of the binding's region, and the execution roles that it allows, of which
/// `check_execution_role` refuses those of other accounts, as AWS does ("Cross-account pass role is not allowed").
pub(super) fn of_binding(spec: &TrustBindingSpec) -> Vec<Doubt> {
    let mut found = Vec::new();
    let queue = spec.events.as_ref().and_then(|events| region_of_queue(&events.queue_url));
    if let Some(region) = queue.filter(|region| *region != spec.region) {
        let message = format!(
            "the queue is of region {region}, and it is looked for in the region of the binding, {}; name a queue of that region",
            spec.region
        );
        found.push(("/spec/events/queueURL".into(), message));
    }
    let Some(own) = Arn::parse(&spec.role_arn) else { return found };
    for (index, role) in spec.allowed_execution_role_arns.iter().enumerate() {
        let foreign = Arn::parse(&role.0).filter(|arn| (arn.partition, arn.account) != (own.partition, own.account));
        if let Some(arn) = foreign {
            let message = format!(
                "the role is of account {}, and the binding's of {}: Step Functions takes execution roles of its own account alone, so no Workflow can use it",
                arn.account, own.account
            );
            found.push((format!("/spec/allowedExecutionRoleARNs/{index}"), message));
        }
    }
    found
}

/// Of a Workflow: its log group and its key.
pub(super) fn of_workflow(spec: &WorkflowSpec, binding: &TrustBindingSpec) -> Vec<Doubt> {
    let group = spec.logging.as_ref().and_then(|logging| logging.log_group_arn.as_deref());
    let group = group.and_then(|arn| foreign_region(arn, binding)).map(|region| {
        let message = format!(
            "the log group is of region {region}, and the state machine of {}: logs are delivered within a region",
            binding.region
        );
        ("/spec/logging/logGroupARN".to_owned(), message)
    });
    group.into_iter().chain(of_key(spec.encryption.as_ref(), binding)).collect()
}

/// Of a Workflow whose binding is not known: what is of another partition than its execution role.
pub(super) fn of_partition(spec: &WorkflowSpec) -> Vec<Doubt> {
    let Some(own) = Arn::parse(&spec.execution_role_arn) else { return Vec::new() };
    let group = spec.logging.as_ref().and_then(|logging| logging.log_group_arn.as_deref());
    let key = spec.encryption.as_ref().map(|encryption| encryption.kms_key_id.as_str());
    let named = [("/spec/logging/logGroupARN", group), ("/spec/encryption/kmsKeyID", key)];
    let foreign = named.into_iter().filter_map(|(pointer, arn)| {
        let partition = foreign_partition(arn?, own.partition)?;
        Some((pointer.to_owned(), another_partition(partition, own.partition)))
    });
    foreign.collect()
}

/// The partition of an ARN, where it is another.
pub(super) fn foreign_partition<'a>(arn: &'a str, own: &str) -> Option<&'a str> {
    Arn::parse(arn).map(|arn| arn.partition).filter(|partition| *partition != own && by_id(partition).is_some())
}

pub(super) fn another_partition(partition: &str, own: &str) -> String {
    format!(
        "this is of partition {partition}, and the state machine lives in {own}: no call of one reaches the other; name what is in {own}"
    )
}

/// Of a Workflow or an Activity: its key, which KMS knows in its own region alone.
pub(super) fn of_key(encryption: Option<&Encryption>, binding: &TrustBindingSpec) -> Option<Doubt> {
    let region = foreign_region(&encryption?.kms_key_id, binding)?;
    let message = format!(
        "the key is of region {region}, and it is looked for in the region of the TrustBinding, {}; name a key of that region, or the replica there of a multi-Region key",
        binding.region
    );
    Some(("/spec/encryption/kmsKeyID".into(), message))
}

fn foreign_region<'a>(arn: &'a str, binding: &TrustBindingSpec) -> Option<&'a str> {
    Arn::parse(arn).map(|arn| arn.region).filter(|region| *region != binding.region)
}

/// The region in the host of a queue's URL, in each form that AWS gives hosts; nothing for other hosts.
/// Sources: general reference, "Amazon SQS endpoints and quotas", legacy endpoints included; "Amazon SQS VPC endpoints".
fn region_of_queue(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    let ends = ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn"];
    let labels: Vec<&str> = host.split('.').collect();
    let at = |name: &str| labels.iter().position(|label| *label == name);
    let region = match (at("sqs").or_else(|| at("sqs-fips")), at("queue")) {
        (Some(service), _) => labels.get(service + 1).copied(),
        (None, Some(0)) => Some("us-east-1"),
        (None, Some(legacy)) => labels.get(legacy - 1).copied(),
        (None, None) => None,
    };
    region.filter(|region| region.contains('-') && ends.iter().any(|end| host.ends_with(&format!(".{end}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_queue_is_read_from_hosts_of_aws_alone() {
        for (host, region) in [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("sqs.eu-west-1.api.aws", Some("eu-west-1")),
            ("sqs-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("eu-west-1.queue.amazonaws.com", Some("eu-west-1")),
            ("queue.amazonaws.com", Some("us-east-1")),
            ("vpce-0a1b-2c.sqs.eu-west-1.vpce.amazonaws.com", Some("eu-west-1")),
            ("sqs.eu-west-1.localhost.example:4566", None),
            ("localhost:4566", None),
            ("sqs.amazonaws.com", None),
        ] {
            assert_eq!(region_of_queue(&format!("https://{host}/111122223333/q")), region, "{host}");
        }
    }
}
