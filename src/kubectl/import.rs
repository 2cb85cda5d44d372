//! `kubectl sfn import FILE|-`

mod intrinsics;
mod machine;
mod manifests;
mod read;

use std::path::{Path, PathBuf};

use clap::Args;

use super::show::print;
use super::table::printable;
use super::{Exit, KubectlError};
use crate::api::v1alpha1::is_object_name;
use crate::cli::{files, say};
use manifests::{Wishes, manifests};
use read::{Folder, read};

/// Flags of `kubectl sfn import`.
#[derive(Debug, Args)]
#[command(
    after_help = "What cannot be carried over is said on standard error, and stands as comments in what is printed."
)]
pub(super) struct ImportFlags {
    /// What `aws stepfunctions describe-state-machine` prints, a state machine of ACK, or a template for `aws cloudformation` or SAM
    /// (- for standard input)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A TrustBinding that there is; by default one is printed too, with placeholders
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// The account, where the file does not tell it
    #[arg(long, value_name = "ID", value_parser = crate::cli::flags::account)]
    account: Option<String>,
    /// The region, where the file does not tell it
    #[arg(long, value_parser = crate::cli::flags::region)]
    region: Option<String>,
    /// The execution role, where the file does not tell it
    #[arg(long, value_name = "ARN", value_parser = crate::cli::flags::role_arn)]
    execution_role: Option<String>,
}

pub(super) fn run(flags: &ImportFlags, namespace: Option<&str>) -> Result<Exit, KubectlError> {
    let unread = |error| KubectlError::Usage(format!("cannot read {}: {error}", flags.file.display()));
    let text = files::read(&flags.file).map_err(unread)?;
    if let Some(name) = flags.binding.as_deref().filter(|name| !is_object_name(name)) {
        return Err(KubectlError::Usage(format!("--binding {name:?} is no name of an object")));
    }
    let folder = Beside(flags.file.parent().filter(|_| flags.file.as_os_str() != "-"));
    let wrong = |problem| KubectlError::Usage(format!("{}: {problem}", flags.file.display()));
    let machines = read(&text, &folder).map_err(wrong)?;
    let wishes = Wishes {
        namespace: namespace.map(str::to_owned),
        binding: flags.binding.clone(),
        account: flags.account.clone(),
        region: flags.region.clone(),
        execution_role: flags.execution_role.clone(),
    };
    let mut documents = Vec::new();
    for machine in machines {
        let (text, notes) = manifests(machine, &wishes).map_err(|error| KubectlError::Print(error.to_string()))?;
        for note in notes {
            say(&format!("note: {}", printable(&note)));
        }
        documents.push(text);
    }
    print(&documents.join("---\n"))?;
    say("Next: complete what the notes name, check it with kubectl sfn lint FILE, and apply it.");
    Ok(Exit::Done)
}

/// The folder of the file: a template names definitions beside it.
struct Beside<'a>(Option<&'a Path>);

impl Folder for Beside<'_> {
    fn text(&self, name: &str) -> Result<String, String> {
        let Some(folder) = self.0 else {
            return Err("it stands beside the template, which came by standard input".into());
        };
        let path = folder.join(name);
        files::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    }
}
