//! The cluster of the kubeconfig, as the user's own.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::config::{AuthInfo, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use super::KubectlError;
use super::flags::Connection;
use super::kinds::{Kind, name_of};
use super::token_file::{TokenFile, with_token};
use crate::api::v1alpha1::{DurationString, is_object_name};
use crate::kube::client::readable;
use crate::similar::nearest;

/// Objects asked for at once.
const PAGE: u32 = 500;

/// A connection, and the namespace that is meant where none is named.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub client: Client,
    pub namespace: String,
    /// The kubeconfig's context, as people know the cluster by.
    pub context: String,
    /// Flags that the next command needs to mean the same.
    again: String,
}

impl Cluster {
    pub async fn connect(flags: &Connection) -> Result<Self, KubectlError> {
        flags.remember();
        // What is wrong with a token is told before anything is asked.
        let token = flags.token_file.as_deref().map(TokenFile::open).transpose()?;
        let (mut config, context) = configured(flags).await?;
        if let Some(namespace) = &flags.namespace {
            config.default_namespace.clone_from(namespace);
        }
        if !is_object_name(&config.default_namespace) {
            return Err(KubectlError::Usage(format!("{:?} is no name of a namespace", config.default_namespace)));
        }
        if token.is_some() {
            is_for_a_token(&config.cluster_url)?;
            config.auth_info = AuthInfo::default();
        }
        if let Some(user) = &flags.act_as {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups = Some(flags.act_as_groups.clone());
        }
        // A watch may be silent for long; what waits for an answer says so by a timeout of its own.
        config.read_timeout = duration("--request-timeout", &flags.request_timeout)?;
        let namespace = config.default_namespace.clone();
        let mut client = Client::try_from(config).map_err(KubectlError::Client)?;
        if let Some(token) = token {
            client = with_token(client, token);
        }
        Ok(Self { client: readable(client), namespace, context, again: flags.again() })
    }

    /// The API server that a configuration finds, asked as somebody else.
    #[cfg(feature = "operator")]
    pub fn acting_as(config: &Config, user: &str) -> Result<Self, kube::Error> {
        let mut config = config.clone();
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = None;
        // A request of an agent has an end, and so have those that it makes.
        config.connect_timeout = Some(Duration::from_secs(10));
        let namespace = config.default_namespace.clone();
        let client = readable(Client::try_from(config)?);
        Ok(Self { client, again: format!(" -n {namespace}"), namespace, context: String::new() })
    }

    /// The same in another namespace.
    #[cfg(feature = "operator")]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), again: format!(" -n {namespace}"), ..self.clone() }
    }

    /// The objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a kind in the namespace, as the API has them: also what this program does not know.
    pub fn as_they_are<K>(&self) -> Api<DynamicObject>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource::<K>())
    }

    /// The same in all namespaces.
    pub fn as_they_are_everywhere<K>(&self) -> Api<DynamicObject>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        Api::all_with(self.client.clone(), &resource::<K>())
    }

    /// One object as the API has it. A name may stand behind its kind, as `-o name` prints it.
    pub async fn get<K>(&self, name: &str) -> Result<DynamicObject, KubectlError>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let name = match Kind::of::<K>() {
            Some(kind) => &name_of(kind, name)?,
            None => name,
        };
        let api = self.as_they_are::<K>();
        match api.get(name).await {
            Err(kube::Error::Api(status)) if status.code == 404 && KubectlError::is_of_an_object(&status) => {
                // Whoever may not list them is not told which there are.
                let listed = api.list_metadata(&ListParams::default().limit(PAGE)).await;
                let names: Vec<String> =
                    listed.into_iter().flatten().filter_map(|object| object.metadata.name).collect();
                Err(KubectlError::no_such(
                    &kind,
                    name,
                    &self.namespace,
                    nearest(name, names.iter().map(String::as_str)),
                ))
            }
            answer => answer.map_err(|error| KubectlError::of(&format!("get {kind} \"{name}\""), error)),
        }
    }

    /// The same as its type.
    pub async fn typed<K>(&self, name: &str) -> Result<K, KubectlError>
    where
        K: Resource + DeserializeOwned,
        K::DynamicType: Default,
    {
        typed(self.get::<K>(name).await?)
    }

    /// The command that a hint names, for this cluster and namespace: `kubectl sfn get a -n shop`.
    pub fn command(&self, verb_and_arguments: &str) -> String {
        format!("kubectl sfn {verb_and_arguments}{}", self.again)
    }
}

