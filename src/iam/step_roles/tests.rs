use serde_json::json;

use super::*;
use crate::asl::prepare;
use crate::iam::execution_role::{Surroundings, derive};

const EXEC: &str = "arn:aws:iam::111122223333:role/exec";
const PAY: &str = "arn:aws:iam::111122223333:role/pay";
const SHIP: &str = "arn:aws:iam::444455556666:role/team/ship";
const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop";

fn here() -> Surroundings {
    Surroundings {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        name: Some("shop".into()),
        execution_role_arn: Some(EXEC.into()),
        logging: true,
        ..Surroundings::default()
    }
}

fn state(resource: &str, parameters: &serde_json::Value, role: Option<&str>, next: &str) -> serde_json::Value {
    let mut state =
        json!({"Type": "Task", "Resource": format!("arn:aws:states:::{resource}"), "Parameters": parameters});
    if next.is_empty() {
        state["End"] = json!(true);
    } else {
        state["Next"] = json!(next);
    }
    if let Some(role) = role {
        state["Credentials"] = json!({"RoleArn": role});
    }
    state
}

/// Charge and Refund call one function, Tell a topic, Save a table, each with its role.
fn shop(roles: [Option<&str>; 4]) -> Derived {
    let invoke = json!({"FunctionName": "charge"});
    let definition = json!({"StartAt": "Charge", "States": {
        "Charge": state("lambda:invoke", &invoke, roles[0], "Refund"),
        "Refund": state("lambda:invoke", &invoke, roles[1], "Tell"),
        "Tell": state("sns:publish", &json!({"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": "m"}), roles[2], "Save"),
        "Save": state("dynamodb:getItem", &json!({"TableName": "t", "Key": {}}), roles[3], ""),
    }});
    derive(&prepare(&definition.to_string(), &std::collections::BTreeMap::new()).unwrap().machine(), &here())
}

#[test]
fn each_role_has_what_its_states_need_alone_and_the_execution_role_has_it_no_more() {
    let derived = shop([Some(PAY), Some(PAY), Some(SHIP), None]);
    let roles = step_roles(&[("shop".into(), derived.clone())]);
    let of = |role: &StepRole| -> (Vec<String>, Vec<String>) {
        let actions = role.needs.iter().flat_map(|need| need.actions.clone());
        (role.states.iter().map(|state| state.name.clone()).collect(), actions.collect())
    };
    assert_eq!(roles.iter().map(|role| role.role_arn.as_str()).collect::<Vec<_>>(), [PAY, SHIP]);
    assert_eq!(of(&roles[0]).0, ["Charge", "Refund"]);
    assert!(of(&roles[0]).1.iter().all(|action| action == "lambda:InvokeFunction"));
    assert_eq!(of(&roles[1]), (vec!["Tell".to_owned()], vec!["sns:Publish".to_owned()]));
    let left = derived.document().compact();
    assert!(left.contains("dynamodb:GetItem") && left.contains("logs:"), "{left}");
    assert!(left.contains(PAY) && left.contains(SHIP) && !left.contains("lambda") && !left.contains("sns"), "{left}");
    assert_eq!(roles[0].sets().len(), 1, "they call one function");
}

#[test]
fn a_role_trusts_the_execution_role_for_its_state_machine_alone_and_children_where_there_are_any() {
    let roles = step_roles(&[("shop".into(), shop([Some(PAY), None, None, None]))]);
    assert_eq!(
        roles[0].trust().unwrap().to_value()["Statement"],
        json!([{"Effect": "Allow", "Principal": {"AWS": EXEC}, "Action": "sts:AssumeRole",
            "Condition": {"StringLike": {"sts:ExternalId": [MACHINE, format!("{MACHINE}:*")]}}}])
    );
    let inner = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "T",
        "States": {"T": state("sns:publish", &json!({"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": "m"}), Some(PAY), "")}});
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": inner}}});
    let prepared = prepare(&definition.to_string(), &std::collections::BTreeMap::new()).unwrap();
    let derived = derive(&prepared.machine(), &here());
    let ids = &derived.targets[0].trust.as_ref().unwrap().to_value()["Statement"][0]["Condition"];
    assert_eq!(ids["StringLike"]["sts:ExternalId"], json!([MACHINE, format!("{MACHINE}:*"), format!("{MACHINE}/*")]));
    assert!(
        derived.document().compact().contains("states:StartExecution"),
        "its children stay with the execution role"
    );
}

