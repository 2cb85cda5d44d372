//! What every command ends with: its exit code, whoever reads what it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

const MACHINE: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
const TASK: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "End": true, "Resource": "arn:aws:states:::sqs:sendMessage",
    "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "MessageBody": "a"}}}}"#;
const BINDING: &str = "
apiVersion: stepbound.dev/v1alpha1
kind: TrustBinding
metadata: {name: orders, namespace: shop}
spec:
  serviceAccountName: orders
  roleARN: arn:aws:iam::111122223333:role/orders
  region: eu-west-1
  allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/exec']
";
/// The claims of `BINDING`'s token, and a policy for another.
const CLAIMS: &str =
    r#"{"iss": "https://i.example", "sub": "system:serviceaccount:shop:orders", "aud": "sts.amazonaws.com"}"#;
const TRUST: &str = r#"{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
    "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/i.example"},
    "Condition": {"StringEquals": {"i.example:sub": "system:serviceaccount:shop:other", "i.example:aud": "sts.amazonaws.com"}}}}"#;
const NOTHING: &str = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}}"#;
const EVERYTHING: &str = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

/// Commands, each with what it must end with. Files that are not there begin with `no`.
const CASES: &[(i32, &str)] = &[
    (0, "crds"),
    (2, "crds --output-dir no/folder"),
    (2, "crds --reference no/file"),
    (0, "graph machine.json"),
    (2, "graph nofile.json"),
    (2, "graph claims.json"),
    (2, "graph machine.json --output-file a.png"),
    (2, "graph machine.json --output-file no/a.svg"),
    (2, "graph machine.json --history nofile.json"),
    (2, "graph machine.json --history claims.json"),
    (0, "lint machine.json"),
    (1, "lint claims.json"),
    (2, "lint nofile.json"),
    (2, "lint --explain SB999"),
    (
        2,
        "lint machine.json --aws --role-arn arn:aws:iam::111122223333:role/a --region eu-west-1 --web-identity-token-file no",
    ),
    (2, "mcp"),
    (2, "mcp --url http://mcp.example/mcp --cert-dir no"),
    (2, "mcp --url http://mcp.example/mcp --insecure-http"),
    (2, "operator --no-such-flag"),
    (2, "operator --sts-endpoint-url=http://sts.example"),
    (2, "operator"),
    (0, "policy execution-role task.json --account 111122223333 --region eu-west-1"),
    (1, "policy execution-role task.json --account 111122223333 --region eu-west-1 --compare nothing.json"),
    (0, "policy execution-role task.json --account 111122223333 --region eu-west-1 --compare everything.json"),
    (2, "policy execution-role task.json --account 111122223333 --region eu-west-1 --compare nofile.json"),
    (2, "policy execution-role task.json"),
    (2, "policy execution-role nofile.json"),
    (0, "policy step-roles task.json --account 111122223333 --region eu-west-1"),
    (0, "policy step-roles task.json --account 111122223333 --region eu-west-1 --split"),
    (2, "policy step-roles task.json --account 111122223333 --region eu-west-1 --compare no=everything.json"),
    (2, "policy step-roles task.json"),
    (2, "policy step-roles nofile.json"),
    (0, "policy binding-role binding.yaml"),
    (2, "policy binding-role nofile.yaml"),
    (2, "policy binding-role machine.json"),
    (2, "release"),
    (2, "release --all"),
    (2, "release --all --sts-endpoint-url=http://sts.example"),
    (0, "trust render binding.yaml --issuer https://i.example"),
    (2, "trust render binding.yaml"),
    (2, "trust render"),
    (2, "trust render nofile.yaml"),
    (2, "trust render machine.json"),
    (1, "trust explain --policy trust.json --token-claims claims.json --role-arn arn:aws:iam::111122223333:role/a"),
    (2, "trust explain --policy trust.json --token-claims claims.json"),
    (2, "trust explain --policy trust.json --manifest binding.yaml"),
    (2, "trust explain --policy nofile.json --token-claims claims.json"),
    (2, "trust explain --policy claims.json --token-claims claims.json"),
    (2, "trust explain"),
    (0, "trust lint nothing.json"),
    (1, "trust lint everything.json"),
    (2, "trust lint nofile.json"),
    (2, "trust lint machine.json"),
    (2, "trust lint"),
    (2, ""),
    (0, "--help"),
];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("machine.json", MACHINE),
            ("task.json", TASK),
            ("binding.yaml", BINDING),
            ("claims.json", CLAIMS),
            ("trust.json", TRUST),
            ("nothing.json", NOTHING),
            ("everything.json", EVERYTHING),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }
}

/// The writing end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn every_command_ends_as_the_table_has_it_whoever_reads() {
    let folder = Folder::new();
    for (code, line) in CASES {
        let ended = folder.command(line).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(*code), "stepbound {line}: {said}");
        assert!(*code != 2 || !said.trim().is_empty(), "stepbound {line} says why there is no answer");
        for (what, out, error) in [
            ("standard output", closed(), Stdio::null()),
            ("standard error", Stdio::null(), closed()),
            ("both", closed(), closed()),
        ] {
            let ended = folder.command(line).stdout(out).stderr(error).status().unwrap();
            assert_eq!(ended.code(), Some(*code), "stepbound {line} while {what} is closed");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_answer() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let folder = Folder::new();
    for (code, line) in CASES.iter().filter(|(code, line)| *code < 2 && !line.starts_with('-')) {
        let ended = folder.command(line).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(2), "stepbound {line}, which ends with {code} otherwise");
    }
}

#[test]
fn an_explanation_without_a_role_says_how_to_give_one() {
    let folder = Folder::new();
    let line = "trust explain --policy trust.json --token-claims claims.json";
    let said = String::from_utf8(folder.command(line).output().unwrap().stderr).unwrap();
    for way in ["--role-arn", "get-role", "--manifest"] {
        assert!(said.contains(way), "{said}");
    }
}

/// Names of the commands under one, as its help has them.
fn commands(folder: &Folder, under: &str) -> Vec<String> {
    let output = folder.command(&format!("{under} --help")).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
    let names = listed.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("     "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_page_and_the_test_have_every_command() {
    let folder = Folder::new();
    let mut all = BTreeSet::new();
    for verb in commands(&folder, "") {
        let inner = commands(&folder, &verb);
        all.extend(inner.iter().map(|one| format!("{verb} {one}")));
        if inner.is_empty() {
            all.insert(verb);
        }
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exit-codes.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = rows.map(|(command, _)| command.to_owned()).collect();
    assert_eq!(documented, all);
    for command in all {
        assert!(CASES.iter().any(|(_, line)| line.starts_with(&command)), "no case of {command}");
    }
}
