//! What a rule is.

use std::fmt::Write;

use super::basis::basis;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// AWS refuses the definition, or it cannot work.
    Error,
    /// It works, but probably not as it is meant.
    Warning,
}

impl Severity {
    /// In small letters, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A rule of the linter.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `SB` and three digits.
    pub code: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// One line.
    pub title: &'static str,
    /// A few words beside the mark under the text.
    pub label: &'static str,
    /// Why it is one, with the source.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// A definition that breaks it, in YAML; empty where the rule is not about definitions.
    pub example: &'static str,
    /// Whose rule it is.
    pub scope: Scope,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Any definition.
    Definition,
    /// A definition whose machine is of the type Express.
    Express,
    /// The text, or the manifest around a definition.
    Text,
}

impl Rule {
    /// False for what keeps a definition from being read at all.
    pub fn can_be_ignored(&self) -> bool {
        !matches!(self.code, "SB024" | "SB025" | "SB026")
    }

    /// The page of the rule, from the root of the repository.
    pub fn page(&self) -> String {
        format!("docs/lint/{}.md", self.code)
    }

    /// The rule's page in Markdown, which `--explain` prints too.
    pub fn explain(&self) -> String {
        let express = if self.scope == Scope::Express { ", in an Express workflow" } else { "" };
        let Self { code, title, why, fix, example, .. } = self;
        let mut text = format!("# {code}: {title}\n\n*{}*{express}\n\n{why}\n\n{fix}\n", self.severity.name());
        if !example.is_empty() {
            text += "\nThis breaks it:\n\n```yaml\n";
            text += example;
            text += "```\n";
        }
        if let Some(basis) = basis(code) {
            let _ = writeln!(text, "\nHow it is known: {basis}");
        }
        let ignore = if self.can_be_ignored() {
            format!(
                "To pass over it: `--ignore {code}`, or the annotation `stepbound.dev/lint-ignore: {code}` of the Workflow."
            )
        } else {
            "It cannot be passed over: nothing can be said of such a definition.".to_owned()
        };
        text + "\n" + &ignore + "\n"
    }
}
