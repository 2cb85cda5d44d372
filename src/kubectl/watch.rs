//! `kubectl sfn watch`

mod definition;
mod history;
mod news;
mod picture;
mod screen;

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use futures::future::Either;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::{Instant, sleep};

use super::await_run::{Goal, Seen, at, gone, left, reached, seen, tell_of_a_silent_operator, unseen};
use super::cluster::duration;
use super::ended::ended;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{ExecutionHistory, HistoryPhase, WorkflowRun};
use crate::cli::out::{can_draw, colour, say};
use history::Followed;
use news::Told;
use picture::Scene;
use screen::Screen;

/// So long after a run's end its last states are waited for.
const LAST_STATES: Duration = Duration::from_secs(10);
/// How often a picture shows how long a state has taken.
const TICK: Duration = Duration::from_secs(1);

/// Flags of `kubectl sfn watch`.
#[derive(Debug, Args)]
pub(super) struct WatchFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    /// How long at most, such as 10m; 0 is for ever
    #[arg(long, value_name = "DURATION", default_value = "0")]
    timeout: String,
}

pub(super) async fn run(flags: &WatchFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let longest = duration("--timeout", &flags.timeout)?;
    follow(cluster, &flags.run, longest).await
}

/// Shows a run to its end.
pub(super) async fn follow(cluster: &Cluster, name: &str, longest: Option<Duration>) -> Result<Exit, KubectlError> {
    let run = cluster.typed::<WorkflowRun>(name).await?;
    let name = run.name_any();
    let (flow, history) = if reached(&run, Goal::Finished).is_some() {
        let told = super::get::followed(&name, cluster).await;
        let mut view = View::new(Scene::new(run.clone(), definition::flow(&run, cluster).await));
        view.scene.followed = told;
        known(view.show(), Some(Exit::Done))?;
        view.leave()?;
        ended(&run, cluster)?;
        return Ok(reached(&run, Goal::Finished).unwrap_or(Exit::Done));
    } else if can_draw() {
        (definition::flow(&run, cluster).await, Followed::begin(&name, cluster).await)
    } else {
        (None, Followed::begin(&name, cluster).await)
    };
    let mut view = View::new(Scene::new(run, flow));
    let exit = watched(cluster, &name, history.as_ref(), longest, &mut view).await;
    if let Some(history) = history {
        history.end(cluster).await;
    }
    let exit = exit?;
    if exit != Exit::GoesOn {
        view.leave()?;
        ended(&view.scene.run, cluster)?;
    }
    Ok(exit)
}

async fn watched(
    cluster: &Cluster,
    name: &str,
    history: Option<&Followed>,
    longest: Option<Duration>,
    view: &mut View,
) -> Result<Exit, KubectlError> {
    let mut runs = pin!(seen(cluster.api::<WorkflowRun>(), name));
    let mut histories = pin!(stories(cluster, history));
    let mut silence = pin!(tell_of_a_silent_operator(cluster));
    let mut stop = pin!(tokio::signal::ctrl_c());
    let deadline = longest.map(|longest| Instant::now() + longest);
    let (mut is_told, mut is_followed) = (false, history.is_some());
    // Once the run has ended: how, and until when its last states are waited for.
    let mut over: Option<(Exit, Instant)> = None;
    view.show()?;
    loop {
        tokio::select! {
            one = runs.next() => match one {
                Some(Ok(Seen::Is(run))) => {
                    over = reached(&run, Goal::Finished).map(|exit| (exit, Instant::now() + LAST_STATES));
                    view.scene.run = *run;
                }
                Some(Ok(Seen::Gone)) | None => return Err(gone(cluster, name)),
                Some(Err(error)) => return Err(unseen(cluster, name, error)),
            },
            one = histories.next(), if is_followed => match one {
                Some(Ok(Seen::Is(history))) => is_followed = view.take(&history),
                Some(Ok(Seen::Gone)) | None => is_followed = view.note("nobody follows them any more"),
                Some(Err(error)) => is_followed = view.note(&error.to_string()),
            },
            () = sleep(TICK), if view.is_live() => {}
            () = &mut silence, if !is_told => is_told = true,
            () = at(over.map(|(_, until)| until)), if over.is_some() => is_followed = false,
            () = at(deadline) => {
                say(&left(cluster, name));
                return Ok(Exit::GoesOn);
            }
            _ = &mut stop => {
                say(&left(cluster, name));
                return Ok(Exit::GoesOn);
            }
        }
        if let Some(exit) = known(view.show(), over.map(|(exit, _)| exit))? {
            return Ok(exit);
        }
        if let Some((exit, _)) = over
            && (!is_followed || view.scene.is_told_to_its_end())
        {
            return Ok(exit);
        }
    }
}

/// Nobody reading any more is no matter once it is known how the run ended: gives that end.
fn known(shown: Result<(), KubectlError>, end: Option<Exit>) -> Result<Option<Exit>, KubectlError> {
    match shown {
        Err(KubectlError::Unread) if end.is_some() => Ok(end),
        shown => shown.map(|()| None),
    }
}

/// What becomes of the history that was asked for; nothing where there is none.
fn stories(
    cluster: &Cluster,
    history: Option<&Followed>,
) -> impl Stream<Item = Result<Seen<ExecutionHistory>, kube::Error>> + use<> {
    match history {
        Some(history) => Either::Left(seen(cluster.api::<ExecutionHistory>(), history.name())),
        None => Either::Right(futures::stream::pending()),
    }
}

/// What is shown, and how: a picture on a terminal, else lines.
struct View {
    scene: Scene,
    screen: Option<Screen>,
    told: Told,
}

impl View {
    fn new(scene: Scene) -> Self {
        let screen = can_draw().then(Screen::default);
        Self { scene, screen, told: Told::default() }
    }

    fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    fn show(&mut self) -> Result<(), KubectlError> {
        let now = Timestamp::now();
        match &mut self.screen {
            Some(screen) => screen.draw(|size| self.scene.frame(size, now, colour())),
            None => super::show::tell(&self.told.news(&self.scene.run, self.scene.timeline(), now)),
        }
    }

    /// What is said next is no part of a picture.
    fn leave(&self) -> Result<(), KubectlError> {
        if self.is_live() { super::show::print("\n") } else { Ok(()) }
    }

    /// Takes what a history tells; false once it tells no more.
    fn take(&mut self, history: &ExecutionHistory) -> bool {
        let Some(status) = &history.status else { return true };
        if let Some(timeline) = &status.timeline {
            self.scene.followed = Some(timeline.clone());
        }
        match status.phase.unwrap_or_default() {
            HistoryPhase::Pending | HistoryPhase::Reading => true,
            HistoryPhase::Complete => false,
            HistoryPhase::Failed => {
                let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
                self.note(ready.map_or("the history cannot be read", |ready| &ready.message))
            }
        }
    }

    /// Says once why no more states are seen; always false.
    fn note(&mut self, why: &str) -> bool {
        let why = super::table::printable(why);
        match &self.screen {
            Some(_) => self.scene.note = Some(format!("States are not followed: {why}")),
            None => say(&format!("States are not followed: {why}")),
        }
        false
    }
}
