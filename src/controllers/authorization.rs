//! A binding that may be used, and the policies of its sessions.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::api::v1alpha1::TrustBinding;
use crate::iam::binding_role::BindingScope;
use crate::iam::binding_role::session::{PolicyError, Purpose};
use crate::iam::binding_role::values::NotAllowed;
use crate::identity::SessionKey;
use crate::outcome::{Class, Failure};
use crate::plan::binding::{Wanted, wanted_policy};
use crate::reason::Reason;

/// How long a binding's consent is believed after it was looked at. A burst of reconciles then costs one look; a
/// withdrawal or suspension that a watch tells of ends it at once.
const CONSENT_LASTS: Duration = Duration::from_millis(500);

/// A binding that may be used, and what its sessions are made from.
pub(super) struct Authorization {
    /// The binding.
    pub(super) binding: TrustBinding,
    /// Key of its sessions, without a policy.
    pub(super) key: SessionKey,
    /// What its sessions are for.
    scope: BindingScope,
    /// The policy of the session that sees any object, which is asked for most.
    shared: Option<Arc<str>>,
}

/// Bindings that were authorized a moment ago, by namespace and name.
pub(super) type Authorized = Cache<(String, String), Arc<Authorization>>;

/// None is known yet.
pub(super) fn none_yet() -> Authorized {
    Cache::builder().time_to_live(CONSENT_LASTS).max_capacity(10_000).build()
}

impl Authorization {
    pub(super) fn new(binding: TrustBinding, key: SessionKey, scope: BindingScope) -> Result<Self, Failure> {
        let shared = session_policy(&binding, &scope, &Purpose::Observe(None))?.map(Arc::from);
        Ok(Self { binding, key, scope, shared })
    }

    /// The key of its session for the purpose.
    pub(super) fn key_for(&self, purpose: &Purpose<'_>) -> Result<SessionKey, Failure> {
        let policy = match purpose {
            Purpose::Observe(None) => self.shared.clone(),
            _ => session_policy(&self.binding, &self.scope, purpose)?.map(Arc::from),
        };
        Ok(SessionKey { policy, ..self.key.clone() })
    }
}

/// The policy that limits a session of the binding for the purpose.
pub(super) fn session_policy(
    binding: &TrustBinding,
    scope: &BindingScope,
    purpose: &Purpose<'_>,
) -> Result<Option<String>, Failure> {
    match wanted_policy(&binding.spec)? {
        Wanted::Nothing => Ok(None),
        Wanted::Own(text) => Ok(Some(text.to_owned())),
        Wanted::Derived => scope.session_policy(purpose).map(Some).map_err(|error| match error {
            PolicyError::TooLarge(_) => {
                let message = format!(
                    "{error}. Give the state machine, its execution role or its key's alias a shorter name, or set spec.sessionPolicy of the TrustBinding."
                );
                Failure::new(Class::Terminal, Reason::SessionPolicyTooLarge, message)
            }
            PolicyError::Value(value) => value_not_allowed(&value),
        }),
    }
}

/// A value that may not stand in a policy. It can only come from an object that is older than the schema's pattern.
pub(super) fn value_not_allowed(value: &NotAllowed) -> Failure {
    let message = format!(
        "{value}, so no session of AWS was asked for that would be limited to it. Correct it, in a new object where it cannot be changed."
    );
    Failure::new(Class::Terminal, Reason::ValueNotAllowed, message)
}
