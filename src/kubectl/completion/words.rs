//! What may stand at the place of the word that is being typed, told from the verbs and flags that there are.

use clap::{Arg, Command};

use super::super::flags::Connection;
use super::super::kinds::Kind;
use crate::api::v1alpha1::Phase;

/// What may stand somewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// One of these, each with what it is.
    Words(Vec<(String, String)>),
    /// A name of one of these kinds, as the usage calls them: `RUN`, `WORKFLOW`, `CONTEXT`. Behind its kind too, as in `run/`.
    Names(Vec<String>),
    /// The name of an object, behind its kind.
    Objects(Vec<String>),
    /// A file, or the name of an object behind its kind.
    FilesOrObjects(Vec<String>),
    /// A file.
    Files,
}

/// Where the last word stands.
#[derive(Debug)]
pub(super) struct Place {
    pub what: What,
    /// What is typed of it.
    pub begun: String,
    /// The verb, as in `rollout undo`.
    pub verb: String,
    /// The words before it that are neither verbs nor flags.
    pub given: Vec<String>,
    /// Which cluster the words before it mean.
    pub connection: Connection,
}

/// The last word may be empty; the verb `__complete` is not among them.
pub(super) fn place(root: &Command, typed: &[String]) -> Place {
    let mut root = root.clone();
    root.build();
    let (begun, before) = typed.split_last().map_or((String::new(), typed), |(last, before)| (last.clone(), before));
    let mut command = &root;
    let mut connection = Connection { request_timeout: "0".to_owned(), ..Connection::default() };
    let (mut verbs, mut given, mut only_positional) = (Vec::new(), Vec::new(), false);
    let mut open: Option<&Arg> = None;
    for word in before {
        if let Some(arg) = open.take() {
            note(&mut connection, arg, word);
        } else if word == "--" {
            only_positional = true;
        } else if let Some((arg, value)) = flag(command, word).filter(|_| !only_positional) {
            match value {
                Some(value) => note(&mut connection, arg, value),
                None if takes_value(arg) => open = Some(arg),
                None => {}
            }
        } else if word.starts_with('-') && !only_positional && word != "-" {
        } else if let Some(verb) = command.find_subcommand(word) {
            command = verb;
            verbs.push(verb.get_name());
        } else {
            given.push(word.clone());
        }
    }
    let verb = verbs.join(" ");
    let (what, begun) = match open {
        Some(arg) => (values(arg, &verb), begun),
        None if begun.starts_with("--") && begun.contains('=') && !only_positional => of_flag(command, &verb, &begun),
        None if begun.starts_with('-') && !only_positional => (flags(command), begun),
        None => (positionals(command, &verb, &given), begun),
    };
    Place { what, begun, verb, given, connection }
}

/// Words of the form `--flag`, `--flag=value`, `-f`, `-fvalue`.
fn flag<'a, 'b>(command: &'a Command, word: &'b str) -> Option<(&'a Arg, Option<&'b str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        return Some((arg, value));
    }
    let mut short = word.strip_prefix('-')?.chars();
    let name = short.next()?;
    let arg = command.get_arguments().find(|arg| arg.get_short() == Some(name))?;
    let value = Some(short.as_str().trim_start_matches('=')).filter(|value| !value.is_empty());
    Some((arg, value))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// What of it says which cluster is meant.
fn note(connection: &mut Connection, arg: &Arg, value: &str) {
    let value = Some(value.to_owned());
    match arg.get_long() {
        Some("namespace") => connection.namespace = value,
        Some("context") => connection.context = value,
        Some("kubeconfig") => connection.kubeconfig = value.map(Into::into),
        Some("token-file") => connection.token_file = value.map(Into::into),
        Some("server") => connection.server = value,
        Some("certificate-authority") => connection.certificate_authority = value.map(Into::into),
        Some("as") => connection.act_as = value,
        Some("as-group") => connection.act_as_groups.extend(value),
        _ => {}
    }
}

/// Of a word `--flag=val` the whole word is completed.
fn of_flag(command: &Command, verb: &str, begun: &str) -> (What, String) {
    let Some((arg, _)) = flag(command, begun) else { return (What::Words(Vec::new()), begun.to_owned()) };
    let (name, value) = begun.split_once('=').unwrap_or((begun, ""));
    match values(arg, verb) {
        What::Words(words) => {
            let whole = words.into_iter().map(|(word, about)| (format!("{name}={word}"), about));
            (What::Words(whole.collect()), begun.to_owned())
        }
        other => (other, value.to_owned()),
    }
}

fn values(arg: &Arg, verb: &str) -> What {
    let possible: Vec<(String, String)> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default()))
        .collect();
    if !possible.is_empty() {
        return What::Words(possible);
    }
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let kinds = || name.split('|').map(str::to_owned).collect();
    match name.as_str() {
        "PHASE" => What::Words(Phase::ALL.map(|phase| (phase.as_str().to_owned(), String::new())).to_vec()),
        "KIND/NAME" => What::Objects(words(&["BINDING", "WORKFLOW", "RUN"])),
        "NAME" if arg.get_id() == "alias" => What::Names(words(&["ALIAS"])),
        _ if name.split('|').any(|part| part == "FILE" || part == "DIR") => files(arg, verb),
        _ => What::Names(kinds()),
    }
}

