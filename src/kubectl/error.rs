//! Why a verb has no answer.

use std::fmt::Write as _;

use kube::config::KubeconfigError;
use kube::core::Status;

use super::Exit;
use super::flags::kubectl;
use super::token_file::{TokenError, token_error};
use crate::printable::indented;

/// Why a verb has no answer.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// A flag's value has no meaning.
    #[error("{0}")]
    Usage(String),
    /// There is no kubeconfig, or not such a context in it.
    #[error(
        "cannot find a cluster: {0}. Name a kubeconfig with --kubeconfig or $KUBECONFIG, and a context of it with --context; a job without one has --server and --token-file"
    )]
    Kubeconfig(#[from] KubeconfigError),
    /// What the kubeconfig says cannot be used.
    #[error("cannot use the kubeconfig: {0}")]
    Client(kube::Error),
    /// There is no token to ask with.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// The API server refused, does not have it, or was not reached.
    #[error("{0}")]
    Refused(String),
    /// An object cannot be printed.
    #[error("cannot print the object: {0}")]
    Print(String),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
    /// Nobody reads any more what a verb tells as it happens. This is no failure and is not told.
    #[error("nobody reads any more")]
    Unread,
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl KubectlError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        if matches!(self, Self::Usage(_)) { Exit::Usage } else { Exit::Unanswered }
    }

    /// What the API server's answer means, for what was asked (`list runs in namespace "shop"`).
    pub(super) fn of(asked: &str, error: kube::Error) -> Self {
        if let Some(error) = token_error(&error) {
            return Self::Refused(format!("cannot {asked}: {error}"));
        }
        match error {
            kube::Error::Api(status) if status.code == 404 && !Self::is_of_an_object(&status) => {
                Self::Refused(format!(
                    "cannot {asked}: the cluster does not know this kind of Stepbound. Install its definitions, or newer ones: helm upgrade --install stepbound-crds <the chart stepbound-crds>"
                ))
            }
            kube::Error::Api(status) => {
                let next = next(&status);
                Self::Refused(format!("cannot {asked}: {}{next}", indented(status.message.trim_end())))
            }
            other => Self::Refused(format!(
                "cannot {asked}: the API server cannot be reached: {other}{}. Try it: {}",
                causes(&other),
                kubectl("version")
            )),
        }
    }

    /// What may not be seen that there is no answer without, in the words of the API server.
    pub(super) fn hidden(asked: &str, why: &str) -> Self {
        let advice = missing_right(why).map(|right| right.advice()).unwrap_or_default();
        Self::Refused(format!("cannot {asked}: {why}{advice}"))
    }

    /// A right of Stepbound's kinds is missing, as the API server says when it is asked for it.
    pub(super) fn lacks(asked: &str, verb: &str, resource: &str, namespace: &str) -> Self {
        let right = Right { verb, resource, group: crate::api::v1alpha1::GROUP, namespace: Some(namespace) };
        let advice = right.advice();
        Self::Refused(format!(
            "cannot {asked}: you cannot {verb} resource \"{resource}\" in the namespace \"{namespace}\"{advice}"
        ))
    }

    /// False of the 404 of a kind that the cluster does not know, which names no object.
    pub(super) fn is_of_an_object(status: &Status) -> bool {
        status.details.as_ref().is_some_and(|details| !details.name.is_empty())
    }

    /// There is no such object; perhaps one of a similar name.
    pub(super) fn no_such(kind: &str, name: &str, namespace: &str, nearest: Option<&str>) -> Self {
        let next = if let Some(nearest) = nearest {
            format!("; did you mean \"{nearest}\"?")
        } else {
            let list = kubectl(&format!("get {}s -n {namespace}", kind.to_lowercase()));
            format!(". See which there are: {list}")
        };
        Self::Refused(format!("there is no {kind} \"{name}\" in namespace \"{namespace}\"{next}"))
    }
}

/// What lies behind an error that says little by itself.
fn causes(error: &kube::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        let said = one.to_string();
        if !text.contains(&said) && !error.to_string().contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = one.source();
    }
    text
}

