//! Files that are read beside the cluster: policies as AWS has them, and the operator's log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cli::files;
use crate::digest::sha256_hex;
use crate::kubectl::KubectlError;
use crate::plan::evidence::{Log, LogReader, Period, PolicyFile, Read, permissions, trust_policy};

/// Lines of a log that are longer are passed over: no audit record is.
const LONGEST_LINE: usize = 1 << 20;

/// Reads the policies that are given.
pub(super) fn policies(trust: &[String], role: &[String], read: &mut Read) -> Result<(), KubectlError> {
    read.trust_policies =
        trust.iter().map(|given| policy("--trust-policy", given, trust_policy)).collect::<Result<_, _>>()?;
    read.role_policies =
        role.iter().map(|given| policy("--role-policy", given, permissions)).collect::<Result<_, _>>()?;
    Ok(())
}

type Parse = fn(&str, Option<&str>) -> Result<(String, crate::iam::document::Document), String>;

fn policy(flag: &str, given: &str, parse: Parse) -> Result<PolicyFile, KubectlError> {
    let (role, name) = match given.split_once('=') {
        Some((role, name)) if role.starts_with("arn:") => (Some(role), name),
        _ => (None, given),
    };
    let text = files::read(Path::new(name))
        .map_err(|error| KubectlError::Usage(format!("{flag}: cannot read {name}: {error}")))?;
    let parsed = parse(&text, role).map_err(|why| KubectlError::Usage(format!("{flag}: {name} {why}")))?;
    Ok(PolicyFile::new(parsed, name.to_owned(), sha256_hex(text.as_bytes())))
}

/// Reads the logs that are given, line by line.
pub(super) fn logs(paths: &[PathBuf], period: Period, namespace: Option<&String>) -> Result<Vec<Log>, KubectlError> {
    paths.iter().map(|path| log(path, period, namespace)).collect()
}

fn log(path: &Path, period: Period, namespace: Option<&String>) -> Result<Log, KubectlError> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| KubectlError::Usage(format!("--audit-log: cannot read {name}: {error}"));
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let mut reader = LogReader::new(name.clone(), period, namespace.cloned());
    let (mut hash, mut line) = (Sha256::new(), Vec::new());
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        hash.update(&line);
        let whole = if line.len() > LONGEST_LINE { &[][..] } else { &line };
        reader.line(String::from_utf8_lossy(whole).trim_end());
        line.clear();
    }
    let sha256 = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(reader.done(sha256))
}
