//! What a failure of the API server means.

use kube::core::Status;

use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// A failure of the API server.
pub fn api_failure(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 409 => {
            Failure::new(Class::Conflict, Reason::Conflict, "the object was changed meanwhile")
        }
        kube::Error::Api(status) if status.code == 404 => {
            Failure::new(Class::Conflict, Reason::ObjectGone, "the object is gone")
        }
        kube::Error::Api(status) if status.code == 403 => {
            let message = format!("The operator may not do this: {}. Check the chart's RBAC.", status.message);
            Failure::new(Class::Denied, Reason::Forbidden, message)
        }
        kube::Error::Api(status) if is_too_large(status) => {
            let message = "The API server does not keep the object with its status, because it is too large. Make it smaller: fewer labels and annotations, or an input that is kept elsewhere.";
            Failure::new(Class::Denied, Reason::ObjectTooLarge, message)
        }
        kube::Error::Api(status) if status.code == 422 => {
            let message = format!("The API server refuses what the operator has to write: {}", status.message);
            Failure::new(Class::Denied, Reason::WriteRefused, message)
        }
        kube::Error::Api(status) => Failure::new(Class::Transient, Reason::APIServerError, status.message.clone()),
        _ => Failure::new(Class::Transient, Reason::APIServerUnreachable, "the API server could not be reached"),
    }
}

/// By the API server's own bound, or by that of etcd, which it hands on in words.
fn is_too_large(status: &Status) -> bool {
    let words = ["request is too large", "message larger than max"];
    status.code == 413 || (status.code == 500 && words.iter().any(|words| status.message.contains(words)))
}