/// Files; where the verb takes objects in the same place, those too.
fn files(arg: &Arg, verb: &str) -> What {
    let takes_objects = arg.is_positional() || arg.get_long() == Some("manifest");
    match verb.split(' ').next() {
        Some("graph" | "lint") if takes_objects => What::FilesOrObjects(words(&["WORKFLOW"])),
        Some("policy") if takes_objects => What::FilesOrObjects(words(&["WORKFLOW", "BINDING"])),
        Some("trust") if takes_objects => What::FilesOrObjects(words(&["BINDING"])),
        _ => What::Files,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn flags(command: &Command) -> What {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    let words = shown.filter_map(|arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Some((format!("--{}", arg.get_long()?), about))
    });
    What::Words(words.collect())
}

fn positionals(command: &Command, verb: &str, given: &[String]) -> What {
    if command.has_subcommands() {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let about = |verb: &Command| verb.get_about().map(ToString::to_string).unwrap_or_default();
        return What::Words(verbs.map(|verb| (verb.get_name().to_owned(), about(verb))).collect());
    }
    let all: Vec<&Arg> = command.get_positionals().collect();
    let repeated = || all.last().filter(|arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1));
    let arg = all.get(given.len()).or_else(repeated);
    // A kind may stand alone, with the name behind it.
    let kind = given.last().filter(|_| verb == "describe").and_then(|word| Kind::named(word));
    match (arg, kind) {
        (Some(_), Some(kind)) => What::Names(words(&[kind.placeholder()])),
        (Some(arg), None) => values(arg, verb),
        (None, _) => What::Words(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let global = |name: &'static str| Arg::new(name).long(name).global(true);
        Command::new("kubectl sfn")
            .arg(global("namespace").short('n').value_name("NAMESPACE"))
            .arg(global("context").value_name("CONTEXT"))
            .subcommand(
                Command::new("get")
                    .about("Show one")
                    .arg(Arg::new("run").value_name("RUN"))
                    .arg(Arg::new("output").short('o').long("output").value_parser(["json", "yaml"])),
            )
            .subcommand(Command::new("describe").arg(Arg::new("what").value_name("BINDING|RUN").num_args(1..)))
            .subcommand(Command::new("lint").arg(Arg::new("file").value_name("FILE|DIR|-")))
            .subcommand(Command::new("import").arg(Arg::new("file").value_name("FILE")))
            .subcommand(Command::new("show").arg(Arg::new("what").value_name("KIND/NAME")))
            .subcommand(
                Command::new("start")
                    .arg(Arg::new("w").value_name("WORKFLOW"))
                    .arg(Arg::new("alias").long("alias").value_name("ALIAS"))
                    .arg(Arg::new("phase").long("phase").value_name("PHASE")),
            )
            .subcommand(Command::new("secret").hide(true))
            .subcommand(
                Command::new("rollout").subcommand(Command::new("pause").arg(Arg::new("w").value_name("WORKFLOW"))),
            )
    }

    #[test]
    fn what_may_come_next_is_told_from_verbs_and_flags() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let names = |kinds: &[&str]| What::Names(words(kinds));
        for (typed, what) in [
            (&["get", ""][..], names(&["RUN"])),
            (&["get", "-o", "json", "or"], names(&["RUN"])),
            (&["-n", "shop", "get", ""], names(&["RUN"])),
            (&["get", "order", ""], What::Words(vec![])),
            (&["describe", "a", ""], names(&["BINDING", "RUN"])),
            (&["describe", "workflow", ""], names(&["WORKFLOW"])),
            (&["show", ""], What::Objects(words(&["BINDING", "WORKFLOW", "RUN"]))),
            (&["start", "fulfil", "--alias", ""], names(&["ALIAS"])),
            (&["lint", ""], What::FilesOrObjects(words(&["WORKFLOW"]))),
            (&["import", ""], What::Files),
            (&["rollout", "pause", ""], names(&["WORKFLOW"])),
            (&["get", "-n", ""], names(&["NAMESPACE"])),
            (&["get", "--context="], names(&["CONTEXT"])),
            (&["get", "--", "-"], names(&["RUN"])),
        ] {
            assert_eq!(place(&command(), &words(typed)).what, what, "{typed:?}");
        }
        let offered = |typed: &[&str]| match place(&command(), &words(typed)).what {
            What::Words(words) => words.into_iter().map(|(word, _)| word).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        };
        let verbs = offered(&[""]);
        assert!(
            verbs.starts_with("get describe lint import show start rollout") && !verbs.contains("secret"),
            "{verbs}"
        );
        assert_eq!(offered(&["get", "-o", ""]), "json yaml");
        assert!(offered(&["start", "--phase", ""]).starts_with("Pending "));
        assert_eq!(offered(&["get", "--output=j"]), "--output=json --output=yaml");
        let flags = offered(&["get", "--"]);
        assert!(flags.contains("--output") && flags.contains("--namespace"), "{flags}");
        assert_eq!(offered(&["rollout", "p"]).split(' ').next(), Some("pause"));
    }

    #[test]
    fn the_cluster_is_the_one_that_was_typed() {
        let typed = ["--context", "prod", "get", "-nshop", "x"].map(str::to_owned);
        let place = place(&command(), &typed);
        assert_eq!(place.connection.namespace.as_deref(), Some("shop"));
        assert_eq!(place.connection.context.as_deref(), Some("prod"));
        assert_eq!(place.begun, "x");
    }
}
