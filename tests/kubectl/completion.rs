//! Names that shells are offered.

use serde_json::json;

use crate::api::Api;

#[test]
fn who_decides_is_offered_what_waits() {
    let api = Api::start();
    api.waits("order");
    api.waits("decided");
    api.run("other", &json!({"phase": "Running"}));
    let key = ("approvals".to_owned(), "decided-1".to_owned());
    api.world.lock().unwrap().objects.get_mut(&key).unwrap()["spec"]["decision"] =
        json!({"verdict": "Denied", "digest": "d", "by": "bob"});
    // The run alone, once: whoever approves may not be allowed to see runs.
    api.world.lock().unwrap().unknown.push("workflowruns");
    for (typed, lines) in [
        (&["approve", ""][..], "order\talice@example.com asks, open for 20h\n:4\n"),
        (&["deny", "run/"], "run/order\talice@example.com asks, open for 20h\n:4\n"),
        (&["approve", "approval/"], "approval/order-1\talice@example.com asks, open for 20h\n:4\n"),
        (&["approve", "order", ""], ":4\n"),
    ] {
        let ended = api.ends(&[&["__complete"], typed].concat());
        assert_eq!((ended.code, ended.out.as_str()), (0, lines), "{typed:?}: {ended:?}");
    }
}

#[test]
fn objects_are_offered_behind_their_kinds_and_where_the_verb_has_something_to_do_with_them() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Failed", "requestedBy": "anna"}));
    api.run("other", &json!({"phase": "Running", "requestedBy": "anna"}));
    api.workflow("fulfil");
    let workflows = ("workflows".to_owned(), "fulfil".to_owned());
    api.world.lock().unwrap().objects.get_mut(&workflows).unwrap()["spec"]["aliases"] =
        json!([{"name": "live", "default": true}]);
    api.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding", "metadata": {"name": "orders"},
        "spec": {"roleARN": "arn:aws:iam::111122223333:role/orders"}}));
    for (typed, lines) in [
        (&["describe", "run/"][..], "run/order\tFailed fulfil 3h ago\nrun/other\tRunning fulfil 3h ago\n:4\n"),
        (&["describe", "wo"], "workflow/fulfil\t9d ago\n:4\n"),
        (&["describe", "workflow", "f"], "fulfil\t9d ago\n:4\n"),
        (&["get", "sfnrun/ord"], "sfnrun/order\tFailed fulfil 3h ago\n:4\n"),
        (&["get", "workflow/"], ":4\n"),
        (&["graph", ""], ":0\n"),
        (&["graph", "workflow/"], "workflow/fulfil\t9d ago\n:0\n"),
        (&["lint", "workflow/f"], "workflow/fulfil\t9d ago\n:0\n"),
        (&["policy", "binding-role", "binding/"], "binding/orders\tarn:aws:iam::111122223333:role/orders\n:0\n"),
        (&["trust", "explain", "--manifest", "tb/"], "tb/orders\tarn:aws:iam::111122223333:role/orders\n:0\n"),
        (&["list", "--phase", "Su"], "Succeeded\n:4\n"),
        (&["run", "fulfil", "--alias", ""], "live\tthe default\n:4\n"),
        (&["rollout", "status", "fulfil", "--alias", ""], "live\tthe default\n:4\n"),
        (&["cancel", ""], "other\tRunning fulfil 3h ago\n:4\n"),
        (&["redrive", ""], "order\tFailed fulfil 3h ago\n:4\n"),
        (&["list", "--requested-by", ""], "anna\n:4\n"),
    ] {
        let ended = api.ends(&[&["__complete"], typed].concat());
        assert_eq!((ended.code, ended.out.as_str()), (0, lines), "{typed:?}: {ended:?}");
    }
}
