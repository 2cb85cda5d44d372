//! What texts must look like that a schema holds to a pattern, in words: the API server can show the pattern alone. The linter, the
//! flags of the command line and docs/reference.md say it in these words, and a test holds that no pattern is without them.

use crate::iam::binding_role::values::{KEY_PATTERN, NAME_PATTERN, NAMES_PATTERN};

/// What the API server takes as the name of an object: a DNS subdomain (RFC 1123), at most 253 characters.
pub const OBJECT_NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The id of an account of AWS.
pub const ACCOUNT_PATTERN: &str = "^[0-9]{12}$";
/// A region of AWS, whichever it adds: `eu-west-1`, `us-gov-east-1`.
pub const REGION_PATTERN: &str = "^[a-z]{2,8}(-[a-z0-9]+)+-[0-9]+$";
/// The ARN of an IAM role, in any partition.
pub const ROLE_ARN_PATTERN: &str = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$";
/// The characters of a role's ARN and `*`, so that a pattern can be turned into a regular expression.
pub(super) const ROLES_PATTERN: &str = "^arn:[A-Za-z0-9+=,.@_/:*-]{1,252}$";
/// A length of time.
pub const DURATION_PATTERN: &str = "^([0-9]+(ms|s|m|h))+$";
pub(super) const ALIAS_PATTERN: &str = r"^[0-9]*[A-Za-z_.-][A-Za-z0-9_.-]*$";
pub(super) const EXECUTION_PATTERN: &str = "^[A-Za-z0-9_-]+$";
pub(super) const INTEGRATIONS_PATTERN: &str = "^[A-Za-z0-9:*-]{1,128}$";
pub(super) const ISSUER_PATTERN: &str = r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$";
pub(super) const LOG_GROUP_PATTERN: &str = "^arn:aws[a-z-]*:logs:[a-z0-9-]+:[0-9]{12}:log-group:.+$";
pub(super) const POOL_PATTERN: &str = "^[a-z]{2,8}(-[a-z0-9]+)+-[0-9]+:[0-9a-f-]{36}$";
pub(super) const QUEUE_PATTERN: &str = r"^https?://[A-Za-z0-9.:-]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}(\.fifo)?$";
pub(super) const SCHEDULE_PATTERN: &str = r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|\s*[0-9A-Za-z*?,/+-]+(\s+[0-9A-Za-z*?,/+-]+){4}\s*)$";
pub(super) const SCOPE_PATTERN: &str = r"^[!#-\[\]-~]+$";
pub(super) const TOOL_NAME_PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";
/// Of what is obeyed instead of seen only ends of lines and tabs, and what joins letters.
pub(super) const TOOL_TEXT_PATTERN: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{e0000}-\x{e007f}]+$";
pub(super) const ZONE_PATTERN: &str = r"^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}(/[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13})*$";

/// What a text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The pattern that the API server holds it to.
    pub pattern: &'static str,
    /// What it is, with its article: `a region of AWS`.
    pub words: &'static str,
    /// One that fits.
    pub example: &'static str,
}

impl Form {
    /// What a text is not, and what to write instead.
    pub fn broken(&self) -> String {
        format!("is not {}; write for example {}", self.words, self.example)
    }
}

/// The form behind a pattern of a schema.
pub fn form(pattern: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.pattern == pattern)
}

