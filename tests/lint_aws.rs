//! `stepbound lint --aws` against a server that plays STS and Step Functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::111122223333:role/ci/lint";
const SUBJECT: &str = "repo:acme/shop:ref:refs/heads/main";

/// A request as it arrived: what it asks for, its headers and its body.
#[derive(Clone)]
struct Seen {
    operation: String,
    headers: HeaderMap,
    body: String,
}

struct Aws {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Aws {
    /// `validate` answers for a definition.
    fn start(validate: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (record, validate) = (seen.clone(), Arc::new(validate));
        let router = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
            let (record, validate) = (record.clone(), validate.clone());
            async move {
                let body = String::from_utf8(body.to_vec()).unwrap();
                let target = headers.get("x-amz-target").map(|value| value.to_str().unwrap().to_owned());
                let operation =
                    target.as_deref().and_then(|target| target.rsplit('.').next()).unwrap_or("STS").to_owned();
                record.lock().unwrap().push(Seen { operation, headers, body: body.clone() });
                if target.is_none() {
                    return sts(&body);
                }
                let (status, answer) = validate(&serde_json::from_str(&body).unwrap());
                (StatusCode::from_u16(status).unwrap(), answer.to_string())
            }
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn lint(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
        command.arg("lint").args(arguments).args(["--aws", "--role-arn", ROLE, "--web-identity-token-file", "token"]);
        command.args([
            "--region",
            "eu-west-1",
            "--sts-endpoint-url",
            &self.url,
            "--sfn-endpoint-url",
            &self.url,
            "--insecure-endpoints",
        ]);
        // Credentials that lie about and must not be used.
        command.envs([
            ("AWS_ACCESS_KEY_ID", "AKIACANARY"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_PROFILE", "canary"),
        ]);
        command.current_dir(folder).output().unwrap()
    }
}

fn sts(body: &str) -> (StatusCode, String) {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    if form["RoleArn"] != ROLE {
        return (StatusCode::FORBIDDEN, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error><RequestId>1</RequestId></ErrorResponse>".into());
    }
    let name = &form["RoleSessionName"];
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><SubjectFromWebIdentityToken>{SUBJECT}</SubjectFromWebIdentityToken><Audience>sts.amazonaws.com</Audience><Provider>arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com</Provider><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/lint/{name}</Arn><AssumedRoleId>A:{name}</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
    );
    (StatusCode::OK, answer)
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": "https://token.actions.githubusercontent.com", "sub": SUBJECT, "aud": "sts.amazonaws.com", "jti": "j"});
    let token = format!("{}.{}.signature\n", part(json!({"alg": "RS256", "kid": "k"})), part(claims));
    std::fs::write(folder.path().join("token"), token).unwrap();
    folder
}

fn write(folder: &tempfile::TempDir, name: &str, value: &Value) {
    std::fs::write(folder.path().join(name), value.to_string()).unwrap();
}

fn machine(resource: &str) -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": resource, "End": true}}})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn good() -> (u16, Value) {
    (200, json!({"result": "OK", "diagnostics": [], "truncated": false}))
}

#[test]
fn aws_is_asked_with_the_jobs_token_alone_and_its_verdict_stands_beside_ours() {
    let aws = Aws::start(|request| {
        let definition = request["definition"].as_str().unwrap();
        if !definition.contains("glue:startJobRuns") && !definition.contains("doubt") {
            return good();
        }
        let (severity, location) =
            if definition.contains("doubt") { ("WARNING", "/States/A/Next") } else { ("ERROR", "/States/A/Resource") };
        (
            200,
            json!({"result": "FAIL", "truncated": false,
            "diagnostics": [{"severity": severity, "code": "SCHEMA_VALIDATION_FAILED", "message": "said by AWS", "location": location}]}),
        )
    });
    let folder = folder();
    // AWS refuses the first and the linter may not know why, the linter alone refuses the second, AWS doubts the third, and the
    // fourth is a template.
    write(&folder, "1.asl.json", &machine("arn:aws:states:::glue:startJobRuns"));
    write(&folder, "2.asl.json", &json!({"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}));
    write(&folder, "3.asl.json", &json!({"StartAt": "A", "Comment": "doubt", "States": {"A": {"Type": "Succeed"}}}));
    write(&folder, "4.asl.json", &machine("${Function}"));
    let output = aws.lint(folder.path(), &[".", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(
        said.starts_with(&format!("note: 3 definitions are sent to AWS Step Functions in eu-west-1 as {ROLE}")),
        "{said}"
    );
    assert!(said.contains("1 of 4 not, for want of values"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|found| found["code"] == "SB096").collect();
    assert_eq!(told.len(), 2, "{report:#}");
    assert_eq!(
        (&told[0]["file"], &told[0]["path"], &told[0]["severity"]),
        (&json!("./1.asl.json"), &json!("/States/A/Resource"), &json!("error"))
    );
    assert!(told[0]["message"].as_str().unwrap().contains("SCHEMA_VALIDATION_FAILED: said by AWS"), "{}", told[0]);
    assert_eq!(told[1]["severity"], "warning");
    assert_eq!(report["aws"]["asked"], 3);
    let differences = report["aws"]["differences"].as_array().unwrap();
    let by_lint: Vec<&Value> = differences.iter().filter(|one| one["refusedBy"] == "lint").collect();
    assert_eq!(by_lint.len(), 1, "{differences:#?}");
    assert_eq!((&by_lint[0]["file"], &by_lint[0]["path"]), (&json!("./2.asl.json"), &json!("/StartAt")));

    let seen = aws.seen();
    let operations: Vec<&str> = seen.iter().map(|one| one.operation.as_str()).collect();
    let validate = "ValidateStateMachineDefinition";
    assert_eq!(operations, ["STS", validate, validate, validate], "one session, one call a definition, nothing else");
    let form: HashMap<String, String> = url::form_urlencoded::parse(seen[0].body.as_bytes()).into_owned().collect();
    assert_eq!((form["DurationSeconds"].as_str(), form["RoleArn"].as_str()), ("900", ROLE));
    let policy: Value = serde_json::from_str(&form["Policy"]).unwrap();
    assert_eq!(
        policy["Statement"],
        json!([{"Effect": "Allow", "Action": "states:ValidateStateMachineDefinition", "Resource": "*"}])
    );
    for call in &seen[1..] {
        let signed = call.headers["authorization"].to_str().unwrap();
        assert!(signed.contains("Credential=ASIASESSION/"), "{signed}");
        let request: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!((&request["type"], &request["severity"]), (&json!("STANDARD"), &json!("WARNING")));
    }
    assert!(seen.iter().all(|one| !format!("{:?}{}", one.headers, one.body).contains("AKIACANARY")));
}

#[test]
fn where_the_two_agree_that_is_said_and_workflows_go_with_their_values_and_type() {
    let aws = Aws::start(|_| good());
    let folder = folder();
    let workflow = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "fulfil"},
        "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/exec", "type": "Express",
            "substitutions": {"Fn": "arn:aws:lambda:eu-west-1:111122223333:function:f"}, "definition": machine("${Fn}")}});
    write(&folder, "workflow.json", &workflow);
    let output = aws.lint(folder.path(), &["workflow.json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("AWS decides the same of the one definition"), "{}", text(&output.stdout));
    let asked: Value = serde_json::from_str(&aws.seen()[1].body).unwrap();
    assert_eq!(asked["type"], "EXPRESS");
    assert!(asked["definition"].as_str().unwrap().contains("function:f"), "{asked}");
}

#[test]
fn without_an_answer_of_aws_the_own_findings_are_told_and_the_exit_code_is_2() {
    let denied = "User: x is not authorized to perform: states:ValidateStateMachineDefinition on resource: *";
    let aws = Aws::start(move |_| (400, json!({"__type": "AccessDeniedException", "message": denied})));
    let folder = folder();
    write(&folder, "1.asl.json", &json!({"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}));
    let output = aws.lint(folder.path(), &["1.asl.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("error[SB0"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(
        said.contains("1.asl.json") && said.contains("Allow the role states:ValidateStateMachineDefinition on *"),
        "{said}"
    );

    std::fs::write(folder.path().join("token"), "not a token").unwrap();
    let output = aws.lint(folder.path(), &["1.asl.json"]);
    assert!(text(&output.stderr).contains("token holds no token in three parts"), "{}", text(&output.stderr));
    let refused = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(["lint", "--aws", "x.json"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--role-arn"), "{}", text(&refused.stderr));
}

#[test]
fn the_token_travels_over_tls_or_not_at_all() {
    let aws = Aws::start(|_| good());
    let folder = folder();
    write(&folder, "1.asl.json", &machine("arn:aws:lambda:eu-west-1:111122223333:function:f"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
    command.args(["lint", "1.asl.json", "--aws", "--role-arn", ROLE, "--web-identity-token-file", "token"]);
    command.args(["--region", "eu-west-1", "--sts-endpoint-url", &aws.url]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("tokens would travel unencrypted"), "{}", text(&output.stderr));
    assert!(aws.seen().is_empty());
}

/// The flags with others of them, which count last where they stand twice.
fn asked(folder: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut all: Vec<&str> = vec!["lint", "1.asl.json", "--aws"];
    for (flag, value) in [("--role-arn", ROLE), ("--web-identity-token-file", "token"), ("--region", "eu-west-1")] {
        if !flags.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    all.extend(flags);
    let output = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(&all).current_dir(folder).output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn nothing_is_announced_before_what_can_be_checked_from_here_is_right() {
    let aws = Aws::start(|_| good());
    let folder = folder();
    write(&folder, "1.asl.json", &machine("arn:aws:lambda:eu-west-1:111122223333:function:f"));
    std::fs::write(folder.path().join("words"), "not a token").unwrap();
    let endpoints = ["--insecure-endpoints", "--sts-endpoint-url", &aws.url, "--sfn-endpoint-url", &aws.url];
    for (flags, expected) in [
        (["--region", "eu-west1"], "is not a region of AWS; write for example eu-west-1"),
        (
            ["--role-arn", "arn:aws:iam::1:role/ci"],
            "is not the ARN of an IAM role; write for example arn:aws:iam::111122223333:role/orders",
        ),
        (["--region", "cn-north-1"], "--region cn-north-1 is of partition aws-cn, but --role-arn"),
        (["--web-identity-token-file", "absent"], "cannot read the token in absent"),
        (["--web-identity-token-file", "words"], "words holds no token in three parts"),
        (["--role-arn", "arn:aws:iam::111122223333:role/other"], "AccessDenied"),
    ] {
        let (code, said) = asked(folder.path(), &[&flags[..], &endpoints].concat());
        assert!(
            code == Some(2) && said.contains(expected) && !said.contains("sent to AWS"),
            "{flags:?}: {code:?} {said}"
        );
    }
    assert!(aws.seen().iter().all(|seen| seen.operation == "STS"), "no definition left");
}

#[test]
fn an_aws_that_is_not_reached_is_told_as_such_and_has_its_own_exit_code() {
    let aws = Aws::start(|_| (503, json!({"__type": "ServiceUnavailableException", "message": "later"})));
    let folder = folder();
    write(&folder, "1.asl.json", &machine("arn:aws:lambda:eu-west-1:111122223333:function:f"));
    // Takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let closed = "http://127.0.0.1:1".to_owned();
    for (sts, sfn, whom) in [
        (closed.as_str(), aws.url.as_str(), "STS was not reached"),
        ("http://sts.invalid", &aws.url, "STS was not reached"),
        (&silent, &aws.url, "STS was not reached"),
        (&aws.url, &closed, "Step Functions, about 1.asl.json, was not reached"),
        (&aws.url, &aws.url, "Step Functions, about 1.asl.json, has no answer for now"),
    ] {
        let (code, said) =
            asked(folder.path(), &["--insecure-endpoints", "--sts-endpoint-url", sts, "--sfn-endpoint-url", sfn]);
        assert!(code == Some(3) && said.contains(whom), "{sts} {sfn}: {code:?} {said}");
        assert!(!said.contains("refused role") && !said.contains("trust policy"), "{said}");
        let is_silence = whom.ends_with("reached");
        assert_eq!(said.contains("Look at the network"), is_silence, "{said}");
    }
}

#[test]
fn a_refusal_of_sts_is_told_with_what_the_token_says_and_without_the_token() {
    let aws = Aws::start(|_| good());
    let folder = folder();
    write(&folder, "1.asl.json", &machine("arn:aws:lambda:eu-west-1:111122223333:function:f"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
    command.args([
        "lint",
        "1.asl.json",
        "--aws",
        "--role-arn",
        "arn:aws:iam::111122223333:role/other",
        "--web-identity-token-file",
        "token",
    ]);
    command.args([
        "--region",
        "eu-west-1",
        "--sts-endpoint-url",
        &aws.url,
        "--sfn-endpoint-url",
        &aws.url,
        "--insecure-endpoints",
    ]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("AccessDenied") && said.contains(SUBJECT) && said.contains("stepbound trust explain"),
        "{said}"
    );
    let token = std::fs::read_to_string(folder.path().join("token")).unwrap();
    assert!(!said.contains(token.trim()), "the token is a credential");
}
