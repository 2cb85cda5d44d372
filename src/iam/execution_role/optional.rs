//! Kinds of resources that an action can be allowed on and need not be: IAM asks for one where a field names it, and for all where
//! none does (service authorization reference, "Actions table": the kinds that are required have an asterisk).

use super::task::Task;
use crate::integrations::sdk::{Format, On, Operation, Part, Permission};

/// Operations that look at something. One that changes something names what it changes, if not here then in a field that is not known
/// to name it.
const LOOKS: [&str; 13] = [
    "BatchDetect",
    "BatchGet",
    "Classify",
    "Compare",
    "Contains",
    "Describe",
    "Detect",
    "Get",
    "List",
    "Query",
    "Recognize",
    "Search",
    "Translate",
];

/// Ends of names of fields that could name a resource.
const NAMING: [&str; 17] = [
    "alias",
    "arn",
    "arns",
    "endpoint",
    "id",
    "identifier",
    "identifiers",
    "identity",
    "ids",
    "name",
    "names",
    "principal",
    "projectversion",
    "resource",
    "resources",
    "target",
    "targets",
];

/// True where the action needs no kind of resource and no field names one.
pub(super) fn is_left_out(task: &Task<'_>, operation: &Operation, permission: &Permission) -> bool {
    let On::Formats(formats) = &permission.on else { return false };
    let prefix = permission.action.split(':').next().unwrap_or_default();
    let can_be = !formats.is_empty()
        && formats.iter().all(|format| !format.required && is_of_fields(format))
        && LOOKS.iter().any(|verb| operation.name.starts_with(verb))
        && operation.service != "s3"
        && task.payload.whole_from_input().is_none()
        && task.given(prefix, "").is_empty();
    if !can_be {
        return false;
    }
    let tops: Vec<&str> = paths(formats).map(top).collect();
    let nouns: Vec<String> = formats.iter().flat_map(nouns).collect();
    let could_name = |name: &str| {
        let small = name.to_ascii_lowercase();
        tops.contains(&name)
            || NAMING.iter().any(|end| small.trim_end_matches("list").ends_with(end))
            || nouns.iter().any(|noun| small.contains(noun.as_str()) || noun.contains(small.trim_end_matches('s')))
    };
    let is_asked_for = operation.parameters().any(|field| field.required && could_name(field.name));
    let is_named =
        operation.parameters().any(|field| could_name(field.name) && !task.payload.values(field.name).is_empty());
    // What is further below speaks of other things too: the name of an image in a bucket.
    let below = task.payload.deep();
    let is_named_below =
        below.iter().any(|(name, _)| ["Arn", "Id", "Identifier"].iter().any(|end| name.ends_with(end)));
    !is_asked_for && !is_named && !is_named_below
}

/// False of what a call makes, or always means.
fn is_of_fields(format: &Format) -> bool {
    let Some(parts) = &format.parts else { return true };
    parts.iter().any(|part| matches!(part, Part::Field { default: None, .. }))
}

/// What a format is of, in small letters: its last part and the fixed word before it.
fn nouns(format: &Format) -> Vec<String> {
    let resource = format.arn.splitn(6, ':').nth(5).unwrap_or_default();
    let last = format.names().last().unwrap_or_default();
    let fixed = resource.split(&format!("${{{last}}}")).next().unwrap_or_default();
    let fixed = fixed.rsplit(['/', ':', '}']).find(|word| !word.is_empty()).unwrap_or_default();
    let plain = ["Identifier", "Name", "Arn", "Id"].iter().find_map(|end| last.strip_suffix(end)).unwrap_or(last);
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    [letters(plain), letters(fixed)].into_iter().filter(|noun| noun.len() > 2).collect()
}

fn paths(formats: &[Format]) -> impl Iterator<Item = &'static str> {
    let parts = formats.iter().flat_map(|format| format.parts.iter().flatten());
    let paths = parts.filter_map(|part| if let Part::Field { path, .. } = part { Some(*path) } else { None });
    paths.flat_map(|path| path.split('+'))
}

/// The field of the call's own that a path begins with.
fn top(path: &'static str) -> &'static str {
    path.split(['.', '#']).find(|name| !name.is_empty()).unwrap_or(path)
}
