//! Events. Written on transitions only, so none is ever a repeat and nothing about past ones has to be kept in memory.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::api::v1alpha1::FIELD_MANAGER;
use crate::reason::Reason;

/// Longest note that the API server takes, in bytes (events.k8s.io/v1, field `note`).
const MAX_NOTE: usize = 1024;

/// Whether an event tells of something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Something is wrong.
    Warning,
}

/// Writes events about objects.
pub struct Events {
    client: Client,
    instance: String,
}

impl Events {
    /// `instance` names this process.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Writes one event beside the object.
    pub async fn publish(
        &self,
        regarding: ObjectReference,
        event_type: EventType,
        reason: Reason,
        note: &str,
    ) -> Result<(), kube::Error> {
        let namespace = regarding.namespace.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                // As long as names may be; the number keeps two events about one object apart.
                name: Some(format!(
                    "{:.230}.{:016x}",
                    regarding.name.as_deref().unwrap_or_default(),
                    rand::random::<u64>()
                )),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".into()),
            reason: Some(reason.as_str().into()),
            note: Some(cut(note)),
            type_: Some(format!("{event_type:?}")),
            event_time: Some(MicroTime(Timestamp::now())),
            regarding: Some(regarding),
            reporting_controller: Some(FIELD_MANAGER.into()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        Api::namespaced(self.client.clone(), &namespace).create(&PostParams::default(), &event).await.map(drop)
    }
}

fn cut(note: &str) -> String {
    if note.len() <= MAX_NOTE {
        return note.to_owned();
    }
    let end = (0..=MAX_NOTE - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_in_bytes_and_end_at_a_character() {
        assert_eq!(cut("short"), "short");
        for shift in 0..4 {
            let note = cut(&format!("{}{}", "x".repeat(shift), "é€".repeat(1000)));
            assert!(note.len() <= MAX_NOTE && note.ends_with('…'), "{}", note.len());
        }
    }
}
