//! What is refused: by the spec itself, by what it names, by Guardrails and by AWS.

use super::*;

#[tokio::test]
async fn what_aws_refuses_is_told_by_its_reason_and_made_once_it_may_be() {
    let cases = [
        ("ThrottlingException", "Throttled"),
        ("ServiceUnavailable", "AWSUnavailable"),
        ("AccessDeniedException", "AccessDenied"),
        ("KmsAccessDeniedException", "AccessDenied"),
        ("KmsInvalidStateException", "KeyUnusable"),
        ("StateMachineDeleting", "StateMachineDeleting"),
        ("StateMachineLimitExceeded", "LimitExceeded"),
        ("TooManyTags", "LimitExceeded"),
        ("InvalidDefinition", "DefinitionRejected"),
        ("InvalidLoggingConfiguration", "Rejected"),
        ("ConflictException", "AWSUnavailable"),
        ("ExpiredTokenException", "SessionExpired"),
    ];
    for (code, reason) in cases {
        for operation in ["CreateStateMachine", "UpdateStateMachine"] {
            let mut world = World::fake().await;
            add(&world, &json!({}));
            if operation == "UpdateStateMachine" {
                world.settle::<Workflow>("orders").await;
                world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
            }
            world.aws.fail(operation, code);
            world.wake_object::<Workflow>("orders").await;
            let ready = world.says::<Workflow>("orders", "Ready");
            assert_eq!(ready, format!("False/{reason}"), "{operation} {code}: {}", world.message::<Workflow>("orders"));
            assert_eq!(world.says::<Workflow>("orders", "Synced"), format!("False/{reason}"), "{operation} {code}");
            world.aws.allow(operation);
            world.settle::<Workflow>("orders").await;
            assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{operation} {code}");
            assert!(status(&world).diagnostics.is_empty(), "{operation} {code}");
        }
    }
}

#[tokio::test]
async fn a_log_from_which_no_result_can_be_read_is_refused_before_anything_is_written() {
    let ours = "arn:aws:logs:eu-west-1:111122223333:log-group:";
    for (group, is_read) in [
        (format!("{ours}/aws/vendedlogs/states/shop:*"), true),
        (format!("{ours}shop"), true),
        (ours.replace("111122223333", "999988887777") + "shop", false),
        (ours.replace("eu-west-1", "us-east-1") + "shop", false),
        (ours.replace("arn:aws:", "arn:aws-cn:") + "shop", false),
        (format!("{ours}*"), false),
        (format!("{ours}/aws/*:*"), false),
        (format!("{ours}shop:log-stream:"), false),
        (format!("{ours}${{aws:userid}}"), false),
        (format!("{ours}a\"b"), false),
        (format!("{ours}a\u{1b}[2J"), false),
    ] {
        for results in ["FromLogs", "Dispatched"] {
            let mut world = World::fake().await;
            let logging = json!({"level": "All", "logGroupARN": group});
            add(&world, &json!({"type": "Express", "expressResults": results, "logging": logging}));
            world.settle::<Workflow>("orders").await;
            // Nothing is logged to a stream, whoever reads it.
            let is_taken = !group.contains(":log-stream:");
            let fits = is_read || (results == "Dispatched" && is_taken);
            let expected = if fits { "True/Synced" } else { "False/ValueNotAllowed" };
            let message = world.message::<Workflow>("orders");
            assert_eq!(world.says::<Workflow>("orders", "Ready"), expected, "{group} {results}: {message}");
            assert_eq!(world.aws.calls("CreateStateMachine"), usize::from(fits), "{group} {results}");
            assert!(fits || message.contains("spec.logging.logGroupARN") && !message.contains('\u{1b}'), "{message}");
        }
    }
}

#[tokio::test]
async fn a_refused_look_or_tag_is_told_and_nothing_is_written_on_it() {
    for (operation, code, reason, changes) in [
        ("DescribeStateMachine", "AccessDeniedException", "AccessDenied", vec![]),
        ("ListTagsForResource", "ThrottlingException", "Throttled", vec![]),
        ("TagResource", "AccessDeniedException", "AccessDenied", vec!["TagResource"]),
        ("UntagResource", "AccessDeniedException", "AccessDenied", vec!["TagResource", "UntagResource"]),
    ] {
        let mut world = made(&json!({"tags": {"team": "shop"}})).await;
        world.aws.fail_next(operation, code);
        let mut object = serde_json::to_value(world.get::<Workflow>("orders")).unwrap();
        object["spec"]["tags"] = json!({"stage": "test"});
        object["metadata"]["generation"] = json!(2);
        world.add("workflows", &object);
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), format!("False/{reason}"), "{operation}");
        assert_eq!(world.aws.changes()[1..], changes, "{operation}");
        world.settle::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{operation}");
        let tags = world.aws.tags(MACHINE);
        assert!(tags.contains_key("stage") && !tags.contains_key("team"), "{operation}: {tags:?}");
    }
}

