//! STS as AWS has it: a token is verified before the role's trust policy is looked at. The emulator verifies nothing of
//! it and evaluates the trust policy alone.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::{Fault, IssuedSession, Shared};

/// A refusal: HTTP status, code, message.
type Refusal = (u16, &'static str, String);

/// Longest token that STS takes (`AssumeRoleWithWebIdentity`, parameter `WebIdentityToken`).
const MAX_TOKEN: usize = 20_000;
/// Longest inline session policy (`AssumeRoleWithWebIdentity`, parameter `Policy`).
const MAX_POLICY: usize = 2048;

/// Issuer of identity pools.
const COGNITO: &str = "https://cognito-identity.amazonaws.com";

fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    (400, code, message.into())
}

/// STS answers in XML.
pub fn error_xml(code: &str, message: &str) -> String {
    format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{:x}</RequestId></ErrorResponse>"#,
        rand::random::<u128>()
    )
}

impl Shared {
    pub(super) async fn assume_role(&self, form: &HashMap<String, String>, fault: Option<Fault>) -> (u16, String) {
        let token = &form["WebIdentityToken"];
        self.secrets.lock().unwrap().push(token.clone());
        match self.assume(form, fault).await {
            Ok(answer) => answer,
            Err((status, code, message)) => (status, error_xml(code, &message)),
        }
    }

