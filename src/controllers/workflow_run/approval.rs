//! Four eyes: a start that needs somebody else's approval waits for it here, and starts as just what was approved. While it waits
//! it takes no slot, and AWS is not asked.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Resource, ResourceExt};

use super::result::Run;
use super::session::Looks;
use super::{calls, input};
use crate::api::v1alpha1::{
    Approval, ApprovalRequest, ApprovalSpec, Attempt, AttemptCause, FIELD_MANAGER, Phase, REQUESTED_BY, RunApproval,
    Workflow, WorkflowRun, WrittenTime,
};
use crate::controllers::authorization::Authorization;
use crate::controllers::guardrails;
use crate::controllers::named::named;
use crate::controllers::runner::{Done, fenced, publish};
use crate::digest::sha256_hex;
use crate::iam::binding_role::session::Purpose;
use crate::kube::api_failure;
use crate::kube::events::EventType;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::approval::{self, Asking, Decided, Described, Known, Needed};
use crate::plan::guardrail::{self, Rule, Runs};
use crate::plan::run::{execution_arn, machine_name};
use crate::reason::Reason;

/// A start that needs an approval.
pub(super) struct Asks {
    needed: Needed,
    attempt: i64,
    known: Known,
    alias_arn: Option<String>,
    /// The input, where it stands in the run.
    input: Option<String>,
    execution_arn: Option<String>,
    found: Found,
}

/// What the API server has of it.
enum Found {
    /// Nothing yet, or something that stands for nothing any more, and why.
    Nothing(Option<String>),
    /// Somebody has approved it.
    Approved(Box<ApprovalRequest>, String),
}

/// A start that was approved.
pub(super) struct Approved {
    /// Who approved it.
    pub(super) by: String,
    /// Who asked for it.
    pub(super) requester: String,
    /// The version that was approved.
    pub(super) target_arn: String,
    /// The alias by which it was chosen.
    pub(super) alias_arn: Option<String>,
}

/// How an approval that was asked for ended without a start.
pub(super) type Refused = (Reason, String);

/// What becomes of a start for now.
pub(super) enum Held {
    /// It waits.
    Waits(Done),
    /// It is not to be.
    Refused(Refused),
}

impl Held {
    /// The same of a first start, which ends with it.
    pub(super) async fn of_start(self, run: &mut Run<'_>) -> Result<Done, Failure> {
        match self {
            Self::Waits(done) => Ok(done),
            Self::Refused((reason, message)) => {
                withdraw(run).await?;
                Ok(run.ends_unstarted(Phase::Failed, reason, &message))
            }
        }
    }
}

/// Looks whether the first start needs an approval, and has it, before anything else is asked of AWS.
pub(super) async fn first(
    run: &mut Run<'_>,
    workflow: &Workflow,
    binding: &Authorization,
    target_arn: &str,
    rules: &[Rule],
) -> Result<ControlFlow<Held, Option<Asks>>, Failure> {
    let Some(needed) = approval::needed(Some(workflow), rules) else {
        // One that is needed no more waits for nobody.
        withdraw(run).await?;
        return Ok(ControlFlow::Continue(None));
    };
    let aliases = workflow.status.as_ref().map(|status| status.aliases.as_slice()).unwrap_or_default();
    let (version, alias_arn) = approval::version(target_arn, aliases)?;
    let text = input::read(run).await?;
    let requester = run.ctx.attribution.stamped(&**run, REQUESTED_BY).await?;
    let known = Known {
        requester,
        input_digest: sha256_hex(text.as_bytes()),
        target_arn: version,
        binding_uid: binding.binding.uid().unwrap_or_default(),
        policy_revision: String::new(),
    };
    let input = run.spec.input_from.is_none().then_some(text);
    look(run, Asks { needed, attempt: 1, known, alias_arn, input, execution_arn: None, found: Found::Nothing(None) })
        .await
}

