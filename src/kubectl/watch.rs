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

use super::await_run::{Goal, Seen, at, gone, reached, seen, tell_of_a_silent_operator, unseen};
use super::cluster::duration;
use super::ended::ended;
use super::stop::{Why, asked_to_end, back_to_run, say_stopped, unread};
use super::{Cluster, Exit, KubectlError, pause, refused};
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
    follow(cluster, &flags.run, longest, None).await
}

/// Shows a run to its end; of one that is redriven, what is not known from before.
pub(super) async fn follow(
    cluster: &Cluster,
    name: &str,
    longest: Option<Duration>,
    before: Option<&WorkflowRun>,
) -> Result<Exit, KubectlError> {
    let run = cluster.typed::<WorkflowRun>(name).await?;
    let name = run.name_any();
    let exit = reached(&run, Goal::Finished);
    if exit.is_some() {
        refused::check(&run, before, cluster).await?;
    }
    let flow = if exit.is_some() || can_draw() { definition::flow(&run, cluster).await } else { None };
    let mut view = View::new(Scene::new(run, flow), before);
    let exit = match exit {
        Some(exit) => {
            view.scene.followed = super::get::followed(&name, cluster).await;
            known(view.show(), Some(exit))?;
            exit
        }
        None => followed(cluster, &name, longest, &mut view).await?,
    };
    if exit != Exit::GoesOn {
        refused::check(&view.scene.run, before, cluster).await?;
        view.leave()?;
        ended(&view.scene.run, cluster)?;
    }
    Ok(exit)
}

/// Shows it for as long as it is wanted, with its states where they may be followed. Nothing of that is left behind.
async fn followed(
    cluster: &Cluster,
    name: &str,
    longest: Option<Duration>,
    view: &mut View,
) -> Result<Exit, KubectlError> {
    let stop = asked_to_end();
    let history = Followed::begin(name, cluster).await;
    let exit = watched(cluster, name, history.as_ref(), (longest, stop), view).await;
    if let Some(history) = history {
        history.end(cluster).await;
    }
    exit
}

async fn watched(
    cluster: &Cluster,
    name: &str,
    history: Option<&Followed>,
    (longest, stop): (Option<Duration>, impl Future<Output = ()>),
    view: &mut View,
) -> Result<Exit, KubectlError> {
    let mut runs = pin!(seen(cluster.api::<WorkflowRun>(), name));
    let mut histories = pin!(stories(cluster, history));
    let mut silence = pin!(tell_of_a_silent_operator(cluster));
    let (mut stop, mut unread) = (pin!(stop), pin!(unread()));
    let deadline = longest.map(|longest| Instant::now() + longest);
    let (mut is_told, mut is_followed) = (false, history.is_some());
    // Once the run has ended: how, and until when its last states are waited for.
    let mut over: Option<(Exit, Instant)> = None;
    view.show()?;
    let why = loop {
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
            () = at(deadline) => break Why::After(longest.unwrap_or_default()),
            () = &mut stop => break Why::Signal,
            () = &mut unread => return over.map(|(exit, _)| exit).ok_or(KubectlError::Unread),
        }
        if let Some(exit) = known(view.show(), over.map(|(exit, _)| exit))? {
            return Ok(exit);
        }
        if let Some((exit, _)) = over
            && (!is_followed || view.scene.is_told_to_its_end())
        {
            return Ok(exit);
        }
    };
    let waits_for = pause::waits_for(&view.scene.run);
    say_stopped(why, &pause::standing(name, waits_for.as_deref()), &back_to_run(cluster, name));
    Ok(Exit::GoesOn)
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
    waits: pause::Told,
}

impl View {
    fn new(scene: Scene, before: Option<&WorkflowRun>) -> Self {
        let screen = can_draw().then(Screen::default);
        let told = before.map_or_else(Told::default, Told::of);
        Self { scene, screen, told, waits: pause::Told::default() }
    }

    fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    fn show(&mut self) -> Result<(), KubectlError> {
        let now = Timestamp::now();
        if let Some(screen) = &mut self.screen {
            return screen.draw(|size| self.scene.frame(size, now, colour()));
        }
        super::show::tell(&self.told.news(&self.scene.run, self.scene.timeline(), now))?;
        self.waits.look(&self.scene.run);
        Ok(())
    }

    /// Lines end with the run's own end, after all of its states. What is said next is no part of a picture.
    fn leave(&mut self) -> Result<(), KubectlError> {
        super::show::print(&if self.is_live() {
            "\n".to_owned()
        } else {
            self.told.end(&self.scene.run, Timestamp::now())
        })
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
