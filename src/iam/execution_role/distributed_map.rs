//! A Map whose items run as executions of their own (developer guide, "IAM policies for using Distributed Map states").

use serde_json::Value;

use super::derived::{Derived, Surroundings};
use super::object_store;
use super::payload::{Field, Payload, origin};
use super::task::Task;
use super::walk::Found;

pub(super) fn derive(found: &Found<'_>, here: &Surroundings, derived: &mut Derived) {
    let mut task = Task::new(found, Payload::of(found.state, found.jsonata), here.clone());
    task.because("Distributed Map");
    children(found, &mut task);
    reader(found, &mut task);
    writer(found, &mut task);
    derived.needs.append(&mut task.needs);
    derived.findings.append(&mut task.findings);
}

/// Items are executions of the same state machine, and a redrive of the whole redrives them.
fn children(found: &Found<'_>, task: &mut Task<'_>) {
    let Some(name) = task.here.name.clone() else {
        return task
            .missing("starts executions of its own state machine, whose name is not known here; give it with --name");
    };
    let machine = task.here.arn("states", &format!("stateMachine:{name}"));
    let executions = task.here.arn("states", &format!("execution:{name}:*"));
    // Without a Label Step Functions makes one up.
    let label = found.state.get("Label").and_then(Value::as_str).unwrap_or("*");
    let items = task.here.arn("states", &format!("execution:{name}/{label}:*"));
    task.need(&["states:StartExecution"], [machine]);
    task.need(&["states:DescribeExecution", "states:StopExecution"], [executions]);
    task.need(&["states:RedriveExecution"], [items]);
}

fn reader(found: &Found<'_>, task: &mut Task<'_>) {
    let Some(reader) = found.state.get("ItemReader").and_then(Value::as_object) else { return };
    task.because("Distributed Map, ItemReader");
    let payload = Payload::of(reader, found.jsonata);
    let config = |name: &str| reader.get("ReaderConfig").and_then(|config| config.get(name)).and_then(Value::as_str);
    let resource = reader.get("Resource").and_then(Value::as_str).unwrap_or_default();
    if resource.ends_with(":s3:getObject") {
        let objects = objects(task, &payload, "Key", "");
        task.need(&[object_store::versioned(&payload, "s3:GetObject")], objects);
        if config("InputType") == Some("MANIFEST") {
            listed_objects(task);
        }
    } else if resource.ends_with(":s3:listObjectsV2") {
        list(task, &payload);
        if config("Transformation") == Some("LOAD_AND_FLATTEN") {
            let objects = objects(task, &payload, "Prefix", "*");
            task.need(&["s3:GetObject"], objects);
        }
    } else {
        task.missing(format!("reads its items by \"{resource}\", which is no reader that is known here"));
    }
}

/// What an inventory lists lies beside its manifest or elsewhere.
fn listed_objects(task: &mut Task<'_>) {
    let given = task.given("s3", "");
    if given.is_empty() {
        task.missing(format!(
            "reads the objects that its manifest lists; give them with {}",
            task.flag("arn:aws:s3:::BUCKET/PREFIX*")
        ));
    }
    task.need(&["s3:GetObject"], given);
}

fn list(task: &mut Task<'_>, payload: &Payload<'_>) {
    let prefix = payload.get("Prefix");
    let bucket = bucket(task, payload);
    match prefix.text() {
        Some(prefix) => {
            let key = ("s3:prefix".to_owned(), vec![prefix]);
            task.need_when(&["s3:ListBucket"], bucket, [("StringEquals".to_owned(), [key].into())].into());
        }
        None => task.need(&["s3:ListBucket"], bucket),
    }
}

fn writer(found: &Found<'_>, task: &mut Task<'_>) {
    let Some(writer) = found.state.get("ResultWriter").and_then(Value::as_object) else { return };
    if writer.get("Resource").is_none() {
        // It only shapes the result of the state.
        return;
    }
    task.because("Distributed Map, ResultWriter");
    let payload = Payload::of(writer, found.jsonata);
    let objects = objects(task, &payload, "Prefix", "/*");
    let actions = ["s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"];
    task.need(&actions, objects);
}

/// The bucket's ARN; from `--resource` where the definition leaves it open.
fn bucket(task: &mut Task<'_>, payload: &Payload<'_>) -> Vec<String> {
    let field = payload.get("Bucket");
    if let Some(name) = field.text() {
        return object_store::bucket(task, &name).into_iter().map(|bucket| bucket.arn().to_owned()).collect();
    }
    let given = task.given("s3", "");
    if given.is_empty() {
        task.open(&field, "its bucket", "Bucket");
    }
    given.iter().map(|arn| arn.split('/').next().unwrap_or(arn).to_owned()).collect()
}

/// Objects by key or prefix. One that the input decides may be any of the bucket.
fn objects(task: &mut Task<'_>, payload: &Payload<'_>, part: &str, after: &str) -> Vec<String> {
    let key = payload.get(part);
    if payload.get("Bucket").text().is_none() {
        let field = payload.get("Bucket");
        let given: Vec<String> = task.given("s3", "").into_iter().filter(|arn| arn.contains('/')).collect();
        if given.is_empty() {
            task.open(&field, "its bucket", "Bucket");
        }
        return given;
    }
    let path = match (&key, key.text()) {
        (_, Some(text)) if after == "/*" => format!("{}/*", text.trim_end_matches('/')),
        (_, Some(text)) => format!("{text}{after}"),
        (Field::FromInput(expression), None) => {
            let given: Vec<String> = task.given("s3", "").into_iter().filter(|arn| arn.contains('/')).collect();
            if !given.is_empty() {
                return given;
            }
            task.note(format!(
                "takes the {} of its objects from {}, so all objects of the bucket are allowed; narrow it with {}",
                part.to_lowercase(),
                origin(expression),
                task.flag("arn:aws:s3:::BUCKET/KEY")
            ));
            "*".into()
        }
        _ => "*".into(),
    };
    let name = payload.get("Bucket").text().unwrap_or_default();
    object_store::bucket(task, &name).into_iter().map(|bucket| bucket.object(&path)).collect()
}
