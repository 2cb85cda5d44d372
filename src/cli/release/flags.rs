//! Flags of `stepbound release`.

use clap::ArgGroup;
use url::Url;

/// Flags of `stepbound release`.
#[derive(Clone, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[command(group = ArgGroup::new("scope").required(true).args(["namespaces", "all"]))]
pub struct ReleaseFlags {
    /// Let go of the objects of this namespace (repeatable)
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(super) namespaces: Vec<String>,
    /// Let go of the objects of all namespaces
    #[arg(long)]
    pub(super) all: bool,
    /// Change nothing; fail where objects still carry our finalizer, as the chart asks before an uninstall
    #[arg(long)]
    pub(super) check: bool,
    /// Leave the owner tags on, so that an operator that is installed later finds its own again
    #[arg(long)]
    pub(super) keep_marks: bool,
    /// Look here alone for an operator that still runs (default: in all namespaces)
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) lease_namespace: Option<String>,
    /// Name of this cluster in owner tags, as the operator had it (default: the UID of the kube-system namespace)
    #[arg(long, env = "STEPBOUND_CLUSTER_ID", value_name = "NAME")]
    pub(super) cluster_id: Option<String>,
    /// STS endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_STS_ENDPOINT_URL", value_name = "URL")]
    pub(super) sts_endpoint_url: Option<Url>,
    /// Step Functions endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_SFN_ENDPOINT_URL", value_name = "URL")]
    pub(super) sfn_endpoint_url: Option<Url>,
    /// Allow endpoints without TLS: for a test bed only
    #[arg(long, env = "STEPBOUND_INSECURE_ENDPOINTS")]
    pub(super) insecure_endpoints: bool,
}
