//! AWS's own verdict: `ValidateStateMachineDefinition`, asked with a token of the job that lints. No credential that lies about
//! is looked at, and the session may do nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;
use zeroize::Zeroize;

use super::report::{Question, Report};
use crate::api::v1alpha1::StateMachineType;
use crate::aws::{
    AwsError, AwsErrorKind, CallQuota, Caller, DefinitionDiagnostic, Epoch, Priority, SdkStepFunctions, StateMachines,
    http_client,
};
use crate::cli::flags;
use crate::cli::out::say;
use crate::config::{ConfigError, Endpoints, check_endpoint};
use crate::iam::document::{Document, Statement};
use crate::iam::partition;
use crate::identity::{Exchanger, IdentityError, SessionKey, WebIdentityToken};

/// The one action that is called and that the session allows.
const ACTION: &str = "states:ValidateStateMachineDefinition";
/// Shortest session that STS gives.
const SESSION_SECONDS: u32 = 900;
/// How often a definition is asked about again where AWS throttles: others in the account ask too.
const ATTEMPTS: u32 = 10;
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Flags of `stepbound lint` about AWS.
#[derive(Debug, clap::Args)]
pub(super) struct AwsFlags {
    /// Ask AWS about every definition too (ValidateStateMachineDefinition): definitions are sent to AWS; nothing is created
    #[arg(long, requires_all = ["role_arn", "web_identity_token_file", "region"])]
    pub(super) aws: bool,
    /// Role to assume for it; it needs states:ValidateStateMachineDefinition and no more
    #[arg(long, value_name = "ARN", requires = "aws", value_parser = flags::role_arn)]
    role_arn: Option<String>,
    /// The job's own OIDC token; no other credential is looked at
    #[arg(long, value_name = "FILE", requires = "aws")]
    web_identity_token_file: Option<PathBuf>,
    /// Region to ask in
    #[arg(long, value_name = "REGION", requires = "aws", value_parser = flags::region)]
    region: Option<String>,
    /// Endpoint of STS instead of AWS's own
    #[arg(long, value_name = "URL", requires = "aws")]
    sts_endpoint_url: Option<Url>,
    /// Endpoint of Step Functions instead of AWS's own
    #[arg(long, value_name = "URL", requires = "aws")]
    sfn_endpoint_url: Option<Url>,
    /// Allow endpoints over plain http, on a test bed: the token travels to them
    #[arg(long, requires = "aws")]
    insecure_endpoints: bool,
}

