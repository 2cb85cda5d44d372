//! State machines: delivered, left alone, refused.

use crate::bad_input::refused;
use crate::*;

#[test]
fn a_machine_of_somebody_else_is_never_touched() {
    let tenant = test_bed().tenant("foreign");
    let operator = start(&tenant);
    let theirs =
        json!({"name": "foreign_fulfil", "definition": waiting(9).to_string(), "roleArn": tenant.execution_role_arn()});
    tenant.bed.aws.states("CreateStateMachine", &theirs).unwrap();
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    refused(&tenant, &operator, "sfn/fulfil", "Stalled", "StateMachineNameTaken", "set spec.adoption to IfUnowned");
    tenant.delete_all(&operator);
    let found =
        tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    assert_eq!(found.unwrap()["definition"], theirs["definition"]);
}

#[test]
fn a_bad_definition_is_refused_before_aws_and_the_last_good_one_keeps_serving() {
    let (tenant, operator) = with_workflow("bad-definition", 0);
    tenant.apply(&tenant.workflow("fulfil", &json!({"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}})));
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "DefinitionInvalid");
    assert!(refused["status"]["diagnostics"][0]["message"].as_str().unwrap().contains("did you mean \"Ship\"?"));
    assert_eq!(refused["status"]["latestVersion"]["number"], 1);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn a_definition_from_a_config_map_is_waited_for_and_follows_its_changes() {
    let (tenant, operator) = with_workflow("config-map", 0);
    let mut workflow = tenant.workflow("mapped", &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "definitions", "key": "asl.yaml"}});
    workflow["spec"]["substitutions"] = json!({"Comment": "a \"quoted\" value"});
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/mapped", "Ready", "False", "ConfigMapNotFound");
    let map = |text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "definitions"}, "data": {"asl.yaml": text}});
    tenant.apply(&map("StartAt: A\nStates: ["));
    tenant.wait_for(&operator, "sfn/mapped", "DefinitionValid", "False", "DefinitionInvalid");
    tenant.apply(&map("StartAt: A\nStates:\n  A: {Type: Pass, Comment: '${Comment}', End: true}\n"));
    let ready = tenant.wait_for(&operator, "sfn/mapped", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["latestVersion"]["number"], 1);
}

#[test]
fn substitutions_from_config_maps_are_waited_for_followed_and_overridden_in_order() {
    let (tenant, operator) = with_workflow("substitutions", 0);
    let mut workflow = tenant.workflow(
        "mapped",
        &json!({"StartAt": "A", "States": {"A": {
        "Type": "Pass", "Result": {"a": "${A}", "b": "${B}", "c": "${C}"}, "End": true}}}),
    );
    workflow["spec"]["substitutionsFrom"] =
        json!([{"configMapRef": {"name": "base"}}, {"configMapRef": {"name": "stage"}}]);
    workflow["spec"]["substitutions"] = json!({"C": "spec"});
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/mapped", "Ready", "False", "ConfigMapNotFound");
    let map = |name: &str, data: &Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    tenant.apply(&map("base", &json!({"A": "base", "B": "base", "C": "base", "Unused": "of another workflow"})));
    tenant.apply(&map("stage", &json!({"B": "\"}, \"Type\": \"Fail"})));
    let ready = tenant.wait_for(&operator, "sfn/mapped", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["diagnostics"], Value::Null, "a shared map may hold more than one workflow uses");
    let definition = |tenant: &Tenant| -> Value {
        serde_json::from_str(machine(tenant, "mapped")["definition"].as_str().unwrap()).unwrap()
    };
    let result = definition(&tenant)["States"]["A"]["Result"].clone();
    assert_eq!(result, json!({"a": "base", "b": "\"}, \"Type\": \"Fail", "c": "spec"}), "values are data");
    tenant.apply(&map("stage", &json!({"B": "changed"})));
    wait_until(Duration::from_secs(60), "the change is followed", || {
        (definition(&tenant)["States"]["A"]["Result"]["b"] == "changed").then_some(())
    });
    tenant.delete_all(&operator);
}