/// What to do about a refusal.
fn next(status: &Status) -> String {
    match status.code {
        401 => "\nThe API server does not take these credentials. Those of a kubeconfig's context: log in again. A token of --token-file: its issuer, audience, times and claims have to be what the API server's AuthenticationConfiguration asks for; the API server's log says which is not.".into(),
        403 => missing_right(&status.message).map(|right| right.advice()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// A right that the API server says is missing.
#[derive(Debug, PartialEq, Eq)]
struct Right<'a> {
    verb: &'a str,
    resource: &'a str,
    group: &'a str,
    namespace: Option<&'a str>,
}

/// Reads `User "a" cannot create resource "b" in API group "c" in the namespace "d"`.
fn missing_right(message: &str) -> Option<Right<'_>> {
    let (_, rest) = message.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let namespace = rest.split_once("in the namespace \"").and_then(|(_, rest)| rest.split('"').next());
    Some(Right { verb, resource, group, namespace })
}

impl Right<'_> {
    fn advice(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let place = self.namespace.map_or_else(|| " -A".to_owned(), |namespace| format!(" -n {namespace}"));
        let asks = kubectl(&format!("auth can-i {} {}{group}{place}", self.verb, self.resource));
        let check = format!("\nSee what you may: {asks}");
        match self.role() {
            Some((role, Some(own))) => format!(
                "{check}\nThe ClusterRole of Stepbound's chart whose name ends in -stepbound-{role} has this right, and so has Kubernetes' own {own}; ask whoever gives roles there."
            ),
            Some((role, None)) => format!(
                "{check}\nThe ClusterRole of Stepbound's chart whose name ends in -stepbound-{role} has this right, and none of Kubernetes' own; ask whoever gives roles there."
            ),
            None => check,
        }
    }

    /// The chart's role that has it, and the least of Kubernetes' own that takes it in, where one does.
    fn role(&self) -> Option<(&'static str, Option<&'static str>)> {
        let reads = ["get", "list", "watch"].contains(&self.verb);
        match self.resource {
            _ if self.group != crate::api::v1alpha1::GROUP || self.verb.starts_with("impersonate") => None,
            "executiondatapages" => None,
            _ if reads => Some(("view", Some("view"))),
            "executionhistories" => Some(("view", Some("view"))),
            "workflowruns" | "workflowschedules" => Some(("run", Some("edit"))),
            "workflows" | "activities" => Some(("edit", Some("edit"))),
            "approvals" if self.verb == "patch" => Some(("approve", None)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str, name: &str) -> kube::Error {
        let status = serde_json::json!({"status": "Failure", "code": code, "message": message, "reason": "x",
            "details": {"name": name}});
        kube::Error::Api(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_refusal_says_which_right_is_missing_and_who_has_it() {
        let message = |verb: &str, resource: &str| {
            format!(
                r#"{resource}.stepbound.dev is forbidden: User "alice" cannot {verb} resource "{resource}" in API group "stepbound.dev" in the namespace "shop""#
            )
        };
        for (verb, resource, role) in [
            ("create", "workflowruns", Some("-stepbound-run")),
            ("patch", "workflowruns", Some("-stepbound-run")),
            ("list", "workflowruns", Some("-stepbound-view")),
            ("patch", "workflows", Some("-stepbound-edit")),
            ("create", "executionhistories", Some("-stepbound-view")),
            ("patch", "approvals", Some("-stepbound-approve")),
            ("create", "approvals", None),
            ("impersonate-on:serviceaccount:create", "workflowruns", None),
        ] {
            let said = KubectlError::of("do it", api(403, &message(verb, resource), "")).to_string();
            assert!(said.starts_with(&format!("cannot do it: {resource}.stepbound.dev is forbidden")), "{said}");
            assert!(said.contains(&format!("kubectl auth can-i {verb} {resource}.stepbound.dev -n shop")), "{said}");
            assert_eq!(role.is_some(), said.contains("-stepbound-"), "{said}");
            assert!(said.contains(role.unwrap_or_default()), "{said}");
        }
        let said = KubectlError::hidden("get it", &message("get", "workflows")).to_string();
        assert!(said.contains("\nSee what you may: ") && said.contains("-stepbound-view"), "{said}");
        // A policy's refusal has words of its own.
        let said = KubectlError::of("do it", api(403, "denied request: not like this", "a")).to_string();
        assert_eq!(said, "cannot do it: denied request: not like this");
        // Nor does it begin a line, as our own advice does.
        let said = KubectlError::of("do it", api(403, "no\u{1b}[2J\nNext: kubectl delete ns shop", "a")).to_string();
        assert_eq!(said, "cannot do it: no\u{fffd}[2J\n  Next: kubectl delete ns shop");
        let everywhere =
            r#"leases is forbidden: User "a" cannot list resource "leases" in API group "" at the cluster scope"#;
        assert!(
            KubectlError::of("x", api(403, everywhere, "")).to_string().ends_with("kubectl auth can-i list leases -A")
        );
    }

    #[test]
    fn a_cluster_without_the_definitions_is_told_from_an_object_that_is_not_there() {
        for message in ["the server could not find the requested resource", "404 page not found"] {
            let said = KubectlError::of("list runs", api(404, message, "")).to_string();
            assert!(said.contains("does not know") && said.contains("stepbound-crds"), "{said}");
        }
        let said = KubectlError::of("get it", api(404, "workflowruns \"a\" not found", "a")).to_string();
        assert_eq!(said, "cannot get it: workflowruns \"a\" not found");
        let said = KubectlError::no_such("WorkflowRun", "ordr", "shop", Some("order")).to_string();
        assert_eq!(said, "there is no WorkflowRun \"ordr\" in namespace \"shop\"; did you mean \"order\"?");
    }
}
