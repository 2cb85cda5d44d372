//! `stepbound operator`

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use crate::api::v1alpha1::custom_resource_definitions;
use crate::aws::{SdkQueues, SdkStepFunctions, http_client};
use crate::config::{Config, ConfigError, Endpoints, Flags};
use crate::controllers::sharing::{DRAIN, LeaseLost, Replica};
use crate::controllers::{self, Attribution, Context, Ports, Settings};
use crate::identity::{
    Cognito, Exchanger, IssuerRules, Issuers, Minter, Providers, Reach, SecretReader, SessionCache, Web,
};
use crate::kube::client::readable;
use crate::kube::lease::{Elector, LEASE};
use crate::kube::{Events, Fence, Shard};
use crate::metrics::Metrics;
use crate::server::{Readiness, ServeError, serve};
use crate::telemetry;

/// Why the operator ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A flag cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The runtime cannot start, or a signal handler cannot be set.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// The API server cannot be found or reached.
    #[error(
        "cannot reach the API server: {0}. It is looked for as kubectl does: KUBECONFIG, then the pod's own account"
    )]
    Cluster(Box<kube::Error>),
    /// The types of the definitions cannot be written.
    #[error("a generated schema is not valid: {0}")]
    Schema(#[from] serde_json::Error),
    /// The collector of traces cannot be one.
    #[error("--otlp-endpoint: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Health or metrics cannot be served.
    #[error(transparent)]
    Server(#[from] ServeError),
    /// Another replica leads now.
    #[error("the lease was lost; another replica may lead, so this one ends")]
    LeaseLost,
}

impl OperatorError {
    /// 1 where another replica has the work, and nothing is wrong with this one.
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Self::LeaseLost) { 1 } else { 2 }
    }
}

impl From<kube::Error> for OperatorError {
    fn from(error: kube::Error) -> Self {
        Self::Cluster(Box::new(error))
    }
}

