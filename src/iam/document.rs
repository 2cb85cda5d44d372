//! An IAM policy document: read, normalise, minimise, write. Trust policies and session policies are documents too.
//! Source: IAM user guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use super::pattern;

pub use read::DocumentError;

/// The version of the policy language in which variables are read; the older one is read too.
pub const VERSION: &str = "2012-10-17";

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// [`VERSION`], or `2008-10-17` in old documents.
    pub version: String,
    /// The optional `Id` of the whole.
    pub id: Option<String>,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

impl Document {
    /// A document of the current version.
    pub fn new(statements: Vec<Statement>) -> Self {
        Self { version: VERSION.into(), id: None, statements }
    }
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

impl Effect {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// A list in a statement: what it names, or everything but that (`NotAction`, `NotResource`, `NotPrincipal`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matcher<T> {
    /// What is named.
    Is(T),
    /// Everything else.
    IsNot(T),
}

impl<T> Matcher<T> {
    /// What is named, either way.
    pub fn named(&self) -> &T {
        match self {
            Self::Is(named) | Self::IsNot(named) => named,
        }
    }

    fn named_mut(&mut self) -> &mut T {
        match self {
            Self::Is(named) | Self::IsNot(named) => named,
        }
    }
}

/// Patterns of actions or resources.
pub type Patterns = Matcher<Vec<String>>;

/// Whom a statement of a resource's policy, a trust policy for example, speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principals {
    /// `"*"`: everybody.
    Everybody,
    /// By kind: `AWS`, `Federated`, `Service`, `CanonicalUser`.
    Of(BTreeMap<String, Vec<String>>),
}

/// Values by condition key, by operator. All keys of all operators must hold; of the values of one key, any.
pub type Conditions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The optional name of the statement.
    pub sid: Option<String>,
    /// Allow or deny.
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`; only in policies of resources.
    pub principal: Option<Matcher<Principals>>,
    /// `Action` or `NotAction`.
    pub actions: Patterns,
    /// `Resource` or `NotResource`; none in trust policies.
    pub resources: Option<Patterns>,
    /// `Condition`.
    pub conditions: Conditions,
}

impl Statement {
    /// Allows the actions on the resources.
    pub fn allow<A: Into<String>, R: Into<String>>(
        actions: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            sid: None,
            effect: Effect::Allow,
            principal: None,
            actions: Matcher::Is(actions.into_iter().map(Into::into).collect()),
            resources: Some(Matcher::Is(resources.into_iter().map(Into::into).collect())),
            conditions: Conditions::new(),
        }
    }

    /// Denies the actions on the resources, whatever else allows them.
    pub fn deny<A: Into<String>, R: Into<String>>(
        actions: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
    ) -> Self {
        Self { effect: Effect::Deny, ..Self::allow(actions, resources) }
    }

    /// The same under one more condition.
    #[must_use]
    pub fn when<V: Into<String>>(mut self, operator: &str, key: &str, values: impl IntoIterator<Item = V>) -> Self {
        let of_operator = self.conditions.entry(operator.to_owned()).or_default();
        of_operator.entry(key.to_owned()).or_default().extend(values.into_iter().map(Into::into));
        self
    }

    /// True when the statement's list of actions takes in the action.
    pub fn names_action(&self, action: &str) -> bool {
        match &self.actions {
            Matcher::Is(named) => named.iter().any(|one| pattern::matches_action(one, action)),
            Matcher::IsNot(named) => !named.iter().any(|one| pattern::matches_action(one, action)),
        }
    }

    /// True when the statement's list of resources takes in all that the resource, which may be a pattern, stands for.
    pub fn names_resource(&self, resource: &str) -> bool {
        match &self.resources {
            None => true,
            Some(Matcher::Is(named)) => named.iter().any(|one| pattern::covers(one, resource)),
            Some(Matcher::IsNot(named)) => {
                !named.iter().any(|one| pattern::covers(one, resource) || pattern::covers(resource, one))
            }
        }
    }

    /// Without its name, for comparing.
    fn key(&self) -> (Effect, Option<&Matcher<Principals>>, &Conditions) {
        (self.effect, self.principal.as_ref(), &self.conditions)
    }
}

impl Document {
    /// Lists sorted and without repetitions, so that documents that differ only in order become equal. The order of
    /// statements has no meaning in IAM and is kept.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        for statement in &mut self.statements {
            sort(statement.actions.named_mut());
            if let Some(resources) = &mut statement.resources {
                sort(resources.named_mut());
            }
            if let Some(Matcher::Is(Principals::Of(kinds)) | Matcher::IsNot(Principals::Of(kinds))) =
                &mut statement.principal
            {
                kinds.values_mut().for_each(sort);
            }
            statement.conditions.values_mut().flat_map(BTreeMap::values_mut).for_each(sort);
        }
        self
    }

    /// The fewest statements that mean the same which merging alone gives: first those of the same resources, then those
    /// of the same actions. Patterns that another of the same list covers go. Merged statements lose their names.
    #[must_use]
    pub fn minimised(self) -> Self {
        let mut document = self.normalised();
        loop {
            let before = document.statements.len();
            document.statements.iter_mut().for_each(drop_all_covered);
            document.statements = merge(document.statements, |a, b| mergeable(a, b) && a.resources == b.resources);
            document.statements.iter_mut().for_each(drop_all_covered);
            document.statements = merge(document.statements, |a, b| mergeable(a, b) && a.actions == b.actions);
            document.statements.iter_mut().for_each(drop_all_covered);
            if document.statements.len() == before {
                return document;
            }
        }
    }

    /// Size as IAM counts it against its quotas: characters without white space (IAM user guide, "IAM and STS quotas").
    pub fn size(&self) -> usize {
        self.compact().chars().filter(|c| !c.is_whitespace()).count()
    }
}

fn sort(list: &mut Vec<String>) {
    list.sort();
    list.dedup();
}

/// Only lists of what is named can be united: two `NotAction` united would name less than either.
fn mergeable(a: &Statement, b: &Statement) -> bool {
    let plain =
        |one: &Statement| matches!(one.actions, Matcher::Is(_)) && matches!(one.resources, None | Some(Matcher::Is(_)));
    a.key() == b.key() && plain(a) && plain(b)
}

fn merge(statements: Vec<Statement>, same: impl Fn(&Statement, &Statement) -> bool) -> Vec<Statement> {
    let mut merged: Vec<Statement> = Vec::new();
    for statement in statements {
        let Some(earlier) = merged.iter_mut().find(|earlier| same(earlier, &statement)) else {
            merged.push(statement);
            continue;
        };
        earlier.sid = earlier.sid.take().filter(|sid| statement.sid.as_ref() == Some(sid));
        let Statement { actions: Matcher::Is(actions), resources, .. } = statement else { continue };
        earlier.actions.named_mut().extend(actions);
        sort(earlier.actions.named_mut());
        if let (Some(mine), Some(more)) = (&mut earlier.resources, resources) {
            mine.named_mut().extend(more.named().iter().cloned());
            sort(mine.named_mut());
        }
    }
    merged
}

fn drop_all_covered(statement: &mut Statement) {
    if let Matcher::Is(actions) = &mut statement.actions {
        drop_covered(actions, pattern::matches_action);
    }
    if let Some(Matcher::Is(resources)) = &mut statement.resources {
        drop_covered(resources, pattern::covers);
    }
}

fn drop_covered(list: &mut Vec<String>, covers: impl Fn(&str, &str) -> bool) {
    let all = list.clone();
    list.retain(|one| !all.iter().any(|other| other != one && covers(other, one) && !covers(one, other)));
}
