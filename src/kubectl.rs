//! `kubectl sfn`: what people do with workflows and runs, through the API server and with the rights of whoever types it. One
//! file a verb.

mod cluster;
mod error;
mod exit;
mod list;
mod table;
mod ui;
mod words;

use clap::{Args, Parser, Subcommand, ValueEnum};

use cluster::Cluster;
pub use error::KubectlError;
pub use exit::Exit;

/// What the exit codes of all verbs mean.
const EXIT_CODES: &str = "Exit codes: 0 done, and it went well; 1 the run failed, or a check found an error; 2 wrong usage; 3 refused, not found, or the API server cannot be reached; 4 the run timed out; 5 the run was aborted; 6 stopped waiting while the run goes on.";

/// Starts, watches and explains workflows of Stepbound.
#[derive(Debug, Parser)]
#[command(name = "kubectl sfn", bin_name = "kubectl sfn", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

/// Which cluster is asked, and as whom: the flags that every kubectl has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Connection {
    /// Namespace; by default that of the kubeconfig's context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The kubeconfig's context to use
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig; by default $KUBECONFIG, then ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<std::path::PathBuf>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    act_as: Option<String>,
    /// Act as a member of this group (repeatable)
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "act_as")]
    act_as_groups: Vec<String>,
    /// How long one request may take, such as 30s; 0 is for ever
    #[arg(long, global = true, value_name = "DURATION", default_value = "0")]
    request_timeout: String,
}

/// How objects are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The object or list as JSON
    Json,
    /// The same as YAML
    Yaml,
    /// A table with more columns
    Wide,
    /// One `kind/name` a line
    Name,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List runs: phase, workflow, who asked, how long
    List(list::ListFlags),
    /// Show workflows, runs, schedules and trust in the browser, live
    Ui(ui::UiFlags),
}

/// Runs the verb to its end.
///
/// # Errors
/// Whatever keeps the verb from an answer; [`KubectlError::exit`] has its exit code.
pub fn run(cli: Cli) -> Result<Exit, KubectlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(KubectlError::Start)?;
    runtime.block_on(async {
        match cli.verb {
            Verb::List(flags) => list::run(&flags, &Cluster::connect(&cli.connection).await?).await,
            Verb::Ui(flags) => {
                ui::run(&flags, &Cluster::connect(&cli.connection).await?, cli.connection.namespace.is_some()).await
            }
        }
    })
}
