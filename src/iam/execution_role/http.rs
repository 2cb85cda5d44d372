//! HTTP: API Gateway, and endpoints of third parties.

use super::task::Task;
use crate::asl::model::Arn;
use crate::iam::document::Conditions;
use crate::iam::partition;

pub(super) fn api_gateway(task: &mut Task<'_>, action: &str) -> bool {
    if action != "invoke" {
        return false;
    }
    // Without authorization IAM is not asked (developer guide, "Create API Gateway REST APIs").
    let authorization = task.payload.get("AuthType");
    if authorization.is_absent() || authorization.text().as_deref() == Some("NO_AUTH") {
        return true;
    }
    let field = task.payload.get("ApiEndpoint");
    let api = field.text().and_then(|endpoint| {
        let host = endpoint.trim_start_matches("https://").to_owned();
        let (id, rest) = host.split_once('.')?;
        let region = rest.strip_prefix("execute-api.")?.split('.').next()?;
        // A private API may have the id of its VPC endpoint behind its own (API Gateway developer guide, "Invoke a private API").
        let id = id.split("-vpce-").next()?;
        Some((id.to_owned(), region.to_owned()))
    });
    let method = task.payload.get("Method").text();
    let (Some((api, region)), Some(method)) = (api, method) else {
        let given = task.given("execute-api", "");
        if given.is_empty() {
            task.open(&field, "its API by the API's own host, id.execute-api.region.amazonaws.com,", "ApiEndpoint");
        }
        task.need(&["execute-api:Invoke"], given);
        return true;
    };
    let stage = match task.payload.get("Stage") {
        field if field.is_absent() => "$default".to_owned(),
        field => field.text().unwrap_or_else(|| "*".into()),
    };
    let path = match task.payload.get("Path") {
        field if field.is_absent() => String::new(),
        field => field.text().unwrap_or_else(|| "*".into()),
    };
    if stage == "*" || path == "*" {
        task.note("takes the stage or path of its API from the input, so all of them are allowed");
    }
    let mut there = task.here.clone();
    if partition::of_region(&region).is_some() {
        there.region = region;
    }
    let arn = there.arn("execute-api", &format!("{api}/{stage}/{method}/{}", path.trim_start_matches('/')));
    task.need(&["execute-api:Invoke"], [arn]);
    true
}

/// An HTTP Task (developer guide, "Call HTTPS APIs").
pub(super) fn endpoint(task: &mut Task<'_>, action: &str) -> bool {
    if action != "invoke" {
        return false;
    }
    task.because("HTTP endpoint, request-response");
    invocation(task);
    connection(task);
    true
}

fn invocation(task: &mut Task<'_>) {
    let (method, endpoint) = (task.payload.get("Method"), task.payload.get("ApiEndpoint"));
    let given = task.here.resources.get(task.name).into_iter().flatten().find(|one| one.starts_with("https://"));
    let Some(url) = endpoint.text().or_else(|| given.cloned()) else {
        return task.missing(format!(
            "takes its endpoint from the input; give what it may be, wildcards allowed, with {}",
            task.flag("https://HOST/PATH")
        ));
    };
    let Some(method) = method.text() else {
        return task.missing("does not write its Method out; write it, GET for example");
    };
    let Some(machine) = task.here.state_machine_arn() else {
        return task
            .missing("calls an endpoint as the state machine, whose name is not known here; give it with --name");
    };
    let equals = [("states:HTTPMethod".to_owned(), vec![method])];
    let like = [("states:HTTPEndpoint".to_owned(), vec![url])];
    let conditions: Conditions =
        [("StringEquals".to_owned(), equals.into()), ("StringLike".to_owned(), like.into())].into();
    task.need_when(&["states:InvokeHTTPEndpoint"], [machine], conditions);
}

fn connection(task: &mut Task<'_>) {
    let private = "InvocationConfig.ConnectionArn";
    let name = if task.payload.get(private).is_absent() { "Authentication.ConnectionArn" } else { private };
    for arn in task.resource(name, "events", "connection/", "its connection") {
        let secret = Arn::parse(&arn).and_then(|parsed| {
            let own = parsed.resource.split('/').nth(1)?;
            // The connection keeps its secret under its own name (EventBridge user guide, "Connections").
            let resource = format!("secret:events!connection/{own}/*");
            Some(Arn { service: "secretsmanager", resource: &resource, ..parsed }.to_string())
        });
        task.need(&["events:RetrieveConnectionCredentials"], [arn]);
        task.need(&["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], secret);
    }
}
