//! The pages of a history, at the API server. They have it as their owner, so they go with it.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::v1alpha1::{
    ExecutionDataPage, ExecutionDataPageSpec, ExecutionHistory, ExecutionHistoryPage, ExecutionHistoryPageSpec,
    FIELD_MANAGER,
};
use crate::controllers::Context;
use crate::controllers::owners::{controls, refers_to};
use crate::controllers::runner::fenced;
use crate::kube::api_failure;
use crate::outcome::{Class, Failure};
use crate::plan::execution_history::pages::Page;
use crate::reason::Reason;

/// A kind of pages.
trait PageKind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl PageKind for ExecutionHistoryPage {}
impl PageKind for ExecutionDataPage {}

/// Writes a page, and its data where that was asked for.
pub(super) async fn write(ctx: &Context, history: &ExecutionHistory, page: &Page) -> Result<(), Failure> {
    let meta = || ObjectMeta {
        name: Some(name(history, page.number)),
        namespace: history.namespace(),
        owner_references: history.owner_ref(&()).map(|owner| vec![OwnerReference { controller: Some(true), ..owner }]),
        ..ObjectMeta::default()
    };
    if history.spec.include_data {
        let spec = ExecutionDataPageSpec { number: page.number, data: page.data.clone() };
        put(ctx, history, &ExecutionDataPage { metadata: meta(), spec }).await?;
    }
    let spec = ExecutionHistoryPageSpec { number: page.number, events: page.events.clone() };
    put(ctx, history, &ExecutionHistoryPage { metadata: meta(), spec }).await
}

fn name(history: &ExecutionHistory, number: i64) -> String {
    format!("{}-{number}", history.name_any())
}

fn api<K: PageKind>(ctx: &Context, history: &ExecutionHistory) -> Api<K> {
    Api::namespaced(ctx.client.clone(), &history.namespace().unwrap_or_default())
}

/// Creates a page or puts it in the place of one of the same history. What belongs to somebody else is left alone.
async fn put<K: PageKind>(ctx: &Context, history: &ExecutionHistory, page: &K) -> Result<(), Failure> {
    fenced(ctx)?;
    let api = api::<K>(ctx, history);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match api.create(&parameters, page).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(api_failure(&error)),
    }
    let name = page.name_any();
    let Some(there) = api.get_opt(&name).await.map_err(|error| api_failure(&error))? else {
        return Err(meanwhile("a page was deleted meanwhile"));
    };
    if controls(history, &there) {
        let mut page = page.clone();
        page.meta_mut().resource_version = there.resource_version();
        return api.replace(&name, &parameters, &page).await.map(drop).map_err(|error| api_failure(&error));
    }
    if is_of_former(history, &there) {
        delete(&api, &there).await?;
        return Err(meanwhile("a page of a history that had the same name was deleted"));
    }
    let kind = K::kind(&());
    let message = format!(
        "{kind} \"{name}\" exists and does not belong to this ExecutionHistory; it was not touched. Delete it, or create an ExecutionHistory of another name."
    );
    Err(Failure::new(Class::Waiting, Reason::PageExists, message))
}

fn meanwhile(message: &str) -> Failure {
    Failure::new(Class::Conflict, Reason::Conflict, message)
}

/// A page of a history that had this one's name, which the garbage collector has not come to yet.
fn is_of_former(history: &ExecutionHistory, page: &impl Resource) -> bool {
    page.meta().owner_references.iter().flatten().any(|owner| {
        refers_to::<ExecutionHistory>(owner)
            && owner.controller == Some(true)
            && owner.name == history.name_any()
            && Some(&owner.uid) != history.meta().uid.as_ref()
    })
}

/// Deletes this page, and no other of its name.
async fn delete<K: PageKind>(api: &Api<K>, page: &K) -> Result<(), Failure> {
    let only_this = Preconditions { uid: page.uid(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    match api.delete(&page.name_any(), &parameters).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(|error| api_failure(&error)),
    }
}

/// Removes the pages of a history from a number on, up to the first that is not its own.
pub(super) async fn remove_from(ctx: &Context, history: &ExecutionHistory, first: i64) -> Result<(), Failure> {
    for number in first.. {
        fenced(ctx)?;
        let data = remove::<ExecutionDataPage>(ctx, history, number).await?;
        let events = remove::<ExecutionHistoryPage>(ctx, history, number).await?;
        if !(data || events) {
            break;
        }
    }
    Ok(())
}

/// False where there is none.
async fn remove<K: PageKind>(ctx: &Context, history: &ExecutionHistory, number: i64) -> Result<bool, Failure> {
    let (api, name) = (api::<K>(ctx, history), name(history, number));
    let there = api.get_opt(&name).await.map_err(|error| api_failure(&error))?;
    let Some(own) = there.filter(|page| controls(history, page) && page.meta().deletion_timestamp.is_none()) else {
        return Ok(false);
    };
    delete(&api, &own).await.map(|()| true)
}
