//! Raw flags and environment, turned into a checked configuration once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use url::Url;

use crate::api::v1alpha1::{DEFAULT_AUDIENCE, DurationString};

/// Flags of `stepbound operator`. Each can be given by the environment variable that the help names.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Flags {
    /// STS endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_STS_ENDPOINT_URL", value_name = "URL")]
    pub sts_endpoint_url: Option<Url>,
    /// Step Functions endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_SFN_ENDPOINT_URL", value_name = "URL")]
    pub sfn_endpoint_url: Option<Url>,
    /// CloudWatch endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_CLOUDWATCH_ENDPOINT_URL", value_name = "URL")]
    pub cloudwatch_endpoint_url: Option<Url>,
    /// CloudWatch Logs endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_LOGS_ENDPOINT_URL", value_name = "URL")]
    pub logs_endpoint_url: Option<Url>,
    /// SQS endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_SQS_ENDPOINT_URL", value_name = "URL")]
    pub sqs_endpoint_url: Option<Url>,
    /// IAM endpoint instead of AWS's
    #[arg(long, env = "STEPBOUND_IAM_ENDPOINT_URL", value_name = "URL")]
    pub iam_endpoint_url: Option<Url>,
    /// Cognito identity pools endpoint instead of AWS's regional ones
    #[arg(long, env = "STEPBOUND_COGNITO_IDENTITY_ENDPOINT_URL", value_name = "URL")]
    pub cognito_identity_endpoint_url: Option<Url>,
    /// Allow endpoints without TLS: for a test bed only
    #[arg(long, env = "STEPBOUND_INSECURE_ENDPOINTS")]
    pub insecure_endpoints: bool,
    /// Stable name of this cluster in owner tags (default: the UID of the kube-system namespace)
    #[arg(long, env = "STEPBOUND_CLUSTER_ID", value_name = "NAME")]
    pub cluster_id: Option<String>,
    /// Put before default state machine names
    #[arg(long, env = "STEPBOUND_NAME_PREFIX", default_value = "", value_name = "TEXT")]
    pub name_prefix: String,
    /// Audience that a TrustBinding may ask for (repeatable)
    #[arg(long = "allowed-audience", env = "STEPBOUND_ALLOWED_AUDIENCE", value_delimiter = ',', default_value = DEFAULT_AUDIENCE, value_name = "AUDIENCE")]
    pub allowed_audiences: Vec<String>,
    /// Issuer of the cluster's tokens (default: what the API server's discovery document says)
    #[arg(long, env = "STEPBOUND_CLUSTER_ISSUER", value_name = "URL")]
    pub cluster_issuer: Option<String>,
    /// Issuer that an IdentityProvider may name, exactly as its tokens name it (repeatable)
    #[arg(long = "allowed-issuer", env = "STEPBOUND_ALLOWED_ISSUER", value_delimiter = ',', value_name = "URL")]
    pub allowed_issuers: Vec<String>,
    /// Allow issuers at addresses that are not public
    #[arg(long, env = "STEPBOUND_ALLOW_PRIVATE_ISSUERS")]
    pub allow_private_issuers: bool,
    /// Hold everybody to what a shared cluster wants: nothing is taken over or adopted, bindings bound names and execution
    /// roles and keep the derived session policy, and only our own annotation is consent
    #[arg(long, env = "STEPBOUND_LOCKDOWN")]
    pub lockdown: bool,
    /// Namespace to watch instead of all (repeatable)
    #[arg(
        long = "watch-namespace",
        env = "STEPBOUND_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,
    /// Key of a tag by which another tool marks its state machines, which are then never adopted (repeatable)
    #[arg(long = "foreign-owner-tag", env = "STEPBOUND_FOREIGN_OWNER_TAG", value_delimiter = ',', value_name = "KEY")]
    pub foreign_owner_tags: Vec<String>,
    /// How long AWS may still route by an alias's old weights: executions that started sooner judge no version
    #[arg(long, env = "STEPBOUND_ALIAS_SETTLE_TIME", default_value = "60s", value_name = "DURATION")]
    pub alias_settle_time: String,
    /// What the names of the chart's admission policies begin with; without it runs carry the binding's name, not the requester's
    #[arg(long, env = "STEPBOUND_ADMISSION_POLICY_PREFIX", default_value = "", value_name = "NAME")]
    pub admission_policy_prefix: String,
    /// Elect a leader through a Lease; off only where one process alone can run
    #[arg(long, env = "STEPBOUND_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of the Lease (default: the operator's own)
    #[arg(long, env = "STEPBOUND_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Parts into which the namespaces are divided among the replicas, each with a Lease of its own
    #[arg(long, env = "STEPBOUND_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "NUMBER")]
    pub shards: u32,
    /// Address of /healthz and /readyz
    #[arg(long, env = "STEPBOUND_HTTP_ADDR", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub http_addr: SocketAddr,
    /// Address of /metrics, over TLS and for users who may get that path
    #[arg(long, env = "STEPBOUND_METRICS_ADDR", default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    pub metrics_addr: SocketAddr,
    /// Folder with the certificate of /metrics, tls.crt and tls.key (default: one that is made at the start)
    #[arg(long, env = "STEPBOUND_METRICS_CERT_DIR", value_name = "FOLDER")]
    pub metrics_cert_dir: Option<PathBuf>,
    /// Serve /metrics beside /healthz instead, to everybody and without TLS
    #[arg(long, env = "STEPBOUND_INSECURE_METRICS")]
    pub insecure_metrics: bool,
    /// Part of AWS's default quotas that this operator may use; above 1 where AWS has raised the account's
    #[arg(long, env = "STEPBOUND_AWS_QUOTA_SHARE", default_value_t = 0.5, value_name = "SHARE")]
    pub aws_quota_share: f64,
    /// How often an unchanged object is compared with AWS
    #[arg(long, env = "STEPBOUND_RESYNC_INTERVAL", default_value = "1h", value_name = "DURATION")]
    pub resync_interval: String,
    /// Collector of traces by OTLP over gRPC, `http://collector:4317` for example (default: none)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<Url>,
    /// Format of the log
    #[arg(long, env = "STEPBOUND_LOG_FORMAT", default_value = "json", value_enum)]
    pub log_format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// Where AWS is, apart from its regional endpoints.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// STS.
    pub sts: Option<Url>,
    /// Step Functions.
    pub step_functions: Option<Url>,
    /// CloudWatch.
    pub cloudwatch: Option<Url>,
    /// CloudWatch Logs.
    pub logs: Option<Url>,
    /// SQS.
    pub sqs: Option<Url>,
    /// IAM.
    pub iam: Option<Url>,
    /// Cognito identity pools.
    pub cognito_identity: Option<Url>,
}

