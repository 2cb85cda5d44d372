//! What several kinds share.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::forms::{DURATION_PATTERN, OBJECT_NAME_PATTERN};

/// Kept on an object while something of it exists in AWS.
pub const FINALIZER: &str = "stepbound.dev/finalizer";
/// The name under which the operator writes: status and finalizers, never a user's spec.
pub const FIELD_MANAGER: &str = "stepbound";
/// Annotation that says who created an object or last changed its spec. Admission sets it, never the one who asks.
pub const REQUESTED_BY: &str = "stepbound.dev/requested-by";
/// Annotation that says who set `spec.cancel` of a run. Admission sets it.
pub const CANCEL_REQUESTED_BY: &str = "stepbound.dev/cancel-requested-by";
/// Annotation that asks for a redrive of a run that has ended; any new value asks again.
pub const REDRIVE: &str = "stepbound.dev/redrive";
/// Annotation that says who asked for a redrive of a run. Admission sets it.
pub const REDRIVE_REQUESTED_BY: &str = "stepbound.dev/redrive-requested-by";
/// Label of a run with the name of the WorkflowSchedule that created it.
pub const SCHEDULE_LABEL: &str = "stepbound.dev/schedule";
/// Annotation of a run with the time for which its WorkflowSchedule created it, in the schedule's time zone.
pub const SCHEDULED_AT: &str = "stepbound.dev/scheduled-at";
/// Annotation: revision in Git that the object is of. It is kept in the description of versions and in the audit log.
pub const GIT_REVISION: &str = "stepbound.dev/git-revision";
/// The audience that STS expects of a web identity token unless the provider lists another.
pub const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";

/// True of what fits [`OBJECT_NAME_PATTERN`]. Names become part of a path, where a slash or a question mark would ask for
/// something else.
pub fn is_object_name(text: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(is_end)
            && bytes.last().is_some_and(is_end)
            && bytes.iter().all(|byte| is_end(byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What the API server takes as the value of a label, and as the name in a key: at most 63 letters, digits, `-`, `_` and `.`, of
/// which the first and the last are a letter or digit. Empty values are taken.
pub fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// What the API server takes as the key of a label and as a finalizer: a name, with or without a domain and a slash before it.
pub fn is_qualified_name(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_object_name) && !name.is_empty() && is_label_value(name)
}

/// What the API server takes as the key of an annotation: as of a label, in whichever case.
pub fn is_annotation_key(key: &str) -> bool {
    is_qualified_name(&key.to_lowercase())
}

/// Names another object of the same kind family in the same namespace; there is no namespace field on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in this namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME_PATTERN))]
    pub name: String,
}

/// Names one key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap, in this namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME_PATTERN))]
    pub name: String,
    /// Key in the ConfigMap's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A length of time as Kubernetes users write it: `90s`, `1h30m`, `500ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationString(pub String);

impl DurationString {
    /// The length of time, or `None` where the text is not one or longer than [`LONGEST`]: the schema refuses such a text, and
    /// whoever reads one that is older than the schema has to say so.
    pub fn to_std(&self) -> Option<Duration> {
        self.counted().filter(|length| *length <= LONGEST)
    }

    fn counted(&self) -> Option<Duration> {
        let mut total = Duration::ZERO;
        let mut rest = self.0.as_str();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let count: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit_length = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (most_digits, part) = match &rest[..unit_length] {
                "ms" => (12, Duration::from_millis(count)),
                "s" => (9, Duration::from_secs(count)),
                "m" => (7, Duration::from_secs(count.checked_mul(60)?)),
                "h" => (5, Duration::from_secs(count.checked_mul(3600)?)),
                _ => return None,
            };
            if digits > most_digits {
                return None;
            }
            total = total.checked_add(part)?;
            rest = &rest[unit_length..];
        }
        Some(total)
    }
}

/// What every length of time is held to, wherever it is read.
const LONGEST: Duration = Duration::from_secs(87_600 * 3600);
/// The digits of each unit are bounded first, so that CEL can count what it compares.
pub const LENGTH_RULE: &str =
    "self.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}s|[0-9]{1,12}ms)+$') && duration(self) <= duration('87600h')";
/// What people are told of a longer one.
const LENGTH_MESSAGE: &str = "a length of time is at most 87600h, which are ten years; write for example 1h30m";

impl JsonSchema for DurationString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32,
            "x-kubernetes-validations": [{"rule": LENGTH_RULE, "message": LENGTH_MESSAGE}]})
    }
}

/// A JSON value kept as compact text: as a tree it takes about five times the memory, and every object of a kind is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactJson(Box<str>);

impl CompactJson {
    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<&serde_json::Value> for CompactJson {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into_boxed_str())
    }
}

impl Serialize for CompactJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CompactJson {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}

