//! Operations of the AWS SDK: their fields, the IAM actions that they need, and on what resources each can be allowed.
//!
//! `operations.txt` has a section for each service, in order, with an empty line between two: a line with its name and its
//! prefix in IAM, then a line for each operation, what IAM asks for and then the fields (`!` where AWS refuses the call
//! without it):
//!
//! ```text
//! GetItem@0! TableName! Key!     the action has the operation's name; its resource has ARN format 0 of the prefix and is
//!                                needed; the parts of the format are named by the fields of the same names
//! CopyObject=GetObject@0,PutObject@0     other actions
//! CreateFunction@0!^             the action passes a role
//! GetAsset@1!(AssetIdentifier)|2 the part of format 1 is named by another field; format 2 can be one too
//! Publish@*                      any resource of the service
//! InitiateAuth-                  IAM is not asked
//! CreateTable@0!&Tags>TagResource@0!  where the field Tags gives tags, this action on what is made
//! GetLogObject?                  no action is known
//! CreateHarness+                 newer than what is known of actions
//! ```
//!
//! In brackets, with `;` between two, stands for each part of a format: a field, `A+B` for A and B, which name one each, `A..B`
//! for B at any depth below A, `A#` for the keys of A, `A=b` for b where A is left out, `=b` for b always, `*` for what AWS makes
//! up when the resource is made; `(-)` where the fields do not name it.

use std::sync::LazyLock;

use super::table::{NotFound, Parameter, Way, nearest_of, small};

const OPERATIONS: &str = include_str!("operations.txt");
const RESOURCES: &str = include_str!("resources.txt");
/// A line for each name that a service has elsewhere (in the AWS CLI, at its endpoint, in signatures, in IAM) and not here, with
/// the services that it is a name of.
const NAMES: &str = include_str!("names.txt");

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The service, as the SDK for Java 2 names it.
    pub service: &'static str,
    /// Its name, beginning with a capital.
    pub name: &'static str,
    prefix: &'static str,
    entry: &'static str,
    fields: &'static str,
}

impl Operation {
    fn read(section: Section, line: &'static str) -> Self {
        let (entry, fields) = line.split_once(' ').unwrap_or((line, ""));
        Self { service: section.service, name: name_of(entry), prefix: section.prefix, entry, fields }
    }

    /// What IAM asks for.
    pub fn known(&self) -> Known {
        read(self.prefix, self.entry)
    }

    /// What IAM asks for beside that where the call gives tags to what it makes.
    pub fn tagging(&self) -> Option<Tagging> {
        let (_, mark) = self.entry.split_once('&')?;
        let (field, action) = mark.split_once('>')?;
        Some(Tagging { field, permission: permission(self.prefix, action) })
    }

    /// True when it came after what is known of actions.
    pub fn is_newer(&self) -> bool {
        self.entry.ends_with('+')
    }

    /// The fields that its payload may have.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> + use<> {
        self.fields.split(' ').filter(|name| !name.is_empty()).map(Parameter::read)
    }

    /// True where the developer guide once said that Step Functions does not call it.
    pub fn was_not_supported(&self) -> bool {
        NOT_SUPPORTED.contains(&(self.service, self.name))
    }

    /// The name as a resource has it.
    pub fn action(&self) -> String {
        small(self.name)
    }
}

/// What IAM asks for when an operation is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// These permissions, all of them.
    Needs(Vec<Permission>),
    /// Nothing: the operation is unsigned, or takes a token of its own.
    NotAsked,
    /// The operation exists and its action is not known. By the rule that most operations follow it would be this one.
    Unknown {
        /// `prefix:Operation`, or empty where the service's prefix is not known either.
        likely: String,
    },
}

/// What tags ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagging {
    /// The field that gives them.
    pub field: &'static str,
    /// The action on what is made; without formats where the table cannot tell its ARN.
    pub permission: Permission,
}

/// An action, and what it can be allowed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `prefix:Action`.
    pub action: String,
    /// On what.
    pub on: On,
    /// True when the caller also needs `iam:PassRole` on the role that it hands over, if it hands over one.
    pub passes_role: bool,
}

