use super::*;
use proptest::prelude::*;
use serde_json::json;

fn key() -> Key {
    ("n".into(), "w".into())
}

fn run(name: &str, second: i64, more: &serde_json::Value) -> WorkflowRun {
    let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"),
            "creationTimestamp": Timestamp::from_second(second).unwrap().to_string()},
        "spec": {"workflowRef": {"name": "w"}}});
    for (path, value) in more.as_object().unwrap() {
        object[path] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn waiting(name: &str, second: i64) -> WorkflowRun {
    run(name, second, &json!({}))
}

fn with_phase(name: &str, second: i64, phase: &str) -> WorkflowRun {
    let attempt = json!({"number": 1, "executionName": "e", "targetARN": "t", "trustBindingName": "b", "inputDigest": "d",
        "recordedAt": "2026-01-01T00:00:00Z"});
    run(name, second, &json!({"status": {"phase": phase, "attempts": [attempt]}}))
}

#[test]
fn runs_start_in_order_of_creation_as_places_become_free() {
    let mut queues = Queues::default();
    for (name, second) in [("c", 3), ("a", 1), ("b", 2)] {
        assert_eq!(queues.see(&waiting(name, second)), None);
    }
    assert_eq!(queues.turn(&key(), "uid-c", 1), Turn::Waits { position: 3, waiting: 3, active: 0 });
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Now);
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Now, "asking again changes nothing");
    assert_eq!(queues.turn(&key(), "uid-b", 1), Turn::Waits { position: 1, waiting: 2, active: 1 });
    queues.see(&with_phase("a", 1, "Running"));
    assert_eq!(queues.active(&key()), 1);
    assert_eq!(queues.see(&with_phase("a", 1, "Succeeded")), Some(key()));
    assert_eq!(queues.first(&key(), 1), ["b"]);
    assert_eq!(queues.turn(&key(), "uid-c", 1), Turn::Waits { position: 2, waiting: 2, active: 0 });
    assert_eq!(queues.turn(&key(), "uid-b", 1), Turn::Now);
}

#[test]
fn a_run_that_is_asked_to_go_on_waits_for_a_place_as_the_older_one() {
    let mut queues = Queues::default();
    queues.see(&with_phase("a", 1, "Failed"));
    assert_eq!(queues.active(&key()), 0);
    queues.see(&with_phase("b", 2, "Running"));
    queues.see(&waiting("c", 3));
    let mut asked = with_phase("a", 1, "Failed");
    asked.metadata.annotations = Some([(crate::api::v1alpha1::REDRIVE.to_owned(), "1".to_owned())].into());
    queues.see(&asked);
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Waits { position: 1, waiting: 2, active: 1 });
    assert_eq!(queues.turn(&key(), "uid-c", 1), Turn::Waits { position: 2, waiting: 2, active: 1 });
    assert_eq!(queues.see(&with_phase("b", 2, "Succeeded")), Some(key()));
    assert_eq!(queues.turn(&key(), "uid-c", 1), Turn::Waits { position: 2, waiting: 2, active: 0 });
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Now);
    let mut goes_on = asked.clone();
    goes_on.status.as_mut().unwrap().phase = Some(crate::api::v1alpha1::Phase::Running);
    goes_on.status.as_mut().unwrap().last_handled.redrive = Some("1".into());
    queues.see(&goes_on);
    assert_eq!(queues.active(&key()), 1, "it is under way once");
    let mut refused = asked;
    refused.status.as_mut().unwrap().last_handled.redrive = Some("1".into());
    assert_eq!(queues.see(&refused), Some(key()), "a refusal frees its place");
    assert_eq!(queues.turn(&key(), "uid-c", 1), Turn::Now);
}

