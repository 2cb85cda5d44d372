//! Who may do what, from the objects of RBAC, as the API server's own authorizer reads them.
//!
//! Roles that are aggregated hold the rules that the controller has put into them; those count, and the roles by whose labels they
//! came are named beside. A verb `create` that is bound to names gives nothing, because what is created has no name yet when it is
//! asked about; what stands below an object has one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::item::{Source, place};
use super::reading::Read;
use crate::api::v1alpha1::GROUP;
use crate::plan::guardrail::selects;

/// Something that a person may do, as one request of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// Group, resource with what stands below it, and the verbs any of which is enough.
    pub group: &'static str,
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
}

const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

const fn ours(resource: &'static str, verbs: &'static [&'static str]) -> Right {
    Right { group: GROUP, resource, verbs }
}

const fn core(resource: &'static str, verbs: &'static [&'static str]) -> Right {
    Right { group: "", resource, verbs }
}

/// What is asked of everybody: a word for it, and the requests by which it is done.
pub(super) const ASKED: [(&str, &[Right]); 11] = [
    (
        "bind",
        &[
            ours("trustbindings", &["create", "update", "patch"]),
            ours("identityproviders", &["create", "update", "patch"]),
        ],
    ),
    ("use", &[ours("trustbindings", &["use"])]),
    ("write", &[ours("workflows", WRITE), ours("activities", WRITE)]),
    ("run", &[ours("workflowruns", WRITE), ours("workflowschedules", WRITE)]),
    ("approve", &[ours("approvals", &["patch", "update"])]),
    ("take over", &[ours("workflows", &["take-over"])]),
    ("read data", &[ours("executiondatapages", &["get", "list", "watch"])]),
    ("rule", &[ours("guardrails", WRITE)]),
    (
        "override",
        &[
            ours("trustbindings", &["override"]),
            ours("identityproviders", &["override"]),
            ours("workflows", &["override"]),
            ours("activities", &["override"]),
            ours("workflowruns", &["override"]),
            ours("workflowschedules", &["override"]),
        ],
    ),
    (
        "act as an account",
        &[
            core("serviceaccounts/token", &["create"]),
            core("serviceaccounts", &["impersonate"]),
            core("pods", &["create"]),
        ],
    ),
    (
        "change policies",
        &[
            Right { group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies", verbs: WRITE },
            Right {
                group: "admissionregistration.k8s.io",
                resource: "validatingadmissionpolicybindings",
                verbs: WRITE,
            },
        ],
    ),
];

/// That somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The word for it.
    pub right: &'static str,
    /// `User alice`, `Group system:masters`, `ServiceAccount shop/ci`.
    pub subject: String,
    /// In which namespace; everywhere where there is none.
    pub namespace: Option<String>,
    /// To which objects alone; to all where there is none.
    pub names: BTreeSet<String>,
    /// The verbs, with their resources.
    pub verbs: BTreeSet<String>,
    /// Whether it comes by `*` in a rule.
    pub is_wildcard: bool,
    /// The role: `ClusterRole edit`.
    pub role: String,
    /// The roles by whose labels an aggregated role has it.
    pub through: BTreeSet<String>,
    /// The role and its binding.
    pub read_from: Vec<Source>,
}

/// A role that somebody has, whichever its kind.
struct Held<'a> {
    kind: &'static str,
    metadata: &'a ObjectMeta,
    rules: &'a [PolicyRule],
    aggregates: Vec<&'a ClusterRole>,
}

/// Who may do what is asked, as far as the objects of RBAC were read; and bindings whose role is not among them.
pub(super) fn grants(read: &Read) -> (Vec<Grant>, Vec<String>) {
    let roles: BTreeMap<_, &Role> = read
        .roles
        .objects
        .iter()
        .map(|role| ((role.metadata.namespace.clone(), role.metadata.name.clone()), role))
        .collect();
    let cluster_roles: BTreeMap<_, &ClusterRole> =
        read.cluster_roles.objects.iter().map(|role| (role.metadata.name.clone(), role)).collect();
    let held = |reference: &RoleRef, namespace: Option<&String>| {
        let name = Some(reference.name.clone());
        if reference.kind == "Role" {
            let role = roles.get(&(namespace.cloned(), name))?;
            let given = role.rules.as_deref().unwrap_or_default();
            return Some(Held { kind: "Role", metadata: &role.metadata, rules: given, aggregates: Vec::new() });
        }
        let role = cluster_roles.get(&name)?;
        let given = role.rules.as_deref().unwrap_or_default();
        Some(Held {
            kind: "ClusterRole",
            metadata: &role.metadata,
            rules: given,
            aggregates: aggregated(role, &read.cluster_roles.objects),
        })
    };
    let everywhere = read.cluster_role_bindings.objects.iter();
    let everywhere = everywhere.map(|one| ("ClusterRoleBinding", &one.metadata, &one.role_ref, &one.subjects, None));
    let within = read.role_bindings.objects.iter();
    let within =
        within.map(|one| ("RoleBinding", &one.metadata, &one.role_ref, &one.subjects, one.metadata.namespace.as_ref()));
    let (mut grants, mut dangling) = (Vec::new(), Vec::new());
    for (kind, metadata, reference, subjects, namespace) in everywhere.chain(within) {
        let Some(role) = held(reference, namespace) else {
            dangling.push(format!("{kind} {} names {} {}", place(metadata), reference.kind, reference.name));
            continue;
        };
        let source = Source::object(kind, metadata);
        for (right, requests) in ASKED {
            let Some(grant) = granted(right, requests, &role, namespace) else { continue };
            for subject in subjects.iter().flatten() {
                let read_from = vec![source.clone(), Source::object(role.kind, role.metadata)];
                grants.push(Grant { subject: named(subject, namespace), read_from, ..grant.clone() });
            }
        }
    }
    (grants, dangling)
}

/// What a role gives of a right; the subject is not known yet.
fn granted(right: &'static str, requests: &[Right], role: &Held<'_>, namespace: Option<&String>) -> Option<Grant> {
    let mut found: Option<Grant> = None;
    let (mut is_whole, mut through) = (false, BTreeSet::new());
    // What is in no namespace is not given by a role of one.
    let is_of_cluster = |one: &&Right| {
        namespace.is_none()
            || !["guardrails", "validatingadmissionpolicies", "validatingadmissionpolicybindings"]
                .contains(&one.resource)
    };
    for request in requests.iter().filter(is_of_cluster) {
        for rule in role.rules {
            let verbs = allowed(rule, request);
            if verbs.is_empty() {
                continue;
            }
            let names = rule.resource_names.iter().flatten().cloned();
            is_whole |= rule.resource_names.iter().flatten().next().is_none();
            let grant = found.get_or_insert_with(|| Grant {
                right,
                subject: String::new(),
                namespace: namespace.cloned(),
                names: BTreeSet::new(),
                verbs: BTreeSet::new(),
                is_wildcard: false,
                role: format!("{} {}", role.kind, place(role.metadata)),
                through: BTreeSet::new(),
                read_from: Vec::new(),
            });
            grant.names.extend(names);
            grant.verbs.extend(verbs.iter().map(|verb| format!("{verb} {}", request.resource)));
            grant.is_wildcard |= is_wildcard(rule, request);
            let gives = |one: &&&ClusterRole| one.rules.iter().flatten().any(|own| !allowed(own, request).is_empty());
            through.extend(role.aggregates.iter().filter(gives).filter_map(|one| one.metadata.name.clone()));
        }
    }
    let mut grant = found?;
    if is_whole {
        grant.names.clear();
    }
    grant.through = through;
    Some(grant)
}

/// The verbs of a request that a rule allows.
fn allowed<'a>(rule: &PolicyRule, request: &'a Right) -> Vec<&'a str> {
    let names = |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|one| one == "*" || one == wanted);
    if !names(&rule.api_groups, request.group)
        || !rule.resources.iter().flatten().any(|one| is_resource(one, request.resource))
    {
        return Vec::new();
    }
    let is_bound = rule.resource_names.iter().flatten().next().is_some();
    let has_no_name = |verb: &str| ["create", "deletecollection"].contains(&verb) && !request.resource.contains('/');
    let is_allowed =
        |verb: &&&str| rule.verbs.iter().any(|one| one == "*" || one == **verb) && !(is_bound && has_no_name(verb));
    request.verbs.iter().filter(is_allowed).copied().collect()
}

