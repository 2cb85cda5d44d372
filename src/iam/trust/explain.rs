//! Says of a trust policy, condition by condition, why it takes a token or does not.

use super::claims::Claims;
use super::github::other_style;
use super::operator::{Operator, holds};
use super::provider::is_github;
use super::request::{Known, Request};
use crate::iam::document::{Document, Effect, Matcher, Principals, Statement};
use crate::iam::pattern;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It depends on what the token does not tell.
    Unknown,
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `Principal` or `NotPrincipal`.
    Principal,
    /// `Action` or `NotAction`.
    Action,
    /// A condition: its operator and its key.
    Condition(String, String),
}

/// One check of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub subject: Subject,
    /// What the policy says.
    pub expected: Vec<String>,
    /// What the request has.
    pub actual: Vec<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// Why it fails, in a few words; empty where it holds.
    pub why: String,
}

/// A statement and its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementChecks {
    /// Its place, from 1.
    pub number: usize,
    /// Allow or deny.
    pub effect: Effect,
    /// Principal, action, then conditions: `sub` and `aud` first.
    pub checks: Vec<Check>,
}

impl StatementChecks {
    fn worst(&self) -> Outcome {
        let any = |outcome| self.checks.iter().any(|check| check.outcome == outcome);
        if any(Outcome::Fails) {
            Outcome::Fails
        } else if any(Outcome::Unknown) {
            Outcome::Unknown
        } else {
            Outcome::Holds
        }
    }

    /// How far it is from applying: whom it is for counts most, then what, then the number of conditions.
    fn distance(&self) -> usize {
        let cost = |check: &Check| match (&check.outcome, &check.subject) {
            (Outcome::Holds, _) => 0,
            (Outcome::Unknown, _) => 1,
            (Outcome::Fails, Subject::Condition(..)) => 10,
            (Outcome::Fails, Subject::Action) => 1_000,
            (Outcome::Fails, Subject::Principal) => 10_000,
        };
        self.checks.iter().map(cost).sum()
    }
}

/// What comes of a policy for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the token.
    Allowed,
    /// It takes the token if something holds that the token does not tell.
    Depends,
    /// The statement of this number denies it.
    Denied(usize),
    /// No statement allows it.
    NotAllowed,
}

/// A policy read against a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The action that the verdict is about: the first that is not allowed.
    pub action: &'static str,
    /// Every statement.
    pub statements: Vec<StatementChecks>,
    /// What comes of it.
    pub verdict: Verdict,
}

/// Reads a trust policy against the claims of a token that asks for the role.
pub fn explain(policy: &Document, claims: &Claims, role_arn: &str, session_name: Option<&str>) -> Explanation {
    let request = Request::new(claims, role_arn, session_name);
    let mut worst: Option<Explanation> = None;
    for action in request.actions() {
        let explanation = for_action(policy, &request, action);
        if !matches!(explanation.verdict, Verdict::Allowed | Verdict::Depends) {
            return explanation;
        }
        if worst.is_none() || explanation.verdict == Verdict::Depends {
            worst = Some(explanation);
        }
    }
    worst.unwrap_or_else(|| for_action(policy, &request, super::request::ASSUME))
}

fn for_action(policy: &Document, request: &Request<'_>, action: &'static str) -> Explanation {
    let numbered = policy.statements.iter().enumerate();
    let statements: Vec<StatementChecks> =
        numbered.map(|(index, statement)| checks(index + 1, statement, request, action)).collect();
    let of = |effect| statements.iter().filter(move |one| one.effect == effect);
    let verdict = if let Some(denied) = of(Effect::Deny).find(|one| one.worst() == Outcome::Holds) {
        Verdict::Denied(denied.number)
    } else if !of(Effect::Allow).any(|one| one.worst() != Outcome::Fails) {
        Verdict::NotAllowed
    } else if of(Effect::Deny).any(|one| one.worst() == Outcome::Unknown)
        || !of(Effect::Allow).any(|one| one.worst() == Outcome::Holds)
    {
        Verdict::Depends
    } else {
        Verdict::Allowed
    };
    Explanation { action, statements, verdict }
}

impl Explanation {
    /// The statement to look at: the one that denies or may deny, else the one that comes closest to allowing.
    pub fn decisive(&self) -> Option<&StatementChecks> {
        if let Verdict::Denied(number) = self.verdict {
            return self.statements.iter().find(|one| one.number == number);
        }
        let closest = self.closest();
        // Where something allows it for certain, the denials alone are open.
        match closest {
            Some(allowing) if allowing.worst() == Outcome::Holds => self.open_denials().next().or(closest),
            _ => closest,
        }
    }

