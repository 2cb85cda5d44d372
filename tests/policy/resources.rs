//! Resources that are written out are found: measured over every operation of the table of integrations that IAM knows a
//! resource for, with a call generated from the table.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stepbound::asl::{self, model::Machine};
use stepbound::iam::execution_role::{Derived, Surroundings, derive};
use stepbound::iam::pattern;
use stepbound::integrations::sdk::{Format, Known, On, Operation, Part, Permission, operations_of, services};

fn here() -> Surroundings {
    Surroundings {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        name: Some("shop_fulfil".into()),
        ..Surroundings::default()
    }
}

/// The format with a text for each part.
fn instance(format: &Format) -> String {
    let mut arn = format.arn.replace("${Partition}", "aws").replace("${Region}", "eu-west-1");
    arn = arn.replace("${Account}", "111122223333");
    for name in format.names() {
        arn = arn.replace(&format!("${{{name}}}"), &format!("{}x", name.to_lowercase()));
    }
    arn.replace('*', "x")
}

/// The format with a wildcard for each part.
fn shape(format: &Format) -> String {
    let mut shape = format.arn.clone();
    for name in ["Partition", "Region", "Account"].into_iter().chain(format.names()) {
        shape = shape.replace(&format!("${{{name}}}"), "*");
    }
    shape
}

/// Words of a name in camel case or with signs between, small, without what says nothing.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for letter in name.chars() {
        match letter {
            _ if !letter.is_ascii_alphanumeric() => words.push(String::new()),
            _ if letter.is_ascii_uppercase() && !before.is_ascii_uppercase() => {
                words.push(letter.to_lowercase().to_string());
            }
            _ => match words.last_mut() {
                Some(word) => word.push(letter.to_ascii_lowercase()),
                None => words.push(letter.to_lowercase().to_string()),
            },
        }
        before = letter;
    }
    let plain = words.into_iter().map(|word| word.trim_end_matches('s').to_owned());
    plain
        .filter(|word| {
            word.len() > 2
                && !["name", "arn", "identifier", "resource", "type", "list", "with", "path"].contains(&word.as_str())
        })
        .collect()
}

/// What a format is about: its last name and the fixed word before it.
fn about(format: &Format) -> Vec<String> {
    let resource = format.arn.splitn(6, ':').nth(5).unwrap_or_default();
    let Some(last) = format.names().last() else { return words(resource) };
    let fixed = resource.split(&format!("${{{last}}}")).next().unwrap_or_default();
    let fixed =
        fixed.rsplit(['}', '{', '$']).find(|part| part.contains(|c: char| c.is_ascii_alphabetic())).unwrap_or_default();
    [words(last), words(fixed)].concat()
}

fn speaks_of(field: &str, format: &Format) -> bool {
    let (field, about) = (words(field), about(format));
    let whole = |all: &[String]| all.concat();
    // ARNs of DMS say `rep` for replication and `cert` for certificate.
    let alike = |one: &String, other: &String| one.starts_with(other.as_str()) || other.starts_with(one.as_str());
    about.iter().any(|word| field.iter().any(|one| alike(one, word))) || whole(&field).contains(&whole(&about))
}

/// Fields that take an account.
const ACCOUNTS: [&str; 7] =
    ["AccountId", "AwsAccountId", "CatalogID", "CatalogId", "DomainOwner", "QueueOwnerAWSAccountId", "RegistryId"];

fn names_arn(field: &str) -> bool {
    ["arn", "arns", "arnlist"].iter().any(|end| field.to_ascii_lowercase().ends_with(end))
}

/// An id of Organizations says by its form what it is of.
fn id_in_organizations(format: &Format) -> String {
    let last = format.arn.rsplit('/').next().unwrap();
    match last.split_once("${") {
        Some(("", _)) | None => "444455556666".to_owned(),
        Some((begin, _)) => format!("{begin}1a2b"),
    }
}

/// A call that names a resource of the format in every field that can.
fn call(operation: &Operation, format: &Format) -> Value {
    let mut fields = Map::new();
    for parameter in operation.parameters() {
        let name = parameter.name;
        let general = ["resourcearn", "arn", "resourcearns", "arns", "resourcearnlist", "targetarn"];
        let general = general.contains(&name.to_ascii_lowercase().as_str());
        // A version needs another action.
        if name == "VersionId" {
            continue;
        }
        let value = if name == "QueueUrl" {
            json!("https://sqs.eu-west-1.amazonaws.com/111122223333/queue")
        } else if name == "CopySource" {
            json!("v-bucket/v-key")
        } else if operation.service.starts_with("appconfig") && (name.ends_with("Id") || name.ends_with("Identifier")) {
            // A name may stand there too, which is in no ARN.
            json!("a1b2c3d")
        } else if format.arn.contains(":foundation-model/") && ["ModelId", "ModelIdentifier"].contains(&name) {
            // A model of AWS has its vendor before a dot; one of the account has an id that is not its name.
            json!("vendor.model-v1")
        } else if operation.service == "organizations" && name.ends_with("Id") && name != "AccountId" {
            json!(id_in_organizations(format))
        } else if ACCOUNTS.contains(&name) {
            json!("111122223333")
        } else if speaks_of(name, format) && name.ends_with("Identifier") && format.names().count() == 0 {
            // Where the format has no names, an ARN alone can name the resource.
            json!(instance(format))
        } else if names_arn(name) && (general || speaks_of(name, format)) {
            json!(instance(format))
        } else if names_arn(name) {
            json!("arn:aws:iam::111122223333:policy/other")
        } else {
            json!(format!("v-{}", name.to_lowercase()))
        };
        fields.insert(name.to_owned(), value);
    }
    for part in format.parts.iter().flatten() {
        let Part::Field { path, .. } = part else { continue };
        if let Some((top, leaf)) = path.split_once("..") {
            fields.insert(top.to_owned(), json!([{"Inner": {leaf: format!("v-{}", leaf.to_lowercase())}}]));
        } else if let Some(top) = path.strip_suffix('#') {
            fields.insert(top.to_owned(), json!({"v-key": []}));
        }
    }
    Value::Object(fields)
}

