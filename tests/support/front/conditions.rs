//! What conditions of policies speak of beside the request: the tags of the resource, and KMS keys with their aliases.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::states::machine_of;
use super::{Front, Shared};

type Context = BTreeMap<String, Vec<String>>;

impl Front {
    /// A KMS key has this alias.
    pub fn alias_key(&self, alias: &str, key_id: &str) {
        self.shared.aliases.lock().unwrap().insert(alias.to_owned(), key_id.to_owned());
    }
}

impl Shared {
    /// `aws:ResourceTag` is known for state machines and activities that exist, and not for versions, aliases and executions
    /// (service authorization reference, Step Functions, condition keys of resource types).
    pub(super) async fn resource_tags(&self, operation: &str, resource: &str) -> Context {
        let tagged =
            resource.contains(":activity:") || resource.contains(":stateMachine:") && resource == machine_of(resource);
        if !tagged || operation.starts_with("Create") || operation == "ValidateStateMachineDefinition" {
            return Context::new();
        }
        let (status, answer) = self.as_root("ListTagsForResource", &json!({"resourceArn": resource})).await;
        let tags = answer["tags"].as_array().filter(|_| status == 200).cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        tags.iter().map(|tag| (format!("aws:ResourceTag/{}", text(&tag["key"])), vec![text(&tag["value"])])).collect()
    }

    /// Encrypting with a key of the account's needs rights to it, and so does reading what it encrypts (developer guide, "Data
    /// at rest encryption"). The calls carry the machine as encryption context.
    pub(super) fn keys_needed(
        &self,
        operation: &str,
        request: &Value,
        context: &mut Context,
    ) -> Vec<(&'static str, String)> {
        let arn = machine_of(&super::states::resource_of(operation, request));
        let given = request["encryptionConfiguration"]["kmsKeyId"].as_str();
        if let Some(key) = given {
            self.encrypted.lock().unwrap().insert(arn.clone(), key.to_owned());
        }
        let known = self.encrypted.lock().unwrap().get(&arn).cloned();
        let (Some(key), true) = (known, given.is_some() || operation == "DescribeStateMachine") else {
            return Vec::new();
        };
        let alias = key.split(':').next_back().filter(|last| last.starts_with("alias/")).map(str::to_owned);
        let id = match &alias {
            Some(alias) => self.aliases.lock().unwrap().get(alias).cloned().unwrap_or_default(),
            None => key.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        context.insert("kms:ResourceAliases".into(), alias.into_iter().collect());
        context.insert("kms:EncryptionContext:aws:states:stateMachineArn".into(), vec![arn]);
        let resource = format!("arn:aws:kms:eu-west-1:000000000000:key/{id}");
        let actions: &[&'static str] =
            if given.is_some() { &["kms:DescribeKey", "kms:GenerateDataKey"] } else { &["kms:Decrypt"] };
        actions.iter().map(|action| (*action, resource.clone())).collect()
    }
}
