//! The resources of a call, from what is written in its fields: an ARN anywhere in it, or the ARN format of the action with
//! its parts filled from the fields that the table of integrations names for them.

use super::payload::Field;
use super::task::Task;
use super::{compute, messaging, object_store};
use crate::asl::model::Arn;
use crate::iam::pattern;
use crate::integrations::sdk::{Format, Part, Permission};

/// More resources than a statement of a policy should list.
const MANY: usize = 100;

/// What a call says of one kind of resource.
enum Found {
    /// These.
    Arns(Vec<String>),
    /// A field that names it comes from the input.
    Open(String),
    /// A field that names it is left out.
    LeftOut,
    /// The fields cannot name it.
    Untold,
    /// The field names a key by this alias, which IAM does not take.
    Alias(String),
}

pub(super) fn of_formats(task: &mut Task<'_>, permission: &Permission, formats: &[Format]) {
    let found: Vec<(&Format, Found)> = formats.iter().map(|format| (format, find(task, permission, format))).collect();
    let mut arns: Vec<String> = Vec::new();
    for (_, found) in &found {
        if let Found::Arns(some) = found {
            arns.extend(some.iter().cloned());
        }
    }
    arns.sort();
    arns.dedup();
    for (_, found) in &found {
        if let Found::Alias(alias) = found {
            return task.missing(format!(
                "names a key by its alias ({alias}), and IAM allows keys by their own ARN; give it with --resource {}=ARN",
                task.name
            ));
        }
    }
    if arns.is_empty() {
        return nothing(task, permission, &found);
    }
    untold(task, permission, &found);
    let is_open = arns.iter().any(|arn| arn.ends_with("/*")) && task.payload.get("Key").text().is_none();
    if permission.action.starts_with("s3:") && is_open {
        task.note(format!(
            "takes the key of its object from the input, so all objects of the bucket are allowed; narrow it with --resource {}=arn:aws:s3:::BUCKET/KEY",
            task.name
        ));
    }
    let action = object_store::versioned(&task.payload, &permission.action).to_owned();
    task.need(&[&action], arns);
}

fn nothing(task: &mut Task<'_>, permission: &Permission, found: &[(&Format, Found)]) {
    let what = format!("the resource of {}", permission.action);
    let expression = found.iter().find_map(|(_, found)| match found {
        Found::Open(expression) => Some(expression.clone()),
        _ => None,
    });
    let field = expression.map_or_else(|| from_input(task), Field::FromInput);
    let mut names: Vec<&str> = found.iter().flat_map(|(format, _)| format.names()).collect();
    names.dedup();
    task.open(&field, &what, &names.join(", "));
}

/// A kind that is needed and cannot be told from the call, unless what was found could stand in its place.
fn untold(task: &mut Task<'_>, permission: &Permission, found: &[(&Format, Found)]) {
    let names = |format: &Format| format.names().map(str::to_owned).collect::<Vec<_>>();
    let known: Vec<Vec<String>> =
        found.iter().filter(|(_, found)| matches!(found, Found::Arns(_))).map(|(format, _)| names(format)).collect();
    let missing: Vec<&str> = found
        .iter()
        .filter(|(format, found)| format.required && matches!(found, Found::Open(_) | Found::Untold))
        .filter(|(format, _)| !known.contains(&names(format)))
        .map(|(format, _)| format.arn.as_str())
        .collect();
    if !missing.is_empty() {
        task.missing(format!(
            "needs {} on {} too, which its fields do not name; give it with --resource {}=ARN",
            permission.action,
            missing.join(", "),
            task.name
        ));
    }
}

fn from_input<'a>(task: &Task<'a>) -> Field<'a> {
    let mut open =
        task.payload.deep().into_iter().map(|(_, field)| field).filter(|field| matches!(field, Field::FromInput(_)));
    open.next().unwrap_or(Field::Absent)
}

