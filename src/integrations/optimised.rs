//! Integrations made for Step Functions.

use super::sdk;
use super::table::{NotFound, Parameter, Way, nearest_of};
use crate::asl::model::Pattern;

const OPTIMISED: &str = include_str!("optimised.txt");

/// An integration made for Step Functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integration {
    /// For example `lambda`.
    pub service: &'static str,
    /// For example `invoke`.
    pub action: &'static str,
    /// What a state can wait for beside the answer.
    pub waits: Waits,
    /// Service and operation of the SDK whose fields it has.
    pub twin: Option<(&'static str, &'static str)>,
    own: &'static str,
}

/// The patterns of an integration beside request and response, which all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits(&'static str);

impl Waits {
    /// Whether it has a pattern.
    pub fn has(self, pattern: Pattern) -> bool {
        let letter = match pattern {
            Pattern::RequestResponse => return true,
            Pattern::Sync => 's',
            Pattern::Sync2 => '2',
            Pattern::WaitForTaskToken => 't',
        };
        self.0.contains(letter)
    }
}

impl Integration {
    fn read(line: &'static str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (service, action) = words.next()?.split_once(':')?;
        let waits = Waits(words.next()?);
        let twin = words.next()?.split_once(':');
        Some(Self { service, action, waits, twin, own: words.next().unwrap_or_default() })
    }

    /// The fields that its payload may have.
    pub fn parameters(&self) -> Vec<Parameter> {
        let twin = self.twin.and_then(|(service, name)| sdk::operation(service, name).ok());
        let shared = twin.into_iter().flat_map(|operation| operation.parameters());
        shared.chain(self.own.split(' ').filter(|name| !name.is_empty()).map(Parameter::read)).collect()
    }
}

/// All of them, by service and action.
pub fn all() -> impl Iterator<Item = Integration> {
    OPTIMISED.lines().filter(|line| !line.starts_with('#')).filter_map(Integration::read)
}

pub(super) fn find(service: &str, action: &str) -> Result<Integration, NotFound> {
    let of_service = || {
        let lines =
            OPTIMISED.lines().filter(|line| line.strip_prefix(service).is_some_and(|rest| rest.starts_with(':')));
        lines.filter_map(Integration::read)
    };
    if let Some(found) = of_service().find(|one| one.action == action) {
        return Ok(found);
    }
    if of_service().next().is_none() {
        let known = named_otherwise(service).map(str::to_owned);
        // What the SDK has by this very name is no slip of the pen.
        let is_slip = sdk::section_name(service).is_none();
        let near = || nearest_of(service, all().map(|one| one.service)).filter(|_| is_slip);
        let nearest = known.or_else(near);
        return Err(NotFound::Service { way: Way::Optimised, name: service.to_owned(), nearest });
    }
    let nearest = nearest_of(action, of_service().map(|one| one.action));
    Err(NotFound::Action { way: Way::Optimised, service: service.to_owned(), name: action.to_owned(), nearest })
}

/// The service that is meant by the name that the SDK has for it, or by another of its names.
fn named_otherwise(other: &str) -> Option<&'static str> {
    let other = other.to_ascii_lowercase();
    let is_meant = |one: &Integration| {
        let own = sdk::section_name(one.service).into_iter().chain(sdk::named(one.service));
        one.service == other
            || own.into_iter().any(|service| service == other || sdk::named(&other).any(|named| named == service))
    };
    all().find(is_meant).map(|one| one.service)
}

pub(super) fn twin_of(service: &str, operation: &str) -> Option<Integration> {
    all().find(|one| {
        one.twin.is_some_and(|(of, name)| of == service && name.eq_ignore_ascii_case(operation))
            && one.action.eq_ignore_ascii_case(operation)
    })
}
