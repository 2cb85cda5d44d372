//! The AWS emulator, and what an administrator of the account does in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::control_plane::run;
use super::front::root;
use super::processes::{Process, free_port, wait_until};

/// Account of everything in the emulator.
pub const ACCOUNT: &str = "000000000000";

pub struct Ministack {
    pub url: String,
    http: reqwest::blocking::Client,
    _process: Process,
}

/// The Python of the emulator's virtual environment.
pub fn python(binaries: &Path) -> PathBuf {
    let cache = binaries.parent().unwrap();
    let entry = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entry.map(|path| path.join("bin/python")).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().expect("the emulator is installed")
}

impl Ministack {
    pub fn start(folder: &Path, python: &Path) -> Self {
        let port = free_port();
        let process = Process::start(
            folder,
            "ministack",
            Command::new(python)
                .args(["-m", "ministack"])
                .env("GATEWAY_PORT", port.to_string())
                .env("BIND_HOST", "127.0.0.1")
                .env("AUTH", "true")
                .env("IOT_MTLS_ENABLED", "0")
                .env("SFTP_ENABLED", "0")
                .env("AWS_ACCESS_KEY_ID", "root")
                .env("AWS_SECRET_ACCESS_KEY", "root"),
        );
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        wait_until(Duration::from_secs(60), "the emulator is ready", || {
            http.get(format!("{url}/_ministack/ready")).send().ok().filter(|answer| answer.status().is_success())
        });
        Self { url, http, _process: process }
    }

