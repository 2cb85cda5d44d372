//! The one way to fetch an object by a name that another object gives.
//!
//! The client puts a name into the path as it is, so `fulfil?` would fetch `fulfil`: the same object, known here under two
//! names, with positions in a queue and an epoch for each. The schema takes no such name; objects may be older than its pattern.

use std::fmt::Debug;

use kube::Resource;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use super::Context;
use crate::api::v1alpha1::is_object_name;
use crate::kube::api_failure;
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// What is named in the namespace, or `None` where there is none.
///
/// # Errors
/// [`Reason::ValueNotAllowed`] for what is no name, or why it cannot be read.
pub(super) async fn named<K>(ctx: &Context, namespace: &str, name: &str) -> Result<Option<K>, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    check_name(&K::kind(&()), namespace, name)?;
    let api = Api::<K>::namespaced(ctx.client.clone(), namespace);
    api.get_opt(name).await.map_err(|error| api_failure(&error))
}

/// The same for what is being stopped or deleted, which an old name must not hold up: nothing has a name that is none.
pub(super) async fn named_at_the_end<K>(ctx: &Context, namespace: &str, name: &str) -> Result<Option<K>, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    if is_object_name(name) { named(ctx, namespace, name).await } else { Ok(None) }
}

/// Refuses what is no name of an object of the kind.
pub(super) fn check_name(kind: &str, namespace: &str, name: &str) -> Result<(), Failure> {
    if is_object_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!(
        "{shown:?} cannot be the name of a {kind}, so none was looked for in namespace \"{namespace}\": names have lower-case letters, digits, \"-\" and \".\" only. This object is older than the rule that asks for it: give the exact name of the {kind}, in a new object where it cannot be changed."
    );
    Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::v1alpha1::{TrustBinding, Workflow};
    use crate::controllers::dereference::{LastSession, ReadFor, authorized_binding, config_map, last_session_for};
    use crate::controllers::stand_in::World;
    use crate::iam::binding_role::session::Purpose;

    const NO_NAMES: [&str; 5] = ["orders?", "orders#x", "../workflows/orders", "own name", ""];

    #[tokio::test]
    async fn nothing_is_fetched_by_what_is_no_name() {
        let world = World::new("STANDARD", |_| (500, String::new())).await;
        assert!(named::<TrustBinding>(&world.ctx, "shop", "orders").await.unwrap().is_some());
        for none in NO_NAMES {
            let refused = named::<Workflow>(&world.ctx, "shop", none).await.unwrap_err();
            assert_eq!((refused.class, refused.reason), (Class::Terminal, Reason::ValueNotAllowed), "{none}");
            for word in
                [&*format!("{none:?} cannot be the name of a Workflow"), "namespace \"shop\"", "give the exact name"]
            {
                assert!(refused.message.contains(word), "{word}: {}", refused.message);
            }
            assert!(named_at_the_end::<Workflow>(&world.ctx, "shop", none).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_binding_has_one_name_and_another_holds_up_no_deletion() {
        let world = World::new("STANDARD", |_| (500, String::new())).await;
        authorized_binding(&world.ctx, "shop", "orders").await.map_err(|none| none.failure).unwrap();
        let purpose = Purpose::Observe(None);
        for none in NO_NAMES {
            let refused = authorized_binding(&world.ctx, "shop", none).await.err().unwrap();
            assert_eq!((refused.failure.reason, refused.gone), (Reason::ValueNotAllowed, true), "{none}");
            let last = last_session_for(
                &world.ctx,
                &std::sync::Arc::default(),
                "shop",
                none,
                &purpose,
                jiff::Timestamp::now(),
            )
            .await
            .unwrap();
            assert!(matches!(last, LastSession::Gone(failure) if failure.reason == Reason::ValueNotAllowed), "{none}");
        }
    }

    #[tokio::test]
    async fn an_object_from_before_the_pattern_is_refused_and_says_why() {
        let world = World::new("STANDARD", |_| (500, String::new())).await;
        world.add_run("old", &json!({"workflowRef": {"name": "orders?"}}));
        world.wake("old").await;
        world.wake("old").await;
        let status = world.run("old").status.unwrap();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready").unwrap();
        assert_eq!(ready.reason, Reason::ValueNotAllowed, "{ready:?}");
        let refused = config_map(&world.ctx, "shop", "../secrets/x", ReadFor::Input).await.unwrap_err();
        assert_eq!(refused.reason, Reason::ValueNotAllowed);
        assert_eq!(world.calls("StartExecution"), 0);
    }

    /// Every other fetch of a controller is of an object's own name.
    #[test]
    fn controllers_fetch_by_names_of_specs_here_alone() {
        fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { files(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/controllers")), &mut found);
        assert!(found.len() > 20);
        let mut fetches = Vec::new();
        for path in found.iter().filter(|path| !path.ends_with("named.rs")) {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().map(str::trim).filter(|line| {
                [".get_opt(", "api.get(", ".get_metadata(", ".get_metadata_opt("].iter().any(|call| line.contains(call))
            });
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            fetches.extend(lines.filter(|line| !line.contains("name_any()")).map(|line| format!("{name}: {line}")));
        }
        fetches.sort();
        let files: Vec<&str> = fetches.iter().map(|fetch| fetch.split(':').next().unwrap()).collect();
        // The operator's own policies, a namespace, a Secret whose name was looked at, an output's ConfigMap, and pages.
        let known = ["attribution.rs", "guardrails.rs", "identity_provider.rs", "output.rs", "pages.rs", "pages.rs"];
        assert_eq!(files, known, "{fetches:#?}");
    }
}