    async fn assume(&self, form: &HashMap<String, String>, fault: Option<Fault>) -> Result<(u16, String), Refusal> {
        self.check_request(form).await?;
        let claims = self.verified(&form["WebIdentityToken"], fault).await?;
        // A trust policy compares `aud` as a string; the emulator fails on the list that cluster tokens carry. Where a token
        // has an authorized party, AWS compares that instead.
        let mut flat =
            json!({"iss": claims["iss"], "sub": claims["sub"], "aud": effective(&claims), "exp": claims["exp"]});
        if claims["amr"].is_array() {
            flat["amr"] = claims["amr"].clone();
        }
        let unsigned =
            format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}"), URL_SAFE_NO_PAD.encode(flat.to_string()));
        let mut changed = form.clone();
        changed.insert("WebIdentityToken".into(), unsigned);
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(changed).finish();
        let sent =
            self.http.post(&self.upstream).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = sent.send().await.unwrap();
        let (status, mut text) = (answer.status().as_u16(), answer.text().await.unwrap());
        if status != 200 {
            return Ok((status, text));
        }
        self.remember(form, &text);
        // The emulator answers with constants here; STS with what the token says.
        set_element(&mut text, "SubjectFromWebIdentityToken", claims["sub"].as_str().unwrap());
        set_element(&mut text, "Audience", &audience(&claims));
        set_element(&mut text, "Provider", claims["iss"].as_str().unwrap());
        // How AWS packs is not told; as it has more room than the plain text, this errs towards more.
        let packed = form.get("Policy").map_or(0, |policy| policy.len() * 100 / MAX_POLICY);
        set_element(&mut text, "PackedPolicySize", &packed.to_string());
        if fault == Some(Fault::AnotherAccount) {
            text = text.replace("arn:aws:sts::000000000000:", "arn:aws:sts::999999999999:");
        }
        Ok((status, text))
    }

    /// Session name 2 to 64 of `[\w+=,.@-]`, duration 900 seconds to the role's maximum, policy at most 2,048 characters
    /// (`AssumeRoleWithWebIdentity`, parameters). The emulator checks none of it.
    async fn check_request(&self, form: &HashMap<String, String>) -> Result<(), Refusal> {
        let name = &form["RoleSessionName"];
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&name.len()) || !name.chars().all(fits) {
            return Err(refusal("ValidationError", "roleSessionName failed to satisfy constraint: [\\w+=,.@-]*"));
        }
        if form["WebIdentityToken"].len() > MAX_TOKEN {
            return Err(refusal("ValidationError", "webIdentityToken has more than 20000 characters"));
        }
        if let Some(policy) = form.get("Policy") {
            if policy.len() > MAX_POLICY {
                return Err(refusal("ValidationError", "policy has more than 2048 characters"));
            }
            serde_json::from_str::<Value>(policy)
                .map_err(|_| refusal("MalformedPolicyDocument", "The policy is not in the valid JSON format"))?;
        }
        let seconds: u32 = form.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
        let role = self.role(form["RoleArn"].rsplit('/').next().unwrap()).await;
        let longest = role.map_or(3600, |role| role.max_session_seconds);
        if !(900..=longest).contains(&seconds) {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(refusal("ValidationError", message));
        }
        Ok(())
    }

    fn remember(&self, form: &HashMap<String, String>, answer: &str) {
        let part = |tag| element(answer, tag).unwrap_or_default().to_owned();
        self.secrets.lock().unwrap().extend([part("SecretAccessKey"), part("SessionToken")]);
        let policy = form.get("Policy").map(|text| serde_json::from_str(text).unwrap());
        let session =
            IssuedSession { role_arn: form["RoleArn"].clone(), name: form["RoleSessionName"].clone(), policy };
        self.sessions.lock().unwrap().insert(part("AccessKeyId"), session);
    }

    /// Provider, key, signature, audience and times, in this order, each with STS's own code
    /// (`AssumeRoleWithWebIdentity`, errors `InvalidIdentityToken` and `ExpiredTokenException`).
    async fn verified(&self, token: &str, fault: Option<Fault>) -> Result<Value, Refusal> {
        let invalid = |message: &str| refusal("InvalidIdentityToken", message);
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid("The token is not a JWT"))?;
        let issuer = issuer_of(token).ok_or_else(|| invalid("The ID Token provided is not a valid JWT"))?;
        // Cognito identity pools need no provider of the account's own.
        let clients = if issuer == COGNITO {
            None
        } else {
            let clients = self.clients_of(&issuer).await;
            Some(
                clients
                    .ok_or_else(|| invalid(&format!("No OpenIDConnect provider found in your account for {issuer}")))?,
            )
        };
        let published = self.keys.lock().unwrap().get(&issuer).cloned().unwrap_or_default();
        let key = published.iter().find(|(id, _)| Some(id) == header.kid.as_ref()).map(|(_, key)| key);
        let unknown_key = "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements";
        let key = key.ok_or_else(|| invalid(unknown_key))?;
        let other = other_key();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&issuer]);
        validation.validate_aud = false;
        validation.validate_nbf = true;
        validation.leeway = 0;
        // The provider's clock is an hour ahead: the token has expired for it.
        validation.reject_tokens_expiring_in_less_than = if fault == Some(Fault::ClockAhead) { 3600 } else { 0 };
        let key = if fault == Some(Fault::OtherKey) { &other } else { key };
        let decoded = jsonwebtoken::decode::<Value>(token, key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::ExpiredSignature => refusal(
                    "ExpiredTokenException",
                    "Token expired: current date/time must be before the expiration date/time",
                ),
                ErrorKind::InvalidSignature => invalid("The signature of the token does not verify"),
                other => invalid(&format!("The web identity token could not be validated: {other:?}")),
            }
        })?;
        let known = clients.is_none_or(|clients| clients.contains(&effective(&decoded.claims)));
        if known { Ok(decoded.claims) } else { Err(invalid("Incorrect token audience")) }
    }

    /// The claims of a token that a key of its issuer signed and that has not expired.
    pub(super) fn signed_claims(&self, token: &str) -> Option<Value> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let issuer = issuer_of(token)?;
        let published = self.keys.lock().unwrap().get(&issuer).cloned().unwrap_or_default();
        let (_, key) = published.into_iter().find(|(id, _)| Some(id) == header.kid.as_ref())?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false;
        jsonwebtoken::decode::<Value>(token, &key, &validation).ok().map(|decoded| decoded.claims)
    }
}

/// What STS compares as audience.
fn effective(claims: &Value) -> String {
    claims["azp"].as_str().map_or_else(|| audience(claims), str::to_owned)
}

pub(super) fn issuer_of(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

/// The public half of a key that signed nothing here.
fn other_key() -> DecodingKey {
    let modulus = URL_SAFE_NO_PAD.encode([0xC5u8; 256]);
    DecodingKey::from_rsa_components(&modulus, "AQAB").unwrap()
}

pub(super) fn audience(claims: &Value) -> String {
    let aud = &claims["aud"];
    aud.as_str().or_else(|| aud[0].as_str()).unwrap_or_default().to_owned()
}

pub fn element<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    xml.split(&format!("<{tag}>")).nth(1)?.split(&format!("</{tag}>")).next()
}

fn set_element(xml: &mut String, tag: &str, value: &str) {
    let changed = match element(xml, tag) {
        Some(old) => xml.replace(&format!("<{tag}>{old}</{tag}>"), &format!("<{tag}>{value}</{tag}>")),
        None => xml.replace("<AssumedRoleUser>", &format!("<{tag}>{value}</{tag}><AssumedRoleUser>")),
    };
    *xml = changed;
}
