//! `stepbound lint`

#[cfg(feature = "operator")]
mod aws;
mod collect;
mod defaults;
mod elsewhere;
mod error;
mod finding;
mod guardrails;
mod input;
mod json;
mod metadata;
mod nothing;
mod operator;
mod prepared;
mod report;
mod rules;
mod sarif;
mod schema;
mod text;
mod typed_input;
mod unread;
mod verdict;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::out::{colour, print};
use super::program::as_typed;
use crate::asl::lint::{Ignore, Rule, UnknownCode, rule, rules};

#[cfg(feature = "operator")]
pub use aws::AwsLintError;
pub use collect::{Options, check};
pub use error::LintError;
pub use input::Source;
pub(super) use nothing::held;
pub use report::{Definition, Difference, Located, Question, Report, Subject};

/// Flags of `stepbound lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct LintFlags {
    /// Files and folders with manifests or definitions, in YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE|DIR|-", required_unless_present = "explain")]
    paths: Vec<PathBuf>,
    /// How findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Print errors only, and nothing when there are none
    #[arg(short, long)]
    quiet: bool,
    /// Let warnings fail too
    #[arg(long)]
    strict: bool,
    /// Codes to pass over, such as SB041, or SB041@/States/Approve to pass over it there
    #[arg(long, value_name = "CODE[@POINTER]", value_delimiter = ',')]
    ignore: Vec<String>,
    /// The type of bare definitions; a Workflow says its own
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t)]
    machine_type: MachineType,
    /// Explain a code, or list all of them, and end
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
    #[cfg(feature = "operator")]
    #[command(flatten)]
    aws: aws::AwsFlags,
}

#[cfg(feature = "kubectl")]
impl LintFlags {
    /// The files that are read as manifests.
    pub(crate) fn files(&self) -> Vec<&std::path::Path> {
        self.paths.iter().map(PathBuf::as_path).collect()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines of the source
    #[default]
    Text,
    /// For scripts
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MachineType {
    #[default]
    Standard,
    Express,
}

pub(crate) fn run(flags: &LintFlags) -> Result<ExitCode, LintError> {
    if let Some(code) = &flags.explain {
        print(&explain(code)?).map_err(LintError::Write)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ignore = Ignore::parse(&flags.ignore.join(","))?;
    let express = flags.machine_type == MachineType::Express;
    let options = Options { express, ignore, asking: false, answers: Vec::new() };
    let paths: BTreeSet<_> = flags.paths.iter().collect();
    let sources = input::read(&paths)?;
    let (report, unasked) = found(flags, &sources, options)?;
    let printed = match flags.output {
        Format::Text => text::print(&report, &sources, flags.quiet, colour()),
        Format::Json => json::print(&report)?,
        Format::Sarif => sarif::print(&report)?,
    };
    print(&printed).map_err(LintError::Write)?;
    if let Some(error) = unasked {
        return Err(error);
    }
    let failed = report.errors() > 0 || flags.strict && report.warnings() > 0;
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// What was found, and why AWS could not be asked about it: what was found without AWS is told all the same.
#[cfg(feature = "operator")]
fn found(
    flags: &LintFlags,
    sources: &[Source],
    mut options: Options,
) -> Result<(Report, Option<LintError>), LintError> {
    options.asking = flags.aws.aws;
    let report = check(sources, &options)?;
    if !options.asking {
        return Ok((report, None));
    }
    match aws::ask(&flags.aws, &report) {
        Ok(answers) => {
            options.answers = answers;
            Ok((check(sources, &options)?, None))
        }
        Err(error) => Ok((report, Some(error.into()))),
    }
}

/// What was found: a program without the SDK cannot ask AWS.
#[cfg(not(feature = "operator"))]
fn found(_: &LintFlags, sources: &[Source], options: Options) -> Result<(Report, Option<LintError>), LintError> {
    Ok((check(sources, &options)?, None))
}

fn explain(code: &str) -> Result<String, UnknownCode> {
    if code.is_empty() {
        let mut list: Vec<_> = rules().collect();
        list.sort_by_key(|rule| rule.code);
        let line = |rule: &&Rule| format!("{}  {:7}  {}", rule.code, rule.severity.name(), rule.title);
        return Ok(list.iter().map(line).collect::<Vec<_>>().join("\n") + "\n");
    }
    rule(code).map(|rule| as_typed(&rule.explain())).ok_or_else(|| UnknownCode(code.to_owned()))
}
