//! What the front reads of the account's IAM: roles with their policies, and OIDC providers. Read as the account's root.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::policy::{Request, allows};
use super::sts::element;
use super::{IssuedSession, Shared, root};

/// How long a role is remembered: long enough for a burst of calls, short enough for a policy that a test changes.
const FRESH: Duration = Duration::from_millis(300);

/// A role as the account has it. Managed policies are not used in tests and are not read.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) trust: Value,
    pub(super) policies: Vec<Value>,
    pub(super) max_session_seconds: u32,
    read: Instant,
}

impl Shared {
    /// A call of the IAM query API; `None` where IAM refuses it.
    pub(super) async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", "2010-05-08")
            .extend_pairs(parameters)
            .finish();
        let sent = self.http.post(&self.upstream).header("authorization", root("iam"));
        let sent = sent.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        let good = sent.status().is_success();
        let text = sent.text().await.unwrap();
        good.then_some(text)
    }

    pub(super) async fn role(&self, name: &str) -> Option<Role> {
        let known = self.roles.lock().unwrap().get(name).cloned();
        if let Some(role) = known.filter(|role| role.read.elapsed() < FRESH) {
            return Some(role);
        }
        let found = self.iam("GetRole", &[("RoleName", name)]).await?;
        let listed = self.iam("ListRolePolicies", &[("RoleName", name)]).await?;
        let mut policies = Vec::new();
        for policy in elements(&listed, "member") {
            let parameters = [("RoleName", name), ("PolicyName", policy)];
            let text = self.iam("GetRolePolicy", &parameters).await?;
            policies.push(document(&text, "PolicyDocument"));
        }
        let role = Role {
            trust: document(&found, "AssumeRolePolicyDocument"),
            policies,
            max_session_seconds: element(&found, "MaxSessionDuration").unwrap().parse().unwrap(),
            read: Instant::now(),
        };
        self.roles.lock().unwrap().insert(name.to_owned(), role.clone());
        Some(role)
    }

    /// Client ids of the registered provider of an issuer; `None` where none is registered.
    pub(super) async fn clients_of(&self, issuer: &str) -> Option<Vec<String>> {
        let arn = format!("arn:aws:iam::000000000000:oidc-provider/{}", issuer.split_once("://").unwrap().1);
        let found = self.iam("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]).await?;
        let clients = element(&found, "ClientIDList").unwrap_or_default();
        Some(elements(clients, "member").into_iter().map(str::to_owned).collect())
    }

    /// True when the session's role, and its session policy where it has one, allow the request.
    pub(super) async fn allowed(&self, session: &IssuedSession, request: &Request<'_>) -> bool {
        let role = self.role(session.role_arn.rsplit('/').next().unwrap()).await;
        let by_role = role.is_some_and(|role| allows(&role.policies, request));
        by_role && session.policy.as_ref().is_none_or(|policy| allows(std::slice::from_ref(policy), request))
    }
}

fn elements<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let open = format!("<{tag}>");
    let close = format!("</{tag}>");
    xml.split(&open).skip(1).filter_map(|part| part.split(&close).next()).collect()
}

/// Policies stand in IAM's answers as percent-encoded JSON.
fn document(xml: &str, tag: &str) -> Value {
    let encoded = element(xml, tag).unwrap();
    let query = format!("p={}", encoded.replace('+', "%2B"));
    let text = url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned();
    serde_json::from_str(&text).unwrap()
}
