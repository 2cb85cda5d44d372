//! Reads one key of one Secret, which a Role must name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

use super::{ExternalProvider, IdentityError};
use crate::api::v1alpha1::{SecretKeyRef, is_object_name};
use crate::plan::secret_grant::{self, ISSUER_ANNOTATION};

/// Longest wait for the API server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads Secrets with the operator's own rights, by name and when they are used; none is kept.
pub struct SecretReader {
    client: Client,
}

impl SecretReader {
    /// Reads through the client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The value of the key, which is to be sent to the provider: its Secret must say that it is for that issuer.
    pub(super) async fn read(
        &self,
        namespace: &str,
        from: &SecretKeyRef,
        provider: &ExternalProvider,
    ) -> Result<Zeroizing<String>, IdentityError> {
        let problem = |problem: &'static str, transient| IdentityError::SecretUnreadable {
            namespace: namespace.to_owned(),
            name: from.name.clone(),
            key: from.key.clone(),
            problem,
            transient,
        };
        if !is_object_name(namespace) || !is_object_name(&from.name) {
            return Err(problem("does not exist", false));
        }
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{}", from.name);
        let request = http::Request::get(path).body(Vec::new()).map_err(|_| problem("cannot be asked for", false))?;
        // As text: the typed call logs an answer that it cannot read, and the answer is the secret.
        let answer = tokio::time::timeout(TIMEOUT, self.client.request_text(request)).await;
        let answer = answer.map_err(|_| problem("was not given in time", true))?;
        let mut text = answer.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 403 => problem("may not be read by the operator", false),
            kube::Error::Api(status) if status.code == 404 => problem("does not exist", false),
            _ => problem("could not be read", true),
        })?;
        let (value, granted) = value_of(&text, &from.key);
        text.zeroize();
        secret_grant::check(granted.as_deref(), &provider.issuer, provider.takes_untied_secret).map_err(|none| {
            IdentityError::SecretNotForIssuer { message: none.message(namespace, &from.name, &provider.issuer) }
        })?;
        value.ok_or_else(|| problem("has no such key with a text", false))
    }
}

/// The value of the key, and the issuer that the Secret says it is for.
fn value_of(answer: &str, key: &str) -> (Option<Zeroizing<String>>, Option<String>) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        metadata: Metadata,
        data: BTreeMap<String, String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata {
        annotations: BTreeMap<String, String>,
    }
    let Ok(answer) = serde_json::from_str::<Answer>(answer) else { return (None, None) };
    let (mut data, mut annotations) = (answer.data, answer.metadata.annotations);
    let value = data.get(key).and_then(|value| STANDARD.decode(value).ok());
    data.values_mut().for_each(Zeroize::zeroize);
    let granted = annotations.remove(ISSUER_ANNOTATION);
    // The applied configuration of `kubectl apply` holds the secret once more.
    annotations.values_mut().for_each(Zeroize::zeroize);
    let text = value.and_then(|value| String::from_utf8(value).ok());
    (text.map(|text| Zeroizing::new(text.trim_end_matches('\n').to_owned())), granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_read_and_a_last_newline_dropped() {
        let answer = r#"{"data": {"secret": "Y2FuYXJ5Cg==", "bad": "%"}, "metadata": {"annotations": {"stepbound.dev/issuer": "https://a"}}}"#;
        let value = |answer: &str, key: &str| value_of(answer, key).0;
        assert_eq!(value(answer, "secret").unwrap().as_str(), "canary");
        assert!(value(answer, "bad").is_none() && value(answer, "none").is_none() && value("", "a").is_none());
        assert_eq!(value_of(answer, "none").1.as_deref(), Some("https://a"));
        assert_eq!(value_of(r#"{"metadata": {}}"#, "none").1, None);
    }
}
