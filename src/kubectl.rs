//! `kubectl sfn`: what people do with workflows and runs, through the API server and with the rights of whoever types it. One
//! file a verb.

mod approvals;
mod approve;
mod await_run;
mod cancel;
mod cluster;
mod completion;
mod describe;
mod diff;
mod ended;
mod error;
mod evidence;
mod exit;
mod flags;
mod get;
mod import;
mod kinds;
mod list;
mod logs;
mod machine;
pub(crate) mod mcp;
mod objects;
mod offline;
mod pause;
mod pretty;
mod redrive;
mod refused;
mod report;
mod retry;
mod rollout;
mod run_workflow;
mod show;
mod size;
mod stop;
mod table;
mod target;
mod timeline;
mod token_file;
mod ui;
mod wait;
mod waiting;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use cluster::Cluster;
pub use error::KubectlError;
pub use exit::Exit;
use flags::Connection;
use kinds::Kind;
pub use token_file::TokenError;

use crate::cli::{graph, lint, policy, program, trust};

/// What the exit codes of all verbs mean.
const EXIT_CODES: &str = "Exit codes: 0 done, and it went well; 1 the run failed, or a check found an error; 2 wrong usage, or a file that cannot be read or written; 3 refused, not found, no token that counts, the API server cannot be reached, or the port of ui is taken; 4 the run timed out; 5 the run was aborted; 6 stopped waiting while the run goes on.";

/// Starts, watches and explains workflows of Stepbound.
#[derive(Debug, Parser)]
#[command(name = "kubectl sfn", bin_name = "kubectl sfn", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a run of a Workflow
    Run(Box<run_workflow::RunFlags>),
    /// Draw a run as it goes: its graph and the states it was in; lines where this is no terminal
    Watch(watch::WatchFlags),
    /// List runs, newest first and those of one second by name: phase, workflow, who asked, how long
    List(list::ListFlags),
    /// Show one run: what it did, who asked, what it gave or why it failed
    Get(get::GetFlags),
    /// Wait for a run; the exit code says how it ended
    Wait(wait::WaitFlags),
    /// Stop a run
    Cancel(cancel::CancelFlags),
    /// Let a failed run go on from where it failed
    Redrive(redrive::RedriveFlags),
    /// Create the same run again
    Retry(retry::RetryFlags),
    /// Let a run start that somebody else asked for and that waits for it: shows what it is, and asks
    Approve(approve::ApproveFlags),
    /// Let a run that waits for an approval end without a start
    Deny(approve::DenyFlags),
    /// Print what a run did, event by event
    Logs(logs::LogsFlags),
    /// Show what an object hangs on, from the account down, with what is wrong where it is
    Describe(describe::DescribeFlags),
    /// Write one HTML file about a run: drawing, timeline, who asked, attempts, output
    Report(report::ReportFlags),
    /// Write a folder for an auditor: who may do what, as whom runs acted, who asked and approved, what is weak
    Evidence(Box<evidence::EvidenceFlags>),
    /// Compare Workflows in files with those of the cluster: definition, findings, permissions
    Diff(diff::DiffFlags),
    /// Show, hold, end or undo how a new version takes over
    Rollout(rollout::RolloutFlags),
    /// Write manifests of a state machine that AWS, ACK or a template describes
    Import(import::ImportFlags),
    /// Show workflows, runs, schedules and trust in the browser, live
    Ui(ui::UiFlags),
    /// Let an agent run Workflows as tools, by the Model Context Protocol on standard input and output
    Mcp(mcp::McpFlags),
    /// Draw a definition: in the terminal, as SVG, Mermaid or DOT. Beside files workflow/NAME is taken
    Graph(graph::GraphFlags),
    /// Check definitions and manifests. Beside files workflow/NAME is taken
    Lint(lint::LintFlags),
    /// Derive the least that IAM roles need. Beside files workflow/NAME and binding/NAME are taken
    Policy(policy::PolicyFlags),
    /// Write, explain and check trust policies. Beside manifests binding/NAME is taken
    Trust(Box<trust::TrustFlags>),
    /// Print the script that completes words in a shell, or in kubectl
    Completion(completion::CompletionFlags),
    /// Tell a shell what may come next
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far; the last one may be empty
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

