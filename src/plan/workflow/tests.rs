//! The planner against a model of AWS: whatever people edit, here or there, and wherever the operator dies, it converges.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::v1alpha1::{LogLevel, StateMachineType};
use crate::asl::prepare;
use crate::aws::MachineSettings;
use crate::reason::Reason;

fn definition(seconds: u32) -> crate::asl::Definition {
    let value = json!({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": seconds, "End": true}}});
    prepare(&value.to_string(), &BTreeMap::new()).unwrap()
}

fn desired() -> Desired {
    Desired {
        name: "shop_fulfil".into(),
        arn: "arn:m".into(),
        definition: definition(1),
        role_arn: "a".into(),
        machine_type: StateMachineType::Standard,
        settings: MachineSettings::default(),
        tags: Tags::new(),
        owner: Owner { cluster: "c".into(), namespace: "shop".into(), name: "fulfil".into(), uid: "u".into() },
        publish: PublishPolicy::OnChange,
        drift: DriftPolicy::Correct,
        adoption: AdoptionPolicy::Never,
        take_over_from: None,
        take_over_is_checked: false,
        release_to: None,
        git_revision: None,
        from_config_map: false,
        foreign_marks: Vec::new(),
        lockdown: false,
    }
}

/// A model of AWS, just large enough to apply a plan to, and of the object's status.
#[derive(Clone, Debug, Default)]
struct World {
    machine: Option<StateMachine>,
    tags: Tags,
    /// What each version is of.
    versions: Vec<StateMachine>,
    /// Whether the machine is published as it is: AWS publishes no revision twice.
    is_published: bool,
    /// The version that the status has as the newest.
    latest: Option<usize>,
    applied_hash: Option<String>,
    tag_keys: Vec<String>,
    has_version: bool,
}

impl World {
    fn observed(&self) -> Observed {
        Observed {
            machine: self.machine.clone(),
            tags: self.machine.as_ref().map(|_| self.tags.clone()),
            applied_hash: self.applied_hash.clone(),
            tag_keys: self.tag_keys.clone(),
            has_version: self.has_version,
            version_from_config_map: false,
        }
    }

    fn publish(&mut self) -> usize {
        if !self.is_published {
            self.versions.extend(self.machine.clone());
        }
        self.is_published = true;
        self.versions.len() - 1
    }

    /// Makes a call, and gives the version that it answers with.
    fn apply(&mut self, action: &Action) -> Option<usize> {
        match action {
            Action::Create(create) => {
                self.tags = create.tags.clone();
                self.machine = Some(StateMachine {
                    arn: "arn:m".into(),
                    definition: create.definition.clone(),
                    role_arn: create.role_arn.clone(),
                    machine_type: create.machine_type,
                    settings: create.settings.clone(),
                    revision_id: None,
                    deleting: false,
                    description: None,
                });
                self.is_published = false;
                create.version_description.is_some().then(|| self.publish())
            }
            Action::Update(update) => {
                let machine = self.machine.as_mut().unwrap();
                machine.definition.clone_from(&update.definition);
                machine.role_arn.clone_from(&update.role_arn);
                machine.settings = update.settings.clone();
                self.is_published = false;
                update.version_description.is_some().then(|| self.publish())
            }
            Action::Publish(_) => Some(self.publish()),
            Action::Tag(more) => {
                self.tags.extend(more.clone());
                None
            }
            Action::Untag(keys) => {
                self.tags.retain(|key, _| !keys.contains(key));
                None
            }
        }
    }

    /// One reconcile: plans, applies until `dies_after` calls, and writes the status only if it lived.
    fn reconcile(&mut self, desired: &Desired, dies_after: usize) -> Result<Plan, Failure> {
        let plan = plan(desired, &self.observed())?;
        self.tag_keys = plan.record_tag_keys.clone().unwrap_or_else(|| self.tag_keys.clone());
        let answers: Vec<Option<usize>> =
            plan.actions.iter().take(dies_after).map(|action| self.apply(action)).collect();
        if dies_after == usize::MAX {
            self.applied_hash = Some(desired.hash());
            self.tag_keys = desired.tag_keys().collect();
            self.latest = answers.into_iter().flatten().last().or(self.latest);
            self.has_version |= self.latest.is_some();
        }
        Ok(plan)
    }
}

/// What can happen between two reconciles.
#[derive(Clone, Debug)]
enum Event {
    /// The spec is edited.
    Edit(u32, String, bool, BTreeMap<String, String>),
    /// Somebody edits the machine in AWS.
    Outside(u32),
    /// Somebody sets a tag in AWS.
    OutsideTag(String),
    /// Somebody deletes the machine in AWS.
    Deleted,
    /// The operator dies after so many calls.
    Crash(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u32..3, "[ab]", any::<bool>(), prop::collection::btree_map("[xy]", "[01]", 0..3))
            .prop_map(|(seconds, role, traced, tags)| Event::Edit(seconds, role, traced, tags)),
        (0u32..5).prop_map(Event::Outside),
        "[xyz]".prop_map(Event::OutsideTag),
        Just(Event::Deleted),
        (0usize..3).prop_map(Event::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_history_converges_to_the_spec_and_then_rests(
        events in prop::collection::vec(event(), 1..16),
        report in any::<bool>(),
        publish in any::<bool>(),
    ) {
        let mut world = World::default();
        let mut wanted = desired();
        wanted.drift = if report { DriftPolicy::Report } else { DriftPolicy::Correct };
        wanted.publish = if publish { PublishPolicy::OnChange } else { PublishPolicy::Never };
        let mut theirs = BTreeSet::new();
        for event in events {
            match event {
                Event::Edit(seconds, role, traced, tags) => {
                    wanted.definition = definition(seconds);
                    wanted.role_arn = role;
                    wanted.settings.tracing = traced;
                    wanted.tags = tags;
                }
                Event::Outside(seconds) => {
                    if let Some(machine) = &mut world.machine {
                        machine.definition = definition(seconds).text().to_owned();
                        world.is_published = false;
                    }
                }
                Event::OutsideTag(key) => {
                    theirs.insert(key.clone());
                    world.tags.insert(key, "theirs".into());
                }
                Event::Deleted => world.machine = None,
                Event::Crash(calls) => {
                    let plan = world.reconcile(&wanted, calls).unwrap();
                    // A tag that came with a creation of which nobody knows is taken for somebody else's, and stays.
                    if plan.actions.iter().take(calls).any(|action| matches!(action, Action::Create(_))) {
                        theirs.extend(wanted.tags.keys().cloned());
                    }
                }
            }
        }
        world.reconcile(&wanted, usize::MAX).unwrap();
        world.reconcile(&wanted, usize::MAX).unwrap();
        let last = world.reconcile(&wanted, usize::MAX).unwrap();
        prop_assert_eq!(&last.actions, &vec![]);
        let machine = world.machine.clone().unwrap();
        let in_sync = wanted.definition.equivalent(&machine.definition)
            && machine.role_arn == wanted.role_arn
            && machine.settings == wanted.settings;
        prop_assert!(in_sync || (report && !last.drift.is_empty()), "{:?}", last);
        prop_assert!(wanted.tags.iter().all(|(key, value)| world.tags.get(key) == Some(value)));
        prop_assert!(wanted.owner.owns(&world.tags));
        let known = |key: &String| wanted.tags.contains_key(key) || theirs.contains(key) || key.starts_with("stepbound.dev/");
        prop_assert!(world.tags.keys().all(known), "a tag that was dropped stays: {:?}", world.tags);
        prop_assert_eq!(publish, !world.versions.is_empty());
        let newest = world.latest.map(|latest| world.versions[latest].clone());
        prop_assert!(!(publish && in_sync) || newest == Some(machine), "the newest version is another: {:?}", newest);
    }

    #[test]
    fn a_machine_without_our_mark_is_never_touched(tags in prop::collection::btree_map("stepbound.dev/(cluster|namespace|name)|x", "[cd]|shop|fulfil", 0..4)) {
        let wanted = desired();
        prop_assume!(!wanted.owner.owns(&tags));
        let mut world = World::default();
        world.reconcile(&wanted, usize::MAX).unwrap();
        world.tags = tags;
        prop_assert_eq!(world.reconcile(&wanted, usize::MAX).unwrap_err().reason, Reason::StateMachineNameTaken);
    }
}

/// A machine that exists with these tags and another definition.
fn existing(tags: &[(&str, &str)]) -> World {
    let mut world = World::default();
    world.reconcile(&desired(), usize::MAX).unwrap();
    let text = |text: &&str| (*text).to_owned();
    World {
        machine: world.machine,
        tags: tags.iter().map(|(key, value)| (text(key), text(value))).collect(),
        ..World::default()
    }
}

#[test]
fn a_machine_of_nobody_is_adopted_when_asked_and_marked_before_it_is_changed() {
    let mut wanted = desired();
    wanted.definition = definition(9);
    wanted.adoption = AdoptionPolicy::IfUnowned;
    let mut world = existing(&[("team", "a")]);
    let plan = world.reconcile(&wanted, usize::MAX).unwrap();
    assert!(plan.adopts && plan.drift.is_empty());
    assert!(matches!(&plan.actions[..], [Action::Tag(_), Action::Update(_)]), "{plan:?}");
    assert_eq!(world.tags["team"], "a");
    for mark in ["aws:cloudformation:stack-id", "services.k8s.aws/namespace"] {
        let refused = existing(&[(mark, "shop")]).reconcile(&wanted, usize::MAX).unwrap_err();
        assert!(refused.message.contains("belongs to"), "{}", refused.message);
    }
    // From the ACK controller it moves when its namespace is named.
    let mut theirs =
        existing(&[("services.k8s.aws/controller-version", "sfn-1"), ("services.k8s.aws/namespace", "shop")]);
    let refused = theirs.reconcile(&wanted, usize::MAX).unwrap_err();
    assert!(refused.message.contains("stepbound.dev/take-over-from=ack/shop"), "{}", refused.message);
    wanted.take_over_from = Some("ack/shop".into());
    assert!(theirs.reconcile(&wanted, usize::MAX).is_err(), "asking is not enough");
    theirs.tags.insert(RELEASE_TAG.into(), "c/shop/fulfil".into());
    assert!(theirs.reconcile(&wanted, usize::MAX).unwrap().adopts);
}

#[test]
fn a_machine_of_another_cluster_moves_only_from_the_exact_owner_that_is_named() {
    let theirs =
        [("stepbound.dev/cluster", "old"), ("stepbound.dev/namespace", "shop"), ("stepbound.dev/name", "fulfil")];
    let mut wanted = desired();
    wanted.adoption = AdoptionPolicy::IfUnowned;
    let refused = existing(&theirs).reconcile(&wanted, usize::MAX).unwrap_err();
    assert!(refused.message.contains("stepbound.dev/take-over-from=old/shop/fulfil"), "{}", refused.message);
    wanted.take_over_from = Some("old/shop/fulfi".into());
    assert!(existing(&theirs).reconcile(&wanted, usize::MAX).is_err());
    wanted.take_over_from = Some("old/shop/fulfil".into());
    let mut world = existing(&theirs);
    assert!(world.reconcile(&wanted, usize::MAX).is_err(), "asking is not enough");
    world.tags.insert(RELEASE_TAG.into(), "c/shop/fulfil".into());
    let plan = world.reconcile(&wanted, usize::MAX).unwrap();
    assert!(plan.adopts && plan.from_another_owner);
    assert!(wanted.owner.owns(&world.tags));
    assert!(!world.tags.contains_key(RELEASE_TAG), "the consent was used: {:?}", world.tags);
    assert!(!world.reconcile(&wanted, usize::MAX).unwrap().from_another_owner);
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
/// Requirement 24: the words on one's own object take nothing over. The owner's tag does, or a right that the API server of the
/// owner's cluster has looked up.
#[test]
fn requirement_24_a_machine_is_taken_over_only_where_its_owner_agrees() {
    let mark = |cluster: &str| -> Tags {
        let tag = |key: &str, value: &str| (format!("stepbound.dev/{key}"), value.to_owned());
        Tags::from([tag("cluster", cluster), tag("namespace", "victim"), tag("name", "fulfil")])
    };
    let ack = Tags::from([("services.k8s.aws/namespace".to_owned(), "victim".to_owned())]);
    let stack = Tags::from([("aws:cloudformation:stack-id".to_owned(), "s".to_owned())]);
    let told = Tags::from([("ManagedBy".to_owned(), "terraform".to_owned())]);
    let with = |tags: &Tags, whom: &str| -> Tags {
        tags.clone().into_iter().chain([(RELEASE_TAG.to_owned(), whom.to_owned())]).collect()
    };
    for (tags, from, checked, taken) in [
        (mark("c"), "c/victim/fulfil", false, false),
        (mark("c"), "c/victim/fulfil", true, true),
        (mark("other"), "other/victim/fulfil", false, false),
        (mark("other"), "other/victim/fulfil", true, false),
        (with(&mark("other"), "c/shop/fulfil"), "other/victim/fulfil", false, true),
        (with(&mark("other"), "c/shop/fulfi"), "other/victim/fulfil", false, false),
        (with(&mark("other"), "c/mallory/fulfil"), "other/victim/fulfil", false, false),
        (with(&mark("other"), "*"), "other/victim/fulfil", false, false),
        (with(&mark("c"), "c/shop/fulfil"), "c/victim/fulfi", true, false),
        (ack.clone(), "ack/victim", false, false),
        (ack.clone(), "ack/victim", true, true),
        (with(&ack, "c/shop/fulfil"), "ack/victim", false, true),
        (stack.clone(), "whoever set the tag aws:cloudformation:stack-id", true, false),
        (with(&stack, "c/shop/fulfil"), "whoever set the tag aws:cloudformation:stack-id", true, false),
        (told.clone(), "whoever set the tag ManagedBy", true, false),
        (with(&told, "c/shop/fulfil"), "whoever set the tag ManagedBy", true, false),
    ] {
        let mut wanted = desired();
        (wanted.take_over_from, wanted.take_over_is_checked) = (Some(from.into()), checked);
        wanted.foreign_marks = vec!["ManagedBy".to_owned()];
        // What nobody owns may be adopted; what somebody owns may not.
        wanted.adoption = AdoptionPolicy::IfUnowned;
        let mut world = existing(&[]);
        world.tags.clone_from(&tags);
        let took = world.reconcile(&wanted, usize::MAX).is_ok();
        assert_eq!(took, taken, "{tags:?} {from} {checked}");
        assert!(took || world.tags == tags, "what is refused changes nothing");
    }
}

#[test]
fn an_owner_lets_a_machine_go_by_a_tag_and_takes_that_back() {
    let mut wanted = desired();
    let mut world = World::default();
    world.reconcile(&wanted, usize::MAX).unwrap();
    wanted.release_to = Some("c2/shop/fulfil".into());
    world.reconcile(&wanted, usize::MAX).unwrap();
    assert_eq!(world.tags.get(RELEASE_TAG).map(String::as_str), Some("c2/shop/fulfil"));
    wanted.release_to = None;
    world.reconcile(&wanted, usize::MAX).unwrap();
    assert!(!world.tags.contains_key(RELEASE_TAG));
    // One that the owner has set in AWS is theirs to take away.
    world.tags.insert(RELEASE_TAG.into(), "c3/shop/fulfil".into());
    world.reconcile(&wanted, usize::MAX).unwrap();
    assert!(world.tags.contains_key(RELEASE_TAG));
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
#[test]
fn requirement_24_every_tag_that_is_set_goes_with_the_owners_mark() {
    let mut wanted = desired();
    let mut world = World::default();
    world.reconcile(&wanted, usize::MAX).unwrap();
    wanted.tags.insert("team".into(), "orders".into());
    let plan = world.reconcile(&wanted, usize::MAX).unwrap();
    let Some(Action::Tag(tags)) = plan.actions.iter().find(|action| matches!(action, Action::Tag(_))) else {
        panic!("{plan:?}")
    };
    assert!(wanted.owner.owns(tags), "{tags:?}");
}

#[test]
fn drift_is_told_by_path_with_what_is_there_and_what_is_wanted() {
    let mut wanted = desired();
    wanted.drift = DriftPolicy::Report;
    let mut world = World::default();
    world.reconcile(&wanted, usize::MAX).unwrap();
    let machine = world.machine.as_mut().unwrap();
    machine.definition = definition(9).text().to_owned();
    machine.settings.log_level = LogLevel::All;
    let plan = world.reconcile(&wanted, usize::MAX).unwrap();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.drift[0], "definition.States.A.Seconds: in AWS 9, wanted 1");
    assert!(plan.drift[1].starts_with("logging: in AWS All to no log group"), "{:?}", plan.drift);
    // An edit of the spec is no drift: it is carried out.
    wanted.definition = definition(3);
    assert!(matches!(world.reconcile(&wanted, usize::MAX).unwrap().actions[..], [Action::Update(_)]));
}

#[test]
fn a_log_group_that_fills_the_resource_policy_is_warned_of() {
    let arn = |name: &str| format!("arn:aws:logs:eu-west-1:1:log-group:{name}");
    assert_eq!(log_group_warning(&arn("/aws/vendedlogs/states/fulfil:*")), None);
    assert!(log_group_warning(&arn("fulfil")).unwrap().contains("/aws/vendedlogs/states/"));
}

#[test]
fn versions_beyond_those_to_keep_go_but_for_those_that_are_used() {
    assert_eq!(prunable(&[1, 2, 3, 4, 5], 2, |version| version == 2), [1, 3]);
    assert_eq!(prunable(&[1, 2], 10, |_| false), Vec::<i64>::new());
}