/// All of them.
pub static FORMS: &[Form] = &[
    Form {
        pattern: OBJECT_NAME_PATTERN,
        words: "a name of an object in Kubernetes: lower-case letters, digits, - and ., each part between dots with a letter or digit at both ends",
        example: "order-fulfilment",
    },
    Form { pattern: ACCOUNT_PATTERN, words: "an account of AWS, which has 12 digits", example: "111122223333" },
    Form { pattern: REGION_PATTERN, words: "a region of AWS", example: "eu-west-1" },
    Form {
        pattern: ROLE_ARN_PATTERN,
        words: "the ARN of an IAM role",
        example: "arn:aws:iam::111122223333:role/orders",
    },
    Form {
        pattern: ROLES_PATTERN,
        words: "an ARN, in which * stands for any characters",
        example: "arn:aws:iam::111122223333:role/orders-*",
    },
    Form {
        pattern: DURATION_PATTERN,
        words: "a length of time: numbers, each with its unit (h, m, s or ms)",
        example: "1h30m",
    },
    Form {
        pattern: NAME_PATTERN,
        words: "a name that Step Functions takes here: 1 to 80 letters, digits, - and _",
        example: "order-fulfilment",
    },
    Form {
        pattern: NAMES_PATTERN,
        words: "a name of state machines: letters, digits, - and _, and * for any characters",
        example: "orders-*",
    },
    Form {
        pattern: KEY_PATTERN,
        words: "a KMS key: its id, its ARN, alias/ and the name of an alias, or the ARN of an alias",
        example: "alias/orders",
    },
    Form {
        pattern: ALIAS_PATTERN,
        words: "a name of an alias: letters, digits, -, _ and ., and not digits alone, which would be a version",
        example: "live",
    },
    Form {
        pattern: EXECUTION_PATTERN,
        words: "a name of an execution: letters, digits, - and _",
        example: "order-1042",
    },
    Form {
        pattern: INTEGRATIONS_PATTERN,
        words: "an integration: a service, or service:operation, with aws-sdk: before it for calls of the SDK, and * for any characters",
        example: "lambda:invoke",
    },
    Form {
        pattern: ISSUER_PATTERN,
        words: "the URL of an issuer: https://, a host, and a path where it has one",
        example: "https://login.example.com/realms/orders",
    },
    Form {
        pattern: LOG_GROUP_PATTERN,
        words: "the ARN of a log group",
        example: "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/orders:*",
    },
    Form {
        pattern: POOL_PATTERN,
        words: "the id of a Cognito identity pool: its region, a colon and a UUID",
        example: "eu-west-1:7f3c9a52-1d84-4e0b-9c66-2a5b8d1e4f70",
    },
    Form {
        pattern: QUEUE_PATTERN,
        words: "the URL of an SQS queue (its ARN is none): a host, the account and the name of the queue",
        example: "https://sqs.eu-west-1.amazonaws.com/111122223333/executions",
    },
    Form {
        pattern: SCHEDULE_PATTERN,
        words: "a schedule: five fields (minute, hour, day of the month, month, day of the week), or a word such as @daily",
        example: "30 2 * * *",
    },
    Form {
        pattern: SCOPE_PATTERN,
        words: "an OAuth scope, which is one word without spaces, double quotes and backslashes",
        example: "openid",
    },
    Form {
        pattern: TOOL_NAME_PATTERN,
        words: "a name of a tool: 1 to 64 letters, digits, - and _",
        example: "ship_order",
    },
    Form {
        pattern: TOOL_TEXT_PATTERN,
        words: "a text of visible characters: of the others it has ends of lines and tabs alone",
        example: "Ships an order that is paid.",
    },
    Form { pattern: ZONE_PATTERN, words: "a time zone by its name in the IANA database", example: "Europe/Berlin" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::custom_resource_definitions;
    use regex::Regex;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn patterns(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(fields) => {
                if let Some(pattern) = fields.get("pattern").and_then(Value::as_str) {
                    found.insert(pattern.to_owned());
                }
                fields.values().for_each(|inner| patterns(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| patterns(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_pattern_of_a_schema_has_words_and_an_example_that_fits() {
        let mut used = BTreeSet::new();
        for definition in custom_resource_definitions().unwrap() {
            let spec = &serde_json::to_value(&definition).unwrap()["spec"];
            patterns(&spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], &mut used);
        }
        let known: BTreeSet<String> = FORMS.iter().map(|form| form.pattern.to_owned()).collect();
        assert_eq!(used, known, "patterns of the schemas, and those that have words");
        assert_eq!(known.len(), FORMS.len(), "each once");
        for form in FORMS {
            let pattern = Regex::new(form.pattern).unwrap();
            assert!(pattern.is_match(form.example), "{form:?}");
        }
    }
}
