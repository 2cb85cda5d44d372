//! What differs, for people and for scripts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::asl::Finding;
use crate::iam::compare::Missing;
use crate::kubectl::table::{printable, printable_lines};
use crate::kubectl::words::paint;
use crate::plan::changes::{Became, Change, Changes, StateChange};

/// Characters of a value that are shown.
const MOST: usize = 160;

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";

/// One Workflow in the cluster and in a file.
#[derive(Debug)]
pub(super) struct Difference {
    /// `Workflow shop/fulfil`
    pub whose: String,
    /// The file, or what it calls it.
    pub file: String,
    /// It is not in the cluster.
    pub is_new: bool,
    pub found: Changes,
    /// What differs in the spec beside the definition.
    pub settings: Vec<Change>,
    /// The definition before, where there is one, and after.
    pub drawings: Option<(Option<String>, String)>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        !self.is_new && self.found.values.is_empty() && self.settings.is_empty()
    }

    pub fn text(&self, colour: bool) -> String {
        let mut text = Text { text: String::new(), colour };
        let whose = printable(&self.whose);
        if self.is_empty() {
            text.line(&format!("{whose}: nothing differs"));
            return text.text;
        }
        let new = if self.is_new { " is not in the cluster; all of it is new" } else { "" };
        text.heading(&format!("{whose}{new}"));
        self.states(&mut text);
        if !self.is_new {
            text.changes("Definition", &self.found.values);
            text.changes("Spec", &self.settings);
        }
        text.findings("Lint findings that come", '+', RED, &self.found.findings);
        text.findings("Lint findings that go", '-', GREEN, &self.found.findings_gone);
        self.permissions(&mut text);
        if let Some((before, after)) = &self.drawings {
            if let Some(before) = before {
                text.heading("Before");
                text.text.push_str(before);
            }
            text.heading("After");
            text.text.push_str(after);
        }
        text.text
    }

    fn states(&self, text: &mut Text) {
        if self.found.states.is_empty() {
            return;
        }
        text.heading("States");
        for StateChange { name, path, became } in &self.found.states {
            let (sign, code) = match became {
                Became::Added => ('+', GREEN),
                Became::Gone => ('-', RED),
                Became::Changed => ('~', YELLOW),
            };
            text.item(sign, code, &format!("{name}   {path}"));
        }
    }

    fn permissions(&self, text: &mut Text) {
        let Some(permissions) = &self.found.permissions else {
            text.heading("Permissions of the execution role: not compared, since account or region are not known");
            return;
        };
        if permissions.is_empty() {
            text.heading("Permissions of the execution role: none changes");
            return;
        }
        text.heading("Permissions of the execution role");
        for (sign, code, word, all) in [
            ('+', RED, "will be needed", &permissions.needed),
            ('-', GREEN, "no longer needed", &permissions.no_longer),
        ] {
            for Missing { action, resources, reason, .. } in all {
                let state = if reason.state.is_empty() { String::new() } else { format!("{}: ", reason.state) };
                text.item(sign, code, &format!("{action} on {}   {word}: {state}{}", resources.join(", "), reason.why));
            }
        }
        for open in &permissions.open {
            text.item('?', YELLOW, &format!("not known: {open}"));
        }
    }

    pub fn view(&self) -> Value {
        let findings = |all: &[Finding]| -> Vec<Value> {
            let one = |one: &Finding| json!({"code": one.code, "severity": one.severity.name(), "path": one.path, "message": one.message});
            all.iter().map(one).collect()
        };
        let missing = |all: &[Missing]| -> Vec<Value> {
            let one = |one: &Missing| json!({"action": one.action, "resources": one.resources, "state": one.reason.state, "why": one.reason.why});
            all.iter().map(one).collect()
        };
        let states = self.found.states.iter().map(|one| {
            let became = match one.became {
                Became::Added => "added",
                Became::Gone => "gone",
                Became::Changed => "changed",
            };
            json!({"name": one.name, "path": one.path, "became": became})
        });
        let permissions = self.found.permissions.as_ref().map(|one| {
            json!({"needed": missing(&one.needed), "noLongerNeeded": missing(&one.no_longer), "notKnown": one.open})
        });
        json!({
            "workflow": self.whose, "file": self.file, "new": self.is_new, "differs": !self.is_empty(),
            "definition": changes(&self.found.values), "spec": changes(&self.settings), "states": states.collect::<Vec<_>>(),
            "findings": {"come": findings(&self.found.findings), "go": findings(&self.found.findings_gone)},
            "permissions": permissions,
        })
    }
}