/// The same of a redrive that somebody asked for.
pub(super) async fn redrive(
    run: &mut Run<'_>,
    workflow: Option<&Workflow>,
    looks: &Looks,
    attempt: &Attempt,
) -> Result<ControlFlow<Held, Option<Asks>>, Failure> {
    let rules = guardrails::rules(run.ctx, &run.namespace()).await?;
    let Some(needed) = approval::needed(workflow, &rules) else { return Ok(ControlFlow::Continue(None)) };
    let arn = run.known().execution_arn.unwrap_or_else(|| execution_arn(attempt));
    let known = Known {
        requester: attempt.requested_by.clone(),
        input_digest: attempt.input_digest.clone(),
        target_arn: redriven_version(run, looks, attempt, &arn).await?,
        binding_uid: looks.binding.binding.uid().unwrap_or_default(),
        policy_revision: String::new(),
    };
    let inline = run.spec.input.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    let input = (run.spec.input_from.is_none() && input::is_of(&inline, attempt)).then_some(inline);
    let (number, alias_arn) = (attempt.number, attempt.alias_arn.clone());
    look(
        run,
        Asks {
            needed,
            attempt: number,
            known,
            alias_arn,
            input,
            execution_arn: Some(arn),
            found: Found::Nothing(None),
        },
    )
    .await
}

/// The version of an execution, which never changes: of what was asked for it is known.
async fn redriven_version(run: &Run<'_>, looks: &Looks, attempt: &Attempt, arn: &str) -> Result<String, Failure> {
    if Runs::of(&attempt.target_arn).is_some_and(|runs| runs.version.is_some()) {
        return Ok(attempt.target_arn.clone());
    }
    if let Some(asked) = asked(run, attempt.number).await? {
        return Ok(asked.spec.request.target_arn);
    }
    let shown = calls::describe(run.ctx, &looks.caller, arn).await?;
    shown.and_then(|shown| shown.version_arn.clone()).ok_or_else(|| {
        let Failure { class, reason, message } = approval::needs_version(arn);
        Failure::new(if class == Class::Waiting { Class::Terminal } else { class }, reason, message)
    })
}

/// Reads what the API server has, and decides as far as that goes without AWS.
async fn look(run: &mut Run<'_>, mut asks: Asks) -> Result<ControlFlow<Held, Option<Asks>>, Failure> {
    let enforced = run.ctx.attribution.approvals().await?.map_err(|why| approval::not_enforced(&why))?;
    let has_settled = enforced.has_settled(Timestamp::now());
    asks.known.policy_revision = enforced.revision;
    let Some(approval) = asked(run, asks.attempt).await? else {
        let gone = run.known().approval.filter(|asked| asked.attempt == asks.attempt);
        asks.found = Found::Nothing(gone.map(|_| "it was deleted before anything started".to_owned()));
        if !has_settled {
            return Err(approval::not_enforced("its admission policy was written less than a minute ago"));
        }
        return Ok(ControlFlow::Continue(Some(asks)));
    };
    if let Some(why) = approval::changed(&approval.spec.request, &asks.known) {
        asks.found = Found::Nothing(Some(why));
        return Ok(ControlFlow::Continue(Some(asks)));
    }
    match approval::decided(&approval, Timestamp::now()) {
        Decided::Waits => Ok(ControlFlow::Break(Held::Waits(wait(run, &asks.needed, &approval.spec.request)))),
        Decided::Ends(reason, message) => Ok(ControlFlow::Break(Held::Refused((reason, message)))),
        Decided::Approved(by) => {
            asks.found = Found::Approved(Box::new(approval.spec.request), by);
            Ok(ControlFlow::Continue(Some(asks)))
        }
        Decided::Void(why) => {
            asks.found = Found::Nothing(Some(why));
            Ok(ControlFlow::Continue(Some(asks)))
        }
    }
}

/// Lets it pass as what was approved, or asks for an approval: all else that it needs is there by now.
pub(super) async fn pass(
    run: &mut Run<'_>,
    asks: Option<Asks>,
    binding: &Authorization,
) -> Result<ControlFlow<Done, Option<Approved>>, Failure> {
    let Some(asks) = asks else { return Ok(ControlFlow::Continue(None)) };
    let void = match &asks.found {
        Found::Nothing(why) => why.clone(),
        Found::Approved(request, by) => {
            let described = describe(run, binding, &request.target_arn).await?;
            let Some(why) = approval::described_changed(request, &described) else {
                let Known { target_arn, .. } = asks.known;
                let (by, requester, alias_arn) = (by.clone(), request.requester.clone(), asks.alias_arn);
                return Ok(ControlFlow::Continue(Some(Approved { by, requester, target_arn, alias_arn })));
            };
            Some(why)
        }
    };
    ask(run, &asks, binding, void).await.map(ControlFlow::Break)
}

