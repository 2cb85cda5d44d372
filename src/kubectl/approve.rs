//! `kubectl sfn approve` and `kubectl sfn deny`

mod find;
mod text;

use std::io::{BufRead, IsTerminal, Write};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use super::approvals::{Against, Input, barred, decide, decision, input, past, refused, whoami};
use super::objects::{Shown, see};
use super::show::{self, print};
use super::table::printable;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Approval, Verdict, WorkflowRun};
use crate::cli::out::say;

/// Flags of `kubectl sfn approve`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is approved is shown first: who asks, what will run and as which roles, the whole input. Its digest is computed from what is shown."
)]
pub(super) struct ApproveFlags {
    #[command(flatten)]
    decides: DecideFlags,
    /// Approve although the input may not be shown to you
    #[arg(long)]
    unseen_input: bool,
}

/// Flags of `kubectl sfn deny`.
#[derive(Debug, Args)]
#[command(after_help = "What is denied is shown first. The run ends as Failed, and nothing of it is started.")]
pub(super) struct DenyFlags {
    #[command(flatten)]
    decides: DecideFlags,
}

/// Flags of both.
#[derive(Debug, Args)]
struct DecideFlags {
    /// The WorkflowRun that waits; or its Approval, as in approval/NAME
    #[arg(value_name = "RUN|APPROVAL")]
    what: String,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// Decide this alone, which was looked at before, and nothing that was asked for since
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Show all of an input that is long
    #[arg(long)]
    whole_input: bool,
    /// Decide nothing: show what is to be decided, or ask the API server whether it would take the decision
    #[arg(long, value_enum, default_value_t = DryRun::None, num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: DryRun,
    /// How the decided Approval is printed; what is decided is shown on standard error then
    #[arg(short, long)]
    output: Option<Printed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Write the decision
    None,
    /// Write nothing
    Client,
    /// Ask the API server, which keeps nothing of it
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// The Approval as JSON
    Json,
    /// The Approval as YAML
    Yaml,
    /// Its `kind/name`
    Name,
}

pub(super) async fn approve(flags: &ApproveFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    run(&flags.decides, Verdict::Approved, flags.unseen_input, cluster).await
}

pub(super) async fn deny(flags: &DenyFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    // What is not seen need not start.
    run(&flags.decides, Verdict::Denied, true, cluster).await
}

/// The verb of a verdict.
fn verb(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approve",
        Verdict::Denied => "deny",
    }
}

async fn run(flags: &DecideFlags, verdict: Verdict, unseen: bool, cluster: &Cluster) -> Result<Exit, KubectlError> {
    if flags.dry_run == DryRun::None && !flags.yes && !can_ask() {
        return Err(KubectlError::Usage(
            "there is no terminal to ask whether it is meant. Look at it with --dry-run=client, and decide just that with --digest DIGEST --yes".into(),
        ));
    }
    let found = find::find(cluster, &flags.what).await?;
    let approval = &found.approval;
    let name = approval.name_any();
    if approval.spec.decision.as_ref().is_some_and(|decided| decided.verdict == verdict) {
        return already(flags, cluster, &found);
    }
    let user = whoami(&cluster.client).await?;
    let run = match see::<WorkflowRun>(cluster, &approval.spec.request.run_name).await? {
        Shown::There(run) => Some(*run),
        Shown::Missing | Shown::Hidden(_) => None,
    };
    let asked = format!("{} Approval \"{name}\"", verb(verdict));
    if let Some(against) = barred(approval, run.as_ref(), &user, Timestamp::now()) {
        return Err(told(cluster, &asked, &against));
    }
    let input = input(&cluster.client, &cluster.namespace, &approval.spec.request, run.as_ref()).await;
    let input = input.map_err(|error| KubectlError::of(&format!("{asked}, whose input is not to be read"), error))?;
    let shown = text::Text { approval, run: run.as_ref(), input: &input, whole: flags.whole_input };
    show_first(flags, &shown.text(&cluster.namespace, Timestamp::now()))?;
    is_what_was_seen(flags, approval, &input, unseen).map_err(|why| told(cluster, &asked, &why))?;
    let patch = decision(approval, verdict, &user);
    if flags.dry_run == DryRun::Client {
        printed(flags, &would_be(&found.object, &patch), verdict, " (dry run)")?;
        let next = format!("{} approval/{name} --digest {} --yes", verb(verdict), approval.spec.request.digest);
        say(&format!("Next: {}", cluster.command(&next)));
        return Ok(Exit::Done);
    }
    if flags.dry_run == DryRun::None && !flags.yes && !is_meant(verdict, approval)? {
        return Err(KubectlError::Refused(format!("nothing was decided: Approval \"{name}\" still waits")));
    }
    let is_dry = flags.dry_run == DryRun::Server;
    let decided = decide(&cluster.client, &cluster.namespace, approval, &patch, is_dry).await;
    let decided = match decided {
        Ok(decided) => decided,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) && KubectlError::is_of_an_object(&status) => {
            return Err(find::meanwhile(cluster, &asked, approval).await);
        }
        Err(error) => return Err(refused(&asked, error)),
    };
    printed(flags, &decided, verdict, if is_dry { " (server dry run)" } else { "" })?;
    if !is_dry && flags.output.is_none() {
        let next = if verdict == Verdict::Approved { "watch" } else { "get" };
        say(&format!("Next: {}", cluster.command(&format!("{next} {}", approval.spec.request.run_name))));
    }
    Ok(Exit::Done)
}

