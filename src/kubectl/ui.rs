//! `kubectl sfn ui`: the page. A server of this machine alone, for one browser, that asks the API server with the rights of
//! whoever started it.

mod actions;
mod approval;
mod door;
mod frame;
mod gantt;
mod kept;
mod listen;
mod live;
mod machine;
mod opened;
mod problem;
mod rates;
mod router;
mod run_page;
mod runs_page;
mod schedules_page;
mod site;
mod store;
mod told;
mod trust_page;
mod workflow_page;
mod workflows_page;

use std::sync::Arc;

use clap::Args;

use super::{Cluster, Exit, KubectlError};
use crate::cli::out::{print, say};
use door::Door;
use opened::Opened;
use site::Site;
use store::Store;

/// Flags of `kubectl sfn ui`.
#[derive(Debug, Args)]
pub(super) struct UiFlags {
    /// Port of this machine to serve the page at; by default one that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Open the page in the browser
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    open: bool,
    /// Let the page run again, cancel, redrive, follow, approve and deny runs, with your own rights; without it the page only shows
    #[arg(long)]
    allow_actions: bool,
}

/// Serves the page until it is interrupted. `within` is set where one namespace alone is asked for.
pub(super) async fn run(flags: &UiFlags, cluster: &Cluster, within: bool) -> Result<Exit, KubectlError> {
    let listeners = listen::bind(flags.port).await.map_err(|error| {
        let hint = if flags.port == 0 { "" } else { "; another port is given with --port" };
        KubectlError::Refused(format!("cannot serve the page on port {} of this machine: {error}{hint}", flags.port))
    })?;
    let (door, url) = Door::new(listeners.port, flags.allow_actions);
    let store = Arc::new(Store::default());
    let watching = store.watch(cluster, within);
    let opened = if flags.open { Opened::open(&url).map_err(KubectlError::Write)? } else { Opened::default() };
    let site = Site { door, store, cluster: cluster.clone(), opened };
    let served = router::router(Arc::new(site));
    print(&format!("{url}\n")).map_err(KubectlError::Write)?;
    say("This address works once, in one browser. Ctrl-C ends the page.");
    tokio::select! {
        served = listeners.serve(served) => served.map_err(|error| KubectlError::Refused(format!("the page ended: {error}")))?,
        () = super::stop::asked_to_end() => {}
    }
    drop(watching);
    Ok(Exit::Done)
}