/// Issuers of tokens.
#[derive(Clone, Debug, Default)]
pub struct IssuerSettings {
    /// The cluster's, where it was given.
    pub cluster: Option<String>,
    /// Those that an IdentityProvider may name.
    pub allowed: Vec<String>,
    /// http beside https.
    pub plain_http: bool,
    /// Addresses that are not public.
    pub private_addresses: bool,
}

/// How metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsServing {
    /// To everybody, without TLS, at the address of health.
    Open,
    /// Over TLS, to users who may get the path.
    Guarded {
        /// The address.
        address: SocketAddr,
        /// Folder of the certificate; without one a certificate is made.
        certificate: Option<PathBuf>,
    },
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where AWS is.
    pub endpoints: Endpoints,
    /// Name of the cluster in owner tags, where it was given.
    pub cluster_id: Option<String>,
    /// Before default state machine names.
    pub name_prefix: String,
    /// Audiences that bindings may name.
    pub allowed_audiences: Vec<String>,
    /// Issuers of tokens.
    pub issuers: IssuerSettings,
    /// Whether everybody is held to what a shared cluster wants.
    pub lockdown: bool,
    /// Namespaces to watch; empty means all.
    pub watch_namespaces: Vec<String>,
    /// Keys of tags by which other tools mark what is theirs.
    pub foreign_owner_tags: Vec<String>,
    /// How long AWS may still route by an alias's old weights.
    pub alias_settle_time: Duration,
    /// What the names of the chart's admission policies begin with; empty where there are none.
    pub admission_policy_prefix: String,
    /// Whether a Lease decides who works.
    pub leader_elect: bool,
    /// Namespace of the Lease, where it was given.
    pub lease_namespace: Option<String>,
    /// Parts into which the namespaces are divided.
    pub shards: u32,
    /// Address of health.
    pub http_addr: SocketAddr,
    /// How metrics are served.
    pub metrics: MetricsServing,
    /// Part of each AWS quota that may be used.
    pub aws_quota_share: f64,
    /// How often an unchanged object is compared with AWS.
    pub resync_interval: Duration,
    /// Collector of traces.
    pub otlp_endpoint: Option<Url>,
    /// Format of the log.
    pub log_format: LogFormat,
}