#[test]
fn two_machines_of_one_role_are_trusted_by_one_statement() {
    let one = shop([Some(PAY), None, None, None]);
    let mut other = one.clone();
    other.targets[0].trust.as_mut().unwrap().statements[0].conditions =
        [("StringLike".to_owned(), [("sts:ExternalId".to_owned(), vec!["other".to_owned()])].into())].into();
    let roles = step_roles(&[("a".into(), one), ("b".into(), other)]);
    assert_eq!(roles[0].trust.len(), 1);
    assert_eq!(roles[0].trust[0].conditions["StringLike"]["sts:ExternalId"].len(), 3);
    assert_eq!(roles[0].states.iter().map(|state| state.machine.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn steps_are_split_into_the_smallest_sets_that_share_neither_service_nor_resource() {
    let tasks: Vec<(String, String)> =
        ["Charge", "Refund", "Tell", "Save"].map(|name| (format!("/States/{name}"), name.to_owned())).into();
    // However the roles are now, the sets are the same.
    for roles in [[None; 4], [Some(PAY); 4], [Some(PAY), None, Some(SHIP), None]] {
        let (states, needs) = of_tasks("shop", &shop(roles), &tasks);
        let sets: Vec<Vec<String>> = split(&states, &needs)
            .iter()
            .map(|set| set.states.iter().map(|state| state.name.clone()).collect())
            .collect();
        assert_eq!(sets, [vec!["Charge", "Refund"], vec!["Tell"], vec!["Save"]], "{roles:?}");
    }
    let (states, needs) = of_tasks("shop", &shop([Some(PAY); 4]), &tasks);
    assert_eq!(split(&states[2..], &needs).len(), 2);
    assert_eq!(split(&states, &[]).len(), 4, "what needs nothing shares nothing");
}

#[test]
fn states_that_share_with_a_third_are_in_one_set() {
    let acting = |name: &str| Acting { machine: "m".into(), name: name.into(), path: format!("/States/{name}") };
    let need = |name: &str, action: &str, resource: &str| Need {
        actions: vec![action.into()],
        resources: vec![resource.into()],
        conditions: BTreeMap::new(),
        reason: Reason { state: name.into(), path: format!("/States/{name}"), why: String::new() },
    };
    let states = [acting("a"), acting("b"), acting("c"), acting("d")];
    let needs = [
        need("a", "s3:GetObject", "*"),
        need("b", "sqs:SendMessage", "*"),
        need("c", "s3:PutObject", "x"),
        need("c", "kms:Decrypt", "key"),
        need("d", "kms:Encrypt", "y"),
    ];
    let sets: Vec<usize> = split(&states, &needs).iter().map(|set| set.states.len()).collect();
    assert_eq!(sets, [3, 1], "a and c by S3, c and d by KMS; * is nothing in common");
}

#[test]
fn what_an_execution_role_still_has_of_its_steps_is_found() {
    let roles = step_roles(&[("shop".into(), shop([Some(PAY), None, Some(SHIP), None]))]);
    let wide = Document::parse(
        r#"{"Statement": [{"Effect": "Allow", "Action": "sns:*", "Resource": "*"}, {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:eu-west-1:111122223333:function:other"}]}"#,
    )
    .unwrap();
    let held = still_held(&roles, &wide);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((held[0].0.as_str(), held[0].1.actions.as_slice()), (SHIP, &["sns:Publish".to_owned()][..]));
    let exact = shop([Some(PAY), None, Some(SHIP), None]);
    let own: Vec<_> = still_held(&roles, &exact.document()).into_iter().filter(|(role, _)| role == SHIP).collect();
    assert!(own.is_empty(), "what is left to it is not what its steps have: {own:?}");
}

#[test]
fn the_roles_are_written_for_terraform_and_cloud_formation() {
    let derived = shop([Some(PAY), Some(PAY), Some(SHIP), None]);
    let (roles, left) = (step_roles(&[("shop".into(), derived.clone())]), [(EXEC.to_owned(), derived.document())]);
    let text = terraform(&roles, &left);
    assert_eq!(text.matches("resource \"aws_iam_role\" ").count(), 2, "{text}");
    assert_eq!(text.matches("resource \"aws_iam_role_policy\"").count(), 3, "{text}");
    assert!(text.contains("path               = \"/team/\"") && text.contains("role   = \"exec\""), "{text}");
    let template = cloud_formation(&roles, &left);
    let role = &template["Resources"]["StepRole2"]["Properties"];
    assert_eq!((&role["RoleName"], &role["Path"]), (&json!("ship"), &json!("/team/")));
    assert_eq!(role["Policies"][0]["PolicyDocument"], roles[1].document().to_value());
    assert_eq!(role["AssumeRolePolicyDocument"], roles[1].trust().unwrap().to_value());
    assert_eq!(template["Resources"]["ExecutionRole1"]["Properties"]["PolicyDocument"], derived.document().to_value());
}
