//! The rules of the definitions that are written in CEL, as code: what the API server asks of an object that is created. Rules
//! that compare with the object as it was are for changes, which no file shows.
//!
//! Each entry has the rule's own text, by which it is found in a schema; a test holds that there is one for every rule, and
//! another that the API server decides alike. They see the object with its defaults.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use crate::api::v1alpha1::{DURATION_PATTERN, DurationString, LENGTH_RULE};

/// Where, below the value that has the rule, it is broken: a JSON pointer; `None` where it holds.
type Broken = Option<String>;

/// A rule in CEL and the same as code.
pub(super) struct Rule {
    /// Its text.
    pub(super) cel: &'static str,
    /// Where a value breaks it.
    pub(super) broken: fn(&Value) -> Broken,
}

/// The rule of a text.
pub(super) fn rule(cel: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.cel == cel)
}

/// True of a rule that compares with the object as it was.
pub(super) fn is_of_changes(cel: &str) -> bool {
    cel.contains("oldSelf")
}

/// True of a rule about what a text holds.
pub(super) fn is_of_form(cel: &str) -> bool {
    cel.starts_with("!self.") && cel.contains(".contains('")
}

fn has(value: &Value, name: &str) -> bool {
    value.get(name).is_some()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Broken at the pointer unless it holds.
fn at(pointer: &str, holds: bool) -> Broken {
    (!holds).then(|| pointer.to_owned())
}

/// A key in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The first key of a map that does not fit.
fn keys(value: &Value, pointer: &str, fits: fn(&str) -> bool) -> Broken {
    let fields = value.pointer(pointer).and_then(Value::as_object);
    let wrong = fields.into_iter().flatten().map(|(key, _)| key).find(|key| !fits(key));
    wrong.map(|key| format!("{pointer}/{}", escaped(key)))
}

fn is_tag_key(key: &str) -> bool {
    !key.starts_with("stepbound.dev/") && !key.to_ascii_lowercase().starts_with("aws:")
}

fn tags(value: &Value) -> Broken {
    keys(value, "/tags", is_tag_key)
}

fn not_ours(key: &str) -> bool {
    !key.starts_with("stepbound.dev/")
}

fn alias_or_version(value: &Value) -> Broken {
    at("/version", !has(value, "alias") || !has(value, "version"))
}

fn name_length(value: &Value) -> usize {
    text(value, "/metadata/name").chars().count()
}

/// As executions are named of runs that give no name: a UID, and the number of an attempt after it.
fn looks_like_uid(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_hexadecimal =
        |(part, length): (&&str, usize)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = |part: &&str| (1..=7).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.len(), 5 | 6)
        && parts.iter().zip([8, 4, 4, 4, 12]).all(is_hexadecimal)
        && parts.get(5).is_none_or(is_number)
}

/// Of a text that is no length of time at all its form is told.
fn length(value: &Value) -> Broken {
    let length = DurationString(value.as_str().unwrap_or_default().to_owned());
    at("", length.to_std().is_some() || !is_length(&length.0))
}

/// As the schema's pattern has it.
fn is_length(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(DURATION_PATTERN).ok());
    PATTERN.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Of a text that is no length of time its form is told.
fn session_duration(value: &Value) -> Broken {
    let length = DurationString(text(value, "/sessionDuration").to_owned()).to_std();
    at(
        "/sessionDuration",
        length.is_none_or(|length| {
            (15 * 60..=12 * 3600).contains(&length.as_secs())
                && (length.as_secs() < 12 * 3600 || length.subsec_nanos() == 0)
        }),
    )
}

fn approval_timeout(value: &Value) -> Broken {
    let written = text(value, "/timeout");
    let range = Duration::from_secs(60)..=Duration::from_secs(720 * 3600);
    let length = DurationString(written.to_owned()).to_std();
    at("/timeout", length.map_or_else(|| !is_length(written), |length| range.contains(&length)))
}

fn approval_of_versions(value: &Value) -> Broken {
    at("/versions/publish", value["approval"]["required"] != true || text(value, "/versions/publish") != "Never")
}

fn second_default(value: &Value) -> Broken {
    let aliases = value["aliases"].as_array();
    let defaults = aliases.into_iter().flatten().enumerate().filter(|(_, alias)| alias["default"] == true);
    defaults.map(|(index, _)| format!("/aliases/{index}/default")).nth(1)
}

