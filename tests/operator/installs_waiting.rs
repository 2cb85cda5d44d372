//! Helm that waits for pods: the real scheduler and the real controllers of Deployments, on nodes that kwok plays.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::support::{CHART, TestBed};

struct Release {
    bed: &'static TestBed,
}

impl Release {
    /// Runs Helm with values on top of the usual ones, and waits.
    fn helm(&self, verb: &[&str], values: &Value) -> Result<String, String> {
        let mut all = json!({"operator": {"clusterID": "test"}, "uninstallCheck": {"enabled": false}});
        all.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
        let args = [verb, &["stepbound", CHART, "-n", "waiting", "--wait", "-f", "-"]].concat();
        self.bed.helm(&args, Some(&all.to_string()))
    }

    fn get(&self, resource: &str) -> Value {
        let text = self.bed.control_plane.kubectl(&["-n", "waiting", "get", resource, "-o", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    fn available(&self) -> i64 {
        self.get("deployment/stepbound")["status"]["availableReplicas"].as_i64().unwrap_or_default()
    }

    /// The pods that are there, by name, and the nodes that they are on.
    fn pods(&self) -> (Vec<String>, Vec<String>) {
        let pods = self.get("pods");
        let text = |pod: &Value, path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let alive: Vec<&Value> = pods["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .collect();
        let names = alive.iter().map(|pod| text(pod, "/metadata/name")).collect();
        (names, alive.iter().map(|pod| text(pod, "/spec/nodeName")).collect())
    }

    fn evict(&self, pod: &str) -> Result<String, String> {
        let eviction =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "waiting"}});
        let path = format!("/api/v1/namespaces/waiting/pods/{pod}/eviction");
        self.bed.control_plane.try_kubectl(&["create", "--raw", &path, "-f", "-"], Some(&eviction.to_string()))
    }

    /// The fewest replicas that were available while something was done.
    fn fewest_while<T>(&self, act: impl FnOnce() -> T) -> (i64, T) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut fewest = i64::MAX;
                while !over.load(Ordering::Relaxed) {
                    fewest = fewest.min(self.available());
                    std::thread::sleep(Duration::from_millis(100));
                }
                fewest
            });
            let done = act();
            over.store(true, Ordering::Relaxed);
            (looking.join().unwrap(), done)
        })
    }
}

#[test]
fn an_upgrade_waits_for_its_pods_leaves_the_old_ones_until_then_and_comes_back_when_they_never_are() {
    let bed = TestBed::separate("waiting");
    let _nodes = bed.with_nodes(&["node-a", "node-b"]);
    bed.install_definitions_of_its_own();
    bed.control_plane.kubectl(&["create", "namespace", "waiting"]);
    let release = Release { bed };

    release.helm(&["install", "--timeout=90s"], &json!({})).unwrap();
    assert_eq!(release.available(), 2, "Helm came back when both were");
    let (first, mut nodes) = release.pods();
    nodes.sort();
    assert_eq!(nodes, ["node-a", "node-b"], "spread over the nodes");

    // A drain takes one, and the other not before there is another one somewhere.
    bed.control_plane.kubectl(&["cordon", "node-a", "node-b"]);
    wait_until(Duration::from_secs(60), "the budget counts them", || {
        (release.get("pdb/stepbound")["status"]["disruptionsAllowed"] == 1).then_some(())
    });
    release.evict(&first[0]).unwrap();
    let refused = release.evict(&first[1]).unwrap_err();
    assert!(refused.contains("disruption budget"), "{refused}");
    bed.control_plane.kubectl(&["uncordon", "node-a", "node-b"]);
    wait_until(Duration::from_secs(90), "the evicted one is replaced", || (release.available() == 2).then_some(()));

    let (before, _) = release.pods();
    let labelled = json!({"podLabels": {"round": "second"}});
    let (fewest, upgraded) = release.fewest_while(|| release.helm(&["upgrade", "--timeout=90s"], &labelled));
    upgraded.unwrap();
    let (second, _) = release.pods();
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|pod| !before.contains(pod)), "all are of the new round: {second:?}");
    assert_eq!(fewest, 2, "none went before another one was ready");

    // No node is like this: the new pods wait for ever, and nothing stands still for it.
    let nowhere = json!({"nodeSelector": {"disk": "none"}});
    let (fewest, failed) = release.fewest_while(|| release.helm(&["upgrade", "--timeout=12s"], &nowhere));
    let said = failed.unwrap_err();
    assert!(said.contains("stepbound") && (said.contains("deadline") || said.contains("not ready")), "{said}");
    assert_eq!(fewest, 2, "the old ones go on");
    let rollback = ["rollback", "stepbound", "2", "-n", "waiting", "--wait", "--timeout=60s"];
    bed.helm(&rollback, None).unwrap();
    let (third, _) = release.pods();
    assert!(third.iter().all(|pod| second.contains(pod)) && third.len() == 2, "{third:?} of {second:?}");

    bed.helm(&["uninstall", "stepbound", "-n", "waiting", "--wait", "--timeout=60s"], None).unwrap();
    wait_until(Duration::from_secs(60), "no pod is left", || release.pods().0.is_empty().then_some(()));
}
