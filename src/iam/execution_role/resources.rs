//! The resources of a call, from what is written in its fields: an ARN anywhere in it, or the ARN format of the action with
//! its parts filled from the fields that the table of integrations names for them.

use super::names::{self, Found, Named};
use super::payload::Field;
use super::task::Task;
use super::{compute, messaging, object_store, organizations};
use crate::iam::pattern;
use crate::integrations::sdk::{Format, Part, Permission};

/// More resources than a statement of a policy should list.
const MANY: usize = 100;

pub(super) fn of_formats(task: &mut Task<'_>, permission: &Permission, formats: &[Format]) {
    let found = formats.iter().map(|format| (format, find(task, permission, format))).collect();
    of_found(task, permission, formats, found);
}

/// As [`of_formats`], for what the call makes: an ARN in it is that of something else, of the original of a copy for example.
pub(super) fn of_made(task: &mut Task<'_>, permission: &Permission, formats: &[Format]) {
    let made = |format: &Format| match &format.parts {
        Some(_) => in_full(permission, format, fill(task, permission, format)),
        None => find(task, permission, format),
    };
    let found = formats.iter().map(|format| (format, made(format))).collect();
    of_found(task, permission, formats, found);
}

fn of_found(task: &mut Task<'_>, permission: &Permission, formats: &[Format], found: Vec<(&Format, Found)>) {
    let found = the_narrower(found);
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
            return task.names_by_alias(alias);
        }
    }
    if arns.is_empty() {
        return nothing(task, permission, &found);
    }
    untold(task, permission, &found);
    let is_open = arns.iter().any(|arn| arn.ends_with("/*")) && task.payload.get("Key").text().is_none();
    if permission.action.starts_with("s3:") && is_open {
        object_store::any_key(task);
    }
    let action = object_store::versioned(&task.payload, &permission.action).to_owned();
    if action == "ses:SendEmail" || formats.iter().any(|format| format.arn.ends_with(":identity/${IdentityName}")) {
        sender(task, &arns);
    }
    task.need(&[&action], arns);
}

/// An address may be sent from because it is verified itself or because its domain is (SES developer guide, "Verified
/// identities"), and SES asks for the one that is.
fn sender(task: &mut Task<'_>, arns: &[String]) {
    for arn in arns {
        let Some((before, address)) = arn.split_once(":identity/") else { continue };
        let Some((_, domain)) = address.split_once('@') else { continue };
        if !task.given("ses", "identity/").contains(arn) {
            task.note(format!(
                "sends as {address}; where the verified identity is its domain, give that with {}",
                task.flag(&format!("{before}:identity/{domain}"))
            ));
        }
    }
}

/// `rule/${EventBusName}/${RuleName}` stands in the place of `rule/${RuleName}` where a field says which bus.
fn the_narrower(found: Vec<(&Format, Found)>) -> Vec<(&Format, Found)> {
    let head = |format: &Format| {
        format.names().next().and_then(|name| format.arn.split(&format!("${{{name}}}")).next().map(str::to_owned))
    };
    let is_wider = |one: &Format| {
        found.iter().any(|(other, said)| {
            !matches!(said, Found::LeftOut)
                && other.names().count() > one.names().count()
                && other.names().last() == one.names().last()
                && head(other) == head(one)
        })
    };
    let wider: Vec<bool> = found.iter().map(|(format, _)| is_wider(format)).collect();
    found.into_iter().zip(wider).filter(|(_, is_wider)| !is_wider).map(|(one, _)| one).collect()
}

