//! Retry and Catch.

use super::rule::Rule;
use super::rule::Scope::Definition;
use super::rule::Severity::{Error, Warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "SB050",
        severity: Error,
        title: "States.ALL is not alone and last",
        label: "hides those after it",
        why: "States.ALL matches every error, so it must be the only name of its retrier or catcher, and that must be the last. AWS refuses it otherwise.",
        fix: "Move it to the end.",
        example: "StartAt: Charge\nStates:\n  Charge:\n    Type: Task\n    Resource: arn:aws:lambda:eu-west-1:111122223333:function:charge\n    Retry:\n    - {ErrorEquals: [States.ALL]}\n    - {ErrorEquals: [CardDeclined], MaxAttempts: 0}\n    End: true\n",
        scope: Definition,
    },
    Rule {
        code: "SB051",
        severity: Warning,
        title: "an error is handled that cannot be",
        label: "does not help",
        why: "States.Runtime is neither retried nor caught, and States.DataLimitExceeded comes again on every retry: the data is as large as before.",
        fix: "Remove the name, or catch States.DataLimitExceeded by its name and go another way.",
        example: "StartAt: Charge\nStates:\n  Charge:\n    Type: Task\n    Resource: arn:aws:lambda:eu-west-1:111122223333:function:charge\n    Retry: [{ErrorEquals: [States.Runtime]}]\n    End: true\n",
        scope: Definition,
    },
    Rule {
        code: "SB052",
        severity: Warning,
        title: "a retrier or catcher is never reached",
        label: "taken before",
        why: "The first retrier or catcher that matches an error is taken. States.TaskFailed matches every error of a Task but States.Timeout.",
        fix: "Put the more specific one first, or remove what stands twice.",
        example: "StartAt: Charge\nStates:\n  Charge:\n    Type: Task\n    Resource: arn:aws:lambda:eu-west-1:111122223333:function:charge\n    Catch:\n    - {ErrorEquals: [States.TaskFailed], Next: Sorry}\n    - {ErrorEquals: [CardDeclined], Next: Sorry}\n    End: true\n  Sorry: {Type: Fail}\n",
        scope: Definition,
    },
    Rule {
        code: "SB053",
        severity: Warning,
        title: "an error name is not one of AWS's",
        label: "no such error",
        why: "Names that begin with States. are AWS's own, and nothing else raises them.",
        fix: "Correct the name; the developer guide lists them under \"Handling errors\".",
        example: "StartAt: Charge\nStates:\n  Charge:\n    Type: Task\n    Resource: arn:aws:lambda:eu-west-1:111122223333:function:charge\n    Retry: [{ErrorEquals: [States.TaskFail]}]\n    End: true\n",
        scope: Definition,
    },
    Rule {
        code: "SB054",
        severity: Error,
        title: "the longest delay is not above the first",
        label: "not above IntervalSeconds",
        why: "MaxDelaySeconds bounds the growing delays, so it must be greater than IntervalSeconds (1 unless it is given).",
        fix: "Raise it, or remove it.",
        example: "StartAt: Charge\nStates:\n  Charge:\n    Type: Task\n    Resource: arn:aws:lambda:eu-west-1:111122223333:function:charge\n    Retry: [{ErrorEquals: [States.ALL], IntervalSeconds: 10, MaxDelaySeconds: 5}]\n    End: true\n",
        scope: Definition,
    },
];
