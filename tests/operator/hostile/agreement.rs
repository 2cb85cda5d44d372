//! The admission policies and the operator give the same verdict of what both can see: generated objects, judged by the real
//! API server and by the pure check.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stepbound::plan::guardrail::{Rule, check_binding, check_workflow};

use crate::guardrails::{guardrail, until_admission_says};
use crate::*;

const ACCOUNTS: [&str; 3] = ["111122223333", "222233334444", "333344445555"];
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "cn-north-1"];
const ROLES: [&str; 7] =
    ["shop-orders", "shop.orders", "shop+orders", "shopXorders", "path/shop-exec", "shop", "s=h,o@p"];
const PATTERNS: [&str; 8] = [
    "arn:aws:iam::111122223333:role/shop-*",
    "arn:aws:iam::*:role/shop.orders",
    "arn:aws:iam::*:role/shop+orders",
    "arn:aws:iam::*",
    "arn:aws:iam::222233334444:role/shop",
    "arn:*/shop-exec",
    "arn:aws:iam::*:role/*s*o*",
    "arn:aws:iam::333344445555:role/s=h,o@p",
];
const NAMES: [&str; 5] = ["shop_orders", "shop", "other", "shop-orders", "SHOP_orders"];
const NAME_PATTERNS: [&str; 5] = ["shop_*", "shop", "*orders", "o*r", "*"];
/// A region that no generated Guardrail allows: its refusal says that the server knows the Guardrail.
const NOWHERE: &str = "ap-nowhere-9";

fn some(all: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<&'static str>>> {
    of(subsequence(all, 0..=2))
}

fn rails() -> impl Strategy<Value = Value> {
    let lists = (some(&ACCOUNTS), subsequence(&REGIONS[..], 0..=3), vec(some(&PATTERNS), 3), some(&NAME_PATTERNS));
    (lists, any::<(bool, bool, bool, bool)>()).prop_map(|((accounts, regions, patterns, names), flags)| {
        let mut spec = json!({"allowedRegions": regions, "requireDerivedSessionPolicy": flags.0, "requireAlias": flags.1,
            "forbidDefinitionFrom": flags.2, "requireStepRoles": flags.3});
        let [roles, execution_roles, step_roles] = patterns.try_into().unwrap();
        let lists = [
            ("allowedStepRoleARNs", step_roles),
            ("allowedAccountIDs", accounts),
            ("allowedRoleARNs", roles),
            ("allowedExecutionRoleARNs", execution_roles),
            ("allowedStateMachineNames", names),
        ];
        for (field, list) in lists {
            if let Some(list) = list {
                spec[field] = json!(list);
            }
        }
        spec
    })
}

fn role() -> impl Strategy<Value = String> {
    (select(&ACCOUNTS[..]), select(&ROLES[..]))
        .prop_map(|(account, role)| format!("arn:aws:iam::{account}:role/{role}"))
}

fn bindings() -> impl Strategy<Value = Value> {
    let policies =
        vec![json!(null), json!("Derived"), json!("None"), json!("derived"), json!({"Version": "2012-10-17"})];
    (role(), select(&REGIONS[..]), select(policies), any::<bool>()).prop_map(|(role, region, policy, suspend)| {
        let mut spec = json!({"serviceAccountName": "orders", "roleARN": role, "region": region, "suspend": suspend});
        if !policy.is_null() {
            spec["sessionPolicy"] = policy;
        }
        spec
    })
}

fn workflows() -> impl Strategy<Value = Value> {
    let aliases = select(vec![json!(null), json!([]), json!([{"name": "live", "version": 1}])]);
    let values = select(vec![json!(null), json!([]), json!([{"configMapRef": {"name": "m"}}])]);
    let steps = vec(role(), 0..=2);
    (role(), of(select(&NAMES[..])), aliases, values, steps, any::<(bool, bool)>()).prop_map(
        |(role, name, aliases, values, mut steps, (mapped, suspend))| {
            steps.dedup();
            let steps: Vec<Value> = steps.iter().map(|role| json!({"roleARN": role, "states": ["S"]})).collect();
            let mut spec = json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": role, "suspend": suspend,
                "stateMachineName": name, "aliases": aliases, "substitutionsFrom": values, "stepRoles": steps});
            if mapped {
                spec["definitionFrom"] = json!({"configMapKeyRef": {"name": "m", "key": "k"}});
            } else {
                spec["definition"] = waiting(0);
            }
            spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            spec
        },
    )
}

fn generated<T>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// What the operator says, of what admission can see: a name that the spec leaves out is the operator's to make.
fn allowed(rails: &Value, kind: &str, spec: &Value) -> bool {
    let mut rails = rails.clone();
    rails["namespaceSelector"] = json!({});
    if spec["stateMachineName"].is_null() {
        rails.as_object_mut().unwrap().remove("allowedStateMachineNames");
    }
    let rules = [Rule { name: "agreeing".into(), spec: serde_json::from_value(rails).unwrap() }];
    if kind == "TrustBinding" {
        return check_binding(&rules, "agreeing", &serde_json::from_value(spec.clone()).unwrap()).is_ok();
    }
    let name = spec["stateMachineName"].as_str().unwrap_or_default();
    check_workflow(&rules, "agreeing", &serde_json::from_value(spec.clone()).unwrap(), name, None).is_ok()
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_admission_and_the_operator_agree_on_generated_objects() {
    const ROUNDS: usize = 8;
    let tenant = test_bed().tenant("agreeing");
    let mut runner = TestRunner::deterministic();
    let (mut both_allow, mut both_refuse) = (0, 0);
    for round in 0..ROUNDS {
        let rails = generated(&mut runner, rails());
        let name = format!("agreeing-{round}");
        guardrail(&tenant, &name, &rails);
        let mut nowhere = tenant.binding("nowhere");
        nowhere["spec"]["region"] = json!(NOWHERE);
        until_admission_says(&tenant, &nowhere, &format!("Guardrail {name} for namespace"));
        let of_bindings = generated(&mut runner, vec(bindings(), 40)).into_iter().map(|spec| ("TrustBinding", spec));
        let of_workflows = generated(&mut runner, vec(workflows(), 40)).into_iter().map(|spec| ("Workflow", spec));
        let all: Vec<(&str, Value)> = of_bindings.chain(of_workflows).collect();
        let objects: Vec<Value> = all
            .iter()
            .enumerate()
            .map(|(index, (kind, spec))| {
                json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind,
                    "metadata": {"name": format!("object-{index}-end"), "namespace": tenant.name}, "spec": spec})
            })
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let command = ["create", "--dry-run=server", "-f", "-"];
        let said = tenant.bed.control_plane.try_kubectl(&command, Some(&list)).err().unwrap_or_default();
        for (index, (kind, spec)) in all.iter().enumerate() {
            let marker = format!("object-{index}-end");
            let refusal = said.lines().find(|line| line.contains(&marker));
            if let Some(line) = refusal {
                assert!(line.contains(&format!("Guardrail {name}")), "{spec}: refused by another: {line}");
            }
            let verdict = allowed(&rails, kind, spec);
            assert_eq!(
                refusal.is_none(),
                verdict,
                "{rails}\n{spec}\nadmission: {refusal:?}, operator allows: {verdict}"
            );
            if verdict { both_allow += 1 } else { both_refuse += 1 }
        }
        tenant.bed.control_plane.kubectl(&["delete", "guardrail", &name]);
    }
    println!("both allow {both_allow}, both refuse {both_refuse}");
    assert!(both_allow > 50 && both_refuse > 50, "{both_allow} {both_refuse}");
}
