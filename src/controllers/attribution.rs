//! Who asked for what an object says, where the API server's word for it can be had.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Client, ResourceExt};
use moka::future::Cache;
use parking_lot::Mutex;

use crate::kube::api_failure;
use crate::outcome::Failure;
use crate::plan::approval::{self, Enforced, Guard};
use crate::plan::attribution::{Installation, Installed, Policies, believed_since, covers};
use crate::reason::Reason;

/// How long a look at the policies is used: a burst of starts costs one. A change of a policy takes the API servers
/// themselves about as long to notice.
const LOOK_LASTS: Duration = Duration::from_secs(1);

/// The admission policies of the chart and what is known of them.
pub struct Attribution {
    client: Client,
    /// The namespaces that are watched; empty means all.
    namespaces: Vec<String>,
    /// What the names of the policies begin with; empty where the chart installed none.
    prefix: String,
    /// The operator's own user name.
    operator: String,
    looks: Cache<(), Result<Timestamp, String>>,
    told: Mutex<Option<Result<Timestamp, String>>>,
}

impl Attribution {
    /// For the policies whose names begin so; an empty prefix believes no stamp. `operator` is the operator's own user name.
    pub fn new(client: Client, namespaces: Vec<String>, prefix: String, operator: String) -> Self {
        let looks = Cache::builder().max_capacity(1).time_to_live(LOOK_LASTS).build();
        Self { client, namespaces, prefix, operator, looks, told: Mutex::default() }
    }

    /// Whether the chart has installed its admission policies: they ask for the verb `take-over`.
    pub(super) fn admission_is_installed(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Says once in the log whether stamps are believed, and again when that changes.
    fn tell(&self, look: &Result<Timestamp, String>) {
        let mut told = self.told.lock();
        if told.as_ref() == Some(look) {
            return;
        }
        match look {
            Ok(since) => tracing::info!(%since, "runs of objects created a minute later carry their requester's name"),
            Err(why) => tracing::warn!(why, "runs carry the binding's name, because who asked cannot be believed"),
        }
        *told = Some(look.clone());
    }

    /// The user that the API server wrote into the annotation of an object, or `None` where that cannot be believed.
    pub(super) async fn stamped(&self, object: &impl ResourceExt, annotation: &str) -> Result<Option<String>, Failure> {
        let Some(user) = object.annotations().get(annotation).filter(|user| !user.is_empty()) else { return Ok(None) };
        if self.prefix.is_empty() {
            return Ok(None);
        }
        let look = self.looks.try_get_with((), Box::pin(self.look())).await.map_err(|failure| (*failure).clone())?;
        self.tell(&look);
        let created = object.creation_timestamp().map_or(Timestamp::MIN, |time| time.0);
        Ok(look.is_ok_and(|since| covers(since, created)).then(|| user.clone()))
    }

    fn installation(&self) -> Installation<'_> {
        Installation { prefix: &self.prefix, operator: &self.operator, namespaces: &self.namespaces }
    }

    /// Which state of the policy of approvals is in force now, or why none is. It is looked at every time: a start hangs on it.
    pub(super) async fn approvals(&self) -> Result<Result<Enforced, String>, Failure> {
        if self.prefix.is_empty() {
            return Ok(Err("the chart's admission policies are not installed".to_owned()));
        }
        let installation = self.installation();
        let (name, client) = (approval::guard_name(&installation), &self.client);
        let read = tokio::try_join!(
            installed(client, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", &name),
            installed(client, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", &name),
        );
        let (policy, binding) = match read {
            Err(failure) if failure.reason == Reason::Forbidden => return Ok(Err(failure.message)),
            other => other?,
        };
        Ok(approval::enforced(&installation, &Guard { policy, binding }))
    }

    async fn look(&self) -> Result<Result<Timestamp, String>, Failure> {
        let installation = self.installation();
        let (stamp, guard, client) = (installation.stamp(), installation.guard(), &self.client);
        let read = tokio::try_join!(
            installed(client, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", &stamp),
            installed(client, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", &stamp),
            installed(client, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", &guard),
            installed(client, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", &guard),
        );
        let (stamp, stamp_binding, guard, guard_binding) = match read {
            // Without the right to look, as under an older chart, nothing can be believed; that keeps no run from its start.
            Err(failure) if failure.reason == Reason::Forbidden => return Ok(Err(failure.message)),
            other => other?,
        };
        Ok(believed_since(&installation, &Policies { stamp, stamp_binding, guard, guard_binding }))
    }
}

/// The operator's own user name, as the API server knows it.
pub async fn own_name(client: &Client) -> Result<String, kube::Error> {
    let review = SelfSubjectReview::default();
    let answer = Api::<SelfSubjectReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.and_then(|status| status.user_info?.username).unwrap_or_default())
}

async fn installed(client: &Client, kind: &str, plural: &str, name: &str) -> Result<Option<Installed>, Failure> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    let api = Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural));
    let Some(object) = api.get_opt(name).await.map_err(|error| api_failure(&error))? else { return Ok(None) };
    let written = object.metadata.managed_fields.iter().flatten().filter_map(|entry| Some(entry.time.as_ref()?.0));
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    // Without a time nothing can be older than it.
    let changed_at = written.chain(created).max().unwrap_or(Timestamp::MAX);
    let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let spec = object.data["spec"].clone();
    Ok(Some(Installed { changed_at, revision: format!("{uid}/{generation}"), spec }))
}