/// What an action can be allowed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// IAM knows no resource for it: a policy must say `*` (service authorization reference).
    Everything,
    /// Nearly any resource of the service.
    AnyResource,
    /// Resources of these formats.
    Formats(Vec<Format>),
}

/// The ARN format of a kind of resource, as the service authorization reference has it: `${Partition}`, `${Region}` and
/// `${Account}` stand for where the caller is, other names for parts of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format.
    pub arn: String,
    /// True when IAM needs a resource of this kind.
    pub required: bool,
    /// What names each part, in the order of the format; nothing where the fields do not name them.
    pub parts: Option<Vec<Part>>,
}

/// What names a part of an ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A field of the call, by its path.
    Field {
        /// Names with dots between them; two dots stand for any depth, `#` at the end for the keys, `+` for one more path.
        path: &'static str,
        /// What AWS takes where it is left out.
        default: Option<&'static str>,
    },
    /// Always the same.
    Text(&'static str),
    /// AWS makes it up when the resource is made, so nobody can write it.
    Made,
}

impl Part {
    /// True where more than one field names it.
    pub fn has_several(&self) -> bool {
        matches!(self, Self::Field { path, .. } if path.contains('+'))
    }

    fn read(text: &'static str) -> Self {
        match text.split_once('=') {
            None if text == "*" => Self::Made,
            None => Self::Field { path: text, default: None },
            Some(("", fixed)) => Self::Text(fixed),
            Some((path, default)) => Self::Field { path, default: Some(default) },
        }
    }
}

impl Format {
    /// Names of the parts, those of the surroundings apart.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        names_in(&self.arn)
    }
}

fn names_in(arn: &str) -> impl Iterator<Item = &str> {
    let names = arn.split("${").skip(1).filter_map(|part| part.split('}').next());
    names.filter(|name| !matches!(*name, "Partition" | "Region" | "Account"))
}

/// The first line: where the table comes from.
pub(super) fn head() -> &'static str {
    OPERATIONS.lines().next().unwrap_or_default()
}

/// Looks an operation up as it is written in `arn:aws:states:::aws-sdk:<service>:<operation>`: the first letter of the
/// operation is small there. Its case does not matter here.
///
/// # Errors
/// When the SDK has no such service or operation.
pub fn operation(service: &str, name: &str) -> Result<Operation, NotFound> {
    let Some(section) = section(service) else {
        let known = named_otherwise(service, name).map(str::to_owned);
        let nearest = known.or_else(|| nearest_of(service, services()));
        return Err(NotFound::Service { way: Way::Sdk, name: service.to_owned(), nearest });
    };
    section.find(name).ok_or_else(|| {
        let names: Vec<String> = section.lines.lines().map(|line| small(name_of(line))).collect();
        let nearest = nearest_of(name, names.iter().map(String::as_str));
        NotFound::Action { way: Way::Sdk, service: service.to_owned(), name: name.to_owned(), nearest }
    })
}

/// What the table has of a service.
#[derive(Clone, Copy)]
struct Section {
    service: &'static str,
    prefix: &'static str,
    lines: &'static str,
}

impl Section {
    fn read(text: &'static str) -> Option<Self> {
        let (head, lines) = text.split_once('\n')?;
        let (service, prefix) = head.split_once(' ').unwrap_or((head, ""));
        Some(Self { service, prefix, lines })
    }

    fn find(self, name: &str) -> Option<Operation> {
        let is_it = |line: &&str| {
            let (start, rest) = line.as_bytes().split_at_checked(name.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(name.as_bytes())
                && rest.first().is_none_or(|next| SEPARATORS.contains(&char::from(*next)))
        };
        self.lines.lines().find(is_it).filter(|_| !name.is_empty()).map(|line| Operation::read(self, line))
    }
}

/// The sections, in the order of their names: where each lies, and nothing of what is in it.
static SECTIONS: LazyLock<Vec<Section>> =
    LazyLock::new(|| OPERATIONS.trim_end().split("\n\n").skip(1).filter_map(Section::read).collect());

fn section(service: &str) -> Option<Section> {
    let at = SECTIONS.binary_search_by(|section| section.service.cmp(service)).ok()?;
    SECTIONS.get(at).copied()
}

/// The services that have this name elsewhere: `cloudwatchlogs` is `logs`, and `sfn` is `states` and `stepfunctions`.
pub(super) fn named(other: &str) -> impl Iterator<Item = &'static str> {
    line_of(NAMES, other).into_iter().flat_map(|services| services.split(' '))
}

