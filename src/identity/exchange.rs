//! The trade at STS: a service account's token for credentials of the role.

use aws_sdk_sfn::config::SharedHttpClient;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::operation::RequestId;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

use super::{ExchangeError, IdentityError, SessionKey, WebIdentityToken};
use crate::audit;
use crate::aws::{Credentials, Gate, Session, SessionOrigin, refused_request_id, sdk_error};
use crate::cause::Cause;
use crate::outcome::Classify;
use crate::plan::attribution;

/// Longest wait for a connection to STS: a region that cannot be reached is known soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for STS.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Trades tokens at STS.
pub struct Exchanger {
    http: SharedHttpClient,
    endpoint: Option<Url>,
}

impl Exchanger {
    /// `endpoint` replaces AWS's regional endpoints.
    pub fn new(http: SharedHttpClient, endpoint: Option<Url>) -> Self {
        Self { http, endpoint }
    }

    /// Assumes the key's role with the token at the time `now`, and checks that the answer is for what was asked.
    pub async fn exchange(
        &self,
        key: &SessionKey,
        cause: &Cause,
        token: WebIdentityToken,
        now: Timestamp,
    ) -> Result<Session, IdentityError> {
        let name = key.requester.as_deref().map_or_else(|| key.session_name.clone(), attribution::session_name);
        let origin = SessionOrigin {
            namespace: key.namespace.clone(),
            binding: key.binding.clone(),
            service_account_uid: key.service_account_uid.clone(),
            token_id: token.claims.jti.clone(),
            issuer: token.claims.iss.clone(),
            subject: token.claims.sub.clone(),
            audience: token.claims.aud.0.join(", "),
            requester: key.requester.clone(),
            authorized_party: token.claims.azp.clone(),
        };
        let claims = token.claims.clone();
        let record = audit::Record::begin(|request_id, outcome| {
            audit::assumption(cause, &origin, &name, &key.role_arn, request_id, outcome);
        });
        let answer = self
            .client(&key.region)
            .assume_role_with_web_identity()
            .role_arn(&key.role_arn)
            .role_session_name(&name)
            .web_identity_token(token.expose())
            .duration_seconds(i32::try_from(key.duration_seconds).unwrap_or(i32::MAX))
            .set_policy(key.policy.as_deref().map(str::to_owned))
            .send()
            .await;
        drop(token);
        match answer {
            Ok(answer) => {
                let request_id = answer.request_id().unwrap_or_default().to_owned();
                let session = session_of(key, origin.clone(), name.clone(), answer, now);
                record.end(&request_id, session.as_ref().map_or_else(|error| error.reason().as_str(), |_| "Success"));
                session
            }
            Err(error) => {
                let cause = sdk_error("sts:AssumeRoleWithWebIdentity", &error);
                record.end(refused_request_id(&error), &cause.code);
                Err(IdentityError::Exchange(Box::new(ExchangeError {
                    cause,
                    role_arn: key.role_arn.clone(),
                    claims,
                    issuer_problem: None,
                })))
            }
        }
    }

    /// Built by hand: nothing of the environment, of profiles or of instance metadata is looked at.
    fn client(&self, region: &str) -> aws_sdk_sts::Client {
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(self.http.clone())
            .allow_no_auth()
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(EXCHANGE_TIMEOUT).build(),
            );
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

/// Checks the answer claim by claim and turns it into a session.
fn session_of(
    key: &SessionKey,
    origin: SessionOrigin,
    name: String,
    answer: AssumeRoleWithWebIdentityOutput,
    now: Timestamp,
) -> Result<Session, IdentityError> {
    // Endpoints that do not know the newer value yet tell the older one alone.
    #[allow(deprecated)]
    let packed = answer.session_token_utilization.or(answer.packed_policy_size);
    let user = answer.assumed_role_user.map(|user| user.arn).unwrap_or_default();
    let provider = answer.provider.unwrap_or_default();
    expect("AssumedRoleUser", &assumed_role_user(&key.role_arn, &name), &user)?;
    expect(
        "SubjectFromWebIdentityToken",
        &origin.subject,
        &answer.subject_from_web_identity_token.unwrap_or_default(),
    )?;
    let audience = answer.audience.unwrap_or_default();
    // Where a token has an authorized party, AWS takes that for the audience.
    if origin.authorized_party.as_ref() != Some(&audience) {
        expect("Audience", &origin.audience, &audience)?;
    }
    if !is_provider_of(&key.role_arn, &origin.issuer, &provider) {
        return Err(unexpected("Provider", &origin.issuer, &provider));
    }
    let Some(credentials) = answer.credentials else {
        return Err(unexpected("Credentials", "credentials", "none"));
    };
    let expires_at = Timestamp::from_second(credentials.expiration.secs()).unwrap_or(now);
    let credentials = Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: SecretString::from(credentials.secret_access_key),
        session_token: SecretString::from(credentials.session_token),
    };
    Ok(Session {
        gate: Gate::new(credentials, key.epoch.clone()),
        expires_at,
        refresh_at: refresh_at(now, expires_at),
        region: key.region.clone(),
        account_id: field(&key.role_arn, 4).to_owned(),
        assumed_role_arn: key.role_arn.clone(),
        session_name: name,
        packed_policy_percent: packed,
        origin,
    })
}