/// A point in time in RFC 3339, as Kubernetes prints it.
pub type Timestamped = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A point in time as somebody wrote it. The API server takes forms of RFC 3339 that no program reads alike (twenty digits of a
/// second, an offset of 99 hours), and an object that cannot be read would keep all others of its kind from being seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrittenTime(pub String);

impl WrittenTime {
    /// The time that is meant; `None` where it cannot be read. Digits beyond nanoseconds count for nothing, and the last days
    /// before the year 10000 are the last moment that can be told.
    pub fn read(&self) -> Option<Timestamp> {
        let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
        let cut = self.0.split_once('.').map(|(whole, rest)| {
            let (fraction, zone) = rest.split_at(digits(rest));
            format!("{whole}.{}{zone}", &fraction[..fraction.len().min(9)])
        });
        let text = cut.as_ref().unwrap_or(&self.0);
        let is_time = text.get(..19).is_some_and(|text| text.parse::<jiff::civil::DateTime>().is_ok());
        let is_last = is_time && text.starts_with("9999-12-3");
        text.parse().ok().or_else(|| is_last.then_some(Timestamp::MAX))
    }
}

impl From<Timestamp> for WrittenTime {
    fn from(time: Timestamp) -> Self {
        Self(time.to_string())
    }
}

impl JsonSchema for WrittenTime {
    fn schema_name() -> Cow<'static, str> {
        "WrittenTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// The schema of `status.conditions`: a list that server-side apply merges by type.
pub(super) fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    let condition = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "items": condition,
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// What an annotation asks for. The empty value asks for nothing, like one that is not there: who only takes a wish away, or
/// writes none, makes none.
pub fn asked<'a>(object: &'a impl kube::ResourceExt, annotation: &str) -> Option<&'a str> {
    object.annotations().get(annotation).map(String::as_str).filter(|value| !value.is_empty())
}

/// A JSON object whose content is not ours to describe; applied as one value.
pub(super) fn opaque_object_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
    })
}

/// Any JSON value, null included.
pub(super) fn any_json_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true})
}

/// Keeps an explicit null apart from an absent field.
pub(super) fn some_value<'de, D>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    serde_json::Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_takes_the_names_that_the_schema_takes() {
        let pattern = regex::Regex::new(OBJECT_NAME_PATTERN).unwrap();
        let long = "a".repeat(253);
        for name in ["a", "0", "fulfil", "kube-root-ca.crt", "a.b-c.0", "x--y", &long] {
            assert!(pattern.is_match(name) && is_object_name(name), "{name}");
        }
        for none in [
            "",
            "fulfil?",
            "fulfil#x",
            "../workflows/fulfil",
            "x/../theirs",
            "own name",
            "%2e%2e/theirs",
            "a\n",
            "a..b",
            ".",
            "..",
            ".a",
            "a.",
            "-a",
            "a-",
            "a.-b",
            "a-.b",
            "A",
            "a_b",
            "ä",
            "a:b",
            "a;b",
            "a&b",
            "a\\b",
            "a\0",
        ] {
            assert!(!pattern.is_match(none) && !is_object_name(none), "{none:?}");
        }
        assert!(!is_object_name(&"a".repeat(254)));
    }

    #[test]
    fn labels_and_annotations_are_as_the_api_server_takes_them() {
        let long = "a".repeat(63);
        for value in ["", "a", "1.2_x-Y", &long] {
            assert!(is_label_value(value), "{value}");
        }
        for value in ["-", "a ", "a/b", ".a", "a_", "\u{e4}", &format!("{long}a")] {
            assert!(!is_label_value(value), "{value}");
        }
        for key in ["a", "A_b", "app.kubernetes.io/name", "x/Y"] {
            assert!(is_qualified_name(key) && is_annotation_key(key), "{key}");
        }
        for key in ["", "/", "a/", "/a", "a/b/c", "a b", "-a", "a..b/c"] {
            assert!(!is_qualified_name(key) && !is_annotation_key(key), "{key}");
        }
        assert!(!is_qualified_name("Acme.example/a") && is_annotation_key("Acme.example/a"));
    }

    #[test]
    fn a_written_time_is_read_in_every_form_that_has_a_meaning() {
        let read = |text: &str| WrittenTime(text.into()).read().map(|time| time.to_string());
        let last = Some(Timestamp::MAX.to_string());
        for (text, time) in [
            ("2027-01-31T12:00:00Z", Some("2027-01-31T12:00:00Z".to_owned())),
            ("2027-01-31t12:00:00.123456789123z", Some("2027-01-31T12:00:00.123456789Z".to_owned())),
            ("2027-01-31T12:00:00.5+02:00", Some("2027-01-31T10:00:00.5Z".to_owned())),
            ("9999-12-31T23:59:59Z", last.clone()),
            ("9999-12-31T23:59:59.999999999999-14:00", last),
            ("2027-01-31T12:00:00+99:99", None),
            ("2027-01-31T12:00:00x5Z", None),
            ("9999-12-3", None),
            ("", None),
        ] {
            assert_eq!(read(text), time, "{text}");
        }
    }

    #[test]
    fn durations_add_up_and_nonsense_is_refused() {
        let read = |text: &str| DurationString(text.into()).to_std();
        assert_eq!(read("90s"), Some(Duration::from_secs(90)));
        assert_eq!(read("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(read("1s500ms"), Some(Duration::from_millis(1500)));
        for bad in [
            "",
            "1",
            "s",
            "1d",
            "1.5s",
            "-1s",
            "99999999999999999999h",
            "18446744073709551615h",
            "87601h",
            "9223372036854775807h",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
