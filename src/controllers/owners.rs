//! Who an object belongs to in Kubernetes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

/// Whether an owner reference is to a kind of ours. A kind of the same name in another API group is another kind; a version is
/// another view of the same object.
pub(super) fn refers_to<K: Resource<DynamicType = ()>>(owner: &OwnerReference) -> bool {
    owner.kind == K::kind(&()) && owner.api_version.split_once('/').is_some_and(|(group, _)| group == K::group(&()))
}

/// Whether an object has this one as its controller.
pub(super) fn controls<K: Resource<DynamicType = ()>>(object: &K, owned: &impl Resource) -> bool {
    owned.meta().owner_references.iter().flatten().any(|owner| {
        refers_to::<K>(owner) && Some(&owner.uid) == object.meta().uid.as_ref() && owner.controller == Some(true)
    })
}