/// `*` is every resource; `*/token` is what stands below any.
fn is_resource(named: &str, wanted: &str) -> bool {
    let below = |whole: &str| wanted.split_once('/').is_some_and(|(_, part)| whole == format!("*/{part}"));
    named == "*" || named == wanted || below(named)
}

/// Whether a right is given by a `*` and not by its name.
fn is_wildcard(rule: &PolicyRule, request: &Right) -> bool {
    let lacks = |list: &[String], wanted: &str| !list.iter().any(|one| one == wanted);
    lacks(rule.api_groups.as_deref().unwrap_or_default(), request.group)
        || lacks(rule.resources.as_deref().unwrap_or_default(), request.resource)
        || request.verbs.iter().all(|verb| lacks(&rule.verbs, verb))
}

/// The roles whose rules an aggregated role takes in.
fn aggregated<'a>(role: &ClusterRole, all: &'a [ClusterRole]) -> Vec<&'a ClusterRole> {
    let selectors = role.aggregation_rule.iter().flat_map(|rule| rule.cluster_role_selectors.iter().flatten());
    let selectors: Vec<_> = selectors.collect();
    let is_taken = |one: &&ClusterRole| {
        let labels = one.metadata.labels.clone().unwrap_or_default();
        one.metadata.name != role.metadata.name && selectors.iter().any(|selector| selects(selector, &labels))
    };
    if selectors.is_empty() { Vec::new() } else { all.iter().filter(is_taken).collect() }
}

fn named(subject: &Subject, namespace: Option<&String>) -> String {
    if subject.kind == "ServiceAccount" {
        let own = subject.namespace.as_ref().or(namespace).cloned().unwrap_or_default();
        return format!("ServiceAccount {own}/{}", subject.name);
    }
    format!("{} {}", subject.kind, subject.name)
}
