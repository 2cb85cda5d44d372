//! `stepbound release`: lets go of objects before an uninstall, or says what would hold one up.

mod error;
mod flags;
mod marks;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};

use super::out::print;
use crate::api::v1alpha1::{FIELD_MANAGER, FINALIZER, custom_resource_definitions};
use crate::kube::client::readable;
use crate::kube::held::{is_held, is_ours};
pub use error::ReleaseError;
pub use flags::ReleaseFlags;
use marks::{Mark, Marks};

/// Objects asked for at once.
const PAGE: u32 = 500;
/// Objects named in a refusal.
const NAMED: usize = 20;

/// Kinds that never carry our finalizer: they go with their ExecutionHistory or WorkflowRun, and are not even looked at.
const NEVER_HELD: [&str; 3] = ["ExecutionHistoryPage", "ExecutionDataPage", "Approval"];

/// An object that carries our finalizer.
struct Held {
    resource: ApiResource,
    object: DynamicObject,
}

impl Held {
    /// As kubectl names it: `namespace kind/name`.
    fn named(&self) -> String {
        let place = self.object.namespace().map(|namespace| format!("-n {namespace} ")).unwrap_or_default();
        format!("{place}{}/{}", self.resource.kind.to_lowercase(), self.object.name_any())
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.object.data.pointer(pointer)?.as_str()
    }

    /// What this object has made or started in AWS and leaves there.
    fn remains(&self) -> Option<&str> {
        let ended = self.text("/status/finishedAt").is_some();
        let execution = self.text("/status/executionARN").filter(|_| !ended);
        self.text("/status/stateMachineARN").or_else(|| self.text("/status/activityARN")).or(execution)
    }
}

pub(super) fn run(flags: &ReleaseFlags) -> Result<(), ReleaseError> {
    for (name, url) in [("sts-endpoint-url", &flags.sts_endpoint_url), ("sfn-endpoint-url", &flags.sfn_endpoint_url)] {
        if url.as_ref().is_some_and(|url| url.scheme() != "https" && !flags.insecure_endpoints) {
            return Err(ReleaseError::PlainHttp(name));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = readable(Client::try_default().await?);
        let held = held(&client, flags).await?;
        if flags.check {
            return check(&held);
        }
        refuse_beside_an_operator(&client, flags).await?;
        release(client, flags, &held).await
    })
}

fn check(held: &[Held]) -> Result<(), ReleaseError> {
    if held.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = held.iter().take(NAMED).map(|one| format!("  {}", one.named())).collect();
    if held.len() > NAMED {
        named.push(format!("  and {} more", held.len() - NAMED));
    }
    Err(ReleaseError::Held { count: held.len(), named: named.join("\n") })
}

/// Objects with our finalizer, those that others depend on last.
async fn held(client: &Client, flags: &ReleaseFlags) -> Result<Vec<Held>, ReleaseError> {
    let mut held = Vec::new();
    for definition in
        custom_resource_definitions()?.iter().rev().filter(|one| !NEVER_HELD.contains(&one.spec.names.kind.as_str()))
    {
        let resource = resource_of(definition);
        let namespaced = definition.spec.scope == "Namespaced";
        let scopes: Vec<Api<DynamicObject>> = if flags.all {
            vec![Api::all_with(client.clone(), &resource)]
        } else if namespaced {
            let api = |namespace: &String| Api::namespaced_with(client.clone(), namespace, &resource);
            flags.namespaces.iter().map(api).collect()
        } else {
            Vec::new()
        };
        for api in scopes {
            let holds = |object: &DynamicObject| object.finalizers().iter().any(|name| name == FINALIZER);
            let objects = all_of(&api).await?.into_iter().filter(holds);
            held.extend(objects.map(|object| Held { resource: resource.clone(), object }));
        }
    }
    Ok(held)
}

fn resource_of(definition: &CustomResourceDefinition) -> ApiResource {
    let (names, version) = (&definition.spec.names, definition.spec.versions.first());
    let version = version.map(|version| version.name.clone()).unwrap_or_default();
    let kind = GroupVersionKind::gvk(&definition.spec.group, &version, &names.kind);
    ApiResource::from_gvk_with_plural(&kind, &names.plural)
}

/// All pages. A kind whose definition is not installed has no objects.
async fn all_of(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>, ReleaseError> {
    let (mut found, mut parameters) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page = match api.list(&parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(found),
            other => other?,
        };
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(found),
        }
    }
}

async fn refuse_beside_an_operator(client: &Client, flags: &ReleaseFlags) -> Result<(), ReleaseError> {
    let api = match &flags.lease_namespace {
        Some(namespace) => Api::<Lease>::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let now = Timestamp::now();
    let leases = api.list(&ListParams::default()).await?;
    let running = leases.iter().find(|lease| is_ours(&lease.name_any()) && is_held(lease, now));
    running.map_or(Ok(()), |lease| {
        let namespace = lease.namespace().unwrap_or_default();
        Err(ReleaseError::OperatorRuns(format!("{namespace}/{}", lease.name_any()), namespace))
    })
}

async fn release(client: Client, flags: &ReleaseFlags, held: &[Held]) -> Result<(), ReleaseError> {
    let marks = Marks::new(client.clone(), flags).await?;
    let (mut left, mut remain) = (0, 0);
    for one in held {
        let mark = match one.remains() {
            Some(arn) if !flags.keep_marks => marks.remove(&one.object, &one.resource.kind, arn).await,
            _ => Mark::Untouched,
        };
        match let_go(&client, one).await {
            Ok(()) => {
                remain += usize::from(one.remains().is_some());
                print(&format!("{}: let go{}\n", one.named(), leftover(one.remains(), &mark)))?;
            }
            Err(error) => {
                left += 1;
                print(&format!("{}: not let go: {error}\n", one.named()))?;
            }
        }
    }
    print(&format!("{} let go; {remain} of them leave something in AWS\n", held.len() - left))?;
    if left > 0 { Err(ReleaseError::Left(left)) } else { Ok(()) }
}

fn leftover(remains: Option<&str>, mark: &Mark) -> String {
    let Some(arn) = remains else { return String::new() };
    let of_mark = match mark {
        Mark::Removed => ", its owner tags removed".to_owned(),
        Mark::Untouched => String::new(),
        Mark::Left(why) => format!(", its owner tags still on it ({why})"),
    };
    format!("; {arn} stays in AWS{of_mark}")
}

/// On condition that nobody changed the object since it was read.
async fn let_go(client: &Client, held: &Held) -> Result<(), kube::Error> {
    let finalizers: Vec<&String> = held.object.finalizers().iter().filter(|name| *name != FINALIZER).collect();
    let patch = serde_json::json!({"metadata": {
        "finalizers": finalizers, "resourceVersion": held.object.resource_version()}});
    let api: Api<DynamicObject> = match held.object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &held.resource),
        None => Api::all_with(client.clone(), &held.resource),
    };
    match api.patch(&held.object.name_any(), &PatchParams::apply(FIELD_MANAGER), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_in_aws_is_named_with_the_state_of_its_tags() {
        assert_eq!(leftover(None, &Mark::Untouched), "");
        assert_eq!(leftover(Some("arn"), &Mark::Removed), "; arn stays in AWS, its owner tags removed");
        let left = leftover(Some("arn"), &Mark::Left("the role is gone".into()));
        assert_eq!(left, "; arn stays in AWS, its owner tags still on it (the role is gone)");
    }
}