#[test]
fn a_run_that_cannot_start_holds_up_nobody_and_keeps_its_place_in_order() {
    let mut queues = Queues::default();
    queues.see(&waiting("a", 1));
    queues.see(&waiting("b", 2));
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Now);
    assert!(queues.step_aside(&key(), "uid-a"));
    assert_eq!(queues.turn(&key(), "uid-b", 1), Turn::Now);
    assert_eq!(queues.aside(&key()), ["a"]);
    assert_eq!(queues.turn(&key(), "uid-a", 1), Turn::Waits { position: 1, waiting: 1, active: 1 });
}

#[test]
fn a_cancelled_or_deleted_run_leaves_the_line_and_a_started_one_keeps_its_place_until_it_ends() {
    let mut queues = Queues::default();
    queues.see(&waiting("a", 1));
    let cancelled = json!({"workflowRef": {"name": "w"}, "cancel": {"reason": ""}});
    assert_eq!(queues.see(&run("a", 1, &json!({"spec": cancelled}))), Some(key()));
    let mut running = with_phase("b", 2, "Running");
    running.spec.cancel = Some(crate::api::v1alpha1::Cancel::default());
    queues.see(&running);
    assert_eq!((queues.active(&key()), queues.first(&key(), 9).len()), (1, 0));
    assert_eq!(queues.forget("uid-b"), Some(key()));
    assert_eq!(queues.active(&key()), 0);
    assert!(queues.workflows.is_empty() && queues.known.is_empty(), "nothing is kept of what has ended");
}

#[test]
fn a_new_listing_frees_no_place_before_it_has_ended() {
    let mut queues = Queues::default();
    queues.see(&with_phase("a", 1, "Running"));
    queues.see(&with_phase("b", 2, "Running"));
    queues.see(&waiting("c", 3));
    queues.begin_listing();
    assert_eq!(queues.turn(&key(), "uid-c", 2), Turn::Waits { position: 1, waiting: 1, active: 2 });
    queues.see(&with_phase("b", 2, "Running"));
    queues.see(&waiting("c", 3));
    assert_eq!(queues.end_listing(), [key()]);
    assert_eq!(queues.turn(&key(), "uid-c", 2), Turn::Now);
}

proptest! {
    /// Runs come, start, fail to start and end in any order, and now and then the process starts anew from what is stored:
    /// never are more under way than may be, nobody takes the place of one that comes before and could start, and in the end all have run.
    #[test]
    fn the_limit_and_the_order_hold_through_any_history(
        max in 1_usize..4,
        steps in proptest::collection::vec((0_u8..6, 0_usize..30), 1..200),
    ) {
        let mut queues = Queues::default();
        let mut stored: Vec<WorkflowRun> = Vec::new();
        let phase = |run: &WorkflowRun| run.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
        let active = |stored: &[WorkflowRun]| stored.iter().filter(|run| phase(run) == crate::api::v1alpha1::Phase::Running).count();
        for (step, which) in steps {
            let count = stored.len();
            match step {
                0 | 1 => {
                    let created = waiting(&format!("r{count:03}"), i64::try_from(count).unwrap());
                    queues.see(&created);
                    stored.push(created);
                }
                2 | 3 if count > 0 => {
                    let index = which % count;
                    let name = stored[index].metadata.name.clone().unwrap();
                    let waits = |run: &WorkflowRun| run.status.is_none();
                    if waits(&stored[index]) && queues.turn(&key(), &format!("uid-{name}"), max) == Turn::Now {
                        let aside = queues.aside(&key());
                        let could_start = stored[..index].iter().filter(|run| waits(run)).filter(|run| {
                            let other = run.metadata.name.clone().unwrap();
                            let admitted = queues.workflows[&key()].admitted.contains(&format!("uid-{other}"));
                            !admitted && !aside.contains(&other)
                        });
                        // There is a place left for each that comes before.
                        let before = could_start.count();
                        prop_assert!(before + queues.active(&key()) <= max, "{name} overtook {before}");
                        stored[index] = with_phase(&name, i64::try_from(index).unwrap(), "Running");
                        // The watch may show it later.
                        if step == 2 { queues.see(&stored[index]); }
                    }
                }
                4 if count > 0 => {
                    let index = which % count;
                    let name = stored[index].metadata.name.clone().unwrap();
                    if stored[index].status.is_none() { queues.step_aside(&key(), &format!("uid-{name}")); }
                }
                5 if count > 0 => {
                    let index = which % count;
                    let name = stored[index].metadata.name.clone().unwrap();
                    if phase(&stored[index]) == crate::api::v1alpha1::Phase::Running {
                        stored[index] = with_phase(&name, i64::try_from(index).unwrap(), "Succeeded");
                        queues.see(&stored[index]);
                    } else if which == 0 {
                        queues = Queues::default();
                        for run in &stored { queues.see(run); }
                    }
                }
                _ => {}
            }
            prop_assert!(active(&stored) <= max);
        }
        for _ in 0..=stored.len() {
            for index in 0..stored.len() {
                let name = stored[index].metadata.name.clone().unwrap();
                if stored[index].status.is_none() && queues.turn(&key(), &format!("uid-{name}"), max) == Turn::Now {
                    stored[index] = with_phase(&name, i64::try_from(index).unwrap(), "Running");
                }
                prop_assert!(active(&stored) <= max);
                if phase(&stored[index]) == crate::api::v1alpha1::Phase::Running {
                    stored[index] = with_phase(&name, i64::try_from(index).unwrap(), "Succeeded");
                    queues.see(&stored[index]);
                }
            }
        }
        prop_assert!(stored.iter().all(|run| phase(run).is_finished()));
        prop_assert!(queues.known.is_empty() && queues.workflows.is_empty());
    }
}