/// What the kubeconfig says, or the flags in its place, and what people know the cluster by.
async fn configured(flags: &Connection) -> Result<(Config, String), KubectlError> {
    if let Some(server) = &flags.server {
        let kubeconfig = of_server(server, flags.certificate_authority.as_deref());
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let config = config.map_err(|error| {
            KubectlError::Usage(format!("cannot use what --server and --certificate-authority say: {error}"))
        })?;
        return Ok((config, server.clone()));
    }
    let options = KubeConfigOptions { context: flags.context.clone(), ..KubeConfigOptions::default() };
    let kubeconfig = match &flags.kubeconfig {
        Some(path) => Kubeconfig::read_from(path)?,
        None => Kubeconfig::read()?,
    };
    let context = flags.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    Ok((Config::from_custom_kubeconfig(kubeconfig, &options).await?, context))
}

/// What a kubeconfig would say of an API server that is named by its address alone.
fn of_server(server: &str, authority: Option<&Path>) -> Kubeconfig {
    let name = || "of-the-flags".to_owned();
    let cluster = kube::config::Cluster {
        server: Some(server.to_owned()),
        certificate_authority: authority.map(|path| path.display().to_string()),
        ..kube::config::Cluster::default()
    };
    let context = Context { cluster: name(), user: Some(name()), ..Context::default() };
    Kubeconfig {
        current_context: Some(name()),
        clusters: vec![NamedCluster { name: name(), cluster: Some(cluster), ..NamedCluster::default() }],
        contexts: vec![NamedContext { name: name(), context: Some(context), ..NamedContext::default() }],
        auth_infos: vec![NamedAuthInfo {
            name: name(),
            auth_info: Some(AuthInfo::default()),
            ..NamedAuthInfo::default()
        }],
        ..Kubeconfig::default()
    }
}

/// Whoever hears a token on the way can use it.
fn is_for_a_token(url: &http::Uri) -> Result<(), KubectlError> {
    let is_here = url.host().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    if url.scheme_str() == Some("https") || (url.scheme_str() == Some("http") && is_here) {
        return Ok(());
    }
    Err(KubectlError::Usage(format!(
        "a token is sent over https alone, and {url} is something else; write the API server's address as https://HOST:PORT"
    )))
}

/// All objects that are asked for, page by page.
pub(super) async fn all<K>(api: &Api<K>, asked: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let (mut found, mut asked) = (Vec::new(), asked.clone().limit(PAGE));
    loop {
        let page = api.list(&asked).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => asked = asked.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// An object as its type. What this program does not know of is passed over; what it cannot read is another version's.
pub(super) fn typed<K: DeserializeOwned>(object: DynamicObject) -> Result<K, KubectlError> {
    let unreadable = |error: serde_json::Error| {
        KubectlError::Refused(format!(
            "cannot read the API server's answer: {error}. The cluster's Stepbound is probably newer than this plugin: update it, or see the object with -o yaml"
        ))
    };
    serde_json::from_value(serde_json::to_value(object).map_err(unreadable)?).map_err(unreadable)
}

fn resource<K>() -> ApiResource
where
    K: Resource,
    K::DynamicType: Default,
{
    let dynamic = K::DynamicType::default();
    ApiResource {
        group: K::group(&dynamic).into_owned(),
        version: K::version(&dynamic).into_owned(),
        api_version: K::api_version(&dynamic).into_owned(),
        kind: K::kind(&dynamic).into_owned(),
        plural: K::plural(&dynamic).into_owned(),
    }
}

/// A length of time in a flag, as kubectl reads it: `0` is none, and a number alone is of seconds.
pub(super) fn duration(flag: &str, text: &str) -> Result<Option<Duration>, KubectlError> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let time = seconds.or_else(|| DurationString(text.to_owned()).to_std());
    let time = time.ok_or_else(|| KubectlError::Usage(format!("{flag} {text:?} is no duration; write 30s or 2m")))?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_nowhere_but_to_this_machine() {
        for (url, is_sent) in [
            ("https://api.example:6443", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://api.example", false),
            ("http://127.0.0.1.example", false),
            ("api.example:6443", false),
        ] {
            assert_eq!(is_for_a_token(&url.parse().unwrap()).is_ok(), is_sent, "{url}");
        }
    }

    #[test]
    fn durations_are_read_as_kubectl_reads_them() {
        let read = |text: &str| duration("--timeout", text).ok();
        assert_eq!(read("0"), Some(None));
        assert_eq!(read("90"), Some(Some(Duration::from_secs(90))));
        assert_eq!(read("1m30s"), Some(Some(Duration::from_secs(90))));
        assert_eq!(read("soon"), None);
    }
}