fn machine(tenant: &Tenant, workflow: &str) -> Value {
    tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn(workflow)})).unwrap()
}

fn tags(tenant: &Tenant, workflow: &str) -> Vec<String> {
    let listed = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": tenant.machine_arn(workflow)}));
    let listed = listed.unwrap();
    listed["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| format!("{}={}", tag["key"], tag["value"]).replace('"', ""))
        .collect()
}

/// Asks for a look at AWS now, as people do.
fn look_now(tenant: &Tenant, workflow: &str, token: &str) {
    let annotation = format!("stepbound.dev/reconcile-now={token}");
    tenant.kubectl(&["annotate", "--overwrite", "sfn", workflow, &annotation]);
    wait_until(Duration::from_secs(60), "the annotation is acted on", || {
        (tenant.get(&format!("sfn/{workflow}"))?["status"]["lastHandled"]["reconcileNow"] == token).then_some(())
    });
}

#[test]
fn logging_tracing_encryption_and_tags_are_created_updated_and_taken_away() {
    let tenant = test_bed().tenant("settings");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    let group = "arn:aws:logs:eu-west-1:000000000000:log-group:/aws/vendedlogs/states/fulfil";
    let key = "arn:aws:kms:eu-west-1:000000000000:key/2a4ae7a5-0000-4000-8000-000000000000";
    workflow["spec"]["logging"] = json!({"level": "Error", "includeExecutionData": true, "logGroupARN": group});
    workflow["spec"]["tracing"] = json!({"enabled": true});
    workflow["spec"]["encryption"] = json!({"kmsKeyID": key, "kmsDataKeyReusePeriodSeconds": 120});
    workflow["spec"]["tags"] = json!({"team": "orders", "cost": "a"});
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let created = machine(&tenant, "fulfil");
    assert_eq!(created["loggingConfiguration"]["level"], "ERROR");
    let destination = &created["loggingConfiguration"]["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"];
    assert_eq!(destination, &json!(format!("{group}:*")));
    assert_eq!(created["encryptionConfiguration"]["kmsKeyId"], key);
    tenant
        .bed
        .aws
        .states(
            "TagResource",
            &json!({"resourceArn": tenant.machine_arn("fulfil"), "tags": [{"key": "theirs", "value": "x"}]}),
        )
        .unwrap();

    workflow["spec"]["logging"] = json!({"level": "None"});
    workflow["spec"]["tags"] = json!({"team": "billing"});
    workflow["spec"].as_object_mut().unwrap().remove("encryption");
    tenant.apply(&workflow);
    wait_until(Duration::from_secs(60), "the update", || {
        (machine(&tenant, "fulfil")["loggingConfiguration"]["level"] == "OFF").then_some(())
    });
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(machine(&tenant, "fulfil")["encryptionConfiguration"]["type"], "AWS_OWNED_KEY");
    let now = tags(&tenant, "fulfil");
    assert!(now.contains(&"team=billing".into()) && now.contains(&"theirs=x".into()), "{now:?}");
    assert!(!now.iter().any(|tag| tag.starts_with("cost=")), "{now:?}");
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    assert_eq!(calls.iter().filter(|call| call.operation == "UpdateStateMachine").count(), 1, "and then it rests");
}

#[test]
fn a_change_made_in_aws_is_set_back_or_reported_with_its_path() {
    let (tenant, operator) = with_workflow("drift", 1);
    let mut reported = tenant.workflow("reported", &waiting(1));
    reported["spec"]["drift"] = json!("Report");
    tenant.apply(&reported);
    tenant.wait_for(&operator, "sfn/reported", "Ready", "True", "Synced");
    // The operator trusts what it wrote itself for a while; a new one has written nothing.
    crate::crashes::killed(&tenant, operator);
    for workflow in ["fulfil", "reported"] {
        let edit = json!({"stateMachineArn": tenant.machine_arn(workflow), "definition": waiting(77).to_string()});
        tenant.bed.aws.states("UpdateStateMachine", &edit).unwrap();
    }
    let operator = start(&tenant);
    let left = tenant.wait_for(&operator, "sfn/reported", "Drifted", "True", "ChangedInAWS");
    let message = condition(&left, "Drifted").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("definition.States.Wait.Seconds: in AWS 77, wanted 1"), "{message}");
    assert!(machine(&tenant, "reported")["definition"].as_str().unwrap().contains("77"));
    wait_until(Duration::from_secs(60), "the correction", || {
        (!machine(&tenant, "fulfil")["definition"].as_str().unwrap().contains("77")).then_some(())
    });
    let told = tenant.kubectl(&["get", "events", "--field-selector=reason=DriftCorrected", "-o", "json"]);
    assert!(told.contains("definition.States.Wait.Seconds: in AWS 77, wanted 1"), "{told}");
    // Tags and aliases are looked at when asked, and once an hour.
    let mut aliased = tenant.workflow("aliased", &waiting(1));
    aliased["spec"]["aliases"] = json!([{"name": "live", "version": 1}]);
    tenant.apply(&aliased);
    tenant.wait_for(&operator, "sfn/aliased", "Ready", "True", "Synced");
    aliased["spec"]["definition"] = waiting(2);
    tenant.apply(&aliased);
    wait_until(Duration::from_secs(60), "version 2", || {
        (tenant.get("sfn/aliased")?["status"]["latestVersion"]["number"] == 2).then_some(())
    });
    let alias = format!("{}:live", tenant.machine_arn("aliased"));
    let moved = json!([{"stateMachineVersionArn": format!("{}:2", tenant.machine_arn("aliased")), "weight": 100}]);
    let edit = json!({"stateMachineAliasArn": alias, "routingConfiguration": moved});
    tenant.bed.aws.states("UpdateStateMachineAlias", &edit).unwrap();
    look_now(&tenant, "aliased", "1");
    let described =
        tenant.bed.aws.states("DescribeStateMachineAlias", &json!({"stateMachineAliasArn": alias})).unwrap();
    assert!(
        described["routingConfiguration"][0]["stateMachineVersionArn"].as_str().unwrap().ends_with(":1"),
        "{described}"
    );
    let told = tenant.kubectl(&["get", "events", "--field-selector=reason=DriftCorrected", "-o", "json"]);
    assert!(told.contains("aliases.live: in AWS"), "{told}");
    let untag = json!({"resourceArn": tenant.machine_arn("fulfil"), "tagKeys": ["stepbound.dev/name"]});
    tenant.bed.aws.states("UntagResource", &untag).unwrap();
    look_now(&tenant, "reported", "1");
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/reconcile-now=1"]);
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
}

