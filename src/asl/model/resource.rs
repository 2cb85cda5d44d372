//! The `Resource` of a task: what it calls, and in which pattern.
//!
//! Source: the Step Functions developer guide, "Integrating services" and "Service integration patterns".

/// What a task calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The text as it is written.
    pub text: &'a str,
    /// What is called.
    pub target: Target<'a>,
    /// What the state waits for.
    pub pattern: Pattern,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `arn:aws:states:::<service>:<action>`: an integration made for Step Functions, such as `lambda:invoke`.
    Optimised {
        /// For example `lambda`, `dynamodb`, `http`.
        service: &'a str,
        /// For example `invoke`.
        action: &'a str,
    },
    /// `arn:aws:states:::aws-sdk:<service>:<action>`: any call of AWS's SDK.
    Sdk {
        /// The service's name in the SDK for Java 2, in lower case.
        service: &'a str,
        /// The operation, beginning with a small letter.
        action: &'a str,
    },
    /// The ARN of a function, qualified or not.
    Lambda(Arn<'a>),
    /// The ARN of an activity.
    Activity(Arn<'a>),
    /// Another ARN; Step Functions has no integration for it.
    OtherArn(Arn<'a>),
    /// Not an ARN; a placeholder of a template, perhaps.
    Unknown,
}

/// What the state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// The answer of the call.
    RequestResponse,
    /// The end of the job that the call starts: `.sync`.
    Sync,
    /// As [`Pattern::Sync`], with the output as JSON: `.sync:2`.
    Sync2,
    /// A call of `SendTaskSuccess` or `SendTaskFailure` with the token: `.waitForTaskToken`.
    WaitForTaskToken,
}

impl Pattern {
    /// True for `.sync` and `.sync:2`.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::Sync | Self::Sync2)
    }

    /// The suffix of a resource, empty for request and response.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::RequestResponse => "",
            Self::Sync => ".sync",
            Self::Sync2 => ".sync:2",
            Self::WaitForTaskToken => ".waitForTaskToken",
        }
    }
}

/// An Amazon Resource Name in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// For example `lambda`.
    pub service: &'a str,
    /// Empty where the resource is in none.
    pub region: &'a str,
    /// Empty where the resource is in none.
    pub account: &'a str,
    /// All that follows the account.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of an ARN; nothing for another text.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let mut part = || parts.next();
        let arn = Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }
}

impl std::fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl<'a> Resource<'a> {
    /// Reads a resource. A text that is not one becomes [`Target::Unknown`].
    pub fn parse(text: &'a str) -> Self {
        let plain = |target| Self { text, target, pattern: Pattern::RequestResponse };
        let Some(arn) = Arn::parse(text) else { return plain(Target::Unknown) };
        match arn {
            Arn { service: "lambda", .. } if arn.resource.starts_with("function:") => plain(Target::Lambda(arn)),
            Arn { service: "states", .. } if arn.resource.starts_with("activity:") => plain(Target::Activity(arn)),
            Arn { service: "states", region: "", account: "", resource, .. } => {
                let (name, pattern) = pattern(resource);
                match integration(name) {
                    Some(target) => Self { text, target, pattern },
                    None => plain(Target::OtherArn(arn)),
                }
            }
            _ => plain(Target::OtherArn(arn)),
        }
    }

    /// Service and action of an integration.
    pub fn integration(&self) -> Option<(&'a str, &'a str)> {
        match self.target {
            Target::Optimised { service, action } | Target::Sdk { service, action } => Some((service, action)),
            _ => None,
        }
    }
}

/// An unknown suffix stays with the name.
fn pattern(resource: &str) -> (&str, Pattern) {
    for pattern in [Pattern::Sync2, Pattern::Sync, Pattern::WaitForTaskToken] {
        if let Some(name) = resource.strip_suffix(pattern.suffix()) {
            return (name, pattern);
        }
    }
    (resource, Pattern::RequestResponse)
}

fn integration(name: &str) -> Option<Target<'_>> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match *name.split(':').collect::<Vec<_>>().as_slice() {
        ["aws-sdk", service, action] if is_word(service) && is_word(action) => Some(Target::Sdk { service, action }),
        [service, action] if is_word(&service.replace('-', "")) && is_word(action) => {
            Some(Target::Optimised { service, action })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_tells_what_is_called_and_what_is_waited_for() {
        let optimised = |service, action| Target::Optimised { service, action };
        for (text, target, pattern) in [
            ("arn:aws:states:::lambda:invoke", optimised("lambda", "invoke"), Pattern::RequestResponse),
            (
                "arn:aws:states:::lambda:invoke.waitForTaskToken",
                optimised("lambda", "invoke"),
                Pattern::WaitForTaskToken,
            ),
            ("arn:aws-cn:states:::ecs:runTask.sync", optimised("ecs", "runTask"), Pattern::Sync),
            ("arn:aws:states:::states:startExecution.sync:2", optimised("states", "startExecution"), Pattern::Sync2),
            (
                "arn:aws:states:::emr-containers:startJobRun.sync",
                optimised("emr-containers", "startJobRun"),
                Pattern::Sync,
            ),
            (
                "arn:aws:states:::aws-sdk:s3:getObject",
                Target::Sdk { service: "s3", action: "getObject" },
                Pattern::RequestResponse,
            ),
            ("${Function}", Target::Unknown, Pattern::RequestResponse),
            ("arn:aws", Target::Unknown, Pattern::RequestResponse),
        ] {
            assert_eq!(Resource::parse(text), Resource { text, target, pattern }, "{text}");
        }
        let lambda = Resource::parse("arn:aws:lambda:eu-west-1:111122223333:function:charge:live");
        assert!(matches!(lambda.target, Target::Lambda(Arn { resource: "function:charge:live", .. })));
        let activity = Resource::parse("arn:aws:states:eu-west-1:111122223333:activity:approve");
        assert!(matches!(activity.target, Target::Activity(Arn { region: "eu-west-1", .. })));
        let other = Resource::parse("arn:aws:states:::lambda:invoke.async");
        assert!(matches!(other.target, Target::OtherArn(_)));
    }
}
