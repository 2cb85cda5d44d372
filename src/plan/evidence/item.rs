//! What evidence is made of: parts, items with what they were read from, findings.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::Serialize;
use serde_json::{Map, Value};

/// From when to when; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Period {
    /// Whether a time is part of it.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// To be known; nothing is wrong by itself.
    Note,
    /// Weaker than it need be.
    Warning,
    /// Others can get in, or a control did not hold.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// Where something was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "from", rename_all_fields = "camelCase")]
pub enum Source {
    /// An object of the API server.
    #[serde(rename = "object")]
    Object {
        /// Its kind.
        kind: String,
        /// Its namespace, where it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// Its resourceVersion when it was read.
        resource_version: String,
    },
    /// A file.
    #[serde(rename = "file")]
    File {
        /// As it was named.
        name: String,
        /// SHA-256 of all of it, in hexadecimal.
        sha256: String,
        /// Number of the line, from 1, where it is one of many.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
}

impl Source {
    /// An object, by its metadata.
    pub(super) fn object(kind: &str, metadata: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self::Object {
            kind: kind.to_owned(),
            namespace: metadata.namespace.clone(),
            name: text(&metadata.name),
            uid: text(&metadata.uid),
            resource_version: text(&metadata.resource_version),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Object { kind, namespace, name, uid, resource_version } => {
                let place = namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
                format!("{kind} {place}{name}, uid {uid}, resourceVersion {resource_version}")
            }
            Self::File { name, sha256, line } => {
                let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
                format!("{name}{line}, SHA-256 {sha256}")
            }
        }
    }
}

/// `shop/orders`, or the name alone of what is in no namespace.
pub(super) fn place(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    metadata.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// Namespace and name.
pub(super) fn key(metadata: &ObjectMeta) -> (String, String) {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// One thing that is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// What it is about.
    pub subject: String,
    /// The controls that it supports.
    pub controls: &'static [&'static str],
    /// What is said of it.
    pub facts: Map<String, Value>,
    /// Where that was read.
    pub read_from: Vec<Source>,
}

/// A part of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Short and stable; the name of its file.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The controls that its items support.
    pub controls: Vec<&'static str>,
    /// What follows from all of its items together.
    pub says: Vec<String>,
    /// Its items.
    pub items: Vec<Item>,
    /// What could not be read, and is missing here.
    pub not_read: Vec<String>,
    /// Whether its items read best as one table.
    #[serde(skip)]
    pub is_table: bool,
}

/// A section and what is weak in it.
pub(super) type Part = (Section, Vec<Finding>);

impl Section {
    /// A part whose items follow.
    pub(super) fn new(id: &'static str, title: &'static str, controls: &[&'static str]) -> Self {
        Self {
            id,
            title,
            controls: controls.to_vec(),
            says: Vec::new(),
            items: Vec::new(),
            not_read: Vec::new(),
            is_table: false,
        }
    }

    /// The same as one table.
    pub(super) fn table(mut self) -> Self {
        self.is_table = true;
        self
    }
}

/// Something weak, or that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in `CamelCase`.
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// What is wrong, and what to do about it.
    pub message: String,
    /// The controls that it touches.
    pub controls: &'static [&'static str],
    /// The part in which it stands.
    pub section: &'static str,
    /// Where it was read.
    pub read_from: Vec<Source>,
}

/// What is said of an item, in order; what is not known is left out.
#[derive(Default)]
pub(super) struct Facts(Map<String, Value>);

impl Facts {
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A list, where it has anything.
    pub(super) fn list(&mut self, name: &str, values: impl IntoIterator<Item = impl Into<Value>>) {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.put(name, values);
        }
    }

    pub(super) fn done(self) -> Map<String, Value> {
        self.0
    }
}

/// A time as the API writes it.
pub(super) fn written(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// A condition in a line: `True (Ready)`.
pub(super) fn condition(conditions: &[Condition], kind: &str) -> Option<String> {
    let one = conditions.iter().find(|one| one.type_ == kind)?;
    Some(format!("{} ({})", one.status, one.reason))
}

/// `1 run`, `2 runs`.
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
