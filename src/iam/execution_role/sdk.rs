//! Any operation of the AWS SDK: the action from the table, the resource from the operation's own fields.

use super::payload::Field;
use super::task::Task;
use super::{machine_learning, messaging};
use crate::asl::model::Arn;
use crate::iam::actions::{self, Format, Known, On, Permission};
use crate::iam::pattern;

pub(super) fn derive(task: &mut Task<'_>, service: &str, action: &str) {
    match actions::operation(service, action) {
        Err(error) => task.missing(format!("calls aws-sdk:{service}:{action}: {error}")),
        Ok(Known::NotAsked) => {}
        Ok(Known::Unknown { likely }) => {
            let hint = if likely.is_empty() {
                String::new()
            } else {
                format!("; by the rule that most operations follow it is {likely}")
            };
            task.missing(format!(
                "calls aws-sdk:{service}:{action}, whose IAM action is not known here ({}){hint}; add it by hand",
                actions::sources()
            ));
        }
        Ok(Known::Needs(permissions)) => {
            if let Some(expression) = task.payload.whole_from_input() {
                task.note(format!("takes all that it hands over from the input ({expression})"));
            }
            for permission in &permissions {
                one(task, service, permission);
            }
        }
    }
}

fn one(task: &mut Task<'_>, service: &str, permission: &Permission) {
    if permission.passes_role {
        passed_role(task, permission);
    }
    if service == "bedrockruntime" && !task.payload.get("ModelId").is_absent() {
        return machine_learning::invoke(task, "ModelId", &permission.action);
    }
    match &permission.on {
        On::Everything => task.need(&[&permission.action], ["*"]),
        On::AnyResource => any_resource(task, permission),
        On::Formats(formats) => of_formats(task, permission, formats),
    }
}

/// The role that the call hands over: a field of the operation whose name speaks of a role.
fn passed_role(task: &mut Task<'_>, permission: &Permission) {
    let fields: Vec<&str> =
        task.payload.names().into_iter().filter(|name| name.to_lowercase().contains("role")).collect();
    for name in fields {
        let field = task.payload.get(name);
        let roles = match field.text() {
            Some(arn) => vec![arn],
            None => task.given("iam", "role/"),
        };
        if roles.is_empty() {
            task.open(&field, &format!("the role that {} hands over", permission.action), name);
        }
        let roles = roles.into_iter().filter(|arn| arn.contains(":role/"));
        let roles: Vec<String> = roles.collect();
        task.need(&["iam:PassRole"], roles);
    }
}

/// Tags and the like can be set on anything: the ARN stands in one of the fields.
fn any_resource(task: &mut Task<'_>, permission: &Permission) {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let mut arns = written_arns(task);
    arns.retain(|arn| Arn::parse(arn).is_some_and(|parsed| parsed.service == prefix));
    if arns.is_empty() {
        arns = task.given(prefix, "");
    }
    if arns.is_empty() {
        task.missing(format!(
            "needs {} on resources that its fields do not name by ARN; give them with --resource {}=ARN, once each",
            permission.action, task.name
        ));
    }
    task.need(&[&permission.action], arns);
}

fn of_formats(task: &mut Task<'_>, permission: &Permission, formats: &[Format]) {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let given = task.given(prefix, "");
    let mut open: Vec<&str> = Vec::new();
    let mut filled: Vec<String> = Vec::new();
    let mut alternatives: Vec<Vec<&str>> = Vec::new();
    for format in formats {
        let found = fill(task, prefix, format, &given);
        if found.is_empty() {
            open.push(&format.arn);
        } else {
            alternatives.push(placeholders(&format.arn));
            filled.extend(found);
        }
    }
    filled.sort();
    filled.dedup();
    if filled.is_empty() {
        let field = first_from_input(task);
        let what = format!("the resource of {}", permission.action);
        return task.open(&field, &what, &wanted(formats));
    }
    if prefix == "s3" && filled.iter().any(|arn| arn.ends_with("/*")) && task.payload.get("Key").text().is_none() {
        task.note(format!(
            "takes the key of its object from the input, so all objects of the bucket are allowed; narrow it with --resource {}=arn:aws:s3:::BUCKET/KEY",
            task.name
        ));
    }
    // A kind that is needed and not named is told, unless what is named could stand in its place.
    let missing = formats.iter().filter(|format| format.required && open.contains(&format.arn.as_str()));
    let missing: Vec<&str> = missing
        .filter(|format| !alternatives.contains(&placeholders(&format.arn)))
        .map(|format| format.arn.as_str())
        .collect();
    if !missing.is_empty() {
        task.missing(format!(
            "needs {} on {} too, which its fields do not name; give it with --resource {}=ARN",
            permission.action,
            missing.join(", "),
            task.name
        ));
    }
    task.need(&[&permission.action], filled);
}

