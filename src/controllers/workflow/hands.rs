//! What a reconcile of a Workflow works with.

use kube::ResourceExt;

use crate::api::v1alpha1::Workflow;
use crate::aws::Caller;
use crate::controllers::Context;
use crate::controllers::authorization::Authorization;
use crate::controllers::runner::Work;
use crate::iam::binding_role::session::{Purpose, Writing};
use crate::outcome::Failure;
use crate::plan::workflow::default_name;

/// What a reconcile works with in AWS: a session to see, which all objects of the binding share, and one to write this machine
/// alone, which is made when it is used.
pub(super) struct Hands<'a> {
    pub(super) binding: &'a Authorization,
    pub(super) seeing: &'a Caller,
    pub(super) writing: &'a Writing,
}

impl<'a> Hands<'a> {
    pub(super) fn new(binding: &'a Authorization, seeing: &'a Caller, writing: &'a Writing) -> Self {
        Self { binding, seeing, writing }
    }

    /// The session to write.
    pub(super) async fn writer(&self, ctx: &Context) -> Result<Caller, Failure> {
        Ok(self.binding.session(ctx, &self.seeing.cause, &Purpose::Write(self.writing)).await?)
    }
}

/// Name of the Workflow's state machine.
pub(super) fn machine_name(work: &Work<Workflow>, ctx: &Context) -> String {
    let default = || default_name(&ctx.settings.name_prefix, &work.namespace(), &work.object.name_any());
    work.object.spec.state_machine_name.clone().unwrap_or_else(default)
}