/// Asks for one, in the place of one that is void.
async fn ask(run: &mut Run<'_>, asks: &Asks, binding: &Authorization, void: Option<String>) -> Result<Done, Failure> {
    let Some(requester) = asks.known.requester.clone() else {
        return Err(approval::requester_unknown(&asks.needed.asked_by));
    };
    let described = describe(run, binding, &asks.known.target_arn).await?;
    let (name, uid) = (run.name_any(), run.uid());
    let approval_name = approval::approval_name(&name, &uid, asks.attempt);
    remove(run, &approval_name).await?;
    let now = Timestamp::now();
    let asking = Asking {
        run_name: &name,
        run_uid: &uid,
        attempt: asks.attempt,
        execution_arn: asks.execution_arn.clone(),
        input: asks.input.as_deref(),
        input_from: run.spec.input_from.as_ref().map(|from| from.config_map_key_ref.clone()),
    };
    let expires_at = approval::expiry(&asks.needed, now);
    let request = approval::request(asking, requester, &asks.known, described, expires_at);
    let created = create(run, approval_name, request.clone()).await?;
    run.asks_approval(RunApproval {
        name: created.name_any(),
        uid: created.uid().unwrap_or_default(),
        attempt: asks.attempt,
        expires_at: request.expires_at.clone(),
        void_before: void.clone(),
    });
    run.write().await?;
    if let Some(why) = void {
        let note = format!("The approval that was asked for before is void: {why}. Another one is asked for.");
        publish(&**run, EventType::Warning, Reason::ApprovalVoid, &note, run.ctx).await;
    }
    let done = wait(run, &asks.needed, &request);
    let message = run.known().approval.map(|asked| approval::waits(&asked, &request.requester, &asks.needed.asked_by));
    publish(&**run, EventType::Normal, Reason::WaitingForApproval, &message.unwrap_or_default(), run.ctx).await;
    Ok(done)
}

/// Says what it waits for, lets others pass, and is woken by a change of the Approval or when it expires.
fn wait(run: &mut Run<'_>, needed: &Needed, request: &ApprovalRequest) -> Done {
    run.ctx.watches.step_aside(run);
    run.ctx.watches.give_slot_back(run);
    let over = run.is_over();
    if let Some(asked) = run.known().approval.filter(|_| !over) {
        run.waits(Reason::WaitingForApproval, &approval::waits(&asked, &request.requester, &needed.asked_by));
    }
    let deadline = run.spec.start_deadline.as_ref().and_then(WrittenTime::read);
    let until = deadline.map_or(request.expires_at.0, |deadline| deadline.min(request.expires_at.0));
    let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    Done { release: over, ..Done::again(Requeue::After(left.saturating_add(JUST_AFTER))) }
}

/// A timer that comes too early would only look twice.
const JUST_AFTER: Duration = Duration::from_millis(10);

/// The very Approval that the run has asked for, for this attempt, as the API server has it now.
async fn asked(run: &Run<'_>, attempt: i64) -> Result<Option<Approval>, Failure> {
    let Some(asked) = run.known().approval.filter(|asked| asked.attempt == attempt) else { return Ok(None) };
    let found = named::<Approval>(run.ctx, &run.namespace(), &asked.name).await?;
    Ok(found.filter(|found| approval::is_asked(found, &asked, &run.uid())))
}

/// What AWS shows of a version.
async fn describe(run: &Run<'_>, binding: &Authorization, version_arn: &str) -> Result<Described, Failure> {
    let caller = binding.session(run.ctx, run.cause(), &Purpose::Observe(machine_name(version_arn))).await?;
    let shown = run.ctx.state_machines.describe_state_machine(&caller, version_arn).await?;
    let shown = shown.ok_or_else(|| guardrail::unknown(version_arn, "AWS shows no such version"))?;
    let definition = serde_json::from_str(&shown.definition);
    let definition = definition.map_err(|_| guardrail::unknown(version_arn, "AWS does not show its definition"))?;
    let runs_as = guardrail::runs_as(&shown.role_arn, &definition, false);
    Ok(Described {
        definition_hash: sha256_hex(shown.definition.as_bytes()),
        execution_role_arn: runs_as.execution_role_arn,
        step_role_arns: runs_as.steps.unwrap_or_default().role_arns,
    })
}

fn api(run: &Run<'_>) -> Api<Approval> {
    Api::namespaced(run.ctx.client.clone(), &run.namespace())
}