#[test]
fn a_machine_of_nobody_is_adopted_when_asked_and_kept_on_deletion() {
    let tenant = test_bed().tenant("adopt");
    let operator = start(&tenant);
    let theirs = json!({"name": "adopt_fulfil", "definition": waiting(9).to_string(), "roleArn": tenant.execution_role_arn(), "tags": [{"key": "team", "value": "x"}]});
    tenant.bed.aws.states("CreateStateMachine", &theirs).unwrap();
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"adoption":"IfUnowned"}}"#]);
    let ready = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["latestVersion"]["number"], 1);
    let now = tags(&tenant, "fulfil");
    assert!(now.contains(&"team=x".into()) && now.contains(&"stepbound.dev/name=fulfil".into()), "{now:?}");
    tenant.delete_all(&operator);
    let kept = tags(&tenant, "fulfil");
    assert_eq!(kept, ["team=x"], "kept, without our mark");
}

#[test]
fn versions_are_published_on_change_and_pruned_but_for_those_in_use() {
    let (tenant, operator) = with_workflow("versions", 60);
    let mut workflow = tenant.workflow("fulfil", &waiting(60));
    workflow["spec"]["versions"] = json!({"retain": 2});
    tenant.apply(&workflow);
    tenant.apply(&workflow_run("holds-1", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/holds-1", "Started", "True", "ExecutionStarted");
    for seconds in 61..65 {
        let definition = waiting(seconds);
        workflow["spec"]["definition"] = definition;
        tenant.apply(&workflow);
        wait_until(Duration::from_secs(60), "the version", || {
            let status = tenant.get("sfn/fulfil")?["status"].clone();
            (status["latestVersion"]["number"] == seconds - 59).then_some(())
        });
    }
    let versions = || -> Vec<Value> {
        let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
        tenant.bed.aws.states("ListStateMachineVersions", &machine).unwrap()["stateMachineVersions"]
            .as_array()
            .unwrap()
            .clone()
    };
    wait_until(Duration::from_secs(60), "the pruning", || (versions().len() == 3).then_some(()));
    let text = format!("{:?}", versions());
    assert!(text.contains("fulfil:1\"") && text.contains("fulfil:4\"") && text.contains("fulfil:5\""), "{text}");
    let mut unversioned = tenant.workflow("plain", &waiting(0));
    unversioned["spec"]["versions"] = json!({"publish": "Never"});
    tenant.apply(&unversioned);
    let plain = tenant.wait_for(&operator, "sfn/plain", "Ready", "True", "Synced");
    assert!(plain["status"].get("latestVersion").is_none());
    tenant.apply(&workflow_run("unversioned", "plain", &json!({})));
    tenant.wait_for(&operator, "sfnrun/unversioned", "Complete", "True", "Succeeded");
}

#[test]
fn a_deletion_drains_no_longer_than_it_may() {
    let (tenant, operator) = with_workflow("drain", 600);
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"drainTimeout":"3s"}}"#]);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&["delete", "sfn/fulfil", "--timeout=30s"]);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err());
    tenant.wait_for(&operator, "sfnrun/order", "Finished", "True", "Aborted");
}

