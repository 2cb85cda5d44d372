//! `stepbound graph`

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::files;
use super::input::{InputError, Loaded, load_as_it_is};
use super::out::{colour, columns, print, say};
use super::program::as_typed;
use crate::asl::DefinitionError;
use crate::graph::{Drawing, Flow, History, HistoryError, Shape, dot, mermaid, outline, svg, terminal};
use crate::nesting::MARK;

/// Flags of `stepbound graph`.
#[derive(Debug, clap::Args)]
pub struct GraphFlags {
    /// A Workflow manifest or a definition (- for standard input)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to draw; by default as the end of --output-file says, else in the terminal
    #[arg(long, short)]
    output: Option<Output>,
    /// Write the drawing here instead of to standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Colour states by a run: what `aws stepfunctions get-execution-history` printed
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Which Workflow, where the file has several
    #[arg(long)]
    workflow: Option<String>,
    /// A value for ${NAME} in the definition (repeatable)
    #[arg(long = "substitution", value_name = "NAME=VALUE", value_parser = super::policy::pair)]
    substitutions: Vec<(String, String)>,
}

#[cfg(feature = "kubectl")]
impl GraphFlags {
    /// The files that are read as manifests.
    pub(crate) fn files(&self) -> Vec<&std::path::Path> {
        vec![&self.file]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Terminal,
    Svg,
    Mermaid,
    Dot,
}

/// Why nothing is drawn.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The file gives no state machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Several are there.
    #[error("the file has {} state machines; choose one with --workflow:\n  {}", .0.len(), .0.join("\n  "))]
    Several(Vec<String>),
    /// The history cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The history is none.
    #[error("{}: {source}", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: HistoryError,
    },
    /// The file's name ends as no drawing that there is.
    #[error(
        "there is no drawing in the format .{0}; there are .svg, .mmd, .dot and .txt, or say with --output which of them it is. For .png, draw .dot or .svg and convert it"
    )]
    Format(String),
    /// The drawing cannot be written.
    #[error("cannot write {name}: {source}")]
    Write {
        /// The file, or `standard output`.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
}

pub(crate) fn run(flags: &GraphFlags) -> Result<(), GraphError> {
    let output = output(flags)?;
    let substitutions: BTreeMap<String, String> = flags.substitutions.iter().cloned().collect();
    let one = chosen(load_as_it_is(std::slice::from_ref(&flags.file), &substitutions)?, flags.workflow.as_deref())?;
    let history = flags.history.as_ref().map(|path| {
        let text = files::read(path).map_err(|source| GraphError::Read { path: path.clone(), source })?;
        History::parse(&text).map_err(|source| GraphError::History { path: path.clone(), source })
    });
    let history = history.transpose()?;
    let flow = Flow::of(&one.definition.machine());
    told(&one, &flow)?;
    let whole = |text| Drawing { text, note: None };
    let drawing = match output {
        Output::Svg => svg(&flow, &one.what, history.as_ref()),
        Output::Mermaid => whole(mermaid(&flow, history.as_ref())),
        Output::Dot => whole(dot(&flow, &one.what, history.as_ref())),
        Output::Terminal => for_people(&flow, history.as_ref(), flags),
    };
    if let Some(note) = &drawing.note {
        say(&format!("note: {note}"));
    }
    write(flags, &drawing.text)?;
    if let Some(path) = &flags.output_file {
        say(&format!("Written: {}", path.display()));
    }
    Ok(())
}

/// A drawing whose lines the terminal would break is none: the states are listed, unless the drawing was asked for by its name.
fn for_people(flow: &Flow, history: Option<&History>, flags: &GraphFlags) -> Drawing {
    let drawing = terminal(flow, history, false);
    let (wide, room) = (drawing.text.lines().map(|line| line.chars().count()).max().unwrap_or(0), columns());
    match () {
        () if flags.output_file.is_some() => drawing,
        () if wide > room && flags.output.is_none() && drawing.note.is_none() => {
            let note = format!(
                "the drawing is {wide} characters wide and the terminal {room}, so the states are listed; --output terminal draws them all the same"
            );
            Drawing { text: outline(flow, history), note: Some(note) }
        }
        () if colour() => terminal(flow, history, true),
        () => drawing,
    }
}

/// Says what of a definition is not drawn; one that has no state cannot be drawn.
fn told(one: &Loaded, flow: &Flow) -> Result<(), GraphError> {
    let findings = one.definition.warnings();
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if flow.vertices.iter().all(|vertex| vertex.shape == Shape::Missing) {
        let (what, source) = (one.what.clone(), DefinitionError::Invalid(findings.to_vec()));
        return Err(InputError::Definition { what, why: source }.into());
    }
    // What is wrong with a definition that was cut may be the cut, and lint looks at nothing of it.
    let is_cut = one.definition.text().contains(MARK);
    if errors > 0 && !is_cut {
        let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
        let lint = as_typed("`stepbound lint`");
        say(&format!(
            "note: {}: the definition has {errors}, and is drawn as far as it can be; {lint} tells them",
            one.what
        ));
    }
    if is_cut {
        say(&format!("note: {}: what is nested more than about 120 levels deep is not drawn", one.what));
    }
    Ok(())
}

fn chosen(mut loaded: Vec<Loaded>, wanted: Option<&str>) -> Result<Loaded, GraphError> {
    let names: Vec<String> = loaded.iter().map(|one| one.what.clone()).collect();
    if let Some(wanted) = wanted {
        loaded.retain(|one| one.what.rsplit(['/', ' ']).next() == Some(wanted));
    }
    match (loaded.pop(), loaded.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(GraphError::Several(names)),
    }
}

/// What was asked for, else what the end of the file's name says.
fn output(flags: &GraphFlags) -> Result<Output, GraphError> {
    if let Some(output) = flags.output {
        return Ok(output);
    }
    let Some(path) = &flags.output_file else { return Ok(Output::Terminal) };
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    match end.as_deref() {
        Some("svg") => Ok(Output::Svg),
        Some("mmd" | "mermaid") => Ok(Output::Mermaid),
        Some("dot" | "gv") => Ok(Output::Dot),
        None | Some("txt") => Ok(Output::Terminal),
        Some(end) => Err(GraphError::Format(end.to_owned())),
    }
}

fn write(flags: &GraphFlags, drawing: &str) -> Result<(), GraphError> {
    if let Some(path) = &flags.output_file {
        let failed = |source| GraphError::Write { name: path.display().to_string(), source };
        return std::fs::write(path, drawing).map_err(failed);
    }
    print(drawing).map_err(|source| GraphError::Write { name: "standard output".into(), source })
}
