//! How it is known that AWS refuses what breaks a rule.

/// Where the knowledge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// An answer of AWS to such a definition is on record.
    Recorded(&'static str),
    /// AWS's documentation says so, the specification of the language included.
    Documented(&'static str),
    /// It seems so; such rules are warnings.
    Believed(&'static str),
    /// AWS is not asked: it is a rule of this project or of the API server.
    Ours(&'static str),
}

impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recorded(answer) => write!(f, "recorded. {answer}"),
            Self::Documented(source) => write!(f, "documented. {source}"),
            Self::Believed(why) => write!(f, "believed, so it is a warning. {why}"),
            Self::Ours(why) => write!(f, "not from AWS. {why}"),
        }
    }
}

/// The basis of a code; every error has one.
pub fn basis(code: &str) -> Option<Basis> {
    BASES.iter().find(|(known, _)| *known == code).map(|(_, basis)| *basis)
}

use Basis::{Believed, Documented, Ours, Recorded};

const BASES: &[(&str, Basis)] = &[
    ("SB001", Recorded("AWS answers \"Definition must be a valid JSON object\".")),
    ("SB002", Recorded("AWS answers \"These fields are required: [States, StartAt]\".")),
    ("SB003", Recorded("AWS answers \"These fields are required: [States, StartAt]\".")),
    ("SB004", Documented("Specification, \"States\"; Step Functions quotas.")),
    ("SB005", Recorded("AWS answers \"The field 'Type' should have one of these values\".")),
    ("SB006", Documented("Specification, \"Transitions\"; developer guide, common state fields.")),
    ("SB007", Documented("Specification, \"Task State\".")),
    ("SB008", Documented("Specification, \"Choice State\": Choices is a non-empty array.")),
    ("SB009", Believed("AWS names no limit.")),
    ("SB012", Recorded("AWS answers \"MISSING_TRANSITION_TARGET: Missing 'Next' target\".")),
    ("SB014", Recorded("AWS answers \"MISSING_TRANSITION_TARGET: State … is not reachable\".")),
    ("SB015", Recorded("AWS answers \"MISSING_END_STATE: Workflow has no terminal state\".")),
    ("SB016", Recorded("AWS answers \"DUPLICATE_STATE_NAME: Duplicate State name\".")),
    ("SB017", Recorded("AWS answers \"Field … is not supported\".")),
    (
        "SB018",
        Recorded(
            "AWS answers \"The QueryLanguage is set to 'JSONPath', but field … is only supported for the 'JSONata' QueryLanguage\", and the other way round.",
        ),
    ),
    (
        "SB019",
        Documented(
            "Specification and developer guide, at each field. Recorded for times: AWS answers \"String does not match RFC3339 timestamp\".",
        ),
    ),
    ("SB020", Documented("Specification: \"MUST NOT include both\".")),
    (
        "SB021",
        Documented(
            "Specification, \"MUST have\" and \"MUST contain\" at each object; developer guide, \"ItemReader\", \"ResultWriter\" and \"Map state\".",
        ),
    ),
    (
        "SB022",
        Recorded(
            "AWS answers \"'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine\", \"Value should be one of the following: [JSONPath, JSONata]\", and inside of a Map or Parallel \"Field 'QueryLanguage' is not supported\".",
        ),
    ),
    (
        "SB023",
        Recorded(
            "AWS answers \"The resource provided … is not recognized. The value is not a valid resource ARN, or the resource is not available in this region\".",
        ),
    ),
    ("SB024", Ours("AWS has no substitutions: it would get the name itself.")),
    ("SB025", Recorded("AWS answers \"Definition must be a valid JSON object\" or \"INVALID_JSON_DESCRIPTION\".")),
    ("SB026", Documented("API reference, CreateStateMachine: at most 1,048,576 characters.")),
    ("SB027", Recorded("AWS takes it: it looks for a state that ends in the outermost machine alone.")),
    ("SB030", Documented("Specification, \"Data-test expression\": exactly one comparison operator.")),
    (
        "SB034",
        Recorded(
            "AWS answers \"The value for the field … must be a valid JSONPath or a valid intrinsic function call\".",
        ),
    ),
    (
        "SB035",
        Recorded(
            "AWS answers \"The value for the field … must be a valid JSONPath or a valid intrinsic function call\". Documented for the arguments of each function: developer guide, \"Intrinsic functions\".",
        ),
    ),
    ("SB036", Recorded("AWS answers \"INVALID_JSONATA_EXPRESSION\" with the message of its parser.")),
    (
        "SB037",
        Documented(
            "Developer guide, \"Transforming data with JSONata\": improperly opening or closing an expression is a validation error.",
        ),
    ),
    ("SB038", Recorded("AWS answers \"The value for the field … must be a STRING that contains a JSONPath\".")),
    ("SB039", Documented("Specification, \"Payload Template\": no duplicate names after the suffix is gone.")),
    ("SB043", Documented("Specification, \"Timeouts and heartbeats\".")),
    (
        "SB044",
        Recorded(
            "AWS answers \"Express state machine does not support '.sync' service integration\", and likewise for .waitForTaskToken. Documented for activities and distributed Maps: developer guide, \"Choosing workflow type\".",
        ),
    ),
    ("SB045", Documented("Developer guide, \"Integrating services\", table of supported integrations.")),
    ("SB047", Recorded("AWS answers \"The field 'RoleArn' is required but was missing\".")),
    ("SB050", Documented("Specification, \"Retrying after error\" and \"Fallback states\".")),
    ("SB054", Documented("Specification, \"Retrying after error\".")),
    ("SB060", Recorded("Tests of others saw AWS refuse labels that are empty, too long, or have such signs.")),
    ("SB063", Recorded("AWS takes ItemsPath beside ItemReader and ignores it; of the other pairs it is believed.")),
    ("SB064", Believed("AWS takes MaxItems 0 of an ItemReader as no limit.")),
    (
        "SB076",
        Recorded(
            "AWS answers \"UNSUPPORTED_JSONATA_EXPRESSION: Reference to … at the top level is not supported\" or \"Reference to '$$' is not supported\".",
        ),
    ),
    ("SB077", Recorded("AWS answers \"UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.errorOutput' does not exist\".")),
    (
        "SB078",
        Believed(
            "Documented in the specification, \"JSONata Restrictions\"; AWS's answer is on record for the top level alone.",
        ),
    ),
    ("SB079", Recorded("AWS runs it and fails the state: \"T1006: Attempted to invoke a non-function\".")),
    (
        "SB080",
        Recorded(
            "AWS answers \"The resource provided … is not recognized\" to an action that its service does not have, and documented (developer guide, \"Learning to use AWS service SDK integrations\") that the action of a call of the SDK is in camel case.",
        ),
    ),
    (
        "SB084",
        Believed(
            "The references of the services say what they take; what AWS answers to each of these is not on record.",
        ),
    ),
    (
        "SB085",
        Believed("AWS refuses such a Timestamp of a Wait; what it answers to that of a comparison is not on record."),
    ),
    ("SB090", Ours("The API server drops such a field, or refuses the object.")),
    ("SB091", Ours("The API server refuses the object by its schema.")),
    ("SB094", Ours("The operator does nothing with such an object.")),
    ("SB099", Ours("The operator calls AWS in the account and region of the TrustBinding.")),
    ("SB100", Ours("The operator starts such a run once the alias is there.")),
    ("SB101", Ours("The API server keeps one object of a kind and name.")),
    ("SB096", Recorded("It is the answer of AWS itself.")),
    ("SB102", Believed("The developer guide speaks of calls of AWS alone.")),
    ("SB103", Ours("The operator starts no run with such an input.")),
    (
        "SB104",
        Believed(
            "IAM user guide, \"AWS JSON policy elements: Principal\": a role that assumes itself has to trust itself. What AWS answers to such a step is not on record.",
        ),
    ),
    ("SB097", Ours("A run that looked at nothing says nothing.")),
];
