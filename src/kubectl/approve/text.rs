//! What is shown before somebody decides: all that the digest is of, in words.

use std::fmt::Write as _;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::approvals::Input;
use super::super::pretty::pretty;
use super::super::table::printable;
use super::super::words::{age, since, written};
use crate::api::v1alpha1::{Approval, ApprovalRequest, WorkflowRun};
use crate::printable;

/// Lines of an input that are shown unless all are asked for.
const LINES: usize = 60;
/// Characters, likewise: one line may be long.
const CHARACTERS: usize = 8_000;

/// What is decided, with what is known beside it.
pub(super) struct Text<'a> {
    pub approval: &'a Approval,
    /// Where whoever decides may see it.
    pub run: Option<&'a WorkflowRun>,
    pub input: &'a Input,
    /// Also an input that is long.
    pub whole: bool,
}

impl Text<'_> {
    pub fn text(&self, namespace: &str, now: Timestamp) -> String {
        let request = &self.approval.spec.request;
        let mut text = String::new();
        for (name, values) in self.facts(namespace, now) {
            for (at, value) in values.iter().enumerate() {
                let name = if at == 0 { format!("{name}:") } else { String::new() };
                // All of it is others' text.
                let _ = writeln!(text, "{name:<15}{}", printable(value));
            }
        }
        let _ = match self.input {
            Input::Is(input) => {
                let (shown, note) = cut(&printable::json(&pretty(input)), self.whole);
                writeln!(text, "\nInput ({} bytes):\n  {}{note}", input.len(), printable::indented(&shown))
            }
            Input::Unseen(why) => writeln!(
                text,
                "\nInput: not shown, for {}\n  SHA-256 {}",
                printable::indented(why),
                printable(&request.input_digest)
            ),
            Input::Differs(why) => writeln!(text, "\nInput: not shown, for {}", printable::indented(why)),
        };
        text.trim_end().to_owned()
    }

    fn facts(&self, namespace: &str, now: Timestamp) -> Vec<(&'static str, Vec<String>)> {
        let request = &self.approval.spec.request;
        let one = |value: String| vec![value];
        let asked_at = self.approval.creation_timestamp().map(|time| time.0);
        let left = age(request.expires_at.0.duration_since(now));
        vec![
            ("Approval", one(self.approval.name_any())),
            ("Run", one(run(request))),
            ("Namespace", one(namespace.to_owned())),
            ("Asked by", one(request.requester.clone())),
            ("Asked", asked_at.map(|at| format!("{} ({} ago)", written(at), since(at, now))).into_iter().collect()),
            ("Open for", one(format!("{left}, until {}", written(request.expires_at.0)))),
            ("Workflow", self.run.map(|run| run.spec.workflow_ref.name.clone()).into_iter().collect()),
            ("Runs", one(request.target_arn.clone())),
            ("Redrives", request.execution_arn.clone().into_iter().collect()),
            ("Runs as", one(request.execution_role_arn.clone())),
            ("Steps run as", request.step_role_arns.clone()),
            ("Definition", one(format!("SHA-256 {}", request.definition_hash))),
            ("Binding", one(format!("UID {}", request.binding_uid))),
            ("Digest", one(request.digest.clone())),
        ]
    }
}

fn run(request: &ApprovalRequest) -> String {
    let attempt = if request.attempt > 1 { format!(", attempt {}", request.attempt) } else { String::new() };
    format!("{}{attempt}", request.run_name)
}

/// As much as fits a screen or two, and what is to be said of the rest.
fn cut(text: &str, whole: bool) -> (String, String) {
    let all = text.lines().count();
    let mut shown: String = text.lines().take(LINES).collect::<Vec<_>>().join("\n");
    if let Some((at, _)) = shown.char_indices().nth(CHARACTERS) {
        shown.truncate(at);
    }
    if whole || shown.len() == text.len() {
        return (text.to_owned(), String::new());
    }
    let lines = shown.lines().count();
    let note = format!(
        "\n  …\nThe input is cut: {lines} of its {all} lines are shown, {} of {} bytes. Show all: --whole-input",
        shown.len(),
        text.len()
    );
    (shown, note)
}

#[cfg(test)]
mod tests;
