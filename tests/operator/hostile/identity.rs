//! Sessions that should not be any more, regions that are none, and one tenant in another's way.

use crate::attempts::{Layer, Suite};
use crate::attribution::create_as;
use crate::tracking::with_events;
use crate::*;

/// How long STS takes to answer while something is done to the binding.
const SLOW: Duration = Duration::from_secs(4);
const ASSUME: &str = "AssumeRoleWithWebIdentity";

pub(super) fn attempts(suite: &mut Suite<'_>) {
    partitions(suite);
    in_flight(suite);
    starving(suite);
}

fn partitions(suite: &mut Suite<'_>) {
    let mut sovereign = suite.tenant.binding("sovereign");
    sovereign["spec"]["region"] = json!("eusc-de-east-1");
    suite.condition(
        "a region of the European Sovereign Cloud with a role of the usual partition",
        &sovereign,
        (Layer::Operator, "Authorized", "RegionOfAnotherPartition"),
        "eusc-de-east-1 is of partition aws-eusc",
    );
    for (what, region) in [
        ("a region that leads to another host", "evil.example/x-1"),
        ("a region with a port", "eu-west-1:8443"),
        ("a region with a user before a host", "a@evil-example-1"),
    ] {
        let mut elsewhere = suite.tenant.binding("elsewhere");
        elsewhere["spec"]["region"] = json!(region);
        suite.object(what, &elsewhere, Layer::Schema, "should match");
    }
    for region in
        ["eusc-de-east-1", "us-isof-south-1", "eu-isoe-west-1", "us-gov-west-1", "cn-northwest-1", "mx-central-1"]
    {
        let mut known = suite.tenant.binding("known");
        known["spec"]["region"] = json!(region);
        let dry = ["-n", &suite.tenant.name, "create", "--dry-run=server", "-f", "-"];
        let control_plane = &suite.tenant.bed.control_plane;
        control_plane
            .kubectl_as("mallory", &dry, Some(&known.to_string()))
            .unwrap_or_else(|said| panic!("{region}: {said}"));
    }
}

/// What STS answers after a suspension, or after consent was withdrawn, is used by nobody.
fn in_flight(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let suspend = ["patch", "tb/slow", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#];
    let withdraw = ["annotate", "serviceaccount/orders", "eks.amazonaws.com/role-arn-"];
    for (what, name, command, reason) in [
        ("credentials that come in after a suspension", "slow", &suspend[..], "Suspended"),
        ("credentials that come in after consent was withdrawn", "late", &withdraw[..], ""),
    ] {
        let about = format!("{}.{name}", tenant.name);
        tenant.bed.front.inject_for(ASSUME, &about, Fault::DelayAnswer(SLOW), 1);
        create_as(tenant, "mallory", &tenant.binding(name)).unwrap();
        until_asked(tenant, &about);
        tenant.kubectl(command);
        std::thread::sleep(SLOW + Duration::from_secs(2));
        let calls = tenant.bed.front.calls_of_session(&about);
        let used = calls.iter().map(|call| call.operation.as_str()).filter(|name| *name != ASSUME);
        let used: Vec<&str> = used.collect();
        assert_eq!(used, Vec::<&str>::new(), "{what}");
        let binding = tenant.get(&format!("tb/{name}")).unwrap();
        assert!(condition(&binding, "RoleAssumed").is_none_or(|one| one["status"] != "True"), "{what}: {binding}");
        let said = condition(&binding, "Ready").unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(reason.is_empty() || said == reason, "{what}: {said}");
        suite.harmless(what, Layer::Operator, &format!("{said}: the answer was dropped"));
    }
    let consent = format!("eks.amazonaws.com/role-arn={}", tenant.role_arn());
    tenant.kubectl(&["annotate", "serviceaccount/orders", &consent]);
    tenant.wait_for(suite.operator, "tb/orders", "Ready", "True", "RoleAssumed");
}

fn until_asked(tenant: &Tenant, session: &str) {
    wait_until(Duration::from_secs(60), "STS is asked", || {
        (!tenant.bed.front.calls_of_session(session).is_empty()).then_some(())
    });
}

/// A region that does not answer takes no place of another.
fn starving(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let about = format!("{}.dead", tenant.name);
    tenant.bed.front.inject_for(ASSUME, &about, Fault::Delay(Duration::from_secs(60)), 1000);
    for number in 0..40 {
        let mut dead = tenant.binding(&format!("dead-{number}"));
        dead["spec"]["region"] = json!("us-east-1");
        create_as(tenant, "mallory", &dead).unwrap();
    }
    until_asked(tenant, &about);
    create_as(tenant, "mallory", &tenant.binding("alive")).unwrap();
    tenant.wait_for(suite.operator, "tb/alive", "Ready", "True", "RoleAssumed");
    for number in 0..40 {
        let dead = tenant.get(&format!("tb/dead-{number}")).unwrap();
        assert!(condition(&dead, "RoleAssumed").is_none_or(|one| one["status"] != "True"));
    }
    let names: Vec<String> = (0..40).map(|number| format!("dead-{number}")).collect();
    let delete: Vec<&str> = ["delete", "tb"].into_iter().chain(names.iter().map(String::as_str)).collect();
    tenant.kubectl(&delete);
    suite.harmless(
        "forty bindings of a region that does not answer",
        Layer::Operator,
        "a binding beside them was Ready",
    );
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
/// A poll that waits is broken off by a suspension: nothing of the queue is read or deleted any more.
#[test]
fn requirement_27_a_queue_is_left_alone_once_its_binding_is_suspended() {
    let (tenant, operator, queue) = with_events("left-alone", 0);
    let calls = || tenant.bed.front.calls_about("left-alone-events");
    wait_until(Duration::from_secs(60), "the queue is polled", || (!calls().is_empty()).then_some(()));
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "Suspended");
    let before = calls().len();
    tenant.bed.aws.send(&queue, "not even JSON");
    std::thread::sleep(Duration::from_secs(5));
    let after: Vec<String> = calls().into_iter().skip(before).map(|call| call.operation).collect();
    assert_eq!(after, Vec::<String>::new(), "calls after the suspension");
}