pub(super) fn run(flags: Flags) -> Result<(), OperatorError> {
    let config = Config::from_flags(flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let _traces = telemetry::start(config.log_format, config.otlp_endpoint.as_ref())?;
    runtime.block_on(operate(config))
}

async fn operate(config: Config) -> Result<(), OperatorError> {
    // Before anything waits: a signal during the start must end it too.
    let mut signals = Signals::new()?;
    let Endpoints { sts, step_functions, cloudwatch, logs, sqs, iam, cognito_identity } = &config.endpoints;
    for endpoint in [sts, step_functions, cloudwatch, logs, sqs, iam, cognito_identity].into_iter().flatten() {
        warn_of_plain_http(endpoint);
    }
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    let client = readable(Client::try_default().await?);
    let server = serve(config.http_addr, &config.metrics, readiness.clone(), metrics.clone(), client.clone());
    let work = lead(&config, client, metrics, readiness, &mut signals);
    tokio::select! {
        ended = work => ended,
        ended = server => Ok(ended?),
    }
}

fn warn_of_plain_http(endpoint: &Url) {
    if endpoint.scheme() == "http" {
        tracing::warn!(%endpoint, "this endpoint is not encrypted: tokens and credentials can be read on the way");
    }
}

/// Waits for the definitions and the lease, works until a signal or the loss of the lease, and cleans up.
async fn lead(
    config: &Config,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    signals: &mut Signals,
) -> Result<(), OperatorError> {
    tokio::select! {
        waited = wait_for_definitions(&client) => waited?,
        () = signals.wait() => return Ok(()),
    }
    readiness.set(true);
    if !config.leader_elect {
        return work(config, client, metrics, Fence::open(), std::future::pending(), signals).await;
    }
    let namespace = config.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let leases = Api::<Lease>::namespaced(client.clone(), &namespace);
    let identity = identity();
    if config.shards > 1 {
        return Box::pin(share(config, client, metrics, leases, identity, signals)).await;
    }
    let fence = Fence::closed();
    let mut elector = Elector::new(leases, LEASE, &identity, fence.clone());
    tracing::info!(identity, namespace, "waits for the lease");
    tokio::select! {
        () = elector.acquire() => tracing::info!(identity, "leads"),
        () = signals.wait() => return Ok(()),
    }
    let result = Box::pin(work(config, client, metrics, fence, elector.keep(), signals)).await;
    elector.release().await;
    result
}

/// Takes part in the work on the shards until a signal, or until a Lease is lost.
async fn share(
    config: &Config,
    client: Client,
    metrics: Arc<Metrics>,
    leases: Api<Lease>,
    identity: String,
    signals: &mut Signals,
) -> Result<(), OperatorError> {
    let total = config.shards;
    let parts = Parts::new(config, client, metrics).await?;
    let replica = Replica {
        leases,
        identity,
        total,
        make: |shard, fence| parts.context(shard, fence),
        shared: |held| {
            parts.metrics.leading(held > 0);
            parts.metrics.shards_held(held);
            // The quota is the installation's: each replica uses as much of it as it has of the shards.
            let part = u32::try_from(held).unwrap_or(total).max(1);
            parts.aws.set_quota_share(config.aws_quota_share * f64::from(part) / f64::from(total));
        },
    };
    let (stop, stopped) = watch::channel(false);
    let shared = replica.run(stopped);
    tokio::pin!(shared);
    let ended = tokio::select! {
        ended = &mut shared => ended,
        () = signals.wait() => {
            tracing::info!("ends: reconciles under way are finished first");
            stop.send_replace(true);
            shared.await
        }
    };
    ended.map_err(|LeaseLost| OperatorError::LeaseLost)
}

/// What every context is made of.
struct Parts {
    client: Client,
    ports: Ports,
    aws: Arc<SdkStepFunctions>,
    metrics: Arc<Metrics>,
    attribution: Arc<Attribution>,
    settings: Settings,
}

impl Parts {
    async fn new(config: &Config, client: Client, metrics: Arc<Metrics>) -> Result<Self, OperatorError> {
        let http = http_client();
        let cluster_issuer = cluster_issuer(config, &client).await;
        let issuer_rules = issuer_rules(config, cluster_issuer.as_deref());
        let reach =
            Reach { plain_http: config.issuers.plain_http, private_addresses: config.issuers.private_addresses };
        let issuers = Arc::new(Issuers::new(Web::new(reach)?));
        let minter = Minter::new(client.clone());
        let providers = Providers::new(
            issuers.clone(),
            minter.clone(),
            SecretReader::new(client.clone()),
            Cognito::new(http.clone(), config.endpoints.cognito_identity.clone()),
            issuer_rules.clone(),
        );
        let exchanger = Exchanger::new(http.clone(), config.endpoints.sts.clone());
        let sessions = SessionCache::new(minter, providers, exchanger, metrics.clone());
        let queues = Arc::new(SdkQueues::new(http.clone(), config.endpoints.sqs.clone(), metrics.clone()));
        let aws = Arc::new(SdkStepFunctions::new(http, &config.endpoints, metrics.clone(), config.aws_quota_share));
        let settings = Settings {
            cluster_id: cluster_id(config, &client).await?,
            name_prefix: config.name_prefix.clone(),
            allowed_audiences: config.allowed_audiences.clone(),
            cluster_issuer,
            issuer_rules,
            foreign_owner_tags: config.foreign_owner_tags.clone(),
            alias_settle_time: config.alias_settle_time,
            lockdown: config.lockdown,
            watch_namespaces: config.watch_namespaces.clone(),
            shard: Shard::WHOLE,
            resync_interval: config.resync_interval,
        };
        let ports = Ports {
            sessions: Arc::new(sessions),
            state_machines: aws.clone(),
            aliases: aws.clone(),
            activities: aws.clone(),
            executions: aws.clone(),
            tagging: aws.clone(),
            quota: aws.clone(),
            alarms: aws.clone(),
            logs: aws.clone(),
            queues,
            iam: aws.clone(),
            issuers,
            relay: Arc::default(),
        };
        let own_name = controllers::own_name(&client).await?;
        let attribution = Arc::new(Attribution::new(
            client.clone(),
            settings.watch_namespaces.clone(),
            config.admission_policy_prefix.clone(),
            own_name,
        ));
        Ok(Self { client, ports, aws, metrics, attribution, settings })
    }

    fn context(&self, shard: Shard, fence: Fence) -> Arc<Context> {
        let events = Events::new(self.client.clone(), identity());
        let settings = Settings { shard, ..self.settings.clone() };
        let (client, ports, metrics) = (self.client.clone(), self.ports.clone(), self.metrics.clone());
        Arc::new(Context::new(client, ports, self.attribution.clone(), events, metrics, fence, settings))
    }
}

/// Runs the controllers until a signal, or until `lost` says that the lease is gone.
async fn work(
    config: &Config,
    client: Client,
    metrics: Arc<Metrics>,
    fence: Fence,
    lost: impl Future<Output = ()>,
    signals: &mut Signals,
) -> Result<(), OperatorError> {
    metrics.leading(true);
    let context = Parts::new(config, client, metrics).await?.context(Shard::WHOLE, fence);
    let (stop, stopped) = watch::channel(false);
    let controllers = controllers::run(context, stopped);
    tokio::pin!(controllers, lost);
    tokio::select! {
        () = &mut controllers => Ok(()),
        () = &mut lost => Err(OperatorError::LeaseLost),
        () = signals.wait() => {
            tracing::info!("ends: reconciles under way are finished first");
            stop.send_replace(true);
            // The lease is renewed meanwhile, so that nobody else begins while these still write.
            tokio::select! {
                drained = tokio::time::timeout(DRAIN, &mut controllers) => {
                    if drained.is_err() {
                        tracing::warn!("some reconciles did not end in time");
                    }
                    Ok(())
                }
                () = &mut lost => Err(OperatorError::LeaseLost),
            }
        }
    }
}

/// Differs between processes, restarts included.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "stepbound".into());
    format!("{host}-{:016x}", rand::random::<u64>())
}

