//! `kubectl sfn logs RUN`

mod lines;

use std::collections::HashMap;

use clap::Args;
use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use tokio::time::Instant;

use super::await_run::{Seen, at, seen, tell_of_a_silent_operator};
use super::cluster::duration;
use super::kinds::{Kind, name_of};
use super::objects::{Shown, see};
use super::show::tell;
use super::stop::{Why, asked_to_end, say_stopped, unread};
use super::table::printable;
use super::{Cluster, Exit, KubectlError, pause};
use crate::api::v1alpha1::{
    DurationString, EventData, ExecutionDataPage, ExecutionHistory, ExecutionHistoryPage, ExecutionHistorySpec,
    HistoryPhase, LocalRef, WorkflowRun,
};
use crate::cli::out::colour;
use crate::cli::say;

/// The history goes by itself where it cannot be deleted.
const KEPT: &str = "10m";
/// Longest beginning of a generated name: the API server adds five characters, and the operator the number of a page.
const LONGEST: usize = 200;

/// Flags of `kubectl sfn logs`.
#[derive(Debug, Args)]
#[command(
    after_help = "The events are read by the operator, through an ExecutionHistory that is created and deleted again. Seeing inputs and outputs needs the right to get executiondatapages."
)]
pub(super) struct LogsFlags {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Also what went in and out of the states
    #[arg(long)]
    data: bool,
    /// Only events of this state (repeatable)
    #[arg(long = "state", value_name = "NAME")]
    states: Vec<String>,
    /// Go on until the execution has ended
    #[arg(short, long)]
    follow: bool,
    /// Wait no longer than this for the operator, such as 2m; 0 is for ever
    #[arg(long, value_name = "DURATION", default_value = "0")]
    timeout: String,
    /// text: a line an event; json: the same as JSON
    #[arg(short, long, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(flags: &LogsFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let run = name_of(Kind::Run, &flags.run)?;
    let longest = duration("--timeout", &flags.timeout)?;
    let deadline = longest.map(|longest| Instant::now() + longest);
    is_there(&run, cluster).await?;
    // From here on signals are heard, so that no history is left behind.
    let stop = asked_to_end();
    let history = create(flags, cluster, &run).await?;
    let mut waits = Waits::default();
    let answer = tokio::select! {
        read = read(flags, cluster, (&run, &history), &mut waits) => read.map(Ok),
        () = unread() => Err(KubectlError::Unread),
        () = stop => Ok(Err(Why::Signal)),
        () = at(deadline) => Ok(Err(Why::After(longest.unwrap_or_default()))),
    };
    delete(cluster, &history).await;
    match answer {
        Ok(Ok(exit)) => Ok(exit),
        Ok(Err(why)) => {
            let follow = if flags.follow { " --follow" } else { "" };
            let next = format!("See it again: {}", cluster.command(&format!("logs {run}{follow}")));
            say_stopped(why, &waits.standing(&run), &next);
            Ok(Exit::GoesOn)
        }
        // Its code says nothing of the run, and whoever reads has what they wanted.
        Err(KubectlError::Unread) => Ok(Exit::Done),
        Err(error) => Err(error),
    }
}

/// Why there is nothing to read yet.
#[derive(Default)]
struct Waits {
    run: pause::Told,
    history: pause::Told,
}

impl Waits {
    fn standing(&self, run: &str) -> String {
        if self.run.is_waiting() {
            return self.run.standing(run);
        }
        format!("the history of WorkflowRun \"{run}\" was not read to its end")
    }
}

/// A history of a run that is not there would wait for it. Whoever may read histories need not be allowed to see runs.
async fn is_there(run: &str, cluster: &Cluster) -> Result<(), KubectlError> {
    match see::<WorkflowRun>(cluster, run).await? {
        Shown::Missing => cluster.get::<WorkflowRun>(run).await.map(drop),
        Shown::There(_) | Shown::Hidden(_) => Ok(()),
    }
}

async fn create(flags: &LogsFlags, cluster: &Cluster, run: &str) -> Result<String, KubectlError> {
    let spec = ExecutionHistorySpec {
        workflow_run_ref: LocalRef { name: run.to_owned() },
        follow: flags.follow,
        include_data: flags.data,
        states: flags.states.clone(),
        ttl_after_finished: DurationString(KEPT.to_owned()),
    };
    // Names of objects are of ASCII alone.
    let begin = run[..run.len().min(LONGEST)].trim_end_matches(['-', '.']);
    let metadata = ObjectMeta { generate_name: Some(format!("{begin}-")), ..ObjectMeta::default() };
    let history = ExecutionHistory { metadata, spec, status: None };
    let data = if flags.data { " with inputs and outputs" } else { "" };
    let asked = format!("ask for the history of run \"{run}\"{data} in namespace \"{}\"", cluster.namespace);
    let created = cluster.api::<ExecutionHistory>().create(&PostParams::default(), &history).await;
    Ok(created.map_err(|error| KubectlError::of(&asked, error))?.name_any())
}

