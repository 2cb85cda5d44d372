//! What both parts of the table have: names as resources give them, and fields.

use crate::similar::nearest;

/// In which way a resource names a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `arn:aws:states:::<service>:<action>`.
    Optimised,
    /// `arn:aws:states:::aws-sdk:<service>:<action>`.
    Sdk,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// No service has this name. AWS adds services every week, so it may be new.
    #[error("{} has no service \"{name}\"{}", whose(*way), hint(nearest.as_deref()))]
    Service {
        /// In which way it is named.
        way: Way,
        /// The name asked for.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// The service is known and does not have this action.
    #[error("{} has no {} \"{service}:{name}\"{}", whose(*way), noun(*way), hint(nearest.as_deref()))]
    Action {
        /// In which way it is named.
        way: Way,
        /// The service.
        service: String,
        /// The name asked for.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
}

fn whose(way: Way) -> &'static str {
    match way {
        Way::Optimised => "Step Functions",
        Way::Sdk => "the AWS SDK",
    }
}

fn noun(way: Way) -> &'static str {
    match way {
        Way::Optimised => "action",
        Way::Sdk => "operation",
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// A field of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name as Step Functions has it: in `PascalCase`, whatever the service's own is.
    pub name: &'static str,
    /// True where AWS refuses the call without it.
    pub required: bool,
}

impl Parameter {
    pub(super) fn read(text: &'static str) -> Self {
        match text.strip_suffix('!') {
            Some(name) => Self { name, required: true },
            None => Self { name: text, required: false },
        }
    }
}

pub(super) fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The same name in other letters, or the nearest.
pub(super) fn nearest_of<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let same = names.iter().copied().find(|one| one.eq_ignore_ascii_case(name));
    same.or_else(|| nearest(name, names.into_iter())).map(str::to_owned)
}
