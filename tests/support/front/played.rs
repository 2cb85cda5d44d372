//! Executions that the front plays itself: ten thousand open ones cost the emulator a thread each. An execution of a
//! played machine runs for the `seconds` of its input and ends with its `status`; everything else about it follows the
//! same rules as any other's. What is measured with them is our model of AWS.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::states::{Answer, machine_of};
use super::visibility::epoch_seconds;
use super::{Shared, error_json, root};

/// One played execution.
#[derive(Clone)]
struct Played {
    name: String,
    input: String,
    started: f64,
    ends: f64,
    status: String,
}

/// What is played.
#[derive(Default)]
pub(super) struct Stage {
    texts: Vec<String>,
    /// By machine and name.
    machines: HashMap<String, HashMap<String, Played>>,
    /// Ends that the queue is to be told of, soonest first, in milliseconds.
    ends: BinaryHeap<std::cmp::Reverse<(u64, String)>>,
}

/// When a played execution ended, and when AWS shows it, in seconds of the epoch.
#[derive(Clone, Debug)]
pub struct End {
    pub name: String,
    pub ended: f64,
    pub shown: f64,
}

impl Stage {
    pub(super) fn plays(&self, arn: &str) -> bool {
        self.texts.iter().any(|text| arn.contains(text))
    }
}

impl super::Front {
    /// Plays the executions of machines whose ARN contains the text. Their ends go to the queue, where one is given, as
    /// `EventBridge` sends them.
    pub fn play(&self, text: &str, queue_url: Option<&str>) {
        self.shared.played.lock().unwrap().texts.push(text.to_owned());
        let Some(queue_url) = queue_url.map(str::to_owned) else { return };
        let (shared, text) = (self.shared.clone(), text.to_owned());
        std::thread::spawn(move || tell_ends(&shared, &text, &queue_url));
    }

    /// The ends of played executions of machines whose ARN contains the text.
    pub fn played_ends(&self, text: &str) -> Vec<End> {
        let stage = self.shared.played.lock().unwrap();
        let machines = stage.machines.iter().filter(|(machine, _)| machine.contains(text));
        let of_machine = |(machine, executions): (&String, &HashMap<String, Played>)| {
            let end = |one: &Played| {
                let shown = one.ends + self.shared.lag_of(&execution_arn(machine, &one.name));
                End { name: one.name.clone(), ended: one.ends, shown }
            };
            executions.values().map(end).collect::<Vec<_>>()
        };
        machines.flat_map(of_machine).collect()
    }
}

fn execution_arn(machine: &str, name: &str) -> String {
    format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1))
}

impl Shared {
    pub(super) fn start_played(&self, request: &Value) -> Option<Answer> {
        let machine = machine_of(request["stateMachineArn"].as_str()?);
        let mut stage = self.played.lock().unwrap();
        if !stage.plays(&machine) {
            return None;
        }
        let (name, input) = (request["name"].as_str()?.to_owned(), request["input"].as_str().unwrap_or("{}"));
        let asked: Value = serde_json::from_str(input).unwrap_or_default();
        let arn = execution_arn(&machine, &name);
        let started = epoch_seconds();
        let executions = stage.machines.entry(machine).or_default();
        if let Some(found) = executions.get(&name) {
            // The same name and input while it runs give the first answer (`StartExecution`, Standard).
            if found.input == input && found.ends > started {
                return Some((200, json!({"executionArn": arn, "startDate": found.started}).to_string()));
            }
            let message = format!("Execution Already Exists: '{arn}'");
            return Some((400, error_json("ExecutionAlreadyExists", &message)));
        }
        let ends = started + asked["seconds"].as_f64().unwrap_or_default();
        let status = asked["status"].as_str().unwrap_or("SUCCEEDED").to_owned();
        executions.insert(name.clone(), Played { name, input: input.to_owned(), started, ends, status });
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        stage.ends.push(std::cmp::Reverse(((ends * 1000.0) as u64, arn.clone())));
        Some((200, json!({"executionArn": arn, "startDate": started}).to_string()))
    }

    /// All of a played machine, with their data; `None` of one that is not played.
    pub(super) fn list_played(&self, machine: &str) -> Option<Vec<Value>> {
        let stage = self.played.lock().unwrap();
        if !stage.plays(machine) {
            return None;
        }
        let executions = stage.machines.get(machine);
        Some(executions.iter().flat_map(|all| all.values()).map(|one| described(machine, one)).collect())
    }

    pub(super) fn about_played(&self, operation: &str, request: &Value) -> Option<Answer> {
        let arn = request["executionArn"].as_str()?;
        let mut stage = self.played.lock().unwrap();
        let machine = machine_of(arn).replacen(":execution:", ":stateMachine:", 1);
        if !stage.plays(&machine) {
            return None;
        }
        let found = stage.machines.get_mut(&machine).and_then(|all| all.get_mut(arn.rsplit(':').next()?));
        let Some(one) = found else {
            let message = format!("Execution Does Not Exist: '{arn}'");
            return Some((400, error_json("ExecutionDoesNotExist", &message)));
        };
        let answer = match operation {
            "StopExecution" => {
                if one.ends > epoch_seconds() {
                    (one.ends, one.status) = (epoch_seconds(), "ABORTED".into());
                }
                json!({"stopDate": one.ends})
            }
            "GetExecutionHistory" => json!({"events": []}),
            _ => described(&machine, one),
        };
        Some((200, answer.to_string()))
    }
}

fn described(machine: &str, one: &Played) -> Value {
    let mut value = json!({
        "executionArn": execution_arn(machine, &one.name), "stateMachineArn": machine, "name": one.name,
        "status": "RUNNING", "startDate": one.started, "input": one.input, "redriveCount": 0,
    });
    if one.ends <= epoch_seconds() {
        value["status"] = json!(one.status);
        value["stopDate"] = json!(one.ends);
        if one.status == "SUCCEEDED" {
            value["output"] = json!(one.input);
        } else {
            value["error"] = json!("Played");
            value["cause"] = json!("It was to end so.");
        }
    }
    value
}

/// Sends each end to the queue when it comes.
fn tell_ends(shared: &Arc<Shared>, text: &str, queue_url: &str) {
    let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(20));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let now = (epoch_seconds() * 1000.0) as u64;
        let mut over = Vec::new();
        {
            let mut stage = shared.played.lock().unwrap();
            while stage.ends.peek().is_some_and(|end| end.0.0 <= now) {
                over.extend(stage.ends.pop().map(|end| end.0.1));
            }
        }
        for arn in over.iter().filter(|arn| arn.contains(text)) {
            let event = json!({"version": "0", "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change",
                "detail": {"executionArn": arn, "status": "SUCCEEDED"}});
            let body = json!({"QueueUrl": queue_url, "MessageBody": event.to_string()});
            let sent = http.post(&shared.upstream).header("authorization", root("sqs"));
            let sent = sent.header("x-amz-target", "AmazonSQS.SendMessage");
            let sent = sent.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send();
            assert!(sent.unwrap().status().is_success(), "the event is sent");
        }
    }
}
