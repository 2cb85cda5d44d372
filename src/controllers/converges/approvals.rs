//! Runs that need somebody else's approval: nothing that goes wrong starts one without it, or loses one that was given.

use super::*;

/// Says what somebody has decided of what the run asks for.
fn decide(world: &World<Faked>, verdict: &str) {
    let asked = world.run("order").status.and_then(|status| status.approval).unwrap();
    let path = format!("/apis/stepbound.dev/v1alpha1/namespaces/shop/approvals/{}", asked.name);
    let digest = world.object(&path).unwrap()["spec"]["request"]["digest"].clone();
    let decision = json!({"verdict": verdict, "digest": digest, "by": "bob"});
    world.change("approvals", &asked.name, &json!({"spec": {"decision": decision}}));
}

async fn waiting_run(world: &mut World<Faked>) {
    world.install_policies().await;
    add_workflow(world, &json!({"approval": {"required": true}}));
    settle_workflow(world).await;
    world.add_run("order", &json!({}));
    world.annotate::<WorkflowRun>("order", "stepbound.dev/requested-by", "alice");
}

/// What matters of a run, with who approved it and what is asked for.
fn approved(world: &World<Faked>) -> Value {
    let status = world.run("order").status.unwrap_or_default();
    let asked = |attempt: i64| {
        let path = format!("/apis/stepbound.dev/v1alpha1/namespaces/shop/approvals/order-{attempt}");
        world.object(&path).map(|approval| approval["spec"]["decision"]["verdict"].clone())
    };
    json!({"run": executions(world), "approvedBy": status.approved_by, "asked": [asked(1), asked(2)],
        "attempts": status.attempts.iter().map(|one| json!([one.approved_by, one.target_arn])).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_run_is_approved_and_starts_once() {
    converges::<WorkflowRun>(
        "an approved run",
        waiting_run,
        async |world| {
            settle_run(world).await;
            assert!(world.aws.executions().is_empty(), "nothing starts before it is approved");
            decide(world, "Approved");
            settle_run(world).await;
            end_run(world, Ended::Well("{\"a\": 1}")).await;
        },
        approved,
    )
    .await;
}

#[tokio::test]
async fn a_run_is_denied_and_starts_never() {
    converges::<WorkflowRun>(
        "a denied run",
        waiting_run,
        async |world| {
            settle_run(world).await;
            decide(world, "Denied");
            settle_run(world).await;
            assert!(world.aws.executions().is_empty());
        },
        approved,
    )
    .await;
}

#[tokio::test]
async fn a_redrive_is_approved_and_made_once() {
    converges::<WorkflowRun>(
        "an approved redrive",
        async |world| {
            waiting_run(world).await;
            settle_run(world).await;
            decide(world, "Approved");
            settle_run(world).await;
            end_run(world, Ended::Failed("E")).await;
        },
        async |world| {
            world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive-requested-by", "alice");
            world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "once");
            settle_run(world).await;
            let redrives = |arn: &String| world.aws.execution(arn).unwrap().redrive_count;
            assert!(world.aws.executions().iter().all(|arn| redrives(arn) == 0), "nothing is redriven before that");
            decide(world, "Approved");
            settle_run(world).await;
            end_run(world, Ended::Well("{}")).await;
        },
        approved,
    )
    .await;
}

#[tokio::test]
async fn what_is_changed_while_it_waits_is_asked_for_anew() {
    converges::<WorkflowRun>(
        "a void approval",
        async |world| {
            waiting_run(world).await;
            settle_run(world).await;
            decide(world, "Approved");
        },
        async |world| {
            world.change("workflowruns", "order", &json!({"metadata": {"generation": 2}, "spec": {"input": {"a": 2}}}));
            settle_run(world).await;
            assert!(world.aws.executions().is_empty(), "nobody has approved the other input");
            decide(world, "Approved");
            settle_run(world).await;
            end_run(world, Ended::Well("{}")).await;
        },
        approved,
    )
    .await;
}
