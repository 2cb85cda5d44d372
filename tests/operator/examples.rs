//! The examples, applied to the real API server; those that the emulator can run are run to their end.

use super::*;
use crate::support::ministack::ACCOUNT;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// Folders with a file `example.yaml`.
fn names() -> Vec<String> {
    let folders = std::fs::read_dir(EXAMPLES).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = folders
        .filter(|folder| folder.join("example.yaml").exists())
        .map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The objects of an example, in the emulator's account.
fn objects(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{EXAMPLES}/{name}/example.yaml")).unwrap();
    let text = text.replace("111122223333", ACCOUNT);
    serde_yaml::Deserializer::from_str(&text).map(|one| serde::Deserialize::deserialize(one).unwrap()).collect()
}

fn namespace(objects: &[Value]) -> String {
    objects[0]["metadata"]["namespace"].as_str().unwrap().to_owned()
}

#[test]
fn every_example_has_a_definition_that_passes_the_check_and_is_taken_by_the_api_server() {
    let bed = test_bed();
    bed.install_definitions();
    assert!(names().len() >= 10, "{:?}", names());
    for name in names() {
        let objects = objects(&name);
        let place = format!("dry-{}", namespace(&objects));
        bed.control_plane.kubectl(&["create", "namespace", &place]);
        for mut object in objects {
            if object["kind"] == "Workflow" {
                let definition = object["spec"]["definition"].to_string();
                stepbound::asl::parse(&definition).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            object["metadata"]["namespace"] = json!(place);
            let create = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
            let answer = bed.control_plane.try_kubectl(&create, Some(&object.to_string()));
            answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        bed.control_plane.kubectl(&["delete", "namespace", &place, "--wait=false"]);
    }
}

/// A function of Python that the emulator runs.
fn function(tenant: &Tenant, name: &str, body: &str) {
    let source = format!("def handler(event, context):\n    {body}\n");
    tenant.bed.aws.create_lambda(name, &source, &tenant.execution_role_arn(), &tenant.bed.binaries);
}

/// Applies an example and gives the run as it ended.
fn played(name: &str, prepare: impl FnOnce(&Tenant), left_out: &[&str]) -> Value {
    played_with(name, prepare, left_out, |_, _| {})
}

/// The same, where somebody does something each time that the run is looked at.
fn played_with(
    name: &str,
    prepare: impl FnOnce(&Tenant),
    left_out: &[&str],
    meanwhile: impl Fn(&Tenant, &Value),
) -> Value {
    let objects = objects(name);
    let tenant = test_bed().tenant(&namespace(&objects));
    tenant.kubectl(&[
        "create",
        "role",
        "tokens",
        "--verb=create",
        "--resource=serviceaccounts/token",
        "--resource-name=worker",
    ]);
    let account = format!("--serviceaccount={}:stepbound", tenant.system);
    tenant.kubectl(&["create", "rolebinding", "tokens", "--role=tokens", &account]);
    tenant.bed.aws.trust_account(
        &format!("{}-binding", tenant.name),
        &tenant.bed.control_plane.issuer,
        &tenant.name,
        "worker",
    );
    prepare(&tenant);
    let operator = start(&tenant);
    let mut last = None;
    for object in objects.iter().filter(|object| !left_out.contains(&object["kind"].as_str().unwrap())) {
        tenant.apply(object);
        if object["kind"] == "WorkflowRun" {
            last = Some(format!("sfnrun/{}", object["metadata"]["name"].as_str().unwrap()));
        }
    }
    let resource = last.unwrap();
    let ended = wait_until(Duration::from_secs(60), &format!("{name} ends"), || {
        let run = tenant.get(&resource)?;
        meanwhile(&tenant, &run);
        condition(&run, "Finished").is_some_and(|one| one["status"] == "True").then_some(run)
    });
    tenant.delete_all(&operator);
    ended
}

#[test]
fn the_nested_example_waits_for_the_inner_workflow() {
    let prepare = |tenant: &Tenant| {
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
            "states:StartExecution", "states:DescribeExecution", "states:StopExecution"]}]});
        let role = format!("{}-exec", tenant.name);
        let parameters =
            [("RoleName", role.as_str()), ("PolicyName", "nested"), ("PolicyDocument", &policy.to_string())];
        tenant.bed.aws.iam("PutRolePolicy", &parameters);
    };
    let run = played("nested-workflows", prepare, &[]);
    assert_eq!(run["status"]["phase"], "Succeeded", "{run:#}");
}

#[test]
fn the_report_and_the_checkout_give_their_sums() {
    let report = played("scheduled-report", |_| {}, &["WorkflowSchedule"]);
    assert_eq!(report["status"]["output"]["net"], 9, "{report:#}");
    let checkout = played("canary", |_| {}, &[]);
    assert_eq!(checkout["status"]["output"]["total"], 7, "{checkout:#}");
}

#[test]
fn the_saga_undoes_what_was_done_when_a_later_step_fails() {
    let prepare = |tenant: &Tenant| {
        function(tenant, "book-flight", "return {'flight': 'LH1'}");
        function(tenant, "book-hotel", "raise Exception('no room')");
        function(tenant, "cancel-flight", "return {'cancelled': event['flight']['flight']}");
    };
    let run = played("saga", prepare, &[]);
    assert_eq!(
        (&run["status"]["phase"], &run["status"]["error"]),
        (&json!("Failed"), &json!("Travel.NotBooked")),
        "{run:#}"
    );
}

/// The token as the function was given it, and as the person's answer carries it back.
#[test]
fn the_approval_waits_for_the_person_and_goes_on_with_the_answer() {
    let kept = std::env::temp_dir().join(format!("stepbound-{}", std::process::id())).join("approval-token");
    let body = format!("open({:?}, 'w').write(event['token']); return {{'asked': True}}", kept.display().to_string());
    let ask = |tenant: &Tenant| function(tenant, "ask-for-approval", &body);
    let answer = |tenant: &Tenant, _: &Value| {
        let Ok(token) = std::fs::read_to_string(&kept) else { return };
        let output = json!({"approved": true, "by": "ada"}).to_string();
        // Refused where the token is not complete yet, or was answered already.
        let _ = tenant.bed.aws.states("SendTaskSuccess", &json!({"taskToken": token, "output": output}));
    };
    let run = played_with("human-approval", ask, &[], answer);
    assert_eq!(run["status"]["output"], json!({"paid": 25, "by": "ada"}), "{run:#}");
}