/// STS names the provider by the token's issuer or by the ARN of the provider, which is in the role's account.
fn is_provider_of(role_arn: &str, issuer: &str, provider: &str) -> bool {
    let without_scheme = |text: &'_ str| text.strip_prefix("https://").unwrap_or(text).to_owned();
    let path = without_scheme(issuer);
    let arn = format!("arn:{}:iam::{}:oidc-provider/{path}", field(role_arn, 1), field(role_arn, 4));
    without_scheme(provider) == path || provider == arn
}

/// 80 % of the life.
fn refresh_at(now: Timestamp, expires_at: Timestamp) -> Timestamp {
    let life = expires_at.duration_since(now).max(SignedDuration::ZERO);
    now.checked_add(life * 4 / 5).unwrap_or(now)
}

fn expect(field: &'static str, expected: &str, actual: &str) -> Result<(), IdentityError> {
    if expected == actual { Ok(()) } else { Err(unexpected(field, expected, actual)) }
}

fn unexpected(field: &'static str, expected: &str, actual: &str) -> IdentityError {
    IdentityError::UnexpectedAnswer { field, expected: expected.to_owned(), actual: actual.to_owned() }
}

/// The ARN that STS gives to a session of the role: partition and account of the role, its name without the path.
fn assumed_role_user(role_arn: &str, session_name: &str) -> String {
    let role_name = role_arn.rsplit('/').next().unwrap_or_default();
    format!("arn:{}:sts::{}:assumed-role/{role_name}/{session_name}", field(role_arn, 1), field(role_arn, 4))
}

fn field(arn: &str, index: usize) -> &str {
    arn.split(':').nth(index).unwrap_or_default()
}

/// Name of a binding's session in CloudTrail: `<namespace>.<binding>` as far as it fits, and a hash of both that keeps
/// names apart that were cut.
pub fn session_name(namespace: &str, binding: &str) -> String {
    attribution::named(&format!("{namespace}.{binding}"), &format!("{namespace}/{binding}"))
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::key;
    use super::*;
    use aws_sdk_sts::primitives::DateTime;
    use aws_sdk_sts::types::AssumedRoleUser;
    use proptest::prelude::*;

    fn origin() -> SessionOrigin {
        SessionOrigin {
            namespace: "shop".into(),
            binding: "orders".into(),
            service_account_uid: "account".into(),
            token_id: "j".into(),
            issuer: "https://issuer.example/path".into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            requester: None,
            authorized_party: None,
        }
    }

    fn answer(user: &str, subject: &str, audience: &str, provider: &str) -> AssumeRoleWithWebIdentityOutput {
        let credentials = aws_sdk_sts::types::Credentials::builder()
            .access_key_id("ASIA")
            .secret_access_key("canary-secret")
            .session_token("canary-token")
            .expiration(DateTime::from_secs(4_000_000_000));
        AssumeRoleWithWebIdentityOutput::builder()
            .credentials(credentials.build().unwrap())
            .assumed_role_user(AssumedRoleUser::builder().arn(user).assumed_role_id("A:b").build().unwrap())
            .subject_from_web_identity_token(subject)
            .audience(audience)
            .provider(provider)
            .build()
    }

    /// Requirement 16 of docs/security.md: the answer of STS compared with what was expected.
    /// The answer of STS is compared with what was expected.
    #[test]
    fn requirement_16_an_answer_for_anything_else_is_refused_without_its_secrets() {
        let right = "arn:aws:sts::111122223333:assumed-role/shop-orders/name";
        let (subject, audience) = ("system:serviceaccount:shop:orders", "sts.amazonaws.com");
        let issuer = "https://issuer.example/path";
        let read = |user, subject, audience, provider| {
            session_of(&key(), origin(), "name".into(), answer(user, subject, audience, provider), Timestamp::now())
        };
        assert!(read(right, subject, audience, issuer).is_ok());
        assert!(read(right, subject, audience, "arn:aws:iam::111122223333:oidc-provider/issuer.example/path").is_ok());
        let other_account = "arn:aws:sts::999999999999:assumed-role/shop-orders/name";
        for wrong in [
            read(other_account, subject, audience, issuer),
            read(right, "system:serviceaccount:shop:other", audience, issuer),
            read(right, subject, "other", issuer),
            read(right, subject, audience, "https://evil.example/path"),
            read(right, subject, audience, "arn:aws:iam::999999999999:oidc-provider/issuer.example/path"),
            read(right, subject, audience, ""),
        ] {
            let error = wrong.err().unwrap();
            assert!(matches!(error, IdentityError::UnexpectedAnswer { .. }));
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_session_is_renewed_when_four_fifths_of_its_life_are_over() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(refresh_at(at(1000), at(4600)), at(3880));
        assert_eq!(refresh_at(at(1000), at(900)), at(1000));
    }

    proptest! {
        /// Requirement 15 of docs/security.md: session names deterministic, bounded, collision-safe.
        #[test]
        fn requirement_15_session_names_of_bindings_are_valid_stable_bounded_and_distinct(a in "[a-z0-9-]{1,63}", b in "[a-z0-9.-]{1,253}", c in "[a-z0-9.-]{1,253}") {
            let name = session_name(&a, &b);
            prop_assert!((2..=64).contains(&name.len()));
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)));
            prop_assert_eq!(&name, &session_name(&a, &b));
            prop_assert_eq!(b == c, name == session_name(&a, &c));
        }
    }
}
