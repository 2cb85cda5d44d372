//! Reads one key of one Secret, which a Role must name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

use super::IdentityError;
use super::token::is_object_name;
use crate::api::v1alpha1::SecretKeyRef;

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

    /// The value of the key.
    pub(super) async fn read(&self, namespace: &str, from: &SecretKeyRef) -> Result<Zeroizing<String>, IdentityError> {
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
        let value = value_of(&text, &from.key);
        text.zeroize();
        value.ok_or_else(|| problem("has no such key with a text", false))
    }
}

fn value_of(answer: &str, key: &str) -> Option<Zeroizing<String>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        data: BTreeMap<String, String>,
    }
    let answer: Answer = serde_json::from_str(answer).ok()?;
    let mut data = answer.data;
    let value = data.get(key).and_then(|value| STANDARD.decode(value).ok());
    data.values_mut().for_each(Zeroize::zeroize);
    String::from_utf8(value?).ok().map(|text| Zeroizing::new(text.trim_end_matches('\n').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_read_and_a_last_newline_dropped() {
        let answer = r#"{"data": {"secret": "Y2FuYXJ5Cg==", "bad": "%"}}"#;
        assert_eq!(value_of(answer, "secret").unwrap().as_str(), "canary");
        assert!(value_of(answer, "bad").is_none() && value_of(answer, "none").is_none() && value_of("", "a").is_none());
    }
}