/// Whoever may create histories need not have the right to delete them, and the operator deletes this one in a while.
async fn delete(cluster: &Cluster, history: &str) {
    let deleted = cluster.api::<ExecutionHistory>().delete(history, &DeleteParams::background()).await;
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => {
            say(&format!("note: ExecutionHistory \"{history}\" is left, and goes {KEPT} after it was read: {error}"));
        }
        Ok(_) => {}
    }
}

async fn read(
    flags: &LogsFlags,
    cluster: &Cluster,
    (run, history): (&str, &str),
    waits: &mut Waits,
) -> Result<Exit, KubectlError> {
    let asked = format!("watch ExecutionHistory \"{history}\" in namespace \"{}\"", cluster.namespace);
    let mut changes = std::pin::pin!(seen::<ExecutionHistory>(cluster.api(), history));
    let mut runs = std::pin::pin!(seen::<WorkflowRun>(cluster.api(), run));
    let mut silence = std::pin::pin!(tell_of_a_silent_operator(cluster));
    let mut reader = Reader { flags, cluster, history, page: 1, last: 0, printed: 0 };
    let (mut is_told, mut is_seen) = (false, true);
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            run = runs.next(), if is_seen => {
                match run {
                    Some(Ok(Seen::Is(run))) => waits.run.look(&run),
                    // What it waits for is all that is wanted of it: the history tells the rest.
                    _ => is_seen = false,
                }
                continue;
            }
            () = &mut silence, if !is_told => {
                is_told = true;
                continue;
            }
        };
        let Some(change) = change else { return Ok(Exit::GoesOn) };
        let Seen::Is(object) = change.map_err(|error| KubectlError::of(&asked, error))? else {
            let gone = format!("ExecutionHistory \"{history}\" was deleted before it was read; ask again");
            return Err(KubectlError::Refused(gone));
        };
        let status = object.status.unwrap_or_default();
        reader.take_in(status.pages.unwrap_or_default()).await?;
        match status.phase.unwrap_or_default() {
            HistoryPhase::Pending | HistoryPhase::Reading => {
                waits.history.tell("The history", pause::history_waits_for(&status));
            }
            HistoryPhase::Complete => {
                reader.told(status.omitted_bytes.unwrap_or_default());
                return Ok(Exit::Done);
            }
            HistoryPhase::Failed => {
                let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
                let why = ready.map_or_else(String::new, |one| format!(": {}: {}", one.reason, one.message));
                return Err(KubectlError::Refused(printable(&format!("the history cannot be read{why}"))));
            }
        }
    }
}

/// What was printed so far.
struct Reader<'a> {
    flags: &'a LogsFlags,
    cluster: &'a Cluster,
    history: &'a str,
    /// The page that may still grow.
    page: i64,
    /// Id of the last event that was printed.
    last: i64,
    printed: usize,
}

impl Reader<'_> {
    /// Prints what is new on the pages. The last one may grow while the execution is followed.
    async fn take_in(&mut self, pages: i64) -> Result<(), KubectlError> {
        while self.page <= pages {
            self.print(self.page).await?;
            if self.page == pages {
                break;
            }
            self.page += 1;
        }
        Ok(())
    }

    async fn print(&mut self, number: i64) -> Result<(), KubectlError> {
        let name = format!("{}-{number}", self.history);
        let asked = format!("get ExecutionHistoryPage \"{name}\"");
        let page = self.cluster.api::<ExecutionHistoryPage>().get(&name).await;
        let page = page.map_err(|error| KubectlError::of(&asked, error))?;
        let mut data: HashMap<i64, EventData> = HashMap::new();
        if self.flags.data {
            let asked = format!("get ExecutionDataPage \"{name}\", which has the inputs and outputs");
            let found = self.cluster.api::<ExecutionDataPage>().get_opt(&name).await;
            let found = found.map_err(|error| KubectlError::of(&asked, error))?;
            data.extend(found.into_iter().flat_map(|page| page.spec.data).map(|one| (one.id, one)));
        }
        let mut text = String::new();
        for event in page.spec.events.iter().filter(|event| event.id > self.last) {
            let data = data.get(&event.id);
            text.push_str(&match self.flags.output {
                Format::Text => lines::text(event, data, colour()),
                Format::Json => lines::json(event, data),
            });
            self.printed += 1;
        }
        self.last = page.spec.events.iter().map(|event| event.id).max().unwrap_or(0).max(self.last);
        if text.is_empty() { Ok(()) } else { tell(&text) }
    }

    /// What the events do not tell.
    fn told(&self, omitted: i64) {
        if self.printed == 0 {
            let of = if self.flags.states.is_empty() { "" } else { " of these states" };
            say(&format!("note: the execution has no events{of}"));
        }
        if omitted > 0 {
            say(&format!(
                "note: {omitted} bytes are left out: a history keeps 4 MiB. Narrow it with --state, or leave --data out"
            ));
        }
    }
}
