//! Notices when the list of tools becomes another.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event};
use tokio::time::sleep;

use crate::api::v1alpha1::Workflow;
use crate::digest::sha256_hex;
use crate::kubectl::Cluster;

/// Changes so close together are told once.
const PAUSE: Duration = Duration::from_millis(500);

/// Changes of the tools, as they come.
pub(super) struct Changes {
    events: BoxStream<'static, Result<Event<DynamicObject>, watcher::Error>>,
    seen: Seen,
    told: Option<BTreeMap<String, String>>,
}

impl Changes {
    /// From now on.
    pub fn of(cluster: &Cluster) -> Self {
        let events = watcher::watcher(cluster.as_they_are::<Workflow>(), Config::default()).default_backoff().boxed();
        Self { events, seen: Seen::default(), told: None }
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        let mut is_due = false;
        loop {
            tokio::select! {
                Some(event) = self.events.next() => match event {
                    Ok(event) => is_due |= self.seen.take(event),
                    // It is asked again; meanwhile the list is as it was.
                    Err(error) => tracing::debug!(%error, "Workflows are not watched for now"),
                },
                () = sleep(PAUSE), if is_due => {
                    is_due = false;
                    let before = self.told.replace(self.seen.tools.clone());
                    if before.is_some_and(|before| before != self.seen.tools) {
                        return;
                    }
                }
                else => return std::future::pending().await,
            }
        }
    }
}

/// The Workflows that are tools, each with a digest of what its tool is made of.
#[derive(Default)]
struct Seen {
    tools: BTreeMap<String, String>,
    listed: BTreeMap<String, String>,
}

impl Seen {
    /// True where the list is whole and may be another.
    fn take(&mut self, event: Event<DynamicObject>) -> bool {
        let is_whole = !matches!(event, Event::Init | Event::InitApply(_));
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => put(&mut self.listed, &object),
            Event::InitDone => self.tools = std::mem::take(&mut self.listed),
            Event::Apply(object) => put(&mut self.tools, &object),
            Event::Delete(object) => drop(self.tools.remove(&object.name_any())),
        }
        is_whole
    }
}

fn put(tools: &mut BTreeMap<String, String>, object: &DynamicObject) {
    let spec = &object.data["spec"];
    if spec.get("tool").is_none() || object.metadata.deletion_timestamp.is_some() {
        tools.remove(&object.name_any());
        return;
    }
    let created = object.creation_timestamp().map(|time| time.0);
    let made_of = format!("{}\0{}\0{created:?}", spec["tool"], spec["inputSchema"]);
    tools.insert(object.name_any(), sha256_hex(made_of.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn workflow(name: &str, spec: &Value) -> DynamicObject {
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn the_list_is_another_only_where_a_tool_is() {
        let mut seen = Seen::default();
        let ship = |description: &str| workflow("ship", &json!({"tool": {"description": description}}));
        for event in [Event::Init, Event::InitApply(ship("a")), Event::InitApply(workflow("quiet", &json!({})))] {
            assert!(!seen.take(event), "the list is not whole");
        }
        assert!(seen.take(Event::InitDone));
        let first = seen.tools.clone();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["ship"]);
        for event in [Event::Apply(ship("a")), Event::Apply(workflow("quiet", &json!({"suspend": true})))] {
            seen.take(event);
            assert_eq!(seen.tools, first);
        }
        for event in [Event::Apply(ship("b")), Event::Apply(workflow("ship", &json!({}))), Event::Delete(ship("b"))] {
            let before = seen.tools.clone();
            seen.take(event.clone());
            assert!(seen.tools != first, "{event:?}");
            assert!(seen.tools != before || seen.tools.is_empty());
        }
    }
}
