//! `kubectl sfn mcp`: a server of the Model Context Protocol over standard input and output. It has no right of its own: each call
//! of a tool is a request to the API server, as whoever started it.

mod agent;
mod arguments;
mod calls;
mod changes;
mod data;
mod key;
mod offers;
mod schema;
mod told;
mod wait;

use clap::Args;
use rmcp::ServiceExt;
use rmcp::transport::async_rw::AsyncRwTransport;

pub(crate) use agent::Agent;
#[cfg(feature = "operator")]
pub(crate) use agent::VERSIONS;

use super::stop::asked_to_end;
use super::{Cluster, Exit, KubectlError};
use crate::cli::say;

/// Longest message that is read, in bytes: an input has at most 256 KiB, and escapes make it longer.
const MAX_MESSAGE: usize = 2 * 1024 * 1024;

/// Flags of `kubectl sfn mcp`.
#[derive(Debug, Args)]
#[command(
    after_help = "Programs of agents start it by themselves; docs/mcp.md has what they are configured with. Workflows with spec.tool are its tools. It acts in one namespace, with the rights of the kubeconfig it was started with, and approves nothing."
)]
pub(super) struct McpFlags {}

pub(super) async fn run(_: &McpFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let (read, write) = rmcp::transport::stdio();
    let transport = AsyncRwTransport::new_server(read, write).with_max_line_length(MAX_MESSAGE);
    say(&format!(
        "Serves the tools of namespace \"{}\" by the Model Context Protocol on standard input and output",
        cluster.namespace
    ));
    let stop = asked_to_end();
    let serve = async {
        let service = Box::pin(Agent::of(cluster.clone()).serve(transport)).await;
        let service = service
            .map_err(|error| KubectlError::Refused(format!("no client of the Model Context Protocol: {error}")))?;
        service.waiting().await.map_err(|error| KubectlError::Refused(format!("the server broke off: {error}")))
    };
    tokio::select! {
        served = serve => served.map(|_| Exit::Done),
        () = stop => Ok(Exit::Done),
    }
}
