//! Flags that all or several verbs have.

use std::fmt::Write as _;

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
    /// Ask with the token in this file and with nothing of the kubeconfig; read again before every request
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

impl Connection {
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
