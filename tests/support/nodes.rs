//! Nodes that kwok plays, with the real scheduler and the real controllers of Deployments before them, for what only happens
//! once pods turn ready. Nothing runs in these pods.

use std::process::Command;

use serde_json::json;

use super::TestBed;
use super::control_plane::{assets, tool};
use super::processes::{Process, free_port};

/// How kwok plays a kubelet: a node is ready, a pod turns ready a second after it was given to a node and goes at once when
/// it is deleted.
const STAGES: &str = r#"
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      conditions:
      - {type: Ready, status: "True", reason: Played, message: "", lastTransitionTime: {{ Now | Quote }}, lastHeartbeatTime: {{ Now | Quote }}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.phase, operator: In, values: [Pending]}
  delay: {durationMilliseconds: 1000}
  next:
    statusTemplate: |
      phase: Running
      startTime: {{ Now | Quote }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ Now | Quote }}}
      - {type: ContainersReady, status: "True", lastTransitionTime: {{ Now | Quote }}}
      - {type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
  next:
    delete: true
"#;

/// Ends with what is kept here.
pub struct Nodes {
    _processes: [Process; 3],
}

impl TestBed {
    /// Adds nodes of these names, each in a zone of its own.
    pub fn with_nodes(&self, names: &[&str]) -> Nodes {
        let folder = &self.control_plane.folder;
        let kubeconfig = format!("--kubeconfig={}", self.control_plane.admin.display());
        let assets = assets(&self.binaries);
        let of_control_plane = |program: &str, more: &[&str]| {
            let mut command = Command::new(assets.join(program));
            let (port, certificates) = (free_port(), folder.join(format!("{program}-certs")));
            command.args([&kubeconfig, "--leader-elect=false", &format!("--secure-port={port}")]);
            command.arg(format!("--cert-dir={}", certificates.display())).args(more);
            Process::start(folder, &format!("{program}-of-nodes"), &mut command)
        };
        let configuration = folder.join("kwok.yaml");
        std::fs::write(&configuration, STAGES).unwrap();
        let workloads = "--controllers=deployment-controller,replicaset-controller,disruption-controller";
        let processes = [
            of_control_plane("kube-controller-manager", &[workloads]),
            of_control_plane("kube-scheduler", &[]),
            Process::start(
                folder,
                "kwok",
                Command::new(tool(&self.binaries, "kwok")).args([
                    &kubeconfig,
                    "--manage-all-nodes=true",
                    &format!("--config={}", configuration.display()),
                ]),
            ),
        ];
        for name in names {
            let size = json!({"cpu": "4", "memory": "8Gi", "pods": "50"});
            let node = json!({"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": name}},
                "status": {"capacity": size, "allocatable": size}});
            self.control_plane.try_kubectl(&["create", "-f", "-"], Some(&node.to_string())).unwrap();
            // A new node is tainted as not ready; the controller that would see it ready is not run.
            let untaint = ["patch", "node", name, "--type=merge", "-p", r#"{"spec": {"taints": null}}"#];
            self.control_plane.kubectl(&untaint);
        }
        Nodes { _processes: processes }
    }
}
