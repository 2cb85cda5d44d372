//! Sessions of AWS: whose, how often, how long.

use std::collections::BTreeMap;

use super::audit_log::{SessionKey, Sessions};
use super::controls::{A8_5, A8_15, A8_16, CC6_1, CC7_2};
use super::item::{Facts, Item, Part, Section, Source, counted, key, written};
use super::reading::Read;

const ALL: &[&str] = &[CC6_1, CC7_2, A8_5, A8_15, A8_16];

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new("sessions", "Sessions of AWS and their lengths", ALL).table();
    section.not_read = read.bindings.unread("TrustBindings, which say how long sessions are asked for");
    if read.logs.is_empty() {
        section
            .not_read
            .push("sessions of the period: no audit log of the operator was given (--audit-log)".to_owned());
        return (section, Vec::new());
    }
    let lengths: BTreeMap<_, _> = read
        .bindings
        .objects
        .iter()
        .map(|one| {
            (key(&one.metadata), (one.spec.session_duration.0.clone(), Source::object("TrustBinding", &one.metadata)))
        })
        .collect();
    let (assumed, refused) = totals(read);
    section.says.push(format!("{} of roles and {} in the audit log. A session ends by itself after the length that was asked for; when it was used last is told from the calls made in it.", counted(assumed, "assumption"), counted(refused, "refusal")));
    for ((namespace, binding, session, role), (found, read_from)) in all(read) {
        let mut facts = Facts::default();
        facts.put("binding", format!("{namespace}/{binding}"));
        facts.put("role", role);
        facts.some("requester", Some(found.requester).filter(|one| !one.is_empty()));
        facts.put("assumed", found.assumed);
        facts.put("refused", found.refused);
        facts.some("first", found.first.map(written));
        facts.some("last", found.last.map(written));
        let asked = lengths.get(&(namespace, binding));
        facts.some("lengthAskedForNow", asked.map(|(length, _)| length.clone()));
        facts.put("longestUse", format!("{}s", found.longest_use));
        let read_from = read_from.into_iter().chain(asked.map(|(_, source)| source.clone())).collect();
        section.items.push(Item {
            subject: format!("session {session}"),
            controls: ALL,
            facts: facts.done(),
            read_from,
        });
    }
    (section, Vec::new())
}

fn totals(read: &Read) -> (usize, usize) {
    let sessions = || read.logs.iter().flat_map(|log| log.sessions.values());
    (sessions().map(|one| one.assumed).sum(), sessions().map(|one| one.refused).sum())
}

/// Those of all files together.
fn all(read: &Read) -> BTreeMap<SessionKey, (Sessions, Vec<Source>)> {
    let mut all: BTreeMap<SessionKey, (Sessions, Vec<Source>)> = BTreeMap::new();
    for log in &read.logs {
        for (key, found) in &log.sessions {
            let (sum, sources) = all.entry(key.clone()).or_default();
            if !found.requester.is_empty() {
                sum.requester.clone_from(&found.requester);
            }
            sum.assumed += found.assumed;
            sum.refused += found.refused;
            sum.first = sum.first.into_iter().chain(found.first).min();
            sum.last = sum.last.into_iter().chain(found.last).max();
            sum.longest_use = sum.longest_use.max(found.longest_use);
            sources.extend(found.lines.iter().map(|line| log.source(Some(*line))));
        }
    }
    all
}