/// The service that is meant by a name in capitals or by one that it has elsewhere: where there are several, the one with the
/// operation.
pub fn named_otherwise(other: &str, operation: &str) -> Option<&'static str> {
    let other = other.to_ascii_lowercase();
    let letters = letters_of(&other);
    if let Some(section) = section(&other).or_else(|| section(&letters)) {
        return Some(section.service);
    }
    let mut services: Vec<&str> = named(&other).collect();
    if services.is_empty() {
        let lines = NAMES.lines().skip(1).filter_map(|line| line.split_once('\t'));
        services = lines.filter(|(name, _)| letters_of(name) == letters).flat_map(|(_, all)| all.split(' ')).collect();
    }
    let by_operation = services.iter().find(|service| has_operation(service, operation));
    by_operation.or(services.first()).copied()
}

/// A name without what stands between its words: `cognito-idp` and `cognitoidp` are the same.
fn letters_of(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Operations that the developer guide listed as not supported, until that list was taken out of it ("Unsupported API actions for
/// supported services"): what streams, for the most part, and what is obsolete.
const NOT_SUPPORTED: [(&str, &str); 10] = [
    ("comprehendmedical", "DetectEntities"),
    ("efs", "CreateTags"),
    ("emr", "DescribeJobFlows"),
    ("kinesis", "SubscribeToShard"),
    ("lambda", "InvokeAsync"),
    ("lexruntimev2", "StartConversation"),
    ("mediapackage", "RotateChannelCredentials"),
    ("rdsdata", "ExecuteSql"),
    ("s3", "SelectObjectContent"),
    ("shield", "DeleteSubscription"),
];

/// The name itself where a service has it here.
pub(super) fn section_name(service: &str) -> Option<&'static str> {
    section(service).map(|section| section.service)
}

/// Names of all services, in order.
pub fn services() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|section| section.service)
}

/// The services whose actions have this prefix in IAM, in order: `bedrock` has `bedrock`, `bedrockagent`, `bedrockruntime`, …
pub fn services_of(prefix: &str) -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().filter(move |section| section.prefix == prefix).map(|section| section.service)
}

/// The prefixes that IAM knows a service's operation by: that of the service, and those of the operation's own actions.
pub fn prefixes_of(service: &str, name: &str) -> Vec<String> {
    let Some(section) = section(service) else { return Vec::new() };
    let mut prefixes = vec![section.prefix.to_owned()];
    if let Some(Known::Needs(needs)) = section.find(name).map(|operation| operation.known()) {
        prefixes.extend(needs.iter().filter_map(|need| Some(need.action.split_once(':')?.0.to_owned())));
    }
    prefixes.retain(|prefix| !prefix.is_empty());
    prefixes
}

/// True when the service has an operation of this name, in whatever case.
pub fn has_operation(service: &str, name: &str) -> bool {
    section(service).is_some_and(|section| section.find(name).is_some())
}

/// The name of an operation as a resource has it, whatever the case of the one asked for.
pub fn action_of(service: &str, name: &str) -> Option<String> {
    Some(section(service)?.find(name)?.action())
}

/// The other operations of a service that need exactly the same permissions: one that is kept from doing the one is not to do it by
/// the other. Where a service's actions are verbs of HTTP they say nothing of what is done.
pub fn twins_of(service: &str, name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let actions = |operation: &Operation| match operation.known() {
        Known::Needs(all) => all.into_iter().map(|permission| permission.action).collect(),
        _ => Vec::new(),
    };
    let own = section(service).and_then(|section| section.find(name));
    let needed = own.map(|own| actions(&own)).unwrap_or_default();
    let is_verb = |action: &String| action.split_once(':').is_some_and(|(_, name)| VERBS.contains(&name));
    let says_what = !needed.is_empty() && !needed.iter().any(is_verb);
    let others = own.filter(|_| says_what).map(|own| operations_of(own.service)).into_iter().flatten();
    let is_twin = move |own: Operation, other: &Operation| {
        actions(other) == needed || EARLIER.contains(&(own.service, own.name, other.name))
    };
    others
        .filter(move |other| own.is_some_and(|own| own.name != other.name && is_twin(own, other)))
        .map(|other| other.name)
}