fn changes(all: &[Change]) -> Vec<Value> {
    let one = |change: &Change| {
        let mut view = json!({"path": change.path});
        for (name, value) in [("before", &change.before), ("after", &change.after)] {
            if let Some(value) = value {
                view[name] = value.clone();
            }
        }
        view
    };
    all.iter().map(one).collect()
}

struct Text {
    text: String,
    colour: bool,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(&printable_lines(line));
        self.text.push('\n');
    }

    fn heading(&mut self, line: &str) {
        let line = paint(&printable(line), BOLD, self.colour);
        self.text.push_str(&line);
        self.text.push('\n');
    }

    fn item(&mut self, sign: char, code: &str, line: &str) {
        let line = paint(&format!("{sign} {}", printable(line)), code, self.colour);
        let _ = writeln!(self.text, "  {line}");
    }

    fn changes(&mut self, title: &str, all: &[Change]) {
        if all.is_empty() {
            return;
        }
        self.heading(title);
        for Change { path, before, after } in all {
            let path = if path.is_empty() { "/" } else { path };
            match (before, after) {
                (Some(before), Some(after)) => {
                    self.item('~', YELLOW, &format!("{path}: {} -> {}", short(before), short(after)));
                }
                (None, Some(after)) => self.item('+', GREEN, &format!("{path}: {}", short(after))),
                (Some(before), None) => self.item('-', RED, &format!("{path}: {}", short(before))),
                (None, None) => {}
            }
        }
    }

    fn findings(&mut self, title: &str, sign: char, code: &str, all: &[Finding]) {
        if all.is_empty() {
            return;
        }
        self.heading(title);
        for one in all {
            let line = format!("{}[{}] at {}: {}", one.severity.name(), one.code, one.path, one.message);
            self.item(sign, code, &line);
        }
    }
}

/// A value on one line, cut where it is long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::execution_role::Reason;
    use crate::plan::changes::Permissions;

    fn difference() -> Difference {
        let reason = Reason { state: "Pay".into(), path: "/States/Pay".into(), why: "Lambda, request-response".into() };
        let needed = Missing {
            action: "lambda:InvokeFunction".into(),
            resources: vec!["arn:a".into()],
            reason,
            because: String::new(),
        };
        let change =
            |path: &str, before: Option<Value>, after: Option<Value>| Change { path: path.into(), before, after };
        Difference {
            whose: "Workflow shop/fulfil".into(),
            file: "w.yaml".into(),
            is_new: false,
            found: Changes {
                values: vec![
                    change("/States/Wait/Seconds", Some(json!(1)), Some(json!(5))),
                    change("/States/Pay", None, Some(json!({"Type": "Task"}))),
                    change("/States/Old", Some(json!("x".repeat(300))), None),
                ],
                states: vec![StateChange {
                    name: "Pay\u{1b}[31m".into(),
                    path: "/States/Pay".into(),
                    became: Became::Added,
                }],
                permissions: Some(Permissions { needed: vec![needed], ..Permissions::default() }),
                ..Changes::default()
            },
            settings: vec![change("/type", Some(json!("Standard")), Some(json!("Express")))],
            drawings: None,
        }
    }

    #[test]
    fn what_differs_is_told_line_by_line() {
        let text = difference().text(false);
        for line in [
            "Workflow shop/fulfil\n",
            "States\n  + Pay\u{fffd}[31m   /States/Pay\n",
            "Definition\n  ~ /States/Wait/Seconds: 1 -> 5\n  + /States/Pay: {\"Type\":\"Task\"}\n  - /States/Old: \"xxx",
            "Spec\n  ~ /type: \"Standard\" -> \"Express\"\n",
            "Permissions of the execution role\n  + lambda:InvokeFunction on arn:a   will be needed: Pay: Lambda, request-response\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() < 200), "long values are cut: {text}");
        assert!(
            !text.contains('\u{1b}') && difference().text(true).contains("\u{1b}[32m+ "),
            "colours only where asked for"
        );
    }

    #[test]
    fn what_is_the_same_says_so_and_what_is_new_differs() {
        let same = Difference { found: Changes::default(), settings: Vec::new(), ..difference() };
        assert!(same.is_empty());
        assert_eq!(same.text(false), "Workflow shop/fulfil: nothing differs\n");
        let new = Difference { is_new: true, ..same };
        assert!(!new.is_empty() && new.text(false).starts_with("Workflow shop/fulfil is not in the cluster"));
        assert!(new.text(false).contains("not compared"));
        assert_eq!(difference().view()["definition"][2].get("after"), None);
        assert_eq!(difference().view()["permissions"]["needed"][0]["action"], "lambda:InvokeFunction");
    }
}