/// A flag with a value that cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {problem}")]
pub struct ConfigError {
    flag: &'static str,
    problem: String,
}

impl Config {
    /// Checks the flags.
    ///
    /// # Errors
    /// Names the first flag that cannot work and says what would.
    pub fn from_flags(flags: Flags) -> Result<Self, ConfigError> {
        check_endpoint("sts-endpoint-url", flags.sts_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        check_endpoint("sfn-endpoint-url", flags.sfn_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        check_endpoint("cloudwatch-endpoint-url", flags.cloudwatch_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        check_endpoint("logs-endpoint-url", flags.logs_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        check_endpoint("sqs-endpoint-url", flags.sqs_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        check_endpoint("iam-endpoint-url", flags.iam_endpoint_url.as_ref(), flags.insecure_endpoints)?;
        let cognito_identity = flags.cognito_identity_endpoint_url;
        check_endpoint("cognito-identity-endpoint-url", cognito_identity.as_ref(), flags.insecure_endpoints)?;
        for issuer in &flags.allowed_issuers {
            check_issuer("allowed-issuer", issuer, flags.insecure_endpoints)?;
        }
        let resync_interval = DurationString(flags.resync_interval.clone())
            .to_std()
            .filter(|interval| *interval >= Duration::from_secs(10))
            .ok_or_else(|| ConfigError {
                flag: "resync-interval",
                problem: format!(
                    "\"{}\" is not a duration of at least 10s; write for example 1h",
                    flags.resync_interval
                ),
            })?;
        let alias_settle_time =
            DurationString(flags.alias_settle_time.clone()).to_std().ok_or_else(|| ConfigError {
                flag: "alias-settle-time",
                problem: format!("\"{}\" is not a duration; write for example 60s", flags.alias_settle_time),
            })?;
        if !(flags.aws_quota_share > 0.0 && flags.aws_quota_share <= 1000.0) {
            let problem = format!("{} is not above 0 and at most 1000", flags.aws_quota_share);
            return Err(ConfigError { flag: "aws-quota-share", problem });
        }
        if flags.shards > 1 && !flags.leader_elect {
            let problem = format!("{} shards need a Lease each; leave --leader-elect on", flags.shards);
            return Err(ConfigError { flag: "shards", problem });
        }
        let metrics = metrics_serving(flags.metrics_addr, flags.metrics_cert_dir, flags.insecure_metrics)?;
        check_prefix(&flags.name_prefix)?;
        if flags.allowed_audiences.iter().any(String::is_empty) {
            return Err(ConfigError { flag: "allowed-audience", problem: "an audience must not be empty".into() });
        }
        Ok(Self {
            endpoints: Endpoints {
                sts: flags.sts_endpoint_url,
                step_functions: flags.sfn_endpoint_url,
                cloudwatch: flags.cloudwatch_endpoint_url,
                logs: flags.logs_endpoint_url,
                sqs: flags.sqs_endpoint_url,
                iam: flags.iam_endpoint_url,
                cognito_identity,
            },
            cluster_id: flags.cluster_id.filter(|id| !id.is_empty()),
            name_prefix: flags.name_prefix,
            allowed_audiences: flags.allowed_audiences,
            issuers: IssuerSettings {
                cluster: flags.cluster_issuer.filter(|issuer| !issuer.is_empty()),
                allowed: flags.allowed_issuers,
                plain_http: flags.insecure_endpoints,
                private_addresses: flags.allow_private_issuers,
            },
            lockdown: flags.lockdown,
            watch_namespaces: flags.watch_namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
            foreign_owner_tags: flags.foreign_owner_tags.into_iter().filter(|key| !key.is_empty()).collect(),
            alias_settle_time,
            admission_policy_prefix: flags.admission_policy_prefix,
            leader_elect: flags.leader_elect,
            lease_namespace: flags.lease_namespace,
            shards: flags.shards,
            http_addr: flags.http_addr,
            metrics,
            aws_quota_share: flags.aws_quota_share,
            resync_interval,
            otlp_endpoint: flags.otlp_endpoint,
            log_format: flags.log_format,
        })
    }
}

/// Tokens and credentials travel to these addresses, so plain http needs an explicit word.
pub(crate) fn check_endpoint(flag: &'static str, url: Option<&Url>, insecure: bool) -> Result<(), ConfigError> {
    match url.map(Url::scheme) {
        None | Some("https") => Ok(()),
        Some("http") if insecure => Ok(()),
        Some("http") => Err(ConfigError {
            flag,
            problem: "tokens would travel unencrypted; use https, or --insecure-endpoints on a test bed".into(),
        }),
        Some(other) => Err(ConfigError { flag, problem: format!("the scheme \"{other}\" is not https") }),
    }
}

fn metrics_serving(
    address: SocketAddr,
    certificate: Option<PathBuf>,
    insecure: bool,
) -> Result<MetricsServing, ConfigError> {
    // A variable that is set to nothing names no folder.
    let certificate = certificate.filter(|folder| !folder.as_os_str().is_empty());
    match (insecure, certificate) {
        (false, certificate) => Ok(MetricsServing::Guarded { address, certificate }),
        (true, None) => Ok(MetricsServing::Open),
        (true, Some(_)) => Err(ConfigError {
            flag: "metrics-cert-dir",
            problem: "no certificate is used with --insecure-metrics; leave one of the two out".into(),
        }),
    }
}

fn check_issuer(flag: &'static str, issuer: &str, insecure: bool) -> Result<(), ConfigError> {
    let url = issuer.parse().map_err(|_| ConfigError { flag, problem: format!("\"{issuer}\" is not a URL") })?;
    check_endpoint(flag, Some(&url), insecure)
}

/// The prefix becomes part of a state machine's name, and dots there break CloudWatch logging.
fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    let fits = prefix.len() <= 32 && prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if fits {
        return Ok(());
    }
    Err(ConfigError {
        flag: "name-prefix",
        problem: format!("\"{prefix}\" is not at most 32 letters, digits, - and _"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        flags: Flags,
    }

    fn read(args: &[&str]) -> Result<Config, String> {
        let wrapper = Wrapper::try_parse_from([&["stepbound"], args].concat()).map_err(|error| error.to_string())?;
        Config::from_flags(wrapper.flags).map_err(|error| error.to_string())
    }

    /// Requirement 7 of docs/security.md: no STS endpoint in a resource; the flag is https unless in a test bed.
    #[test]
    fn requirement_07_plain_http_needs_an_explicit_word() {
        assert!(read(&["--sts-endpoint-url", "http://127.0.0.1:1"]).unwrap_err().contains("--insecure-endpoints"));
        assert!(read(&["--sfn-endpoint-url", "http://127.0.0.1:1", "--insecure-endpoints"]).is_ok());
        assert!(read(&["--sts-endpoint-url", "file:///x"]).unwrap_err().contains("file"));
    }

    #[test]
    fn an_issuer_must_be_an_address_with_tls() {
        assert!(read(&["--allowed-issuer", "keycloak"]).unwrap_err().contains("not a URL"));
        assert!(read(&["--allowed-issuer", "http://keycloak/realms/a"]).unwrap_err().contains("--insecure-endpoints"));
        let config =
            read(&["--allowed-issuer", "https://a.example/", "--allowed-issuer", "https://b.example"]).unwrap();
        assert_eq!(config.issuers.allowed, ["https://a.example/", "https://b.example"], "kept to the last slash");
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let config = read(&[]).unwrap();
        assert_eq!(config.allowed_audiences, ["sts.amazonaws.com"]);
        assert_eq!(config.resync_interval, Duration::from_secs(3600));
        assert!(config.leader_elect && config.watch_namespaces.is_empty());
        let guarded = MetricsServing::Guarded { address: ([0, 0, 0, 0], 8443).into(), certificate: None };
        assert_eq!(config.metrics, guarded, "metrics are open only where that is asked for");
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        assert!(read(&["--resync-interval", "soon"]).unwrap_err().contains("resync-interval"));
        assert!(read(&["--resync-interval", "1s"]).unwrap_err().contains("at least 10s"));
        assert!(read(&["--aws-quota-share", "0"]).unwrap_err().contains("aws-quota-share"));
        assert!(read(&["--shards", "2", "--leader-elect", "false"]).unwrap_err().contains("--leader-elect on"));
        assert!(read(&["--shards", "0"]).unwrap_err().contains("1..=64") && read(&["--shards", "65"]).is_err());
        let both = read(&["--insecure-metrics", "--metrics-cert-dir", "/tls"]);
        assert!(both.unwrap_err().contains("leave one of the two out"));
        assert!(read(&["--name-prefix", "a.b"]).unwrap_err().contains("name-prefix"));
    }
}