fn derived(operation: &Operation, parameters: &Value) -> Derived {
    let resource = format!("arn:aws:states:::aws-sdk:{}:{}", operation.service, operation.action());
    let state = json!({"Type": "Task", "End": true, "Resource": resource, "Parameters": parameters});
    let definition = json!({"StartAt": "A", "States": {"A": state}}).to_string();
    let parsed = asl::parse(&definition).unwrap();
    derive(&Machine::of(parsed.root()), &here())
}

#[derive(Default)]
struct Count {
    found: usize,
    missed: Vec<String>,
    untold: usize,
    wrong: Vec<String>,
}

fn measure(operation: &Operation, permission: &Permission, formats: &[Format], count: &mut Count) {
    let name = format!("{}:{}", operation.service, operation.name);
    let required: Vec<&Format> = formats.iter().filter(|format| format.required).collect();
    let candidates = if required.is_empty() { formats.iter().collect() } else { required };
    let shapes: Vec<String> = formats.iter().map(shape).collect();
    let mut is_found = false;
    for format in &candidates {
        let derived = derived(operation, &call(operation, format));
        // The twin of an integration made for Step Functions needs what that needs.
        let needs = derived.needs.iter().filter(|need| need.actions.contains(&permission.action));
        for arn in needs.flat_map(|need| &need.resources) {
            let fits = shapes.iter().any(|shape| pattern::matches(shape, arn.trim_end_matches("-??????")));
            let is_everything = arn.splitn(6, ':').nth(5).is_none_or(|resource| resource == "*");
            // Of what is not needed and no field speaks of, all is asked for.
            let speaks = |format: &Format| operation.parameters().any(|field| speaks_of(field.name, format));
            let is_optional = formats.iter().all(|format| !format.required && !speaks(format));
            if fits && !is_everything {
                is_found = true;
            } else if !(arn == "*" && is_optional) {
                count.wrong.push(format!("{name}: {} on {arn}", permission.action));
            }
        }
    }
    let told = candidates.iter().any(|format| operation.parameters().any(|field| speaks_of(field.name, format)));
    match (is_found, told) {
        (true, _) => count.found += 1,
        (false, true) => count.missed.push(name),
        (false, false) => count.untold += 1,
    }
}

/// Prints the share; the operations that are left have no field that speaks of the resource, so nothing written out could name
/// it: a policy then says that it has to be given.
#[test]
#[allow(clippy::print_stdout)]
fn of_each_operation_with_a_resource_the_resource_is_derived_from_what_is_written_out() {
    let mut count = Count::default();
    for operation in services().flat_map(operations_of) {
        let Known::Needs(permissions) = &operation.known() else { continue };
        for permission in permissions {
            if let On::Formats(formats) = &permission.on {
                measure(&operation, permission, formats, &mut count);
            }
        }
    }
    let Count { found, missed, untold, wrong } = count;
    let number = |count: usize| f64::from(u32::try_from(count).unwrap());
    let share = |of: usize| 100.0 * number(found) / number(of);
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &missed {
        *services.entry(name.split(':').next().unwrap()).or_default() += 1;
    }
    println!("missed: {}", missed.join(" "));
    println!("missed by service: {services:?}");
    println!("actions with a resource: {}; no field of the call speaks of it: {untold}", found + missed.len() + untold);
    println!(
        "derived: {found} of {} whose fields speak of it: {:.2} % (of all: {:.2} %)",
        found + missed.len(),
        share(found + missed.len()),
        share(found + missed.len() + untold)
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(share(found + missed.len()) >= 97.0);
}

/// Tags in a call ask for the tagging action on what the call makes, and where the table cannot tell what that is, they are told.
#[test]
#[allow(clippy::print_stdout)]
fn tags_ask_for_their_action_on_what_is_made_or_are_told() {
    let (mut found, mut told, mut wrong) = (0_u32, 0_u32, Vec::new());
    for operation in services().flat_map(operations_of) {
        let Some(tagging) = operation.tagging() else { continue };
        let action = &tagging.permission.action;
        let own = match &operation.known() {
            Known::Needs(permissions) => permissions.first().map(|permission| permission.on.clone()),
            _ => None,
        };
        let mut parameters = match own {
            Some(On::Formats(formats)) if !formats.is_empty() => call(&operation, &formats[0]),
            _ => json!({}),
        };
        parameters[tagging.field] = json!({"team": "shop"});
        let derived = derived(&operation, &parameters);
        let needs: Vec<_> = derived.needs.iter().filter(|need| need.actions.contains(action)).collect();
        let is_told =
            derived.findings.iter().any(|finding| finding.missing && finding.message.contains(action.as_str()));
        let shapes = match &tagging.permission.on {
            On::Formats(formats) => formats.iter().map(shape).collect(),
            On::Everything | On::AnyResource => vec!["*".to_owned()],
        };
        let fits = |arn: &String| shapes.iter().any(|shape| pattern::matches(shape, arn.trim_end_matches("-??????")));
        match (needs.is_empty(), is_told) {
            (false, _) if needs.iter().flat_map(|need| &need.resources).all(fits) => found += 1,
            (true, true) => told += 1,
            _ => wrong.push(format!("{}:{}: {needs:?}", operation.service, operation.name)),
        }
    }
    println!("calls that give tags: {}, of which {found} on what they make, {told} told", found + told);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(found > 2 * told, "{found} {told}");
}
