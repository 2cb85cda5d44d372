//! The wish to follow a run's states, for as long as somebody watches.

use kube::ResourceExt;
use kube::api::{DeleteParams, ObjectMeta, PostParams};

use super::super::{Cluster, KubectlError};
use crate::api::v1alpha1::{DurationString, ExecutionHistory, ExecutionHistorySpec, LocalRef};
use crate::cli::out::say;

/// An ExecutionHistory of our own.
pub(super) struct Followed {
    name: String,
}

impl Followed {
    /// Asks for it. Where that cannot be, says why once: the phases of the run are still there to be watched.
    pub async fn begin(run: &str, cluster: &Cluster) -> Option<Self> {
        let metadata = ObjectMeta { generate_name: Some(format!("{run}-watch-")), ..ObjectMeta::default() };
        let spec = ExecutionHistorySpec {
            workflow_run_ref: LocalRef { name: run.to_owned() },
            follow: true,
            include_data: false,
            states: Vec::new(),
            // Whoever watches may be gone without a word.
            ttl_after_finished: DurationString("5m".into()),
        };
        let wish = ExecutionHistory { metadata, spec, status: None };
        match cluster.api::<ExecutionHistory>().create(&PostParams::default(), &wish).await {
            Ok(made) => Some(Self { name: made.name_any() }),
            Err(error) => {
                let why = KubectlError::of("follow its states", error);
                say(&format!("note: {why}\nThe phases of the run are shown instead."));
                None
            }
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nobody watches any more.
    pub async fn end(self, cluster: &Cluster) {
        match cluster.api::<ExecutionHistory>().delete(&self.name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                let why = KubectlError::of(&format!("delete ExecutionHistory \"{}\"", self.name), error);
                say(&format!("note: {why}\nIt deletes itself 5 minutes after the run's end."));
            }
            Ok(_) => {}
        }
    }
}
