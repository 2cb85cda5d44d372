//! Amazon Resource Names: `arn:partition:service:region:account:resource`.

use std::fmt;

/// An ARN in its parts. Any part but the partition and the service may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// The service's namespace, as in actions.
    pub service: &'a str,
    /// The region; empty for global resources.
    pub region: &'a str,
    /// The account; empty where the service needs none, as S3.
    pub account: &'a str,
    /// The rest, colons included.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of a text, or `None` where it is no ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let mut next = || parts.next();
        let arn = Self { partition: next()?, service: next()?, region: next()?, account: next()?, resource: next()? };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart_and_put_together_again() {
        for text in [
            "arn:aws:lambda:eu-west-1:111122223333:function:charge-card:live",
            "arn:aws-cn:s3:::bucket/key:with:colons",
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "arn", "arn:aws:lambda:eu-west-1", "arn:aws:s3:::", "arn::s3:::b", "urn:aws:s3:::b"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
