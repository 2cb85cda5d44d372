//! What `stepbound policy` prints for people.

use std::fmt::Write;

use crate::iam::compare::{Excess, Missing, TooMuch, excess, missing};
use crate::iam::document::Document;
use crate::iam::execution_role::{Derived, Finding, Need, TargetRole};
use crate::printable::{json, printable};

/// Every need under the state that has it.
pub(super) fn text(machines: &[(String, Derived)]) -> String {
    let mut text = String::new();
    for (what, derived) in machines {
        if machines.len() > 1 {
            let _ = writeln!(text, "## {}", printable(what));
        }
        needs(&mut text, &derived.needs);
        for finding in &derived.findings {
            let _ = writeln!(text, "{}", self::finding(finding));
        }
        for role in &derived.targets {
            target(&mut text, role);
        }
        if derived.needs.is_empty() && derived.findings.is_empty() {
            let why =
                if derived.calls { "what the states call needs no right of IAM" } else { "no state calls anything" };
            let _ = writeln!(text, "# nothing: {why}");
        }
    }
    text
}

/// Needs of one reason stand together; actions in the first column, resources in the second.
pub(super) fn needs(text: &mut String, needs: &[Need]) {
    let width = needs.iter().flat_map(|need| &need.actions).map(String::len).max().unwrap_or_default();
    let mut reason = None;
    for need in needs {
        if reason != Some(&need.reason) {
            let state = if need.reason.state.is_empty() { String::new() } else { format!("{}: ", need.reason.state) };
            let _ = writeln!(text, "# {}", printable(&format!("{state}{}", need.reason.why)));
            reason = Some(&need.reason);
        }
        for row in 0..need.actions.len().max(need.resources.len()) {
            let action = need.actions.get(row).map_or("", String::as_str);
            let resource = need.resources.get(row).map_or("", String::as_str);
            let line = format!("  {action:width$}  {resource}");
            let _ = writeln!(text, "{}", printable(line.trim_end()));
        }
        for (operator, keys) in &need.conditions {
            for (key, values) in keys {
                let _ = writeln!(text, "    when {}", printable(&format!("{key} {operator} {}", values.join(" or "))));
            }
        }
    }
}

fn target(text: &mut String, role: &TargetRole) {
    let _ = writeln!(text, "# role {} needs:", printable(&role.role_arn));
    needs(text, &role.needs);
    if let Some(trust) = &role.trust {
        let _ = writeln!(text, "# and this trust policy:\n{}", json(&trust.pretty()));
    }
}

pub(super) fn finding(finding: &Finding) -> String {
    let kind = if finding.missing { "not resolvable" } else { "note" };
    format!("# {kind}: {}", printable(&finding.message))
}

/// A policy beside what is needed.
pub(super) struct Compared {
    missing: Vec<Missing>,
    /// None where other users of the role may not be known.
    excess: Option<Vec<Excess>>,
    machines: usize,
    findings: Vec<Finding>,
}

impl Compared {
    /// `machines` is how many use the role, where all were given.
    pub(super) fn of(derived: &Derived, policy: &Document, machines: Option<usize>) -> Self {
        Self {
            missing: missing(&derived.needs, policy),
            excess: machines.map(|_| excess(&derived.needs, policy)),
            machines: machines.unwrap_or_default(),
            findings: derived.findings.iter().filter(|finding| finding.missing).cloned().collect(),
        }
    }

    pub(super) fn lacks_nothing(&self) -> bool {
        self.missing.is_empty()
    }

    pub(super) fn text(&self) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        for one in self.excess.iter().flatten() {
            lines.push((format!("excess:  {}  (statement {})", one.pattern, one.statement), too_much(&one.why)));
        }
        for one in &self.missing {
            let Missing { action, resources, reason, because } = one;
            let state = if reason.state.is_empty() { String::new() } else { format!("state {}: ", reason.state) };
            let because = if because.is_empty() { String::new() } else { format!("; {because}") };
            let why = format!("{state}{} on {}{because}", reason.why, resources.join(", "));
            lines.push((format!("missing: {action}"), why));
        }
        let width = lines.iter().map(|(what, _)| what.len()).filter(|width| *width <= 60).max().unwrap_or_default();
        let mut text = String::new();
        for (what, why) in &lines {
            let _ = writeln!(text, "{}", printable(&format!("{what:width$}  {why}")));
        }
        for finding in &self.findings {
            let _ = writeln!(text, "{}", self::finding(finding));
        }
        match &self.excess {
            None => text.push_str("excess:  unknown: a bare definition does not say who else uses the role; give the manifests of all Workflows that use it, or --execution-role if this is the only one\n"),
            Some(_) if self.findings.is_empty() && lines.is_empty() => text.push_str("the policy is exactly what is needed\n"),
            Some(found) => {
                let sure = if self.findings.is_empty() { "" } else { ", as far as that could be resolved" };
                let whose = match self.machines {
                    1 => "the Workflow given does not need".to_owned(),
                    several => format!("none of the {several} Workflows given needs"),
                };
                if !found.is_empty() {
                    let _ = writeln!(text, "# excess is what {whose}{sure}");
                }
            }
        }
        text
    }
}

fn too_much(why: &TooMuch) -> String {
    match why {
        TooMuch::Service(service) => format!("no state uses {service}"),
        TooMuch::Actions => "no state needs it".into(),
        TooMuch::OnlyActions(needed) | TooMuch::OnlyResources(needed) => format!("only {} needed", are(needed)),
        TooMuch::Resources => "no state needs this resource".into(),
        TooMuch::Open => "allows everything but a list; name what is allowed instead".into(),
    }
}

fn are(list: &[String]) -> String {
    format!("{} {}", list.join(", "), if list.len() == 1 { "is" } else { "are" })
}
