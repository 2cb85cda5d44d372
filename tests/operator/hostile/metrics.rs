//! The operator's metrics name accounts, regions and how much every tenant does.

use crate::attempts::{Layer, Suite};
use crate::metrics::{guarded, read};

pub(super) fn metrics(suite: &mut Suite<'_>) {
    let (_standby, health, port) = guarded(suite.tenant, &[]);
    let mint = |more: &[&str]| {
        let command = [&["-n", "hostile", "create", "token", "orders"], more].concat();
        suite.tenant.bed.control_plane.kubectl_as("mallory", &command, None).unwrap().trim().to_owned()
    };
    let (own, for_aws) = (mint(&[]), mint(&["--audience=sts.amazonaws.com"]));
    for (what, token, status, layer, why) in [
        ("the operator's metrics as herself", Some("mallory-token"), 403, Layer::Rbac, "mallory may not get /metrics"),
        ("the metrics with a token of her account", Some(own.as_str()), 403, Layer::Rbac, "may not get /metrics"),
        ("the metrics with a token that AWS takes", Some(&for_aws), 401, Layer::Operator, "read with the bearer token"),
        ("the metrics without a token", None, 401, Layer::Operator, "read with the bearer token"),
    ] {
        let answer = read(port, token);
        assert_eq!(answer.status(), status, "{what}");
        let said = answer.text().unwrap();
        assert!(said.contains(why) && !said.contains("stepbound_leading"), "{what}: {said}");
        suite.harmless(what, layer, why);
    }
    let open = reqwest::blocking::get(format!("http://127.0.0.1:{health}/metrics")).unwrap();
    assert_eq!(open.status(), 404);
    suite.harmless("the metrics on the port of health", Layer::Operator, "404");
}