#[tokio::test]
async fn of_a_definition_that_aws_refuses_all_that_is_wrong_is_told() {
    for may_validate in [true, false] {
        let mut world = World::fake().await;
        add(&world, &json!({"definition": definition(UNKNOWN_RESOURCE)}));
        if !may_validate {
            world.aws.fail("ValidateStateMachineDefinition", "AccessDeniedException");
        }
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/DefinitionRejected");
        assert!(world.message::<Workflow>("orders").contains("is not recognized"));
        let told = status(&world).diagnostics.iter().any(|one| one.code == "SCHEMA_VALIDATION_FAILED");
        assert_eq!((told, world.aws.calls("ValidateStateMachineDefinition")), (may_validate, 1));
        change(&mut world, &json!({"definition": definition("1")})).await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
    }
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_told_with_its_owner() {
    let world = World::fake().await;
    add(&world, &json!({}));
    // AWS does not show the machine yet.
    world.aws.lag(1);
    world.aws.add_machine(MACHINE, &machine_of_others(&owner_tags("other", "shop")));
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/StateMachineNameTaken");
    assert!(world.message::<Workflow>("orders").contains("belongs to other/shop/orders"));
}

#[tokio::test]
async fn without_versions_an_identical_machine_of_another_is_not_believed() {
    let world = World::fake().await;
    add(&world, &json!({"versions": {"publish": "Never"}}));
    world.aws.lag(1);
    let theirs = owner_tags("other", "shop");
    let identical = CreateStateMachine { definition: definition("1").to_string(), ..machine_of_others(&theirs) };
    world.aws.add_machine(MACHINE, &identical);
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/StateMachineNameTaken");
}

#[tokio::test]
async fn a_machine_that_is_being_deleted_is_made_again_afterwards() {
    let mut world = made(&json!({})).await;
    let caller = crate::controllers::stand_in::caller();
    crate::aws::StateMachines::delete_state_machine(&*world.aws.aws, &caller, MACHINE).await.unwrap();
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/StateMachineDeleting");
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
    assert_eq!((status(&world).versions, world.aws.versions(MACHINE)), (vec![1], vec![1]));
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_before_aws_is_asked() {
    let map =
        |key: &str| json!({"definition": null, "definitionFrom": {"configMapKeyRef": {"name": "code", "key": key}}});
    let deep = (0..110).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        ("no definition", json!({"definition": null}), "DefinitionMissing"),
        ("no such state", json!({"definition": {"StartAt": "Nowhere"}}), "DefinitionInvalid"),
        ("nested too deep", json!({"definition": {"deep": deep}}), "NestedTooDeep"),
        ("no such map", json!({"substitutionsFrom": [{"configMapRef": {"name": "none"}}]}), "ConfigMapNotFound"),
        ("no such key", map("none"), "ConfigMapKeyNotFound"),
        ("an output", json!({"substitutionsFrom": [{"configMapRef": {"name": "first-output"}}]}), "ConfigMapIsOutput"),
        ("no binding", json!({"trustBindingRef": {"name": "none"}}), "BindingNotFound"),
        ("no name of a binding", json!({"trustBindingRef": {"name": "no?"}}), "ValueNotAllowed"),
        (
            "a role of another account",
            json!({"executionRoleARN": "arn:aws:iam::999999999999:role/run"}),
            "ExecutionRoleForeign",
        ),
        ("a name of others", json!({"stateMachineName": "billing_orders"}), "NameNotAllowed"),
        ("no key", json!({"encryption": {"kmsKeyID": "*"}}), "ValueNotAllowed"),
    ];
    for (what, spec, reason) in cases {
        let world = World::fake().await;
        world.add_config_map("code", &json!({"asl": definition("1").to_string()}), None);
        world.add_config_map("first-output", &json!({}), Some(("stepbound.dev", "first")));
        add(&world, &spec);
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(
            world.says::<Workflow>("orders", "Ready"),
            format!("False/{reason}"),
            "{what}: {}",
            world.message::<Workflow>("orders")
        );
        assert!(world.aws.made().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_definition_may_come_from_a_map_with_values_for_its_names() {
    let mut world = World::fake().await;
    world.add_config_map("code", &json!({"asl": definition("${stage} ${team}").to_string()}), None);
    world.add_config_map("values", &json!({"stage": "test", "unused": "x", "team": "theirs"}), None);
    add(
        &world,
        &json!({"definition": null, "definitionFrom": {"configMapKeyRef": {"name": "code", "key": "asl"}},
            "substitutionsFrom": [{"configMapRef": {"name": "values"}}], "substitutions": {"team": "shop"}}),
    );
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{}", world.message::<Workflow>("orders"));
    assert!(world.aws.machine(MACHINE).unwrap().definition.contains("test shop"));
    // The same definition of the object's own is the same version, which then comes from no map.
    world.change_spec::<Workflow>(
        "orders",
        &json!({"definition": definition("test shop"), "definitionFrom": null, "substitutionsFrom": [], "substitutions": {}}),
    );
    world.settle::<Workflow>("orders").await;
    assert_eq!(
        (status(&world).versions, status(&world).runs_as.iter().any(|one| one.from_config_map)),
        (vec![1], false)
    );
}

#[tokio::test]
async fn nothing_is_done_while_suspended_and_all_of_it_afterwards() {
    let mut world = World::fake().await;
    add(&world, &json!({"suspend": true}));
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Suspended");
    assert!(world.aws.made().is_empty());
    change(&mut world, &json!({"suspend": false})).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
}

#[tokio::test]
async fn a_binding_that_may_not_be_used_leaves_the_machine_as_it_is() {
    type Take = fn(&World<Faked>);
    let cases: [(&str, Take, &str); 5] = [
        (
            "suspended",
            |world| world.change("trustbindings", "orders", &json!({"spec": {"suspend": true}})),
            "Suspended",
        ),
        ("no consent", |world| world.withdraw_consent(), "ConsentMissing"),
        ("no account", |world| world.remove_account(), "ServiceAccountMissing"),
        (
            "an audience of others",
            |world| world.change("trustbindings", "orders", &json!({"spec": {"audience": "other"}})),
            "AudienceNotAllowed",
        ),
        (
            "no token",
            |world| {
                let (namespace, service_account) = ("shop".into(), "orders".into());
                let error = crate::identity::IdentityError::MintForbidden { namespace, service_account };
                world.aws.sessions.refuse(Some(error));
            },
            "Forbidden",
        ),
    ];
    for (what, take, reason) in cases {
        let world = made(&json!({})).await;
        take(&world);
        world.forget_authorized().await;
        let before = world.aws.made().len();
        world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
        world.wake_object::<Workflow>("orders").await;
        let message = world.message::<Workflow>("orders");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), format!("False/{reason}"), "{what}: {message}");
        assert_eq!(world.aws.made().len(), before, "{what}");
    }
}

#[tokio::test]
async fn a_workflow_does_not_move_to_another_machine() {
    let mut world = made(&json!({})).await;
    world.change("trustbindings", "orders", &json!({"spec": {"region": "eu-central-1"}}));
    world.forget_authorized().await;
    change(&mut world, &json!({"definition": definition("2")})).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/LocationChanged");
    assert_eq!(world.aws.changes(), ["CreateStateMachine"]);
}

#[tokio::test]
async fn what_a_guardrail_forbids_is_not_made() {
    let cases = [
        json!({"allowedAccountIDs": ["999999999999"]}),
        json!({"allowedRegions": ["eu-central-1"]}),
        json!({"allowedRoleARNs": ["arn:aws:iam::111122223333:role/other"]}),
        json!({"allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/other"]}),
        json!({"allowedStateMachineNames": ["other-*"]}),
        json!({"requireDerivedSessionPolicy": true}),
        json!({"requireAlias": true}),
    ];
    for rails in cases {
        let mut world = World::fake_with(|_| {}, Some(&rails)).await;
        add(&world, &json!({}));
        world.settle::<Workflow>("orders").await;
        let message = world.message::<Workflow>("orders");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/RefusedByGuardrail", "{rails}: {message}");
        assert!(world.aws.made().is_empty() && message.contains("limits"), "{rails}: {message}");
    }
}