/// All ARNs in the call, those at the top first.
pub(super) fn written_arns(task: &Task<'_>) -> Vec<String> {
    let top = task.payload.names().into_iter().flat_map(|name| task.payload.values(name));
    let below = task.payload.deep().into_iter().map(|(_, field)| field);
    let mut arns: Vec<String> = Vec::new();
    for text in top.chain(below).filter_map(|field| field.text()).filter(|text| text.starts_with("arn:")) {
        if !arns.contains(&text) {
            arns.push(text);
        }
    }
    arns
}

fn find(task: &Task<'_>, permission: &Permission, format: &Format) -> Found {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let shape = shape(&format.arn);
    let fits = |arn: &&String| pattern::matches(&shape, arn) && same_depth(&format.arn, arn);
    let given: Vec<String> = task.given(prefix, "").iter().filter(fits).cloned().collect();
    if !given.is_empty() {
        return Found::Arns(given);
    }
    if prefix == "lambda" && format.arn.ends_with(":function:${FunctionName}") {
        return function(task);
    }
    if prefix == "secretsmanager"
        && let Some(arn) = task.payload.get("SecretId").text().filter(|text| text.starts_with("arn:"))
    {
        return Found::Arns(vec![secret(arn)]);
    }
    let mut written = written_arns(task);
    written.extend(task.payload.get("QueueUrl").text().and_then(|url| messaging::queue_arn(task, &url)));
    let written: Vec<String> = written.iter().filter(fits).cloned().collect();
    let found = if written.is_empty() { fill(task, prefix, format) } else { Found::Arns(written) };
    match found {
        Found::Arns(arns) if format.arn.ends_with(":log-group:${LogGroupName}") => {
            Found::Arns(arns.into_iter().map(|arn| log_group(&permission.action, arn)).collect())
        }
        found => found,
    }
}

/// Secrets have a hyphen and six characters of their own after their name, which an ARN in a call may leave out (Secrets Manager
/// user guide, "Find secrets"). The name may have slashes.
fn secret(arn: String) -> String {
    let own = arn.rsplit_once('-').map_or("", |(_, own)| own);
    if own.len() == 6 && own.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
        arn
    } else {
        format!("{arn}-??????")
    }
}

/// Most actions are allowed on a log group by the ARN that ends in `:*` (CloudWatch Logs API reference, `LogGroup.arn`).
fn log_group(action: &str, arn: String) -> String {
    let without = ["logs:TagResource", "logs:UntagResource", "logs:ListTagsForResource"].contains(&action);
    if without || arn.ends_with(":*") { arn } else { format!("{arn}:*") }
}

/// Functions are named in many forms (Lambda API reference, parameter `FunctionName`).
fn function(task: &Task<'_>) -> Found {
    let field = task.payload.get("FunctionName");
    match (field.text(), field) {
        (Some(text), _) => match compute::Function::read(&text, &task.here) {
            Some(function) => Found::Arns(vec![function.unqualified()]),
            None => Found::Untold,
        },
        (None, Field::FromInput(expression)) => Found::Open(expression),
        (None, _) => Found::LeftOut,
    }
}

/// The format with its parts filled.
fn fill(task: &Task<'_>, prefix: &str, format: &Format) -> Found {
    let Some(parts) = &format.parts else { return open_or(task, format, Found::Untold) };
    let here = &task.here;
    let arn = format.arn.replace("${Partition}", &here.partition);
    let mut arns = vec![arn.replace("${Region}", &here.region).replace("${Account}", &here.account)];
    for (name, part) in format.names().zip(parts) {
        let values = match values(task, prefix, format, name, *part) {
            Ok(values) => values,
            Err(found) => return found,
        };
        let place = format!("${{{name}}}");
        if *part == Part::Made {
            for arn in &mut arns {
                *arn = revision(arn, &place);
            }
        }
        arns =
            arns.iter().flat_map(|arn| values.iter().map(|value| arn.replacen(&place, value, 1))).take(MANY).collect();
    }
    if prefix == "secretsmanager" {
        // Secrets have six characters of their own after their name (Secrets Manager user guide).
        for arn in &mut arns {
            arn.push_str("-??????");
        }
    }
    Found::Arns(arns)
}

