//! Subjects of GitHub's tokens, which have two styles: `repo:OWNER/NAME:…` and, with the ids that never change,
//! `repo:OWNER@ID/NAME@ID:…`. The second is the default of repositories that are created, renamed or transferred since
//! 15 July 2026; others have it where they ask for it (GitHub docs, "OpenID Connect reference", immutable subject claims).

use crate::iam::pattern;

/// The owner and the name of a repository in a subject, each with its id where it has one, and what follows.
#[derive(Clone, Copy)]
struct Subject<'a> {
    owner: (&'a str, Option<&'a str>),
    name: (&'a str, Option<&'a str>),
    rest: &'a str,
}

impl<'a> Subject<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (owner, after) = text.strip_prefix("repo:")?.split_once('/')?;
        let (name, rest) = after.split_at(after.find(':').unwrap_or(after.len()));
        let with_id = |text: &'a str| text.split_once('@').map_or((text, None), |(name, id)| (name, Some(id)));
        Some(Self { owner: with_id(owner), name: with_id(name), rest })
    }

    fn has_ids(&self) -> bool {
        self.owner.1.is_some() || self.name.1.is_some()
    }

    /// In the style of the other: what has its name gets its id or loses its own.
    fn in_style_of(&self, other: &Self) -> String {
        let part = |own: (&str, Option<&str>), other: (&str, Option<&str>)| match other.1 {
            Some(id) if own.0 == other.0 => format!("{}@{id}", own.0),
            Some(_) | None => own.0.to_owned(),
        };
        format!("repo:{}/{}{}", part(self.owner, other.owner), part(self.name, other.name), self.rest)
    }
}

/// Says that policy and token have different styles of subjects where it is just that, with the line to put. `key` is the
/// condition key, `wildcards` whether the operator takes them; where it does not and the value has some, the line has one that does.
pub(super) fn other_style(expected: &str, actual: &str, key: &str, wildcards: bool) -> Option<String> {
    let (wanted, found) = (Subject::parse(expected)?, Subject::parse(actual)?);
    let same_names = |one: (&str, _), other: (&str, _)| pattern::matches(one.0, other.0);
    if !same_names(wanted.owner, found.owner) || !same_names(wanted.name, found.name) {
        return None;
    }
    let line = wanted.in_style_of(&found);
    let what = match (wanted.has_ids(), found.has_ids()) {
        (false, true) => {
            "the token has GitHub's newer subject, with the ids of owner and repository (the default of repositories created, renamed or transferred since 15 July 2026)"
        }
        (true, false) => "the token has GitHub's older subject, without ids",
        (true, true) if differs(wanted.owner.1, found.owner.1) || differs(wanted.name.1, found.name.1) => {
            return Some("another owner or repository has the name now: the ids differ".into());
        }
        (true, true) | (false, false) => return None,
    };
    let rest = if pattern::matches(&line, actual) { "" } else { ", and what follows the repository differs too" };
    if !wildcards && line.contains(['*', '?']) {
        return Some(format!(
            "{what}{rest}; put \"StringLike\": {{\"{key}\": \"{line}\"}}, for this operator takes * and ? as they stand"
        ));
    }
    Some(format!("{what}{rest}; put \"{key}\": \"{line}\""))
}

/// Whether both have an id, and the one that was found is not of the other, which may be a pattern.
fn differs(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.zip(found).is_some_and(|(wanted, found)| !pattern::matches(wanted, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "token.actions.githubusercontent.com:sub";
    const NEW: &str = "repo:octo-org@12/octo-repo@74:ref:refs/heads/main";
    const OLD: &str = "repo:octo-org/octo-repo:ref:refs/heads/main";

    fn said(expected: &str, actual: &str, wildcards: bool) -> String {
        other_style(expected, actual, KEY, wildcards).unwrap_or_default()
    }

    #[test]
    fn ids_are_compared_as_the_patterns_that_they_may_be() {
        for expected in [
            "repo:octo-org@*/octo-repo@*:environment:prod",
            "repo:octo-org@12/octo-repo@*:environment:prod",
            "repo:octo-org@*/octo-repo@74:environment:prod",
            "repo:octo-org@12/*:environment:prod",
        ] {
            assert_eq!(other_style(expected, NEW, KEY, true), None, "{expected}");
        }
        for expected in ["repo:octo-org@13/octo-repo@*:*", "repo:octo-org@*/octo-repo@75:*"] {
            assert!(said(expected, NEW, true).contains("the ids differ"), "{expected}");
        }
    }

    #[test]
    fn a_condition_on_the_old_style_is_told_with_the_line_of_the_new() {
        let text = said(OLD, NEW, false);
        assert!(text.contains("newer subject") && text.contains("15 July 2026"), "{text}");
        assert!(text.ends_with(&format!("put \"{KEY}\": \"{NEW}\"")), "{text}");
        assert!(said("repo:octo-org/octo-repo:*", NEW, true).ends_with("\"repo:octo-org@12/octo-repo@74:*\""));
        assert!(said("repo:octo-org/*", NEW, true).ends_with("\"repo:octo-org@12/*\""));
        for (old, new) in [("octo-org/octo-repo:*", "octo-org@12/octo-repo@74:*"), ("octo-org/*", "octo-org@12/*")] {
            let literal = said(&format!("repo:{old}"), NEW, false);
            assert!(literal.contains(&format!("put \"StringLike\": {{\"{KEY}\": \"repo:{new}\"}}")), "{literal}");
        }
        let other_branch = said("repo:octo-org/octo-repo:environment:prod", NEW, false);
        assert!(
            other_branch.contains("differs too") && other_branch.contains("@74:environment:prod"),
            "{other_branch}"
        );
    }

    #[test]
    fn a_condition_on_the_new_style_is_told_with_the_line_of_the_old() {
        let text = said(NEW, OLD, false);
        assert!(text.contains("older subject") && text.ends_with(&format!("\"{OLD}\"")), "{text}");
    }

    #[test]
    fn what_is_another_repository_is_no_matter_of_style() {
        for (expected, actual) in [
            (OLD, "repo:octo-org@12/other@74:ref:refs/heads/main"),
            ("repo:other/octo-repo:*", NEW),
            (OLD, "repo:octo-org/octo-repo:ref:refs/heads/dev"),
            ("system:serviceaccount:a:b", NEW),
            (NEW, NEW),
        ] {
            assert_eq!(said(expected, actual, true), "", "{expected} {actual}");
        }
        assert!(said("repo:octo-org@12/octo-repo@75:*", NEW, true).contains("another owner or repository"));
    }
}
