//! IAM's `GetRole` and Cognito identity pools, as a session or anybody may call them.

use std::collections::{BTreeMap, HashMap};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::policy::Request;
use super::states::Answer;
use super::sts::{audience, error_xml};
use super::{Shared, error_json};

impl Shared {
    /// `GetRole` on the role's own ARN (service authorization reference, IAM). The emulator knows no session policies.
    pub(super) async fn get_role(&self, headers: &HeaderMap, form: &HashMap<String, String>) -> Answer {
        let name = &form["RoleName"];
        let resource = format!("arn:aws:iam::000000000000:role/{name}");
        let request = Request { action: "iam:GetRole", resource: &resource, context: &BTreeMap::new() };
        let allowed = match self.session_of(headers) {
            Some(session) => self.allowed(&session, &request).await,
            None => false,
        };
        if !allowed {
            let message = format!("not authorized to perform: iam:GetRole on resource: role {name}");
            return (403, error_xml("AccessDenied", &message));
        }
        match self.iam("GetRole", &[("RoleName", name)]).await {
            Some(found) => (200, found),
            None => (404, error_xml("NoSuchEntity", &format!("The role with name {name} cannot be found."))),
        }
    }

    /// `GetId` and `GetOpenIdToken`. A login's token has to be one of a provider that the account has, for a client that it
    /// lists; the same subject has the same identity for ever (Cognito developer guide, "Identity pools"). The emulator
    /// verifies nothing of it and knows an identity by its token.
    pub(super) async fn cognito(&self, operation: &str, headers: &HeaderMap, text: &str) -> Answer {
        let request: Value = serde_json::from_str(text).unwrap();
        let (provider, token) = request["Logins"].as_object().unwrap().iter().next().unwrap();
        let token = token.as_str().unwrap();
        self.secrets.lock().unwrap().push(token.to_owned());
        let refused = |message: &str| (400, error_json("NotAuthorizedException", message));
        let Some(claims) = self.signed_claims(token) else {
            return refused("Invalid login token. Token signature invalid.");
        };
        let issuer = claims["iss"].as_str().unwrap();
        let clients = self.clients_of(issuer).await.unwrap_or_default();
        if issuer.split_once("://").unwrap().1 != provider || !clients.contains(&audience(&claims)) {
            return refused("Token is not from a supported provider of this identity pool.");
        }
        let known = (request["IdentityPoolId"].to_string(), claims["sub"].to_string());
        if let Some(id) = self.identities.lock().unwrap().get(&known).filter(|_| operation == "GetId") {
            return (200, json!({"IdentityId": id}).to_string());
        }
        let (status, answer) = self.forward(headers, text.to_owned()).await;
        let parsed: Value = serde_json::from_str(&answer).unwrap_or_default();
        if let (200, "GetId", Some(id)) = (status, operation, parsed["IdentityId"].as_str()) {
            self.identities.lock().unwrap().insert(known, id.to_owned());
        }
        if let Some(token) = parsed["Token"].as_str() {
            self.secrets.lock().unwrap().push(token.to_owned());
        }
        (status, answer)
    }
}