/// Why AWS could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AwsLintError {
    /// The token cannot be read.
    #[error("cannot read the token in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no token in three parts; write the job's OIDC token into it", .0.display())]
    NoToken(PathBuf),
    /// The token would travel unencrypted.
    #[error(transparent)]
    Endpoint(#[from] ConfigError),
    /// The role's credentials would be good for nothing in the region.
    #[error("{0}; give a role and a region of one partition")]
    OtherPartition(String),
    /// STS gives no session.
    #[error("{0}")]
    Refused(String),
    /// Nothing was decided, and trying again may help.
    #[error("{what}: {source}. {hint}")]
    NoAnswer {
        /// What was not reached or did not answer.
        what: String,
        /// What happened.
        source: AwsError,
        /// What to do.
        hint: &'static str,
    },
    /// AWS does not answer the question.
    #[error("AWS could not be asked about {what}: {source}{hint}")]
    Asked {
        /// Which definition.
        what: String,
        /// What AWS said.
        source: AwsError,
        /// What to do.
        hint: &'static str,
    },
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Answers for the definitions of a report, in its order; `None` for one that cannot be asked about.
type Answers = Vec<Option<Vec<DefinitionDiagnostic>>>;

/// Asks AWS about every definition of the report, after saying so.
pub(super) fn ask(flags: &AwsFlags, report: &Report) -> Result<Answers, AwsLintError> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (role, region) = (text(&flags.role_arn), text(&flags.region));
    if let Some((of_region, of_role)) = partition::differing(&role, &region) {
        return Err(AwsLintError::OtherPartition(format!(
            "--region {region} is of partition {of_region}, but --role-arn {role} is of partition {of_role}"
        )));
    }
    check_endpoint("sts-endpoint-url", flags.sts_endpoint_url.as_ref(), flags.insecure_endpoints)?;
    check_endpoint("sfn-endpoint-url", flags.sfn_endpoint_url.as_ref(), flags.insecure_endpoints)?;
    let token = token(flags.web_identity_token_file.as_deref().unwrap_or(Path::new("")))?;
    let count = report.definitions.iter().filter(|one| one.question.is_some()).count();
    let left = report.definitions.len() - count;
    let sent = if count == 1 { "1 definition is sent".to_owned() } else { format!("{count} definitions are sent") };
    let rest = match left {
        0 => String::new(),
        left => format!("; {left} of {} not, for want of values for names in them or for their size", count + left),
    };
    let note = format!("note: {sent} to AWS Step Functions in {region} as {role} ({ACTION}){rest}");
    if count == 0 {
        say(&note);
        return Ok(vec![None; report.definitions.len()]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(answers(flags, &key(&role, &region), token, report, &note))
}

fn token(path: &Path) -> Result<WebIdentityToken, AwsLintError> {
    let failed = |source| AwsLintError::Read { path: path.to_owned(), source };
    let mut text = std::fs::read_to_string(path).map_err(failed)?;
    let token = WebIdentityToken::given(SecretString::from(text.trim()));
    text.zeroize();
    token.ok_or_else(|| AwsLintError::NoToken(path.to_owned()))
}

async fn answers(
    flags: &AwsFlags,
    key: &SessionKey,
    token: WebIdentityToken,
    report: &Report,
    note: &str,
) -> Result<Answers, AwsLintError> {
    let http = http_client();
    let said = token.claims.told();
    let cause = Arc::default();
    let exchanger = Exchanger::new(http.clone(), flags.sts_endpoint_url.clone());
    let session = exchanger.exchange(key, &cause, token, Timestamp::now()).await;
    let session = session.map_err(|error| no_session(error, &key.role_arn, &said))?;
    say(note);
    let endpoints = Endpoints { step_functions: flags.sfn_endpoint_url.clone(), ..Endpoints::default() };
    let caller = Caller::new(Arc::new(session), &cause);
    let states = SdkStepFunctions::new(http, &endpoints, Arc::default(), 1.0);
    let mut answers = Vec::with_capacity(report.definitions.len());
    for definition in &report.definitions {
        let Some(question) = &definition.question else {
            answers.push(None);
            continue;
        };
        let answer = answer(&states, &caller, question).await;
        let subject = definition.subject.as_ref().map(|subject| format!(", {subject}")).unwrap_or_default();
        answers.push(Some(answer.map_err(|source| unasked(format!("{}{subject}", definition.file), source))?));
    }
    Ok(answers)
}

/// Waits for the quota, of which AWS lets 100 calls through at once and one a second then.
async fn answer(
    states: &SdkStepFunctions,
    caller: &Caller,
    question: &Question,
) -> Result<Vec<DefinitionDiagnostic>, AwsError> {
    let machine_type = if question.express { StateMachineType::Express } else { StateMachineType::Standard };
    let mut left = ATTEMPTS;
    loop {
        tokio::time::sleep(states.quota_wait(caller, ACTION, Priority::Change)).await;
        match states.validate_definition(caller, &question.text, machine_type).await {
            Err(error) if error.kind == AwsErrorKind::Queued => {}
            Err(error) if error.kind == AwsErrorKind::Throttled && left > 0 => {
                left -= 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// A session of the role that may do the one thing.
fn key(role: &str, region: &str) -> SessionKey {
    let policy = Document::new(vec![Statement::allow([ACTION], ["*"])]).to_value().to_string();
    SessionKey {
        namespace: String::new(),
        binding: String::new(),
        binding_uid: String::new(),
        binding_generation: 0,
        service_account: String::new(),
        service_account_uid: String::new(),
        role_arn: role.to_owned(),
        issuer: String::new(),
        provider: None,
        audience: String::new(),
        region: region.to_owned(),
        session_name: "stepbound-lint".into(),
        duration_seconds: SESSION_SECONDS,
        requester: None,
        policy: Some(policy.into()),
        epoch: Epoch::default(),
    }
}

fn no_session(error: IdentityError, role: &str, said: &str) -> AwsLintError {
    match error {
        IdentityError::Exchange(refused) if is_passing(&refused.cause) => no_answer("STS", refused.cause),
        error => AwsLintError::Refused(format!(
            "{error}\n{said}\nThe trust policy of {role} must take this token: `stepbound trust render` writes one, `stepbound trust explain` reads one against the claims."
        )),
    }
}

fn unasked(what: String, source: AwsError) -> AwsLintError {
    if is_passing(&source) {
        return no_answer(&format!("Step Functions, about {what},"), source);
    }
    AwsLintError::Asked { what, hint: hint(&source), source }
}

/// Neither a refusal nor an answer.
fn is_passing(error: &AwsError) -> bool {
    error.is_silence() || matches!(error.kind, AwsErrorKind::Unavailable | AwsErrorKind::Throttled)
}

fn no_answer(whom: &str, source: AwsError) -> AwsLintError {
    let (what, hint) = if source.is_silence() {
        let hint = "Nothing was refused. Look at the network from here: name resolution, proxy and firewall towards the endpoints of STS and Step Functions in this region, or --sts-endpoint-url and --sfn-endpoint-url; then run it again";
        (format!("{whom} was not reached"), hint)
    } else {
        (format!("{whom} has no answer for now"), "Run it again later")
    };
    AwsLintError::NoAnswer { what, source, hint }
}

fn hint(error: &AwsError) -> &'static str {
    match error.kind {
        AwsErrorKind::AccessDenied => ". Allow the role states:ValidateStateMachineDefinition on *",
        AwsErrorKind::SessionExpired => ". The session of 15 minutes was not enough; lint fewer definitions at once",
        _ => "",
    }
}
