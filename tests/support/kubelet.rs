//! What a node would do for the Jobs of a Helm hook: run the container's command under the pod's own account.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::TestBed;

/// What a Job's container said, and whether it ended well.
#[derive(Debug)]
pub struct JobRun {
    pub good: bool,
    pub said: String,
}

/// Runs every Job of the namespace while `meanwhile` goes on.
pub fn run_jobs<T>(bed: &TestBed, namespace: &str, binary: &Path, meanwhile: impl FnOnce() -> T) -> (T, Vec<JobRun>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut done = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let jobs = bed.control_plane.kubectl(&["-n", namespace, "get", "jobs", "-o", "json"]);
                let jobs: Value = serde_json::from_str(&jobs).unwrap();
                for job in jobs["items"].as_array().unwrap().iter().filter(|job| job["status"]["conditions"].is_null())
                {
                    done.push(run_job(bed, namespace, binary, job));
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            done
        });
        // Ends the worker also where this panics.
        let ends = Ends(&over);
        let result = meanwhile();
        drop(ends);
        (result, worker.join().unwrap())
    })
}

/// Says that it is over when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn run_job(bed: &TestBed, namespace: &str, binary: &Path, job: &Value) -> JobRun {
    let pod = &job["spec"]["template"]["spec"];
    let kubeconfig = bed.control_plane.kubeconfig_of(namespace, pod["serviceAccountName"].as_str().unwrap());
    let arguments = pod["containers"][0]["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let output = Command::new(binary).args(arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
    let good = output.status.success();
    let conditions = |before: &str, last: &str| {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let one = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now, "reason": "Ended", "message": ""});
        json!({"status": {"startTime": now, "conditions": [one(before), one(last)],
            "completionTime": if good { json!(now) } else { Value::Null },
            "succeeded": if good { json!(1) } else { Value::Null },
            "failed": if good { Value::Null } else { json!(1) }}})
    };
    let status =
        if good { conditions("SuccessCriteriaMet", "Complete") } else { conditions("FailureTarget", "Failed") };
    let name = job["metadata"]["name"].as_str().unwrap();
    let patch =
        ["-n", namespace, "patch", "job", name, "--subresource=status", "--type=merge", "-p", &status.to_string()];
    bed.control_plane.kubectl(&patch);
    JobRun { good, said: String::from_utf8_lossy(&output.stderr).into_owned() }
}
