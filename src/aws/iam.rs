//! IAM behind its port.

use async_trait::async_trait;
use aws_sdk_iam::Client;

use super::gate::config;
use super::sdk::{CALL_TIMEOUT, SdkStepFunctions};
use super::{AwsError, AwsErrorKind, Caller, Session};

/// IAM, as far as a role can look at itself.
#[async_trait]
pub trait Iam: Send + Sync {
    /// Trust policy of a role as JSON; `None` where there is no such role. `AccessDenied` where the session's role may not
    /// read it.
    async fn trust_policy(&self, caller: &Caller, role_arn: &str) -> Result<Option<String>, AwsError>;
}

#[async_trait]
impl Iam for SdkStepFunctions {
    async fn trust_policy(&self, caller: &Caller, role_arn: &str) -> Result<Option<String>, AwsError> {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        let call = self.iam(caller).get_role().role_name(name).send();
        let found = match self.call(caller, "iam:GetRole", role_arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound || error.code == "NoSuchEntity" => return Ok(None),
            other => other?,
        };
        let encoded = found.role.and_then(|role| role.assume_role_policy_document);
        Ok(encoded.map(|encoded| decoded(&encoded)))
    }
}

impl SdkStepFunctions {
    /// Roles are read once for each change of a binding, so a client is built for each look.
    fn iam(&self, session: &Session) -> Client {
        Client::from_conf(config!(aws_sdk_iam, self.http, session, &self.iam_endpoint, CALL_TIMEOUT).build())
    }
}

/// IAM gives policies percent-encoded (`GetRole`: "URL-encoded compliant with RFC 3986"). A plus is a plus there.
fn decoded(encoded: &str) -> String {
    let form = format!("p={}", encoded.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes()).next().map_or_else(String::new, |(_, text)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_decoded() {
        assert_eq!(decoded("%7B%22Sid%22%3A%20%22a+b%22%7D"), "{\"Sid\": \"a+b\"}");
    }
}
