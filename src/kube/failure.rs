//! What a failure of the API server means.

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
        kube::Error::Api(status) => Failure::new(Class::Transient, Reason::APIServerError, status.message.clone()),
        _ => Failure::new(Class::Transient, Reason::APIServerUnreachable, "the API server could not be reached"),
    }
}