fn is_substitution(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn values_of_expression(value: &Value) -> Broken {
    let needs = matches!(text(value, "/operator"), "In" | "NotIn");
    at("/values", needs == value["values"].as_array().is_some_and(|values| !values.is_empty()))
}

/// Any rule of the definitions of this version.
static RULES: &[Rule] = &[
    Rule {
        cel: "!self.timeout.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}s|[0-9]{1,12}ms)+$') || (duration(self.timeout) >= duration('1m') && duration(self.timeout) <= duration('720h'))",
        broken: approval_timeout,
    },
    Rule {
        cel: "!(self in ['list_runs', 'get_run', 'explain_failure', 'cancel_run'])",
        broken: |name| {
            let own = ["list_runs", "get_run", "explain_failure", "cancel_run"];
            at("", !name.as_str().is_some_and(|name| own.contains(&name)))
        },
    },
    Rule {
        cel: "!has(self.spec.tool) || has(self.spec.tool.name) || size(self.metadata.name) <= 64",
        broken: |workflow| {
            let tool = &workflow["spec"]["tool"];
            at("/spec/tool", tool.is_null() || has(tool, "name") || name_length(workflow) <= 64)
        },
    },
    Rule {
        cel: "!has(self.approval) || !self.approval.required || !has(self.versions) || self.versions.publish != 'Never'",
        broken: approval_of_versions,
    },
    Rule {
        cel: "!has(self.tags) || self.tags.all(key, !key.startsWith('stepbound.dev/') && !key.lowerAscii().startsWith('aws:'))",
        broken: tags,
    },
    Rule {
        cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
        broken: values_of_expression,
    },
    Rule {
        cel: "self.type != 'ClientSecret' || has(self.secretKeyRef)",
        broken: |client| at("/secretKeyRef", client["type"] != "ClientSecret" || has(client, "secretKeyRef")),
    },
    Rule {
        cel: "self.type == 'ClientSecret' || !has(self.secretKeyRef)",
        broken: |client| at("/secretKeyRef", client["type"] == "ClientSecret" || !has(client, "secretKeyRef")),
    },
    Rule {
        cel: "self.type != 'ClientSecret' || has(self.clientID)",
        broken: |client| at("/clientID", client["type"] != "ClientSecret" || has(client, "clientID")),
    },
    Rule {
        cel: "self.type != 'CognitoIdentityPool' || has(self.identityPool)",
        broken: |client| at("/identityPool", client["type"] != "CognitoIdentityPool" || has(client, "identityPool")),
    },
    Rule {
        cel: "self.type == 'CognitoIdentityPool' || !has(self.identityPool)",
        broken: |client| at("/identityPool", client["type"] == "CognitoIdentityPool" || !has(client, "identityPool")),
    },
    Rule {
        cel: "!has(self.subjectToken) || self.type == 'TokenExchange'",
        broken: |client| at("/subjectToken", !has(client, "subjectToken") || client["type"] == "TokenExchange"),
    },
    Rule {
        cel: "self.serviceAccountName != 'default'",
        broken: |binding| at("/serviceAccountName", binding["serviceAccountName"] != "default"),
    },
    Rule {
        cel: "!self.sessionDuration.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}s|[0-9]{1,12}ms)+$') || (duration(self.sessionDuration) >= duration('15m') && duration(self.sessionDuration) <= duration('12h'))",
        broken: session_duration,
    },
    Rule { cel: LENGTH_RULE, broken: length },
    Rule {
        cel: "size(self.metadata.name) <= 248",
        broken: |history| at("/metadata/name", name_length(history) <= 248),
    },
    Rule {
        cel: "!has(self.spec.output) || self.spec.output.store != 'ConfigMap' || size(self.metadata.name) <= 246",
        broken: |run| at("/metadata/name", text(run, "/spec/output/store") != "ConfigMap" || name_length(run) <= 246),
    },
    Rule {
        cel: "has(self.executionName) == has(self.startDeadline)",
        broken: |run| {
            let pointer = if has(run, "executionName") { "/executionName" } else { "/startDeadline" };
            at(pointer, has(run, "executionName") == has(run, "startDeadline"))
        },
    },
    Rule {
        cel: "!self.matches('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(-[0-9]{1,7})?$')",
        broken: |name| at("", !looks_like_uid(name.as_str().unwrap_or_default())),
    },
    Rule { cel: "!has(self.alias) || !has(self.version)", broken: alias_or_version },
    Rule {
        cel: "!self.metadata.name.contains('.')",
        broken: |workflow| at("/metadata/name", !text(workflow, "/metadata/name").contains('.')),
    },
    Rule {
        cel: "has(self.definition) != has(self.definitionFrom)",
        broken: |workflow| at("/definitionFrom", has(workflow, "definition") != has(workflow, "definitionFrom")),
    },
    Rule { cel: "!has(self.aliases) || self.aliases.filter(alias, alias.default).size() <= 1", broken: second_default },
    Rule {
        cel: "!has(self.aliases) || self.aliases.size() == 0 || !has(self.versions) || self.versions.publish != 'Never'",
        broken: |workflow| {
            let has_aliases = workflow["aliases"].as_array().is_some_and(|aliases| !aliases.is_empty());
            at("/versions/publish", !has_aliases || text(workflow, "/versions/publish") != "Never")
        },
    },
    Rule {
        cel: "!has(self.logging) || self.logging.level == 'None' || has(self.logging.logGroupARN)",
        broken: |workflow| {
            let logging = &workflow["logging"];
            at("/logging", !has(workflow, "logging") || logging["level"] == "None" || has(logging, "logGroupARN"))
        },
    },
    Rule {
        cel: "!has(self.expressResults) || self.expressResults == 'Dispatched' || (self.type == 'Express' && has(self.logging) && self.logging.level == 'All' && has(self.logging.logGroupARN))",
        broken: |workflow| {
            let (logging, from_logs) = (&workflow["logging"], workflow["expressResults"] == "FromLogs");
            let logs = logging["level"] == "All" && has(logging, "logGroupARN");
            at("/expressResults", !from_logs || (workflow["type"] == "Express" && logs))
        },
    },
    Rule {
        cel: "!has(self.substitutions) || self.substitutions.all(key, key.matches('^[A-Za-z0-9_.-]{1,255}$'))",
        broken: |workflow| keys(workflow, "/substitutions", is_substitution),
    },
    Rule {
        cel: "has(self.version) != has(self.rollout)",
        broken: |alias| {
            at(if has(alias, "version") { "/rollout" } else { "" }, has(alias, "version") != has(alias, "rollout"))
        },
    },
    Rule {
        cel: "self.strategy == 'AllAtOnce' || (has(self.percent) && has(self.interval))",
        broken: |rollout| {
            at("/strategy", rollout["strategy"] == "AllAtOnce" || (has(rollout, "percent") && has(rollout, "interval")))
        },
    },
    Rule {
        cel: "self.strategy != 'AllAtOnce' || !has(self.alarms) || self.alarms.size() == 0",
        broken: |rollout| {
            let has_alarms = rollout["alarms"].as_array().is_some_and(|alarms| !alarms.is_empty());
            at("/alarms", rollout["strategy"] != "AllAtOnce" || !has_alarms)
        },
    },
    Rule {
        cel: "self.metadata.name.size() <= 52",
        broken: |schedule| at("/metadata/name", name_length(schedule) <= 52),
    },
    Rule {
        cel: "!self.schedule.contains('TZ')",
        broken: |spec| at("/schedule", !text(spec, "/schedule").contains("TZ")),
    },
    Rule {
        cel: "!has(self.runTemplate.metadata) || !has(self.runTemplate.metadata.annotations) || self.runTemplate.metadata.annotations.all(key, !key.startsWith('stepbound.dev/'))",
        broken: |spec| keys(spec, "/runTemplate/metadata/annotations", not_ours),
    },
    Rule {
        cel: "!has(self.runTemplate.metadata) || !has(self.runTemplate.metadata.labels) || self.runTemplate.metadata.labels.all(key, !key.startsWith('stepbound.dev/'))",
        broken: |spec| keys(spec, "/runTemplate/metadata/labels", not_ours),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::custom_resource_definitions;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Every rule of a schema, by its text, with its message.
    fn of_schema(schema: &Value, found: &mut BTreeMap<String, String>) {
        let rules = schema["x-kubernetes-validations"].as_array();
        for rule in rules.into_iter().flatten() {
            found.insert(text(rule, "/rule").to_owned(), text(rule, "/message").to_owned());
        }
        let properties = schema["properties"].as_object().into_iter().flatten().map(|(_, schema)| schema);
        for schema in
            properties.chain([&schema["items"], &schema["additionalProperties"]]).filter(|schema| schema.is_object())
        {
            of_schema(schema, found);
        }
    }

    #[test]
    fn every_rule_of_the_definitions_that_holds_at_creation_is_here_and_no_other() {
        let mut found = BTreeMap::new();
        for definition in custom_resource_definitions().unwrap() {
            let definition = serde_json::to_value(&definition).unwrap();
            of_schema(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
        }
        let (changes, creation): (Vec<_>, Vec<_>) = found.keys().partition(|cel| is_of_changes(cel));
        assert!(changes.len() > 10, "the test sees the schemas");
        for cel in &creation {
            assert!(rule(cel).is_some(), "no code for the rule {cel}");
        }
        assert_eq!(RULES.len(), creation.len(), "a rule that no definition has any more");
    }

    #[test]
    fn a_rule_says_where_it_is_broken() {
        let broken = |cel: &str, value: &Value| (rule(cel).unwrap().broken)(value);
        let defaults = json!({"aliases": [{"default": true}, {}, {"default": true}]});
        let cel = "!has(self.aliases) || self.aliases.filter(alias, alias.default).size() <= 1";
        assert_eq!(broken(cel, &defaults).as_deref(), Some("/aliases/2/default"));
        let tagged = json!({"tags": {"team": "x", "AWS:x": "y"}});
        assert_eq!(tags(&tagged).as_deref(), Some("/tags/AWS:x"));
        assert_eq!(tags(&json!({"tags": {"stepbound.dev/a": ""}})).as_deref(), Some("/tags/stepbound.dev~1a"));
        for (length, holds) in [("15m", true), ("14m59s", false), ("12h", true), ("12h1ms", false), ("720m", true)] {
            assert_eq!(session_duration(&json!({"sessionDuration": length})).is_none(), holds, "{length}");
        }
        let uid = "123e4567-e89b-12d3-a456-426614174000";
        assert!(looks_like_uid(uid) && looks_like_uid(&format!("{uid}-2")));
        assert!(
            !looks_like_uid(&format!("{uid}-12345678"))
                && !looks_like_uid(&format!("{uid}-2-3"))
                && !looks_like_uid("a-b-c-d-e")
        );
    }
}
