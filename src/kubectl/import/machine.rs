//! A state machine as somebody else describes it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Who describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// AWS itself: it exists.
    Aws,
    /// ACK, in this namespace: it exists and is owned.
    Ack {
        /// The namespace, where the object names one.
        namespace: Option<String>,
        /// The object's name.
        name: String,
    },
    /// A template, under this logical id.
    Template(String),
}

/// Logging as AWS has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Logging {
    pub level: String,
    pub include_execution_data: bool,
    pub log_group: Option<String>,
}

/// A state machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Machine {
    pub source: Source,
    /// Its name in AWS; none where AWS makes one up.
    pub name: Option<String>,
    /// Its ARN, where it is known.
    pub arn: Option<String>,
    pub definition: Value,
    /// ARN of the role that it acts as, where it is a plain value.
    pub role: Option<String>,
    pub is_express: bool,
    pub logging: Option<Logging>,
    pub tracing: bool,
    /// Key, and seconds that a data key is used.
    pub encryption: Option<(String, Option<i64>)>,
    pub tags: BTreeMap<String, String>,
    pub substitutions: BTreeMap<String, String>,
    /// An alias that a template lets follow the newest version.
    pub alias: Option<String>,
    /// What was not carried over, or has to be completed.
    pub notes: Vec<String>,
}

impl Machine {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            name: None,
            arn: None,
            definition: Value::Null,
            role: None,
            is_express: false,
            logging: None,
            tracing: false,
            encryption: None,
            tags: BTreeMap::new(),
            substitutions: BTreeMap::new(),
            alias: None,
            notes: Vec::new(),
        }
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// A field by its name, in whichever case: AWS, ACK and CloudFormation write the same ones differently.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    fields
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .filter(|value| !value.is_null())
}
