//! Suppression by code, everywhere or below a place: `SB041, SB033@/States/Notify`.

use super::super::position::Span;
use super::finding::Finding;
use super::rules::rule;

/// The annotation of a Workflow that lists what not to tell.
pub const IGNORE_ANNOTATION: &str = "stepbound.dev/lint-ignore";

/// What not to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    code: &'static str,
    below: Option<String>,
}

/// A code that no rule has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule \"{0}\"; `stepbound lint --explain` lists them")]
pub struct UnknownCode(pub String);

impl Ignore {
    /// Reads a list that commas or spaces separate: codes, each alone or with `@` and a JSON pointer.
    ///
    /// # Errors
    /// The first code that no rule has, or that cannot be ignored.
    pub fn parse(text: &str) -> Result<Self, UnknownCode> {
        let entries = text.split([',', ' ', '\n']).filter(|entry| !entry.is_empty()).map(|entry| {
            let (code, below) = match entry.split_once('@') {
                Some((code, below)) => (code, Some(below.trim_end_matches('/').to_owned())),
                None => (entry, None),
            };
            let known = rule(code).filter(|rule| rule.can_be_ignored()).ok_or_else(|| UnknownCode(code.to_owned()))?;
            Ok(Entry { code: known.code, below })
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// As [`Ignore::parse`] for the annotation of a Workflow: where it is wrong, a finding, and nothing is ignored.
    pub fn parse_annotation(text: &str) -> (Self, Option<Finding>) {
        match Self::parse(text) {
            Ok(ignore) => (ignore, None),
            Err(error) => {
                let path = format!("/metadata/annotations/{}", IGNORE_ANNOTATION.replace('/', "~1"));
                (Self::default(), Some(Finding::new("SB093", path, error.to_string(), Span::default())))
            }
        }
    }

    /// Both lists together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// True for a finding that is not to be told.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.0.iter().any(|entry| {
            entry.code == finding.code
                && entry.below.as_ref().is_none_or(|below| {
                    finding
                        .path
                        .strip_prefix(below.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
        })
    }

    /// The findings that are left.
    pub fn apply(&self, findings: &mut Vec<Finding>) {
        findings.retain(|finding| !self.covers(finding));
    }
}