impl Cli {
    /// Reads the command line, or ends with what is wrong with it. The words of `__complete` are half a command line, and not
    /// read as a whole one.
    pub fn read() -> Self {
        let mut words = std::env::args_os();
        if words.nth(1).is_some_and(|verb| verb == "__complete") {
            let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
            return Self { connection: Connection::default(), verb: Verb::Complete { words } };
        }
        let words: Vec<_> = std::env::args_os().collect();
        Self::try_parse_from(&words).unwrap_or_else(|error| flags::with_tip(error, &words).exit())
    }
}

/// Runs the verb to its end.
///
/// # Errors
/// Whatever keeps the verb from an answer; [`KubectlError::exit`] has its exit code.
pub fn run(cli: Cli) -> Result<Exit, KubectlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(KubectlError::Start)?;
    let Cli { connection, verb } = cli;
    program::is_the_plugin();
    let exit = runtime.block_on(async {
        let connect = || Cluster::connect(&connection);
        match &verb {
            Verb::Run(flags) => run_workflow::run(flags, &connect().await?).await,
            Verb::Watch(flags) => watch::run(flags, &connect().await?).await,
            Verb::List(flags) => list::run(flags, &connect().await?).await,
            Verb::Get(flags) => get::run(flags, &connect().await?).await,
            Verb::Wait(flags) => wait::run(flags, &connect().await?).await,
            Verb::Cancel(flags) => cancel::run(flags, &connect().await?).await,
            Verb::Redrive(flags) => redrive::run(flags, &connect().await?).await,
            Verb::Retry(flags) => retry::run(flags, &connect().await?).await,
            Verb::Approve(flags) => approve::approve(flags, &connect().await?).await,
            Verb::Deny(flags) => approve::deny(flags, &connect().await?).await,
            Verb::Logs(flags) => logs::run(flags, &connect().await?).await,
            Verb::Describe(flags) => describe::run(flags, &connect().await?).await,
            Verb::Report(flags) => report::run(flags, &connect().await?).await,
            Verb::Evidence(flags) => evidence::run(flags, &connect().await?).await,
            Verb::Diff(flags) => diff::run(flags, &connect().await?).await,
            Verb::Rollout(flags) => rollout::run(flags, &connect().await?).await,
            Verb::Import(flags) => import::run(flags, connection.namespace.as_deref()),
            Verb::Ui(flags) => ui::run(flags, &connect().await?, connection.namespace.is_some()).await,
            Verb::Mcp(flags) => Box::pin(mcp::run(flags, &connect().await?)).await,
            Verb::Graph(flags) => {
                offline::read_objects(&flags.files(), connect).await?;
                Ok(offline::ended(
                    graph::run(flags).map(|()| ExitCode::SUCCESS).map_err(Into::into),
                    &flags.files(),
                    Kind::Workflow,
                ))
            }
            Verb::Lint(flags) => {
                offline::read_objects(&flags.files(), connect).await?;
                Ok(offline::ended(lint::run(flags).map_err(Into::into), &flags.files(), Kind::Workflow))
            }
            Verb::Policy(flags) => {
                offline::read_objects(&flags.files(), connect).await?;
                let takes = if flags.is_of_bindings() { Kind::Binding } else { Kind::Workflow };
                Ok(offline::ended(policy::run(flags).map_err(Into::into), &flags.files(), takes))
            }
            Verb::Trust(flags) => {
                offline::read_objects(&flags.files(), connect).await?;
                Ok(offline::ended(
                    trust::run(flags).map(|()| ExitCode::SUCCESS).map_err(Into::into),
                    &flags.files(),
                    Kind::Binding,
                ))
            }
            Verb::Completion(flags) => completion::run(flags),
            Verb::Complete { words } => completion::complete(&Cli::command(), words).await,
        }
    });
    // A read of standard input that nobody writes to any more would be waited for.
    runtime.shutdown_background();
    match exit {
        // Whoever wanted to see it has seen enough, and what they watched goes on.
        Err(KubectlError::Unread) => Ok(Exit::GoesOn),
        exit => exit,
    }
}
