use futures::StreamExt;
use futures::future::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::task::unconstrained;

use super::*;
use crate::controllers::intake::Listing;
use crate::controllers::stand_in::World;

fn workflow(name: &str, version: &str, more: &Value) -> Workflow {
    let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1, "resourceVersion": version},
        "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/e", "definition": {}}});
    for (key, value) in more.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// What is said of a change: the name, whether the controller is woken, and whether others are told.
fn said(changes: &[Change<Workflow>]) -> Vec<(String, &'static str, bool)> {
    let kind = |change: &Change<Workflow>| match change {
        Change::Applied { .. } if change.is_news() => "news",
        Change::Applied { .. } => "applied",
        Change::Gone(_) => "gone",
    };
    let mut said: Vec<_> = changes.iter().map(|one| (one.object().name_any(), kind(one), !one.is_known())).collect();
    said.sort();
    said
}

#[test]
fn what_somebody_asks_for_is_news_and_our_own_status_is_not_and_a_listing_finds_what_has_gone() {
    let mut intake = Intake::new(reflector::store().1);
    let none = json!({});
    let mut take = |event: Event<Workflow>| said(&intake.take_in(event));
    let row = |name: &str, kind: &'static str, told: bool| (name.to_owned(), kind, told);
    assert_eq!(take(Event::Init), []);
    assert_eq!(take(Event::InitApply(workflow("a", "1", &none))), [], "nothing is in the store before the end");
    take(Event::InitApply(workflow("b", "1", &none)));
    assert_eq!(take(Event::InitDone), [row("a", "news", true), row("b", "news", true)]);
    assert_eq!(take(Event::Apply(workflow("a", "2", &none))), [row("a", "applied", true)], "a status");
    assert_eq!(take(Event::Apply(workflow("a", "3", &json!({"generation": 2})))), [row("a", "news", true)]);
    let asked = json!({"generation": 2, "annotations": {"stepbound.dev/reconcile-now": "1"}});
    assert_eq!(take(Event::Apply(workflow("a", "4", &asked))), [row("a", "news", true)]);
    // The watch broke off: meanwhile b was deleted, c was made, and a is as it was.
    take(Event::Init);
    take(Event::InitApply(workflow("a", "4", &asked)));
    take(Event::InitApply(workflow("c", "7", &none)));
    assert_eq!(take(Event::InitDone), [row("a", "applied", false), row("b", "gone", true), row("c", "news", true)]);
    // Deleted and made again between two events.
    let again = workflow("c", "9", &json!({"uid": "another"}));
    assert_eq!(take(Event::Apply(again.clone())), [row("c", "gone", true), row("c", "news", true)]);
    assert_eq!(take(Event::Delete(again)), [row("c", "gone", true)]);
}

#[tokio::test]
async fn a_deletion_is_told_to_each_kind_while_another_does_not_listen() {
    let world = World::new("STANDARD", |_| (500, String::new())).await;
    let watches = Watches::default();
    let mut intake = watches.workflows.intake().unwrap();
    let mut woken = Box::pin(watches.workflows.line().unwrap());
    for number in 0..2_000 {
        let name = format!("w-{number}");
        for change in intake.take_in(Event::Apply(workflow(&name, "1", &json!({})))) {
            watches.workflows.take_in(&change, &world.ctx);
        }
    }
    let orders = Needed::TrustBinding("orders".into());
    assert_eq!(watches.workflows.who_needs("shop", &orders).len(), 2_000);
    // Nobody has read the line of the Workflows; that of the bindings gets the deletion at once.
    let mut bindings = Box::pin(watches.bindings.line().unwrap());
    let mut of_bindings = watches.bindings.intake().unwrap();
    let binding: TrustBinding = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "o", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/r", "region": "eu-west-1"}}))
    .unwrap();
    of_bindings.take_in(Event::Apply(binding));
    for change in intake.take_in(Event::Delete(workflow("w-7", "2", &json!({})))) {
        watches.workflows.take_in(&change, &world.ctx);
        watches.workflow_changed(&change);
    }
    assert_eq!(bindings.next().now_or_never().flatten().unwrap().name, "orders", "it may go once nothing uses it");
    assert_eq!(watches.workflows.who_needs("shop", &orders).len(), 1_999);
    let names: Vec<String> =
        std::iter::from_fn(|| unconstrained(woken.next()).now_or_never().flatten()).map(|one| one.name).collect();
    assert_eq!(names.len(), 2_000, "nothing was lost meanwhile");
}

#[test]
fn of_a_kind_of_kubernetes_a_new_listing_tells_what_has_gone() {
    let map = |name: &str| -> PartialObjectMeta<ConfigMap> {
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "shop", "annotations": {"a": "b"}}}))
        .unwrap()
    };
    let needed = || vec![("shop".to_owned(), "mine".to_owned()), ("shop".to_owned(), "lost".to_owned())];
    let mut listing = Listing::default();
    let mut take = |event| -> Vec<(String, bool)> {
        listing.take_in(event, needed).into_iter().map(|((_, name), there)| (name, there.is_some())).collect()
    };
    assert_eq!(take(Event::Init), []);
    assert_eq!(take(Event::InitApply(map("mine"))), [("mine".to_owned(), true)]);
    assert_eq!(take(Event::InitDone), [("lost".to_owned(), false)]);
    assert_eq!(take(Event::Apply(map("mine"))), [("mine".to_owned(), true)]);
    assert_eq!(take(Event::Delete(map("mine"))), [("mine".to_owned(), false)]);
}