#[test]
fn an_activity_is_created_tagged_left_alone_where_it_is_anothers_and_deleted() {
    let tenant = test_bed().tenant("activity");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let activity = |name: &str, tags: &Value| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": name},
            "spec": {"trustBindingRef": {"name": "orders"}, "tags": tags}})
    };
    tenant.apply(&activity("approve", &json!({"team": "orders", "cost": "a"})));
    let ready = tenant.wait_for(&operator, "sfnact/approve", "Ready", "True", "Synced");
    let arn = "arn:aws:states:eu-west-1:000000000000:activity:activity_approve";
    assert_eq!(ready["status"]["activityARN"], arn);
    let tags = || tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": arn})).unwrap().to_string();
    assert!(tags().contains("\"cost\"") && tags().contains("stepbound.dev/name"));
    tenant.apply(&activity("approve", &json!({"team": "billing"})));
    wait_until(Duration::from_secs(60), "the tags", || {
        (tags().contains("\"billing\"") && !tags().contains("\"cost\"")).then_some(())
    });
    tenant.bed.aws.states("CreateActivity", &json!({"name": "activity_theirs"})).unwrap();
    tenant.apply(&activity("theirs", &json!({})));
    tenant.wait_for(&operator, "sfnact/theirs", "Stalled", "True", "ActivityNameTaken");
    tenant.kubectl(&["delete", "tb/orders", "--wait=false"]);
    let waits = tenant.wait_for(&operator, "tb/orders", "Ready", "False", "InUse");
    assert!(waits.to_string().contains("Activity approve"));
    tenant.kubectl(&["delete", "sfnact", "--all", "--timeout=30s"]);
    let described = |arn: &str| tenant.bed.aws.states("DescribeActivity", &json!({"activityArn": arn}));
    assert!(described(arn).is_err(), "ours is gone");
    assert!(described("arn:aws:states:eu-west-1:000000000000:activity:activity_theirs").is_ok(), "theirs stays");
}