    /// A call of the IAM query API as root.
    pub fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        self.query("iam", action, "2010-05-08", parameters)
    }

    fn query(&self, service: &str, action: &str, version: &str, parameters: &[(&str, &str)]) -> String {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(parameters)
            .finish();
        let answer = self
            .http
            .post(&self.url)
            .header("authorization", root(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.text().unwrap());
        answer.text().unwrap()
    }

    /// Makes an alarm and says in which state it is.
    pub fn set_alarm(&self, name: &str, state: &str) {
        let alarm = [("AlarmName", name), ("MetricName", "ExecutionsFailed"), ("Namespace", "AWS/States")];
        let threshold = [("Statistic", "Sum"), ("Period", "60"), ("EvaluationPeriods", "1"), ("Threshold", "1")];
        let comparison = [("ComparisonOperator", "GreaterThanThreshold")];
        self.query("monitoring", "PutMetricAlarm", "2010-08-01", &[&alarm[..], &threshold, &comparison].concat());
        let parameters = [("AlarmName", name), ("StateValue", state), ("StateReason", "a test")];
        self.query("monitoring", "SetAlarmState", "2010-08-01", &parameters);
    }

    /// A call of Step Functions as root.
    pub fn states(&self, operation: &str, body: &serde_json::Value) -> Result<serde_json::Value, serde_json::Value> {
        let answer = self
            .http
            .post(&self.url)
            .header("authorization", root("states"))
            .header("x-amz-target", format!("AWSStepFunctions.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string())
            .send()
            .unwrap();
        let good = answer.status().is_success();
        let value = answer.json().unwrap_or_default();
        if good { Ok(value) } else { Err(value) }
    }

    /// A call of a service that takes JSON, as root.
    pub fn json_call(&self, service: &str, target: &str, body: &serde_json::Value) -> serde_json::Value {
        let sent = self.http.post(&self.url).header("authorization", root(service)).header("x-amz-target", target);
        let answer = sent.header("content-type", "application/x-amz-json-1.1").body(body.to_string()).send().unwrap();
        assert!(answer.status().is_success(), "{target}: {}", answer.text().unwrap());
        answer.json().unwrap_or_default()
    }

    /// A queue; its URL here.
    pub fn queue(&self, name: &str) -> String {
        let created = self.json_call("sqs", "AmazonSQS.CreateQueue", &serde_json::json!({"QueueName": name}));
        created["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// Writes into a queue, as anybody could who may.
    pub fn send(&self, queue: &str, message: &str) {
        let body = serde_json::json!({"QueueUrl": queue, "MessageBody": message});
        self.json_call("sqs", "AmazonSQS.SendMessage", &body);
    }

    /// How many messages a queue has, those under way included.
    pub fn waiting_in(&self, queue: &str) -> u64 {
        let body = serde_json::json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let found = self.json_call("sqs", "AmazonSQS.GetQueueAttributes", &body);
        let number = |name: &str| found["Attributes"][name].as_str().map_or(0, |text| text.parse().unwrap());
        number("ApproximateNumberOfMessages") + number("ApproximateNumberOfMessagesNotVisible")
    }

    /// The rule of docs/events.md for machines of a tenant, with a queue as its target.
    pub fn send_changes_to(&self, tenant: &str, queue: &str) {
        let machines = format!("arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:{tenant}_");
        let pattern = serde_json::json!({
            "source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [{"prefix": machines}]},
        });
        let rule = serde_json::json!({"Name": queue, "EventPattern": pattern.to_string()});
        self.json_call("events", "AWSEvents.PutRule", &rule);
        let arn = format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:{queue}");
        let targets = serde_json::json!({"Rule": queue, "Targets": [{"Id": "queue", "Arn": arn}]});
        self.json_call("events", "AWSEvents.PutTargets", &targets);
    }

    /// Keys that tokens of identity pools are signed with. AWS publishes them; the emulator keeps them in a file, which its
    /// own module reads again.
    pub fn identity_pool_keys(binaries: &Path) -> serde_json::Value {
        const PROGRAM: &str = "
import json
from ministack.services import cognito
print(json.dumps({'keys': [cognito._JWKS_KEY]}))
";
        let text = run(Command::new(python(binaries)).arg("-c").arg(PROGRAM), None).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    /// A Lambda function of one Python module with a function `handler`.
    pub fn create_lambda(&self, name: &str, source: &str, role_arn: &str, binaries: &Path) {
        const ZIP: &str = "
import base64, io, sys, zipfile
archive = io.BytesIO()
with zipfile.ZipFile(archive, 'w') as file: file.writestr('index.py', sys.stdin.read())
print(base64.b64encode(archive.getvalue()).decode(), end='')
";
        let zip = run(Command::new(python(binaries)).arg("-c").arg(ZIP), Some(source)).unwrap();
        let body = serde_json::json!({"FunctionName": name, "Runtime": "python3.12", "Handler": "index.handler",
            "Role": role_arn, "Code": {"ZipFile": zip}});
        let sent = self.http.post(format!("{}/2015-03-31/functions", self.url));
        let sent = sent.header("authorization", root("lambda")).body(body.to_string());
        let answer = sent.header("content-type", "application/json").send().unwrap();
        assert!(answer.status().is_success(), "CreateFunction: {}", answer.text().unwrap());
    }

    /// Lets a role trust one account of the cluster instead of those that it trusted.
    pub fn trust_account(&self, role: &str, issuer: &str, namespace: &str, account: &str) {
        let issuer = issuer.trim_start_matches("https://");
        let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")},
            "Condition": {"StringEquals": {
                format!("{issuer}:sub"): format!("system:serviceaccount:{namespace}:{account}"),
                format!("{issuer}:aud"): "sts.amazonaws.com",
            }},
        }]});
        self.iam("UpdateAssumeRolePolicy", &[("RoleName", role), ("PolicyDocument", &trust.to_string())]);
    }

    /// A role with a trust policy and, where given, one inline policy.
    pub fn create_role(&self, name: &str, trust: &serde_json::Value, policy: Option<&serde_json::Value>) {
        self.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust.to_string())]);
        if let Some(policy) = policy {
            let document = policy.to_string();
            self.iam("PutRolePolicy", &[("RoleName", name), ("PolicyName", "inline"), ("PolicyDocument", &document)]);
        }
    }
}