/// Operations with a right of their own that do what a later one does (Lambda API, `InvokeAsync`: "for asynchronous function invocation,
/// use Invoke").
const EARLIER: [(&str, &str, &str); 1] = [("lambda", "InvokeAsync", "Invoke")];

/// Actions of services that name them by verbs of HTTP.
const VERBS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// All operations of a service.
pub fn operations_of(service: &str) -> impl Iterator<Item = Operation> + use<> {
    section(service)
        .into_iter()
        .flat_map(|section| section.lines.lines().map(move |line| Operation::read(section, line)))
}

/// What stands behind the name of an operation.
const SEPARATORS: [char; 8] = ['=', '@', '^', '&', '-', '?', '+', ' '];

fn name_of(line: &str) -> &str {
    line.split(SEPARATORS).next().unwrap_or_default()
}

fn read(prefix: &str, entry: &'static str) -> Known {
    let entry = entry.split_once('&').map_or(entry, |(entry, _)| entry);
    if entry.ends_with('-') {
        return Known::NotAsked;
    }
    if entry.ends_with(['?', '+']) {
        let likely = if prefix.is_empty() { String::new() } else { format!("{prefix}:{}", name_of(entry)) };
        return Known::Unknown { likely };
    }
    let actions = match entry.split_once('=') {
        Some((name, actions)) if name == name_of(entry) => actions,
        _ => entry,
    };
    Known::Needs(actions.split(',').map(|action| permission(prefix, action)).collect())
}

fn permission(prefix: &str, text: &'static str) -> Permission {
    let (text, passes_role) = text.strip_suffix('^').map_or((text, false), |text| (text, true));
    let (name, on) = text.split_once('@').map_or((text, None), |(name, on)| (name, Some(on)));
    let (prefix, name) = name.split_once(':').unwrap_or((prefix, name));
    let on = match on {
        None => On::Everything,
        Some("*") => On::AnyResource,
        Some(marks) => On::Formats(marks.split('|').filter_map(|mark| format_of(prefix, mark)).collect()),
    };
    Permission { action: format!("{prefix}:{name}"), on, passes_role }
}

fn format_of(prefix: &str, mark: &'static str) -> Option<Format> {
    let (number, named) = mark.strip_suffix(')').and_then(|mark| mark.split_once('(')).unwrap_or((mark, ""));
    let (number, required) = number.strip_suffix('!').map_or((number, false), |number| (number, true));
    let short = line_of(RESOURCES, prefix)?.split(' ').nth(number.parse().ok()?)?;
    let long = short.replace("%p", "${Partition}").replace("%r", "${Region}").replace("%a", "${Account}");
    let arn = if long.starts_with("arn:") { long } else { format!("arn:${{Partition}}:{long}") };
    let same = names_in(short).map(|name| Part::Field { path: name, default: None });
    let parts = match named {
        "" => Some(same.collect()),
        "-" => None,
        named => Some(named.split(';').map(Part::read).collect()),
    };
    Some(Format { arn, required, parts })
}

/// What stands after the name in the line that begins with it. Lines are sorted by name.
fn line_of(data: &'static str, name: &str) -> Option<&'static str> {
    let (mut low, mut high) = (data.find('\n')? + 1, data.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = data.get(..middle)?.rfind('\n').map_or(0, |at| at + 1).max(low);
        let end = data.get(start..)?.find('\n').map_or(data.len(), |at| start + at);
        let (key, rest) = data.get(start..end)?.split_once('\t')?;
        match key.cmp(name) {
            std::cmp::Ordering::Equal => return Some(rest),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}