/// `report:4` has the revision that would stand behind the name.
fn revision(arn: &str, place: &str) -> String {
    match arn.strip_suffix(&format!(":{place}")) {
        Some(named) if named.rsplit('/').next().is_some_and(|name| name.contains(':')) && named.contains('/') => {
            named.to_owned()
        }
        _ => arn.to_owned(),
    }
}

/// Where some field comes from the input, that may be the one.
fn open_or(task: &Task<'_>, format: &Format, otherwise: Found) -> Found {
    let of: Vec<String> =
        format.names().map(|name| name.trim_end_matches("Id").trim_end_matches("Name").to_lowercase()).collect();
    let named = task.payload.deep().into_iter().find_map(|(name, field)| match field {
        Field::FromInput(expression)
            if name.ends_with("Arn") && of.iter().any(|of| name.to_lowercase().contains(of)) =>
        {
            Some(expression)
        }
        _ => None,
    });
    named.map_or(otherwise, Found::Open)
}

/// The texts that one part can be.
fn values(task: &Task<'_>, prefix: &str, format: &Format, name: &str, part: Part) -> Result<Vec<String>, Found> {
    let (path, default) = match part {
        Part::Made => return Ok(vec!["*".to_owned()]),
        Part::Text(text) => return Ok(vec![text.to_owned()]),
        Part::Field { path, default } => (path, default),
    };
    if let Some(expression) = task.payload.whole_from_input() {
        return Err(Found::Open(expression));
    }
    let mut texts = Vec::new();
    for field in task.payload.values(path) {
        match (field.text(), field) {
            (Some(text), _) => texts.push(value(&text, prefix, format, name)?),
            // Which object of a bucket is often the input's to say.
            (None, Field::FromInput(_)) if prefix == "s3" && name == "ObjectName" => texts.push("*".to_owned()),
            (None, Field::FromInput(expression)) => return Err(Found::Open(expression)),
            (None, _) => {}
        }
    }
    if texts.is_empty() && prefix == "s3" && name == "ObjectName" {
        texts.push("*".to_owned());
    }
    if texts.is_empty() {
        return default.map(|text| vec![text.to_owned()]).ok_or_else(|| open_or(task, format, Found::LeftOut));
    }
    Ok(texts)
}

/// What a field says of a part: it may be the name itself, or an ARN that has it.
fn value(text: &str, prefix: &str, format: &Format, name: &str) -> Result<String, Found> {
    if prefix == "kms" && name == "KeyId" && (text.starts_with("alias/") || text.contains(":alias/")) {
        return Err(Found::Alias(text.to_owned()));
    }
    if text.starts_with("arn:") {
        return part_of(text, format, name).ok_or(Found::Untold);
    }
    // A parameter may be asked for with its version or label behind a colon.
    if prefix == "ssm" && name == "ParameterNameWithoutLeadingSlash" {
        let plain = text.split(':').next().unwrap_or_default();
        return Ok(plain.trim_start_matches('/').to_owned());
    }
    Ok(text.to_owned())
}

/// The part of an ARN that stands behind the same fixed word as in the format, or behind its own noun: `cluster/packing` has
/// `ClusterName`.
fn part_of(arn: &str, format: &Format, name: &str) -> Option<String> {
    let resource = Arn::parse(arn)?.resource;
    let before = format.arn.split(&format!("${{{name}}}")).next()?;
    let fixed = before.rsplit(['/', ':']).find(|word| !word.is_empty()).filter(|word| !word.contains('}'));
    let noun =
        ["Name", "Identifier", "Id"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_lowercase();
    let behind = |word: &str| {
        let (_, rest) =
            resource.split_once(&format!("{word}/")).or_else(|| resource.split_once(&format!("{word}:")))?;
        rest.split(['/', ':']).next().filter(|part| !part.is_empty()).map(str::to_owned)
    };
    fixed.and_then(behind).or_else(|| behind(&noun))
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
    let names_a_path = format.ends_with("WithPath}") || format.contains(":s3:") || format.contains(":parameter/");
    depth(format) == depth(arn) || (format.ends_with('}') && depth(arn) > depth(format) && names_a_path)
}