    fn closest(&self) -> Option<&StatementChecks> {
        self.statements.iter().filter(|one| one.effect == Effect::Allow).min_by_key(|one| one.distance())
    }

    /// The denials on which it depends whether the token is taken.
    fn open_denials(&self) -> impl Iterator<Item = &StatementChecks> {
        let depends = self.verdict == Verdict::Depends;
        let is_open = |one: &&StatementChecks| one.effect == Effect::Deny && one.worst() == Outcome::Unknown;
        self.statements.iter().filter(move |_| depends).filter(is_open)
    }

    /// The checks that stand in the way.
    pub fn failures(&self) -> Vec<&Check> {
        match self.decisive() {
            Some(statement) if statement.effect == Effect::Allow => {
                statement.checks.iter().filter(|check| check.outcome == Outcome::Fails).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The statements that decide for people, one line a check: that which allows comes before those that may deny.
    pub fn text(&self) -> String {
        if let (Verdict::Denied(number), Some(denying)) = (self.verdict, self.decisive()) {
            return section(&format!("The role's trust policy denies it (statement {number}):"), denying);
        }
        let Some(statement) = self.closest() else {
            return "The role's trust policy has no statement that allows anything.".into();
        };
        let does = if statement.worst() == Outcome::Holds { "takes the token" } else { "requires" };
        let allows = section(&format!("The role's trust policy {does} (statement {}):", statement.number), statement);
        let denials =
            self.open_denials().map(|one| section(&format!("unless it denies it (statement {}):", one.number), one));
        std::iter::once(allows).chain(denials).collect::<Vec<_>>().join("\n")
    }

    /// What to do about it; `put` is where a policy is that takes the token.
    pub fn fix(&self, put: &str) -> String {
        match self.verdict {
            Verdict::Allowed => {
                "Nothing is wrong with the trust policy. Where STS refuses all the same: the role or its policy is a moment old, a service control policy denies sts:AssumeRoleWithWebIdentity, or the role does not exist.".into()
            }
            Verdict::Depends => "Check the conditions that the token does not tell, marked with ?.".into(),
            Verdict::Denied(_) => {
                "Fix: change or remove the statement that denies; no other statement can outweigh it.".into()
            }
            Verdict::NotAllowed => format!("Fix: put {put} on the role, or correct what is marked."),
        }
    }
}

/// A statement's checks below a head.
fn section(head: &str, statement: &StatementChecks) -> String {
    const INDENT: &str = "                 ";
    let lines = statement.checks.iter().filter(|check| {
        // Whom and what a statement is for is news only where it fails.
        matches!(check.subject, Subject::Condition(..)) || check.outcome != Outcome::Holds
    });
    let lines: Vec<String> = lines.map(|check| format!("{INDENT}{}", line(check))).collect();
    if lines.is_empty() { format!("{head} no condition at all") } else { format!("{head}\n{}", lines.join("\n")) }
}

fn line(check: &Check) -> String {
    let (what, operator) = match &check.subject {
        Subject::Principal => ("Principal", ""),
        Subject::Action => ("Action", ""),
        Subject::Condition(operator, key) => (key.as_str(), operator.as_str()),
    };
    let expected = check.expected.join(", ");
    let said = [what, operator, &expected].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    match check.outcome {
        Outcome::Holds => format!("{said}   ok"),
        Outcome::Fails => format!("{said}   <- {}", check.why),
        Outcome::Unknown => format!("{said}   ? {}", check.why),
    }
}

fn checks(number: usize, statement: &Statement, request: &Request<'_>, action: &str) -> StatementChecks {
    let mut checks = vec![principal(statement, request), of_action(statement, action)];
    let mut conditions: Vec<Check> = Vec::new();
    for (operator, keys) in &statement.conditions {
        let read = |(key, expected): (&String, &Vec<String>)| condition(operator, key, expected, request);
        conditions.extend(keys.iter().map(read).map(|check| of_effect(statement.effect, operator, check)));
    }
    conditions.sort_by_key(|check| rank(&check.subject));
    checks.extend(conditions);
    StatementChecks { number, effect: statement.effect, checks }
}

/// Nobody knows what a denial with an operator that IAM does not have would deny.
fn of_effect(effect: Effect, operator: &str, check: Check) -> Check {
    let is_open = effect == Effect::Deny && Operator::parse(operator).problem().is_some();
    Check { outcome: if is_open { Outcome::Unknown } else { check.outcome }, ..check }
}

fn rank(subject: &Subject) -> u8 {
    let Subject::Condition(_, key) = subject else { return 0 };
    match key.rsplit(':').next() {
        Some("sub") => 1,
        Some("aud") => 2,
        _ => 3,
    }
}

fn of_action(statement: &Statement, action: &str) -> Check {
    let holds = statement.names_action(action);
    let (expected, negated) = match &statement.actions {
        Matcher::Is(named) => (named.clone(), false),
        Matcher::IsNot(named) => (named.clone(), true),
    };
    let why = match (holds, negated, action) {
        (true, ..) => String::new(),
        (_, true, _) => format!("NotAction leaves {action} out"),
        (_, _, super::request::TAG_SESSION) => {
            "the token carries session tags, so sts:TagSession has to be allowed as well".into()
        }
        _ if expected.iter().any(|one| one.eq_ignore_ascii_case("sts:AssumeRole")) => {
            format!("sts:AssumeRole is for IAM principals; a token needs {action}")
        }
        _ => format!("{action} is not among them"),
    };
    let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
    Check { subject: Subject::Action, expected, actual: vec![action.to_owned()], outcome, why }
}

fn principal(statement: &Statement, request: &Request<'_>) -> Check {
    let actual = request.principal();
    let is_named = |principals: &Principals| match principals {
        Principals::Everybody => true,
        Principals::Of(kinds) => {
            let any =
                |kind: &str, test: &dyn Fn(&String) -> bool| kinds.get(kind).is_some_and(|all| all.iter().any(test));
            any("Federated", &|one| one == actual || one == "*") || any("AWS", &|one| one == "*")
        }
    };
    let (holds, expected, why) = match &statement.principal {
        None => (false, Vec::new(), "a trust policy's statement needs a Principal".to_owned()),
        Some(Matcher::Is(named)) => {
            let holds = is_named(named);
            (holds, names(named), if holds { String::new() } else { why_not_principal(named, actual) })
        }
        Some(Matcher::IsNot(named)) => {
            (!is_named(named), names(named), "NotPrincipal leaves the token's provider out".to_owned())
        }
    };
    let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
    let why = if holds { String::new() } else { why };
    Check { subject: Subject::Principal, expected, actual: vec![actual.to_owned()], outcome, why }
}

fn names(principals: &Principals) -> Vec<String> {
    match principals {
        Principals::Everybody => vec!["*".into()],
        Principals::Of(kinds) => kinds.values().flatten().cloned().collect(),
    }
}

fn why_not_principal(named: &Principals, actual: &str) -> String {
    let Principals::Of(kinds) = named else { return String::new() };
    let Some(federated) = kinds.get("Federated") else {
        let kinds = kinds.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return format!("it names {kinds}; a token's provider is Federated: {actual}");
    };
    let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
    let provider = |arn: &str| arn.split_once("oidc-provider/").map(|(_, provider)| provider.to_owned());
    for one in federated {
        if !actual.starts_with("arn:") && provider(one).as_deref() == Some(actual) {
            return format!("AWS has this provider built in, and its principal is {actual} without an ARN");
        }
        if one.trim_end_matches('/') == actual.trim_end_matches('/') {
            return format!("the slash at the end differs; the token's provider is {actual}");
        }
        if one.contains("oidc-provider/https://") {
            return format!("a provider's ARN has no scheme; the token's provider is {actual}");
        }
        if provider(one).is_some() && provider(one) == provider(actual) && account(one) != account(actual) {
            return format!("it is of another account than the role; the token's provider is {actual}");
        }
        if one.contains(['*', '?']) {
            return format!("a wildcard does not stand for a part of a principal; the token's provider is {actual}");
        }
        if one.contains(":saml-provider/") {
            return format!("it is a SAML provider; the token's provider is {actual}");
        }
    }
    format!("the token's provider is {actual}")
}

fn condition(operator: &str, key: &str, expected: &[String], request: &Request<'_>) -> Check {
    let known = request.key(key);
    let actual = match &known {
        Known::Values(values) => values.clone(),
        Known::Absent(_) | Known::Unknown(_) => Vec::new(),
    };
    let mut check = Check {
        subject: Subject::Condition(operator.to_owned(), key.to_owned()),
        expected: expected.to_vec(),
        actual,
        outcome: Outcome::Fails,
        why: String::new(),
    };
    if let Some(problem) = Operator::parse(operator).problem() {
        check.why = problem;
        return check;
    }
    if let Known::Unknown(why) = known {
        (check.outcome, check.why) = (Outcome::Unknown, why);
        return check;
    }
    let substituted: Vec<String> = expected.iter().map(|text| with_variables(text, request)).collect();
    let values = matches!(known, Known::Values(_)).then_some(check.actual.as_slice());
    match holds(operator, &substituted, values) {
        Ok(true) => check.outcome = Outcome::Holds,
        Ok(false) => check.why = why(operator, &substituted, &known, request),
        Err(problem) => check.why = problem,
    }
    check
}

/// Policy variables, `${aws:RequestTag/team}` for example, take the value of their key; one that has none matches nothing
/// and is left as it stands. `${*}`, `${?}` and `${$}` are the characters themselves.
fn with_variables(text: &str, request: &Request<'_>) -> String {
    let mut rest = text;
    let mut done = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else { break };
        done.push_str(before);
        match (name, request.key(name)) {
            ("*" | "?" | "$", _) => done.push_str(name),
            (_, Known::Values(values)) if values.len() == 1 => done.push_str(&values[0]),
            _ => done.extend(["${", name, "}"]),
        }
        rest = tail;
    }
    done + rest
}

/// Why a condition does not hold, with the mistake named where it is a common one.
fn why(operator: &str, expected: &[String], known: &Known, request: &Request<'_>) -> String {
    let actual = match known {
        Known::Absent(why) | Known::Unknown(why) => return format!("the key is absent: {why}"),
        Known::Values(values) => values,
    };
    let shown = actual.join(", ");
    let parsed = Operator::parse(operator);
    if parsed.is_negated() {
        return format!("it is {shown}, which is excluded");
    }
    if parsed.base.eq_ignore_ascii_case("Null") {
        return format!("the key is there, with {shown}");
    }
    if actual.len() > 1 && parsed.every.is_none() {
        return format!("the key has several values ({shown}); use ForAnyValue:{operator}");
    }
    let party = request.claims().azp.as_ref().filter(|party| actual == &[(*party).clone()]);
    if let Some(party) = party.filter(|_| expected.iter().any(|one| request.claims().aud.0.contains(one))) {
        let key = format!("{}:oaud", request.claims().provider());
        return format!("the token has azp {party}, which AWS compares instead of aud; for aud itself there is {key}");
    }
    for one in expected {
        if let Some(style) = style(&parsed, one, actual, request) {
            return format!("{style}; it is {shown}");
        }
        if let Some(mistake) = mistake(&parsed, one, actual) {
            return format!("{mistake}; it is {shown}");
        }
    }
    format!("not equal: it is {shown}")
}

/// GitHub's subjects have two styles.
fn style(operator: &Operator<'_>, expected: &str, actual: &[String], request: &Request<'_>) -> Option<String> {
    let provider = request.claims().provider();
    let of_github = is_github(&provider.to_lowercase());
    let [actual] = actual else { return None };
    of_github.then(|| other_style(expected, actual, &format!("{provider}:sub"), operator.takes_wildcards()))?
}

fn mistake(operator: &Operator<'_>, expected: &str, actual: &[String]) -> Option<&'static str> {
    let actual = actual.first()?;
    if !operator.takes_wildcards() && expected.contains(['*', '?']) && pattern::matches(expected, actual) {
        return Some("* stands for itself here; only StringLike takes it as a wildcard");
    }
    if expected.trim() != expected && expected.trim() == actual {
        return Some("it has a space at an end");
    }
    let is_same = if operator.takes_wildcards() { pattern::matches } else { |one: &str, other: &str| one == other };
    if is_same(&expected.to_lowercase(), &actual.to_lowercase()) {
        return Some("only the case differs");
    }
    if expected.trim_end_matches('/') == actual.trim_end_matches('/') {
        return Some("the slash at the end differs");
    }
    let parts = |text: &str| {
        text.strip_prefix("system:serviceaccount:")?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    if let (Some((namespace, account)), Some((a, b))) = (parts(actual), parts(expected)) {
        if (a.as_str(), b.as_str()) == (account.as_str(), namespace.as_str()) {
            return Some("namespace and service account are swapped");
        }
        return Some(match (a == namespace, b == account) {
            (true, false) => "another service account",
            (false, true) => "another namespace",
            _ => "another namespace and service account",
        });
    }
    let short = actual.strip_prefix("system:serviceaccount:")?;
    if expected == short || expected == short.replace(':', "/") || expected.starts_with("system:serviceaccounts:") {
        return Some("a subject is system:serviceaccount:<namespace>:<name>");
    }
    None
}

#[cfg(test)]
mod tests;
