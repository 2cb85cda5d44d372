//! Secrets that are read for a call: databases that are called with one, or with credentials that are asked for in the name of the caller.

use super::payload::Field;
use super::resources;
use super::task::Task;
use crate::asl::model::Arn;
use crate::integrations::sdk::Operation;

pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    match operation.service {
        "rdsdata" => secret(task, if operation.name == "ExecuteSql" { "AwsSecretStoreArn" } else { "SecretArn" }),
        "redshiftdata" if operation.parameters().any(|parameter| parameter.name == "SecretArn") => redshift(task),
        "ssm" => referenced(task),
        "secretsmanager" if operation.name == "BatchGetSecretValue" => listed(task),
        _ => {}
    }
}

/// Parameters below this path are secrets, which are read in the name of the caller (Systems Manager user guide, "Referencing Secrets
/// Manager secrets from Parameter Store parameters"). A version may stand behind the name.
const REFERENCE: &str = "/aws/reference/secretsmanager/";

fn referenced(task: &mut Task<'_>) {
    let parameters: Vec<String> = task.payload.values("Name+Names").iter().filter_map(Field::text).collect();
    let referenced = parameters.iter().filter_map(|name| name.split_once(REFERENCE));
    let secrets: Vec<String> = referenced
        .map(|(_, secret)| {
            let name = secret.split(':').next().unwrap_or(secret);
            resources::secret(task.here.arn("secretsmanager", &format!("secret:{name}")))
        })
        .collect();
    task.need(&["secretsmanager:GetSecretValue"], secrets);
}

/// Several secrets are read with the right to read each, and found by what they have in common with the right to list them
/// (Secrets Manager API reference, `BatchGetSecretValue`, "Required permissions").
fn listed(task: &mut Task<'_>) {
    if !task.payload.get("Filters").is_absent() {
        task.need(&["secretsmanager:ListSecrets"], ["*".to_owned()]);
        if task.given("secretsmanager", "secret:").is_empty() {
            task.missing(format!(
                "needs secretsmanager:GetSecretValue on what its Filters find, which is not known here; give it with {}",
                task.flag(&task.here.arn("secretsmanager", "secret:NAME-??????"))
            ));
        }
    }
    let (mut secrets, mut open) = (task.given("secretsmanager", "secret:"), None);
    for field in task.payload.values("SecretIdList") {
        match (field.text(), field) {
            (Some(text), _) if text.starts_with("arn:") => secrets.push(resources::secret(text)),
            (Some(text), _) => {
                secrets.push(resources::secret(task.here.arn("secretsmanager", &format!("secret:{text}"))));
            }
            (None, field @ Field::FromInput(_)) => open = Some(field),
            (None, _) => {}
        }
    }
    if let Some(field) = open {
        task.open(&field, "the resource of secretsmanager:GetSecretValue", "SecretIdList");
    }
    task.need(&["secretsmanager:GetSecretValue"], secrets);
}

/// The Data APIs read the secret with the rights of the caller (RDS user guide, "Authorizing access to the Amazon RDS Data API").
/// It may be named by its name too.
fn secret(task: &mut Task<'_>, name: &str) {
    let secrets = task.resource(name, "secretsmanager", "secret:", "its secret");
    task.need(&["secretsmanager:GetSecretValue"], secrets.into_iter().map(resources::secret));
}

/// Without a secret, credentials of the database are made for the call (Redshift management guide, "Authorizing access to the
/// Amazon Redshift Data API").
fn redshift(task: &mut Task<'_>) {
    let is_there = |name: &str| !task.payload.get(name).is_absent();
    if is_there("SecretArn") {
        return secret(task, "SecretArn");
    }
    if is_there("ClusterIdentifier") {
        let user = is_there("DbUser");
        return cluster(task, user);
    }
    if is_there("WorkgroupName") {
        workgroup(task);
    }
}

fn cluster(task: &mut Task<'_>, has_user: bool) {
    let action = if has_user { "redshift:GetClusterCredentials" } else { "redshift:GetClusterCredentialsWithIAM" };
    let (cluster, database) = (task.payload.get("ClusterIdentifier"), task.payload.get("Database"));
    let user = if has_user { task.payload.get("DbUser") } else { Field::Named("") };
    let (Some(cluster), Some(database), Some(user)) = (cluster.text(), database.text(), user.text()) else {
        let given = task.given("redshift", "db");
        if given.is_empty() {
            task.missing(format!(
                "needs {action} on database and user, which its fields do not write out; give them with {} and the same with dbuser",
                task.flag(&format!("arn:{}:redshift:REGION:ACCOUNT:dbname:CLUSTER/DATABASE", task.here.partition))
            ));
        }
        return task.need(&[action], given);
    };
    let mut resources = vec![task.here.arn("redshift", &format!("dbname:{cluster}/{database}"))];
    if has_user {
        resources.push(task.here.arn("redshift", &format!("dbuser:{cluster}/{user}")));
    }
    task.need(&[action], resources);
}

/// The ARN of a workgroup has an id in the place of its name.
fn workgroup(task: &mut Task<'_>) {
    let named = task.payload.get("WorkgroupName").text().filter(|text| Arn::parse(text).is_some());
    let workgroups = named.map_or_else(|| task.given("redshift-serverless", "workgroup/"), |arn| vec![arn]);
    if workgroups.is_empty() {
        task.missing(format!(
            "needs redshift-serverless:GetCredentials on its workgroup, whose ARN has an id; give it with {}",
            task.flag("ARN")
        ));
    }
    task.need(&["redshift-serverless:GetCredentials"], workgroups);
}
