//! Who may bind, use, write, run, approve, take over and read data.

use super::controls::{A5_3, A5_15, A5_18, A8_2, A8_3, CC6_1, CC6_2, CC6_3, CC8_1};
use super::item::{Facts, Finding, Item, Part, Section, Severity, counted};
use super::rbac::{ASKED, Grant, grants};
use super::reading::Read;

const ID: &str = "access";
const ALL: &[&str] = &[CC6_1, CC6_2, CC6_3, CC8_1, A5_3, A5_15, A5_18, A8_2, A8_3];
/// Rights that decide about a role of AWS, or about another's request: a `*` gives them to somebody unnamed.
const NAMED: [&str; 3] = ["bind", "use", "approve"];

/// The controls of a right.
fn controls(right: &str) -> &'static [&'static str] {
    match right {
        "approve" => &[CC6_3, CC8_1, A5_3, A5_18],
        "read data" => &[CC6_1, CC6_3, A5_15, A5_18, A8_3],
        "write" | "run" => &[CC6_1, CC6_2, CC6_3, CC8_1, A5_15, A5_18],
        _ => &[CC6_1, CC6_2, CC6_3, A5_15, A5_18, A8_2],
    }
}

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "Who may do what", ALL).table();
    section.not_read = unread(read);
    let (grants, dangling) = grants(read);
    let can_tell = read.cluster_roles.refused.is_none() && read.roles.refused.is_none();
    if !can_tell {
        section
            .not_read
            .extend(dangling.iter().map(|what| format!("{what}, which could not be read: what it gives is not known")));
    }
    if read.cluster_role_bindings.refused.is_none() || read.role_bindings.refused.is_none() {
        let is_whole = section.not_read.is_empty();
        for (right, _) in ASKED {
            let who: std::collections::BTreeSet<&str> =
                grants.iter().filter(|grant| grant.right == right).map(|grant| grant.subject.as_str()).collect();
            let more = if is_whole { "" } else { ", as far as RBAC could be read" };
            section.says.push(format!("{right}: {}{more}.", counted(who.len(), "subject")));
        }
        section.says.push("These are the subjects that RBAC names. Who is in a group is not known to it, and neither are rights that another authorizer of the API server gives.".to_owned());
        if let Some(namespace) = &read.namespace {
            section.says.push(format!(
                "Rights of the whole cluster and of namespace {namespace} are told; those of other namespaces are not."
            ));
        }
    }
    let mut findings: Vec<Finding> = grants.iter().filter_map(finding).collect();
    findings.dedup();
    section.items = grants.iter().map(item).collect();
    section.items.sort_by_key(|item| {
        let right = item.facts["right"].as_str().unwrap_or_default();
        (ASKED.iter().position(|(asked, _)| *asked == right), item.subject.clone(), item.read_from.clone())
    });
    (section, findings)
}

fn unread(read: &Read) -> Vec<String> {
    let kinds = [
        read.roles.unread("Roles"),
        read.cluster_roles.unread("ClusterRoles"),
        read.role_bindings.unread("RoleBindings"),
        read.cluster_role_bindings.unread("ClusterRoleBindings"),
    ];
    kinds.into_iter().flatten().collect()
}

fn item(grant: &Grant) -> Item {
    let mut facts = Facts::default();
    facts.put("right", grant.right);
    facts.put(
        "where",
        grant.namespace.as_ref().map_or_else(|| "the whole cluster".to_owned(), |one| format!("namespace {one}")),
    );
    facts.list("verbs", grant.verbs.iter().cloned());
    facts.list("names", grant.names.iter().cloned());
    facts.put("role", grant.role.clone());
    facts.list("aggregatedFrom", grant.through.iter().cloned());
    facts.put("wildcard", grant.is_wildcard);
    Item {
        subject: grant.subject.clone(),
        controls: controls(grant.right),
        facts: facts.done(),
        read_from: grant.read_from.clone(),
    }
}

/// The groups that hold everybody, or every account.
fn is_everybody(subject: &str) -> bool {
    [
        "Group system:authenticated",
        "Group system:unauthenticated",
        "Group system:serviceaccounts",
        "User system:anonymous",
    ]
    .contains(&subject)
}

/// What Kubernetes itself gives its own parts, and those who installed it.
fn is_of_kubernetes(grant: &Grant) -> bool {
    let role = grant.role.strip_prefix("ClusterRole ").unwrap_or_default();
    let is_role = role == "cluster-admin" || role.starts_with("system:");
    // An account may be named as a user too.
    let is_user =
        grant.subject.starts_with("User system:") && !grant.subject.starts_with("User system:serviceaccount:");
    let is_subject =
        grant.subject == "Group system:masters" || is_user || grant.subject.starts_with("ServiceAccount kube-system/");
    is_role && is_subject && !is_everybody(&grant.subject)
}

fn finding(grant: &Grant) -> Option<Finding> {
    let place =
        grant.namespace.as_ref().map_or_else(|| "in the whole cluster".to_owned(), |one| format!("in namespace {one}"));
    let found = |severity, code: &str, message: String| {
        Some(Finding {
            severity,
            code: code.to_owned(),
            subject: grant.subject.clone(),
            message,
            controls: controls(grant.right),
            section: ID,
            read_from: grant.read_from.clone(),
        })
    };
    if is_everybody(&grant.subject) {
        let message = format!(
            "everybody who reaches the API server, or every account of it, has \"{}\" {place} by {}; give it to those who need it by name",
            grant.right, grant.role
        );
        return found(Severity::Error, "EverybodyMay", message);
    }
    if !grant.is_wildcard || !NAMED.contains(&grant.right) {
        return None;
    }
    if is_of_kubernetes(grant) {
        let message = format!(
            "Kubernetes' own role gives \"{}\" {place} by a wildcard ({}); whoever can be this subject has it",
            grant.right, grant.role
        );
        return found(Severity::Note, "WildcardOfKubernetes", message);
    }
    let message = format!(
        "{} gives \"{}\" {place} by a wildcard, so nobody decided that this subject has it; name verbs and resources in the role, or take the role away",
        grant.role, grant.right
    );
    let is_admin = grant.role == "ClusterRole cluster-admin";
    found(if is_admin { Severity::Warning } else { Severity::Error }, "WildcardRight", message)
}