/// Somebody has decided the same.
fn already(flags: &DecideFlags, cluster: &Cluster, found: &find::Found) -> Result<Exit, KubectlError> {
    let Some(decision) = &found.approval.spec.decision else { return Ok(Exit::Done) };
    let how = format!(" already, by {}; nothing is changed", printable(&decision.by));
    printed(flags, &found.object, decision.verdict, &how)?;
    say(&format!("Next: {}", cluster.command(&format!("get {}", found.approval.spec.request.run_name))));
    Ok(Exit::Done)
}

fn told(cluster: &Cluster, asked: &str, against: &Against) -> KubectlError {
    let next = against.next.as_ref().map(|next| format!(". Next: {}", cluster.command(next))).unwrap_or_default();
    KubectlError::Refused(format!("cannot {asked}: {}{next}", printable(&against.why)))
}

/// Whether what is decided is what was shown, or what was looked at before.
fn is_what_was_seen(flags: &DecideFlags, approval: &Approval, input: &Input, unseen: bool) -> Result<(), Against> {
    let no = |why: String| Err(Against { why, next: None });
    let digest = &approval.spec.request.digest;
    if flags.digest.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(digest)) {
        return no(format!(
            "its digest is {digest} and not the one of --digest: it is another than the one that was looked at. Look at this one"
        ));
    }
    match input {
        Input::Is(_) => Ok(()),
        Input::Unseen(_) if unseen => Ok(()),
        Input::Unseen(why) => no(format!(
            "its input cannot be shown to you: {why}. Let somebody decide who may see it, or decide without: --unseen-input"
        )),
        Input::Differs(why) => no(format!("of its input, {why}. The operator asks for another approval")),
    }
}

/// Whoever reads the Approval itself gets that alone on standard output.
fn show_first(flags: &DecideFlags, text: &str) -> Result<(), KubectlError> {
    if flags.output.is_none() {
        return print(&format!("{text}\n"));
    }
    say(text);
    Ok(())
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks; everything but a yes is a no.
fn is_meant(verdict: Verdict, approval: &Approval) -> Result<bool, KubectlError> {
    let (act, by) = (verb(verdict), printable(&approval.spec.request.requester));
    let mut act = act.to_owned();
    act[..1].make_ascii_uppercase();
    let mut error = std::io::stderr().lock();
    // Where the question cannot be written nobody answers it.
    let asked = write!(error, "{act} what {by} asks for? [y/N] ").and_then(|()| error.flush());
    asked.map_err(KubectlError::Write)?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| KubectlError::Usage(format!("cannot read the answer: {error}; decide with --yes")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The object as it would be.
fn would_be(object: &DynamicObject, patch: &Value) -> DynamicObject {
    let mut object = object.clone();
    if let Some(decision) = patch.pointer("/spec/decision") {
        object.data["spec"]["decision"] = decision.clone();
    }
    object
}

fn printed(flags: &DecideFlags, object: &DynamicObject, verdict: Verdict, how: &str) -> Result<(), KubectlError> {
    let name = show::name("Approval", object);
    match flags.output {
        Some(Printed::Json) => print(&show::json(&show::value(object)?)),
        Some(Printed::Yaml) => print(&show::yaml(&show::value(object)?)?),
        Some(Printed::Name) => print(&format!("{name}\n")),
        None => print(&format!("{name} {}{how}\n", past(verdict))),
    }
}