/// As docs/migrate-from-ack.md says, field by field.
#[test]
fn a_machine_of_the_ack_controller_moves_here_when_its_namespace_is_named() {
    let tenant = test_bed().tenant("from-ack");
    let operator = start(&tenant);
    let theirs = json!({"apiVersion": "sfn.services.k8s.aws/v1alpha1", "kind": "StateMachine", "metadata": {"name": "fulfil"}, "spec": {
        "name": "from-ack-fulfil", "roleARN": tenant.execution_role_arn(), "type": "STANDARD",
        "definition": waiting(0).to_string(), "tracingConfiguration": {"enabled": true},
        "tags": [{"key": "team", "value": "orders"}]}});
    let spec = &theirs["spec"];
    let mut marks = spec["tags"].as_array().unwrap().clone();
    marks.push(json!({"key": "services.k8s.aws/controller-version", "value": "sfn-v1.0.0"}));
    marks.push(json!({"key": "services.k8s.aws/namespace", "value": "from-ack"}));
    let created = json!({"name": spec["name"], "definition": spec["definition"], "roleArn": spec["roleARN"], "type": spec["type"], "tags": marks});
    tenant.bed.aws.states("CreateStateMachine", &created).unwrap();

    let definition: Value = serde_json::from_str(spec["definition"].as_str().unwrap()).unwrap();
    let mut ours = tenant.workflow("fulfil", &definition);
    ours["spec"]["stateMachineName"] = spec["name"].clone();
    ours["spec"]["executionRoleARN"] = spec["roleARN"].clone();
    ours["spec"]["tracing"] = spec["tracingConfiguration"].clone();
    ours["spec"]["tags"] = json!({"team": "orders"});
    ours["metadata"]["annotations"] = json!({"stepbound.dev/git-revision": "0123abc"});
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedStateMachineNames"] = json!(["from-ack-*"]);
    tenant.apply(&binding);
    tenant.apply(&ours);
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    assert!(refused.to_string().contains("stepbound.dev/take-over-from=ack/from-ack"), "{refused}");
    // The controller's user lets it go, in spec.tags of their object.
    let arn = "arn:aws:states:eu-west-1:000000000000:stateMachine:from-ack-fulfil";
    let release = json!([{"key": "stepbound.dev/release-to", "value": "test/from-ack/fulfil"}]);
    tenant.bed.aws.states("TagResource", &json!({"resourceArn": arn, "tags": release})).unwrap();
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/take-over-from=ack/from-ack"]);
    let ready = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let version = json!({"stateMachineArn": ready["status"]["latestVersion"]["ARN"]});
    let described = tenant.bed.aws.states("DescribeStateMachine", &version).unwrap();
    assert!(described["description"].as_str().unwrap().ends_with(":0123abc"), "{described}");
    tenant.delete_all(&operator);
    let kept = json!({"stateMachineArn": "arn:aws:states:eu-west-1:000000000000:stateMachine:from-ack-fulfil"});
    tenant.bed.aws.states("DescribeStateMachine", &kept).unwrap();
}

/// A restored object has another UID and no status; the owner mark is what recognises the machine.
#[test]
fn a_restored_cluster_recognises_its_machines() {
    let (tenant, operator) = with_workflow("restored", 0);
    let before = machine(&tenant, "fulfil");
    crate::crashes::killed(&tenant, operator);
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    tenant.kubectl(&["delete", "sfn", "fulfil"]);
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    let operator = start(&tenant);
    let ready = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["latestVersion"]["number"], 1, "the revision had been published before");
    assert_eq!(machine(&tenant, "fulfil")["creationDate"], before["creationDate"]);
    let uid = format!("stepbound.dev/uid={}", ready["metadata"]["uid"].as_str().unwrap());
    assert!(tags(&tenant, "fulfil").contains(&uid));
    tenant.delete_all(&operator);
}
