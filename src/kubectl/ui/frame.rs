//! What stands around every page: where one is, what cannot be seen and why, and what the page waits for.

use super::site::Site;
use super::store::{Kind, Sight};

/// What stands around a page.
pub(super) struct Frame {
    pub title: String,
    /// The place in the navigation that it is under.
    pub place: &'static str,
    /// The kubeconfig's context.
    pub context: String,
    /// What cannot be seen, and why.
    pub notes: Vec<String>,
    /// Kinds that are still being read.
    pub reading: Vec<&'static str>,
    /// What is to change for the page to be looked at again, as the script asks for it.
    pub live: String,
    /// Up to which change the page tells.
    pub version: u64,
    /// What forms carry along; empty where nothing can be done.
    pub form: String,
}

impl Frame {
    /// Of a page that shows objects of these kinds.
    pub fn new(site: &Site, title: &str, place: &'static str, kinds: &[Kind]) -> Self {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let version = site.store.version();
        let sights: Vec<(Kind, Sight)> =
            site.store.sights().into_iter().filter(|(kind, _)| kinds.contains(kind)).collect();
        let unread = sights.iter().filter(|(_, sight)| !sight.complete && sight.trouble.is_none());
        Self {
            title: title.to_owned(),
            place,
            context: site.cluster.context.clone(),
            notes: notes(&sights),
            reading: unread.map(|(kind, _)| kind.name()).collect(),
            live: names.join(","),
            version,
            form: site.door.form_token().unwrap_or_default().to_owned(),
        }
    }

    /// Changed by nothing but this object.
    pub fn of_one(mut self, kind: Kind, namespace: &str, name: &str) -> Self {
        self.live = format!("{}/{namespace}/{name}", kind.name());
        self
    }
}

/// Kinds with the same trouble are told once.
fn notes(sights: &[(Kind, Sight)]) -> Vec<String> {
    let mut notes: Vec<String> = sights.iter().filter_map(|(_, sight)| sight.trouble.clone()).collect();
    let mut within: Vec<(&str, Vec<&str>)> = Vec::new();
    for (kind, sight) in sights {
        let Some(namespace) = &sight.within else { continue };
        match within.iter_mut().find(|(known, _)| known == namespace) {
            Some((_, kinds)) => kinds.push(kind.name()),
            None => within.push((namespace, vec![kind.name()])),
        }
    }
    notes.extend(
        within.iter().map(|(namespace, kinds)| format!("Of namespace \"{namespace}\" alone: {}.", kinds.join(", "))),
    );
    notes.dedup();
    notes
}