fn nothing(task: &mut Task<'_>, permission: &Permission, found: &[(&Format, Found)]) {
    let what = format!("the resource of {}", permission.action);
    let expression = found.iter().find_map(|(_, found)| match found {
        Found::Open(expression) => Some(expression.clone()),
        _ => None,
    });
    let field = expression.map_or_else(|| from_input(task), Field::FromInput);
    let mut names: Vec<String> = found.iter().flat_map(|(format, _)| to_name(format)).collect();
    if names.is_empty() {
        // No field has the id that is in such an ARN.
        names = found.iter().map(|(format, _)| names::to_fill_in(task, format)).collect();
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    task.open(&field, &what, &names.join(", "));
}

/// What would have to be said of a format: the fields that name its parts, or those parts where no field is known to.
fn to_name(format: &Format) -> Vec<String> {
    let Some(parts) = &format.parts else { return format.names().map(str::to_owned).collect() };
    let paths = parts.iter().filter_map(|part| if let Part::Field { path, .. } = part { Some(*path) } else { None });
    let each = paths.flat_map(|path| path.split('+')).map(|path| path.trim_matches(['.', '#']).replace("..", "."));
    each.collect()
}

/// A kind that is needed and cannot be told from the call, unless what was found could stand in its place.
fn untold(task: &mut Task<'_>, permission: &Permission, found: &[(&Format, Found)]) {
    let names = |format: &Format| format.names().map(str::to_owned).collect::<Vec<_>>();
    let known: Vec<Vec<String>> =
        found.iter().filter(|(_, found)| matches!(found, Found::Arns(_))).map(|(format, _)| names(format)).collect();
    // A call of Step Functions names one thing by its ARN, which says the kind: a standard execution or an express one.
    let is_of_one = permission.action.starts_with("states:") && !known.is_empty();
    let missing: Vec<String> = found
        .iter()
        .filter(|(format, found)| match found {
            // A call that comes from the input as one need not have what may be left out.
            Found::Open(_) => format.required || task.payload.whole_from_input().is_none(),
            Found::Untold => format.required && !is_of_one,
            _ => false,
        })
        .filter(|(format, _)| !known.contains(&names(format)))
        .map(|(format, _)| names::to_fill_in(task, format))
        .collect();
    if !missing.is_empty() {
        task.missing(format!(
            "needs {} on {} too, which its fields do not name; give it with {}",
            permission.action,
            missing.join(", "),
            task.flag("ARN")
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
    let mut arns = arns_at_the_top(task);
    for text in task.payload.deep().into_iter().filter_map(|(_, field)| field.text()) {
        if text.starts_with("arn:") && !arns.contains(&text) {
            arns.push(text);
        }
    }
    arns
}

fn arns_at_the_top(task: &Task<'_>) -> Vec<String> {
    let fields = task.payload.names().into_iter().flat_map(|name| task.payload.values(name));
    let mut arns: Vec<String> = Vec::new();
    for text in fields.filter_map(|field| field.text()).filter(|text| text.starts_with("arn:")) {
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
    in_full(permission, format, written_or_filled(task, permission, format, fits))
}

/// What is allowed on the state machine itself where a version or an alias of it is named (Step Functions developer guide, "How
/// Step Functions authorizes versions and aliases").
const BY_MACHINE: [&str; 4] =
    ["states:DescribeStateMachine", "states:ListExecutions", "states:StartExecution", "states:StartSyncExecution"];

/// The ARN of the machine of a version or an alias.
fn machine_arn(arn: &str) -> String {
    if arn.contains(":stateMachine:") { arn.split(':').take(7).collect::<Vec<_>>().join(":") } else { arn.to_owned() }
}

/// What was found, in the form in which the action is allowed on it.
fn in_full(permission: &Permission, format: &Format, found: Found) -> Found {
    match found {
        Found::Arns(arns) if format.arn.ends_with(":log-group:${LogGroupName}") => {
            Found::Arns(arns.into_iter().map(|arn| log_group(&permission.action, arn)).collect())
        }
        Found::Arns(arns) if BY_MACHINE.contains(&permission.action.as_str()) => {
            Found::Arns(arns.into_iter().map(|arn| machine_arn(&arn)).collect())
        }
        Found::Arns(arns) if permission.action.starts_with("organizations:") => {
            Found::Arns(arns.into_iter().map(|arn| organizations::of_aws(&arn).unwrap_or(arn)).collect())
        }
        found => found,
    }
}

/// An ARN in a field of the call's own; else the format filled; else an ARN further below, which is more often that of something
/// else: the destination of a bucket's replication is no bucket whose replication is set.
fn written_or_filled(
    task: &Task<'_>,
    permission: &Permission,
    format: &Format,
    fits: impl Fn(&&String) -> bool,
) -> Found {
    // Where several fields name one each, those without an ARN count too; and a bucket is named by its own field alone.
    let by_fields = format.parts.iter().flatten().any(Part::has_several)
        || (permission.action.starts_with("s3:") && !task.payload.get("Bucket").is_absent());
    let mut top = if by_fields { Vec::new() } else { arns_at_the_top(task) };
    top.extend(task.payload.get("QueueUrl").text().and_then(|url| messaging::queue_arn(task, &url)));
    top.retain(|arn| fits(&arn));
    let filled = fill(task, permission, format);
    if !top.is_empty() {
        // A list may name some by ARN and others by name.
        return match filled {
            Found::Arns(filled) if top.iter().all(|arn| filled.contains(arn)) => Found::Arns(filled),
            _ => Found::Arns(top),
        };
    }
    if by_fields || matches!(filled, Found::Arns(_)) {
        return filled;
    }
    let below: Vec<String> = written_arns(task).iter().filter(&fits).cloned().collect();
    if below.is_empty() { filled } else { Found::Arns(below) }
}

/// Secrets have a hyphen and six characters of their own after their name, which an ARN in a call may leave out (Secrets Manager
/// user guide, "Find secrets"). The name may have slashes.
pub(super) fn secret(arn: String) -> String {
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
fn fill(task: &Task<'_>, permission: &Permission, format: &Format) -> Found {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let Some(parts) = &format.parts else { return open_or(task, format, Found::Untold) };
    let account = match names::account(task, prefix) {
        Ok(account) => account,
        Err(found) => return found,
    };
    let mut arns = vec![names::open(format)];
    for (name, part) in format.names().zip(parts) {
        let values = match values(task, permission, format, name, *part) {
            Ok(values) => values,
            Err(found) => return found,
        };
        if *part == Part::Made {
            for arn in &mut arns {
                *arn = revision(arn, &format!("${{{name}}}"));
            }
        }
        arns = arns.iter().flat_map(|arn| values.iter().map(|value| value.put_into(arn, name))).take(MANY).collect();
    }
    let placed = arns.iter().map(|arn| names::placed(task, &account, arn));
    // Secrets have six characters of their own after their name (Secrets Manager user guide).
    let own = if prefix == "secretsmanager" { "-??????" } else { "" };
    Found::Arns(placed.map(|arn| arn + own).collect())
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
            if name.to_ascii_lowercase().ends_with("arn") && of.iter().any(|of| name.to_lowercase().contains(of)) =>
        {
            Some(expression)
        }
        _ => None,
    });
    named.map_or(otherwise, Found::Open)
}

/// What one part can be.
fn values(
    task: &Task<'_>,
    permission: &Permission,
    format: &Format,
    name: &str,
    part: Part,
) -> Result<Vec<Named>, Found> {
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let (path, default) = match part {
        Part::Made => return Ok(vec![Named::here("*")]),
        Part::Text(text) => return Ok(vec![Named::here(text)]),
        Part::Field { path, default } => (path, default),
    };
    if let Some(expression) = task.payload.whole_from_input() {
        return Err(Found::Open(expression));
    }
    let mut named = Vec::new();
    let mut names_others = false;
    for field in task.payload.values(path) {
        match (field.text(), field) {
            (Some(text), _) => match names::read(&text, prefix, format, name) {
                Ok(one) => named.extend(names::in_both_cases(one, prefix, format)),
                // It names something of another kind, which says nothing of what stands beside it.
                Err(Found::LeftOut) => names_others = true,
                Err(found) => return Err(found),
            },
            // Which object of a bucket is often the input's to say.
            (None, Field::FromInput(_)) if prefix == "s3" && name == "ObjectName" => named.push(Named::here("*")),
            (None, Field::FromInput(expression)) => return Err(Found::Open(expression)),
            (None, _) => {}
        }
    }
    if named.is_empty() && prefix == "s3" && name == "ObjectName" {
        named.push(Named::here("*"));
    }
    if named.is_empty() && names_others {
        return Err(Found::LeftOut);
    }
    if named.is_empty() {
        return default.map(|text| vec![Named::here(text)]).ok_or_else(|| open_or(task, format, Found::LeftOut));
    }
    if name.ends_with("WithPath") { names::with_path(task, permission, named) } else { Ok(named) }
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
    let with_path = ["WithPath}", ":custom-model/${ResourceId}"].iter().any(|end| format.ends_with(end));
    let names_a_path = with_path || format.contains(":s3:") || format.contains(":parameter/");
    depth(format) == depth(arn) || (format.ends_with('}') && depth(arn) > depth(format) && names_a_path)
}
