//! Flags that all or several verbs have.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::OnceLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ValueEnum};

/// Which cluster is asked, and as whom: the flags that every kubectl has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Connection {
    /// Namespace; by default that of the kubeconfig's context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The kubeconfig's context to use
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(super) context: Option<String>,
    /// The kubeconfig; by default $KUBECONFIG, then ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<std::path::PathBuf>,
    /// Ask with the token in this file, in place of what the kubeconfig has; read again before every request
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) token_file: Option<std::path::PathBuf>,
    /// The API server's address, for whoever has a token and no kubeconfig: none is read then
    #[arg(short, long, global = true, value_name = "URL", requires = "token_file", conflicts_with_all = ["kubeconfig", "context"])]
    pub(super) server: Option<String>,
    /// Certificates, as PEM, that the API server's own has to be signed by; by default those of the system
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    pub(super) certificate_authority: Option<std::path::PathBuf>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(super) act_as: Option<String>,
    /// Act as a member of this group (repeatable)
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "act_as")]
    pub(super) act_as_groups: Vec<String>,
    /// How long one request may take, such as 30s; 0 is for ever
    #[arg(long, global = true, value_name = "DURATION", default_value = "0")]
    pub(super) request_timeout: String,
}

/// What stands behind every command that is told, of kubectl and of this plugin: the flags for the same cluster and user.
static SAME_CLUSTER: OnceLock<String> = OnceLock::new();

/// A command of kubectl for the cluster that was asked, as whoever asked.
pub(super) fn kubectl(command: &str) -> String {
    format!("kubectl {command}{}", SAME_CLUSTER.get().map_or("", String::as_str))
}

impl Connection {
    /// From now on commands are told with these flags.
    pub(super) fn remember(&self) {
        // A process asks one cluster.
        let _ = SAME_CLUSTER.set(Self { namespace: None, ..self.clone() }.again());
    }

    /// What has to stand behind the next command, so that it means the same cluster and namespace.
    pub(super) fn again(&self) -> String {
        let file = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("-n", &self.namespace),
            ("--context", &self.context),
            ("--kubeconfig", &file(&self.kubeconfig)),
            ("--token-file", &file(&self.token_file)),
            ("--server", &self.server),
            ("--certificate-authority", &file(&self.certificate_authority)),
            ("--as", &self.act_as),
        ];
        let mut again: String =
            given.iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", quoted(value.as_deref()?)))).collect();
        for group in &self.act_as_groups {
            let _ = write!(again, " --as-group {}", quoted(group));
        }
        again
    }
}

/// Flags that may stand without a value, and so take one behind `=` alone; and the values.
const WITH_EQUALS: [(&str, &[&str]); 3] =
    [("--dry-run", &["none", "client", "server"]), ("--open", &["true", "false"]), ("--watch", &["true", "false"])];

/// What is wrong, and where a value stands apart from such a flag how it is written.
pub(super) fn with_tip(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let extra = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(extra)) if error.kind() == ErrorKind::UnknownArgument => extra.clone(),
        _ => return error,
    };
    let stands_apart = |flag: &str| words.windows(2).any(|two| two[0] == flag && two[1] == extra.as_str());
    let found = WITH_EQUALS.iter().find(|(flag, values)| values.contains(&extra.as_str()) && stands_apart(flag));
    if let Some((flag, _)) = found {
        let tip = format!("a value of {flag} stands behind =, as in {flag}={extra}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// As a shell takes it for one word.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_means_the_same_cluster() {
        let given = |namespace: &str| Connection {
            namespace: Some(namespace.into()),
            act_as: Some("system:serviceaccount:a:b".into()),
            act_as_groups: vec!["the team's".into()],
            ..Connection::default()
        };
        assert_eq!(Connection::default().again(), "");
        assert_eq!(given("shop").again(), r" -n shop --as system:serviceaccount:a:b --as-group 'the team'\''s'");
        let of_a_job = Connection {
            token_file: Some("/tmp/a token".into()),
            server: Some("https://api.example:6443".into()),
            certificate_authority: Some("ca.crt".into()),
            ..Connection::default()
        };
        assert_eq!(
            of_a_job.again(),
            " --token-file '/tmp/a token' --server https://api.example:6443 --certificate-authority ca.crt"
        );
    }
}
