//! Who looks.

use async_trait::async_trait;

use crate::aws::Caller;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::Failure;

/// Where sessions of bindings come from. Consent is looked at on every use.
#[async_trait]
pub trait SessionSource: Send + Sync {
    /// A session of the binding for the purpose.
    async fn session(&self, namespace: &str, binding: &str, purpose: &Purpose<'_>) -> Result<Caller, Failure>;
}
