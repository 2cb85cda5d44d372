//! What was found, and where.

use crate::asl::lint::{Finding, Severity};

/// What a definition belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// For example `Workflow`.
    pub kind: String,
    /// As in the manifest; none where it has none.
    pub namespace: Option<String>,
    /// As in the manifest.
    pub name: String,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{} {namespace}/{}", self.kind, self.name),
            None => write!(formatter, "{} {}", self.kind, self.name),
        }
    }
}

/// A finding with its place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// Characters to mark in that line.
    pub width: usize,
    /// The finding.
    pub finding: Finding,
    /// Whose it is; none for a bare definition.
    pub subject: Option<Subject>,
}

/// What AWS can be asked about a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The definition as it would be submitted.
    pub text: String,
    /// Of a machine of the type Express.
    pub express: bool,
}

/// A place about which AWS and this linter do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// Whose definition it is; none for a bare one.
    pub subject: Option<Subject>,
    /// JSON pointer into the definition.
    pub path: String,
    /// What the one that refuses says of it: its code.
    pub code: String,
    /// True where AWS refuses what this linter takes, false where it takes what this linter refuses.
    pub refused_by_aws: bool,
}

/// A definition that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The file.
    pub file: String,
    /// Whose it is; none for a bare definition.
    pub subject: Option<Subject>,
    /// How many states it has, inner ones too.
    pub states: usize,
    /// What AWS can be asked, where it shall be; nothing where a name in the definition has no value, or where it is too large.
    pub question: Option<Question>,
    /// Whether AWS was asked.
    pub asked: bool,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many files or streams were read.
    pub files: usize,
    /// How many of them were found in a folder, hold nothing of ours and were passed over.
    pub passed_over: usize,
    /// The definitions that were checked.
    pub definitions: Vec<Definition>,
    /// In the order of the files and lines.
    pub findings: Vec<Located>,
    /// Where AWS, when it was asked, and this linter do not agree.
    pub differences: Vec<Difference>,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|found| found.finding.severity == severity).count()
    }
}
