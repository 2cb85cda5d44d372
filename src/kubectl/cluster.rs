//! The cluster of the kubeconfig, as the user's own.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource};

use super::{Connection, KubectlError};
use crate::api::v1alpha1::DurationString;
use crate::kube::client::readable;

/// A connection, and the namespace that is meant where none is named.
#[derive(Clone)]
pub(super) struct Cluster {
    pub client: Client,
    pub namespace: String,
    /// The kubeconfig's context, as people know the cluster by.
    pub context: String,
}

impl Cluster {
    pub async fn connect(flags: &Connection) -> Result<Self, KubectlError> {
        let options = KubeConfigOptions { context: flags.context.clone(), ..KubeConfigOptions::default() };
        let kubeconfig = match &flags.kubeconfig {
            Some(path) => Kubeconfig::read_from(path)?,
            None => Kubeconfig::read()?,
        };
        let context = flags.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        if let Some(namespace) = &flags.namespace {
            config.default_namespace.clone_from(namespace);
        }
        if let Some(user) = &flags.act_as {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups = Some(flags.act_as_groups.clone());
        }
        // A watch may be silent for long; what waits for an answer says so by a timeout of its own.
        config.read_timeout = request_timeout(&flags.request_timeout)?;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(KubectlError::Client)?;
        Ok(Self { client: readable(client), namespace, context })
    }

    /// The objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a kind in all namespaces.
    pub fn everywhere<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }
}

/// As kubectl reads it: `0` is for ever, and a number alone is of seconds.
fn request_timeout(text: &str) -> Result<Option<Duration>, KubectlError> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let time = seconds.or_else(|| DurationString(text.to_owned()).to_std());
    let time =
        time.ok_or_else(|| KubectlError::Usage(format!("--request-timeout {text:?} is no duration; write 30s or 2m")))?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}