fn wanted(formats: &[Format]) -> String {
    let mut names: Vec<&str> = formats.iter().flat_map(|format| placeholders(&format.arn)).collect();
    names.dedup();
    names.join(", ")
}

fn first_from_input<'a>(task: &Task<'a>) -> Field<'a> {
    let fields = task.payload.names().into_iter().map(|name| task.payload.get(name));
    let mut open = fields.filter(|field| matches!(field, Field::FromInput(_)));
    open.next().unwrap_or(Field::Absent)
}

/// Names in `${…}` of a format, those of the surroundings apart.
fn placeholders(format: &str) -> Vec<&str> {
    let names = format.split("${").skip(1).filter_map(|part| part.split('}').next());
    names.filter(|name| !matches!(*name, "Partition" | "Region" | "Account")).collect()
}

/// ARNs of a format: those given, those written in a field, else the format with its names filled from the fields.
fn fill(task: &Task<'_>, prefix: &str, format: &Format, given: &[String]) -> Vec<String> {
    let shape = shape(&format.arn);
    let fits = |arn: &&String| pattern::matches(&shape, arn) && same_depth(&format.arn, arn);
    let named: Vec<String> = given.iter().filter(fits).cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let mut written = written_arns(task);
    if let Some(arn) = task.payload.get("QueueUrl").text().and_then(|url| messaging::queue_arn(task, &url)) {
        written.push(arn);
    }
    let written: Vec<String> = written.iter().filter(fits).cloned().collect();
    if !written.is_empty() {
        return written;
    }
    let here = &task.here;
    let mut arn = format.arn.replace("${Partition}", &here.partition);
    arn = arn.replace("${Region}", &here.region).replace("${Account}", &here.account);
    for name in placeholders(&format.arn) {
        let Some(value) = value_for(task, prefix, name) else { return Vec::new() };
        arn = arn.replace(&format!("${{{name}}}"), &value);
    }
    // Secrets have six characters of their own after their name (Secrets Manager user guide).
    if prefix == "secretsmanager" {
        arn.push_str("-??????");
    }
    vec![arn]
}

/// The format as a pattern: every name is any text.
fn shape(format: &str) -> String {
    let mut rest = format;
    let mut pattern = String::new();
    while let Some((before, from)) = rest.split_once("${") {
        pattern.push_str(before);
        pattern.push('*');
        rest = from.split_once('}').map_or("", |(_, after)| after);
    }
    pattern + rest
}

/// A table's ARN does not fit the format of its index, nor the other way.
fn same_depth(format: &str, arn: &str) -> bool {
    let depth = |text: &str| text.matches('/').count();
    depth(format) == depth(arn) || (format.ends_with('}') && depth(arn) > depth(format) && format.contains(":s3:"))
}

fn written_arns(task: &Task<'_>) -> Vec<String> {
    let fields = task.payload.names().into_iter().filter_map(|name| task.payload.get(name).text());
    fields.filter(|text| text.starts_with("arn:")).collect()
}

/// The value of a name in a format: from the field of that name, of its noun, or of its noun's name or id.
fn value_for(task: &Task<'_>, prefix: &str, placeholder: &str) -> Option<String> {
    let noun = ["Name", "Identifier", "Id"].into_iter().find_map(|end| placeholder.strip_suffix(end));
    let noun = noun.filter(|noun| !noun.is_empty()).unwrap_or(placeholder);
    let own = ["", "Name", "Id", "Identifier"].map(|end| format!("{noun}{end}"));
    let special = match (prefix, placeholder) {
        ("s3", "ObjectName") => vec!["Key".to_owned()],
        ("secretsmanager", "SecretId") => vec!["SecretId".to_owned(), "Name".to_owned()],
        ("logs", "LogGroupName") => vec!["LogGroupName".to_owned()],
        _ => Vec::new(),
    };
    let candidates: Vec<String> = std::iter::once(placeholder.to_owned()).chain(own).chain(special).collect();
    let named =
        task.payload.names().into_iter().find(|name| candidates.iter().any(|one| one.eq_ignore_ascii_case(name)));
    let field = named.map_or(Field::Absent, |name| task.payload.get(name));
    match (field.text(), prefix, placeholder) {
        (Some(text), ..) if !text.starts_with("arn:") => Some(text),
        // Which object of a bucket is often the input's to say.
        (None, "s3", "ObjectName") => Some("*".to_owned()),
        _ => None,
    }
}
