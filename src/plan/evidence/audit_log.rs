//! The operator's audit log, line by line: what docs/audit.md describes, and nothing else of the log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::item::{Period, Source};

/// A line of the audit log, as far as it is evidence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    timestamp: String,
    target: String,
    message: String,
    api: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    requester: String,
    approver: String,
    binding: String,
    token_id: String,
    session_name: String,
    role_arn: String,
    request_id: String,
    outcome: String,
}

/// A call that started, redrove or stopped an execution for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub at: Timestamp,
    pub api: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub requester: String,
    pub approver: String,
    pub session_name: String,
    pub request_id: String,
    pub outcome: String,
    /// Number of its line.
    pub line: usize,
}

/// Sessions of one name, of one binding and role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    pub requester: String,
    /// Roles that were assumed, and assumptions that were refused.
    pub assumed: usize,
    pub refused: usize,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Seconds from an assumption to the last call in that session, of the longest.
    pub longest_use: i64,
    /// Lines of the first and the last assumption.
    pub lines: Vec<usize>,
}

/// Namespace, binding, name of the session, role.
pub(super) type SessionKey = (String, String, String, String);

/// What a file of the audit log holds of a period.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) name: String,
    pub(super) sha256: String,
    /// Lines of the file, and those that are audit records of the period.
    pub(super) lines: usize,
    pub(super) records: usize,
    /// Times of the first and the last audit record of the file, in the period or not.
    pub(super) covers: Option<(Timestamp, Timestamp)>,
    /// Audit records that could not be read, by their lines.
    pub(super) unreadable: Vec<usize>,
    pub(super) calls: Vec<Call>,
    pub(super) sessions: BTreeMap<SessionKey, Sessions>,
}

impl Log {
    /// A line of it, or all of it.
    pub(super) fn source(&self, line: Option<usize>) -> Source {
        Source::File { name: self.name.clone(), sha256: self.sha256.clone(), line }
    }
}

/// Reads a file of the audit log line by line, however long it is.
#[derive(Debug)]
pub struct LogReader {
    period: Period,
    namespace: Option<String>,
    log: Log,
    /// By the id of its token: when a session began, and whose it is.
    begun: BTreeMap<String, (Timestamp, SessionKey)>,
}

impl LogReader {
    /// For the records of a period, and of a namespace where one is asked about.
    pub fn new(name: String, period: Period, namespace: Option<String>) -> Self {
        let log = Log {
            name,
            sha256: String::new(),
            lines: 0,
            records: 0,
            covers: None,
            unreadable: Vec::new(),
            calls: Vec::new(),
            sessions: BTreeMap::new(),
        };
        Self { period, namespace, log, begun: BTreeMap::new() }
    }

    /// Takes the next line. What is no audit record is passed over: a log holds other lines too.
    pub fn line(&mut self, text: &str) {
        self.log.lines += 1;
        let number = self.log.lines;
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            if text.contains("\"target\":\"audit\"") {
                self.log.unreadable.push(number);
            }
            return;
        };
        if line.target != "audit" {
            return;
        }
        let Ok(at) = line.timestamp.parse::<Timestamp>() else {
            self.log.unreadable.push(number);
            return;
        };
        self.log.covers = Some(self.log.covers.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        if !self.period.holds(at) || self.namespace.as_ref().is_some_and(|one| *one != line.namespace) {
            return;
        }
        self.log.records += 1;
        if line.message == "role assumption" {
            self.assumption(at, line, number);
        } else if line.message == "AWS call" {
            self.call(at, line, number);
        }
    }

    /// The whole, once the file's digest is known.
    pub fn done(mut self, sha256: String) -> Log {
        self.log.sha256 = sha256;
        self.log
    }

    fn assumption(&mut self, at: Timestamp, line: Line, number: usize) {
        let key = (line.namespace, line.binding, line.session_name, line.role_arn);
        let sessions = self.log.sessions.entry(key.clone()).or_default();
        sessions.requester = line.requester;
        if line.outcome == "Success" {
            sessions.assumed += 1;
            self.begun.insert(line.token_id, (at, key));
        } else {
            sessions.refused += 1;
        }
        sessions.first = Some(sessions.first.map_or(at, |first| first.min(at)));
        sessions.last = Some(sessions.last.map_or(at, |last| last.max(at)));
        sessions.lines.truncate(1);
        sessions.lines.push(number);
    }

    fn call(&mut self, at: Timestamp, line: Line, number: usize) {
        if let Some((begun, key)) = self.begun.get(&line.token_id)
            && let Some(sessions) = self.log.sessions.get_mut(key)
        {
            sessions.longest_use = sessions.longest_use.max(at.duration_since(*begun).as_secs());
        }
        let acts =
            ["states:StartExecution", "states:StartSyncExecution", "states:RedriveExecution", "states:StopExecution"];
        if line.kind == "WorkflowRun" && acts.contains(&line.api.as_str()) {
            self.log.calls.push(Call {
                at,
                api: line.api,
                namespace: line.namespace,
                name: line.name,
                uid: line.uid,
                requester: line.requester,
                approver: line.approver,
                session_name: line.session_name,
                request_id: line.request_id,
                outcome: line.outcome,
                line: number,
            });
        }
    }
}
