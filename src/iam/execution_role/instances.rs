//! EC2 instances, and tags that EC2 sets on what it makes.

use super::payload::Field;
use super::task::Task;
use crate::asl::model::Arn;
use crate::iam::document::Conditions;
use crate::integrations::sdk::Operation;

pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    match (operation.service, operation.name) {
        ("ec2", "RunInstances") => {
            template(task);
            profile(task);
        }
        ("ec2", "AssociateIamInstanceProfile" | "ReplaceIamInstanceProfileAssociation" | "RequestSpotInstances")
        | ("autoscaling", "CreateLaunchConfiguration") => profile(task),
        _ => {}
    }
    if operation.service == "ec2" {
        tags(task, operation.name);
    }
}

/// The table of integrations has what a launch uses; a template is used by its name too, and names more.
fn template(task: &mut Task<'_>) {
    if task.payload.get("LaunchTemplate").is_absent() {
        return;
    }
    if !task.payload.values("LaunchTemplate.LaunchTemplateName").is_empty() {
        let templates = task.here.arn("ec2", "launch-template/*");
        task.need(&["ec2:RunInstances"], [templates]);
    }
    task.note("launches by a launch template, and what the launch template adds (roles, snapshots, tags) is not in the definition; add it by hand");
}

/// What can be shared with everybody is of no account, and what is of IPAM of no region (service authorization reference, EC2).
fn arn(task: &Task<'_>, kind: &str, name: &str) -> String {
    let mut there = task.here.clone();
    if matches!(kind, "image" | "snapshot") {
        there.account.clear();
    }
    if kind.starts_with("ipam") {
        there.region.clear();
    }
    there.arn("ec2", &format!("{kind}/{name}"))
}

/// What the ids of EC2 begin with, and of what kind each is (EC2 user guide, "Resource IDs"; service authorization reference, EC2).
const KINDS: [(&str, &str); 20] = [
    ("acl", "network-acl"),
    ("ami", "image"),
    ("dopt", "dhcp-options"),
    ("eipalloc", "elastic-ip"),
    ("eni", "network-interface"),
    ("i", "instance"),
    ("igw", "internet-gateway"),
    ("key", "key-pair"),
    ("lt", "launch-template"),
    ("nat", "natgateway"),
    ("pcx", "vpc-peering-connection"),
    ("rtb", "route-table"),
    ("sg", "security-group"),
    ("snap", "snapshot"),
    ("subnet", "subnet"),
    ("tgw", "transit-gateway"),
    ("tgw-attach", "transit-gateway-attachment"),
    ("vol", "volume"),
    ("vpc", "vpc"),
    ("vpce", "vpc-endpoint"),
];

/// Tags of what stands in `Resources`, each by its id; false where nothing is written out there.
pub(super) fn tagged(task: &mut Task<'_>, action: &str) -> bool {
    let ids: Vec<String> = task.payload.values("Resources").iter().filter_map(Field::text).collect();
    let (mut arns, mut unknown) = (Vec::new(), Vec::new());
    for id in &ids {
        let (begin, _) = id.rsplit_once('-').unwrap_or_default();
        match KINDS.iter().find(|(of, _)| *of == begin) {
            None if Arn::parse(id).is_some_and(|arn| arn.service == "ec2") => arns.push(id.clone()),
            Some((_, kind)) => arns.push(arn(task, kind, id)),
            None => unknown.push(id.as_str()),
        }
    }
    if !unknown.is_empty() {
        let given = task.given("ec2", "");
        if given.is_empty() {
            task.missing(format!(
                "needs {action} on {}, which is no id that is known here; give its ARN with {}",
                unknown.join(", "),
                task.flag("ARN")
            ));
        }
        arns.extend(given);
    }
    task.need(&[action], arns);
    !ids.is_empty()
}

/// The role of a profile is handed over; the profile may be named otherwise than its role (IAM user guide, "Use instance
/// profiles").
fn profile(task: &mut Task<'_>) {
    if task.payload.values(".IamInstanceProfile").is_empty() {
        return;
    }
    let roles = task.given("iam", "role/");
    if roles.is_empty() {
        task.missing(format!(
            "hands over the role of an instance profile, which the call does not name; give it with {}",
            task.flag(&format!("arn:{}:iam::{}:role/ROLE", task.here.partition, task.here.account))
        ));
    }
    let to = ("iam:PassedToService".to_owned(), vec!["ec2.amazonaws.com".to_owned()]);
    task.need_when(&["iam:PassRole"], roles, Conditions::from([("StringEquals".into(), [to].into())]));
}

/// Tags that are set on what a call makes, and by that call alone (EC2 user guide, "Grant permission to tag Amazon EC2 resources
/// during creation").
fn tags(task: &mut Task<'_>, operation: &str) {
    let mut made = Vec::new();
    for field in task.payload.values("TagSpecifications.ResourceType") {
        match (field.text(), field) {
            (Some(kind), _) => made.push(arn(task, &kind, "*")),
            (None, Field::FromInput(_)) => made.push(task.here.arn("ec2", "*/*")),
            (None, _) => {}
        }
    }
    let by = ("ec2:CreateAction".to_owned(), vec![operation.to_owned()]);
    task.need_when(&["ec2:CreateTags"], made, Conditions::from([("StringEquals".into(), [by].into())]));
}
