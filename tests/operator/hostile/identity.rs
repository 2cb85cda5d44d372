//! Regions that are none, and queues of bindings that are suspended.

use crate::attempts::{Layer, Suite};
use crate::tracking::with_events;
use crate::*;

pub(super) fn attempts(suite: &mut Suite<'_>) {
    partitions(suite);
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

/// A poll that waits is broken off by a suspension: nothing of the queue is read or deleted any more.
#[test]
fn requirement_27_a_queue_is_left_alone_once_its_binding_is_suspended() {
    let (tenant, operator, queue) = with_events("left-alone", 0);
    let calls = || tenant.bed.front.calls_about("left-alone-events");
    wait_until(Duration::from_secs(20), "the queue is polled", || (!calls().is_empty()).then_some(()));
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "Suspended");
    let before = calls().len();
    tenant.bed.aws.send(&queue, "not even JSON");
    std::thread::sleep(Duration::from_secs(5));
    let after: Vec<String> = calls().into_iter().skip(before).map(|call| call.operation).collect();
    assert_eq!(after, Vec::<String>::new(), "calls after the suspension");
}