async fn create(run: &Run<'_>, name: String, request: ApprovalRequest) -> Result<Approval, Failure> {
    fenced(run.ctx)?;
    let owner = WorkflowRun::controller_owner_ref(&**run, &()).map(|mut owner| {
        // A run is not held by what waits for it.
        owner.block_owner_deletion = None;
        vec![owner]
    });
    let metadata = ObjectMeta { name: Some(name), owner_references: owner, ..ObjectMeta::default() };
    let approval = Approval { metadata, spec: ApprovalSpec { request, decision: None } };
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match api(run).create(&parameters, &approval).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Err(Failure::new(Class::Conflict, Reason::Conflict, "the Approval of before is still there"))
        }
        created => created.map_err(|error| api_failure(&error)),
    }
}

/// Takes away what has the name of an Approval that is asked for anew. What the watch has shown may be older than what was asked
/// for last, which is then left alone.
async fn remove(run: &Run<'_>, name: &str) -> Result<(), Failure> {
    let Some(found) = named::<Approval>(run.ctx, &run.namespace(), name).await? else { return Ok(()) };
    run.is_current().await?;
    delete(run, &found).await
}

async fn delete(run: &Run<'_>, found: &Approval) -> Result<(), Failure> {
    fenced(run.ctx)?;
    let only_this = Preconditions { uid: found.uid(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    match api(run).delete(&found.name_any(), &parameters).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(api_failure(&error)),
        Ok(_) => Ok(()),
    }
}

/// Takes back what was asked for and nobody has decided: nobody is to decide what is not to start any more.
pub(super) async fn withdraw(run: &mut Run<'_>) -> Result<(), Failure> {
    let Some(known) = run.known().approval else { return Ok(()) };
    match asked(run, known.attempt).await? {
        Some(found) if found.spec.decision.is_none() => {
            run.is_current().await?;
            delete(run, &found).await
        }
        _ => Ok(()),
    }
}

/// Whether a recorded start or redrive still has the approval that it needs. What `spec.retry` begins needs none.
pub(super) async fn still(
    run: &Run<'_>,
    workflow: Option<&Workflow>,
    rules: &[Rule],
    binding: &Authorization,
    attempt: &Attempt,
) -> Result<(), Failure> {
    let is_asked_for = matches!(attempt.cause, AttemptCause::Run | AttemptCause::Asked);
    let Some(needed) = approval::needed(workflow, rules).filter(|_| is_asked_for) else { return Ok(()) };
    let void = |why: &str| {
        let message = format!(
            "{} wants an approval of what was recorded to be started, and there is none that counts: {why}. Nothing is started. Cancel the run and create another one.",
            needed.asked_by
        );
        Failure::new(Class::Waiting, Reason::ApprovalVoid, message)
    };
    let enforced = run.ctx.attribution.approvals().await?.map_err(|why| approval::not_enforced(&why))?;
    let Some(approval) = asked(run, attempt.number).await? else { return Err(void("it is gone")) };
    let request = &approval.spec.request;
    let is_redrive = attempt.cause == AttemptCause::Asked;
    let known = Known {
        requester: attempt.requested_by.clone(),
        input_digest: attempt.input_digest.clone(),
        target_arn: if is_redrive { request.target_arn.clone() } else { attempt.target_arn.clone() },
        binding_uid: binding.binding.uid().unwrap_or_default(),
        policy_revision: enforced.revision,
    };
    if let Some(why) = approval::changed(request, &known) {
        return Err(void(&why));
    }
    match approval::decided(&approval, Timestamp::now()) {
        Decided::Approved(_) => {}
        Decided::Ends(reason, message) => return Err(Failure::new(Class::Terminal, reason, message)),
        Decided::Void(why) => return Err(void(&why)),
        Decided::Waits => return Err(void("nobody has decided it")),
    }
    let described = describe(run, binding, &request.target_arn).await?;
    approval::described_changed(request, &described).map_or(Ok(()), |why| Err(void(&why)))
}

/// Says to everybody who looks at the run by whom it was let go.
pub(super) async fn tell(run: &Run<'_>, approved: Option<&Approved>) {
    let Some(Approved { by, requester, .. }) = approved else { return };
    let note = format!("{by} has approved what {requester} asked for.");
    publish(&**run, EventType::Normal, Reason::ApprovalGranted, &note, run.ctx).await;
}