async fn cluster_id(config: &Config, client: &Client) -> Result<String, OperatorError> {
    if let Some(id) = &config.cluster_id {
        return Ok(id.clone());
    }
    let namespace = Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await?;
    Ok(namespace.uid().unwrap_or_default())
}

/// Issuer of the cluster's own tokens: the flag's, else what the API server's discovery document says. Unknown where that
/// may not be read: then the first token tells.
async fn cluster_issuer(config: &Config, client: &Client) -> Option<String> {
    if let Some(issuer) = &config.issuers.cluster {
        return Some(issuer.clone());
    }
    let request = http::Request::get("/.well-known/openid-configuration").body(Vec::new()).ok()?;
    match client.request::<serde_json::Value>(request).await {
        Ok(document) => document["issuer"].as_str().map(str::to_owned),
        Err(error) => {
            tracing::info!(%error, "the cluster's issuer cannot be read; --cluster-issuer gives it");
            None
        }
    }
}

/// A token for one of these audiences is good elsewhere, so no provider is ever shown one.
fn issuer_rules(config: &Config, cluster_issuer: Option<&str>) -> IssuerRules {
    const API_SERVERS: [&str; 2] = ["https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"];
    let forbidden = config.allowed_audiences.iter().map(String::as_str).chain(API_SERVERS).chain(cluster_issuer);
    IssuerRules { allowed: config.issuers.allowed.clone(), forbidden_audiences: forbidden.map(str::to_owned).collect() }
}

/// Installed and served by the API server, or waited for: a restart loop would tell less.
async fn wait_for_definitions(client: &Client) -> Result<(), OperatorError> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in custom_resource_definitions()? {
        let name = definition.name_any();
        loop {
            match api.get_opt(&name).await {
                Ok(Some(found)) if established(&found) => break,
                Ok(_) => tracing::info!(definition = name, "waits for this definition to be installed"),
                Err(error) => tracing::warn!(definition = name, %error, "cannot look for this definition"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    Ok(())
}

fn established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|list| list.iter().any(|one| one.type_ == "Established" && one.status == "True"))
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
