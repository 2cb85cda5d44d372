//! Random histories on the real control plane: whatever people edit, here or in AWS, whatever AWS answers and whenever the
//! operator dies, every workflow converges to its spec.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::*;

const HISTORIES: usize = 50;
const STEPS: usize = 4;

/// One workflow and what its spec says.
struct History {
    name: String,
    seconds: u32,
    tag: Option<u32>,
}

impl History {
    fn object(&self, tenant: &Tenant) -> Value {
        let mut workflow = tenant.workflow(&self.name, &waiting(self.seconds));
        workflow["metadata"]["namespace"] = json!(tenant.name);
        if let Some(tag) = self.tag {
            workflow["spec"]["tags"] = json!({"team": tag.to_string()});
        }
        workflow
    }

    /// One thing that happens to it.
    fn happens(&mut self, tenant: &Tenant, random: &mut StdRng) {
        let arn = tenant.machine_arn(&self.name);
        let aws = &tenant.bed.aws;
        // A machine that is not there yet cannot be edited, which is a history too.
        match random.random_range(0..7) {
            0 => self.seconds = random.random_range(0..5),
            1 => self.tag = Some(random.random_range(0..3)),
            2 => self.tag = None,
            3 => {
                let definition = waiting(random.random_range(50..60)).to_string();
                let _ = aws.states("UpdateStateMachine", &json!({"stateMachineArn": arn, "definition": definition}));
            }
            4 => drop(aws.states("DeleteStateMachine", &json!({"stateMachineArn": arn}))),
            5 => {
                let tags = json!([{"key": "theirs", "value": "x"}]);
                let _ = aws.states("TagResource", &json!({"resourceArn": arn, "tags": tags}));
            }
            _ => {
                let faults = [Fault::Throttle, Fault::Unavailable, Fault::LoseAnswer];
                let operations = ["CreateStateMachine", "UpdateStateMachine", "DescribeStateMachine", "TagResource"];
                let (fault, operation) = (faults[random.random_range(0..3)], operations[random.random_range(0..4)]);
                tenant.bed.front.inject_for(operation, &self.name, fault, random.random_range(1..3));
            }
        }
    }

    /// Why AWS is not as the spec says, if it is not.
    fn differs(&self, tenant: &Tenant) -> Option<String> {
        let arn = tenant.machine_arn(&self.name);
        let machine = tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": arn})).ok();
        let Some(machine) = machine else { return Some("there is no machine".into()) };
        let actual: Value = serde_json::from_str(machine["definition"].as_str().unwrap()).unwrap();
        if actual != waiting(self.seconds) {
            return Some(format!("{actual} instead of {} seconds", self.seconds));
        }
        let tags = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": arn})).unwrap().to_string();
        let team = self.tag.map(|tag| json!({"key": "team", "value": tag.to_string()}).to_string());
        match team {
            Some(team) if !tags.contains(&team) => Some(format!("{tags} without {team}")),
            None if tags.contains("\"team\"") => Some(format!("{tags} with a team")),
            _ => None,
        }
    }
}

#[test]
fn fifty_random_histories_converge_to_their_specs() {
    let seed: u64 =
        std::env::var("STEPBOUND_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut random = StdRng::seed_from_u64(seed);
    let tenant = test_bed().tenant("histories");
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    let again = || tenant.operator(binary, &[("STEPBOUND_AWS_QUOTA_SHARE", "100")]);
    let mut operator = again();
    tenant.apply(&tenant.binding("orders"));
    let new = |index| History { name: format!("life-{index:02}"), seconds: 1, tag: None };
    let mut histories: Vec<History> = (0..HISTORIES).map(new).collect();
    for _ in 0..STEPS {
        for history in &mut histories {
            history.happens(&tenant, &mut random);
        }
        let items: Vec<Value> = histories.iter().map(|history| history.object(&tenant)).collect();
        tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
        crate::crashes::killed(&tenant, operator);
        operator = again();
    }
    for history in &histories {
        let resource = format!("sfn/{}", history.name);
        let mut last = String::new();
        let converged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(Duration::from_secs(60), &resource, || {
                let object = tenant.get(&resource)?;
                let ready = condition(&object, "Ready")?;
                last = history.differs(&tenant).unwrap_or_else(|| ready.to_string());
                let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
                (ready["status"] == "True" && current && history.differs(&tenant).is_none()).then_some(())
            });
        }));
        assert!(converged.is_ok(), "STEPBOUND_SEED={seed}: {resource}: {last}");
    }
}