#[test]
fn a_run_that_has_gone_is_not_remembered_as_one_that_stepped_aside() {
    let mut queues = Queues::default();
    queues.see(&with_phase("busy", 1, "Running"));
    queues.see(&waiting("a", 2));
    queues.forget("uid-a");
    assert!(!queues.step_aside(&key(), "uid-a"));
    assert!(queues.workflows[&key()].aside.is_empty());
}

#[test]
fn what_a_guardrail_counts_is_the_same_line_by_namespace() {
    let mut queues = Queues::default();
    let of = |workflow: &str, mut run: WorkflowRun| {
        run.spec.workflow_ref.name = workflow.to_owned();
        run
    };
    let seen = |queues: &Queues| {
        let seen = queues.seen("n").cloned().unwrap_or_default();
        let sorted = |names: &HashSet<String>| names.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        let names = |names: &HashSet<String>| sorted(names).into_iter().collect::<Vec<_>>().join(" ");
        (names(&seen.active), names(&seen.waiting))
    };
    let told = |active: &str, waiting: &str| (active.to_owned(), waiting.to_owned());
    queues.see(&of("v", waiting("a", 1)));
    queues.see(&of("w", waiting("b", 2)));
    assert_eq!(seen(&queues), told("", "uid-a uid-b"));
    queues.see(&of("v", with_phase("a", 1, "Running")));
    assert_eq!(seen(&queues), told("uid-a", "uid-b"));
    queues.see(&of("w", run("b", 2, &json!({"spec": {"workflowRef": {"name": "w"}, "cancel": {}}}))));
    assert_eq!(seen(&queues), told("uid-a", ""), "who is cancelled before the start waits no more");
    queues.see(&of("v", with_phase("a", 1, "Failed")));
    assert_eq!(queues.seen("n"), None);
    let mut asked = of("v", with_phase("a", 1, "Failed"));
    asked.metadata.annotations = Some([(crate::api::v1alpha1::REDRIVE.to_owned(), "1".to_owned())].into());
    queues.see(&asked);
    assert_eq!(seen(&queues), told("", "uid-a"), "who is to go on waits again");
    queues.begin_listing();
    queues.see(&of("w", with_phase("c", 3, "Running")));
    queues.end_listing();
    assert_eq!(seen(&queues), told("uid-c", ""), "what a listing lacks is gone");
    queues.forget("uid-c");
    assert_eq!(queues.seen("n"), None, "nothing is kept of a namespace without runs");
}
