//! Regular expressions, in linear time: those that need more are refused, which says so.

use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Error;
use super::pattern::Pattern;
use super::tree::Regex;
use super::value::{Evaluator, Func, Res, Val};

impl Regex {
    fn pattern(&self) -> Result<&Pattern, Error> {
        let compile = || Pattern::compile(&self.pattern, self.ignores_case, self.is_multiline);
        self.compiled.get_or_init(compile).as_ref().map_err(|reason| {
            Error::new("U1002", format!("The regular expression /{}/ cannot be used: {reason}", self.pattern))
        })
    }
}

/// A match: places are UTF-16 units, as the reference implementation counts.
pub(super) struct Found<'e> {
    pub text: Arc<str>,
    pub start: usize,
    pub end: usize,
    pub groups: Val<'e>,
    pub next: Val<'e>,
}

impl<'e> Evaluator<'e> {
    /// The first match from this UTF-16 unit on, as an object; undefined where there is none.
    pub(super) fn found(&mut self, regex: &'e Regex, text: &Arc<str>, from: usize) -> Res<'e> {
        let found = self.find(regex, text, from)?;
        Ok(found.map_or(Val::Undefined, Found::into_object))
    }

    /// The match after another: it may not be empty, or there would be no end.
    pub(super) fn next_match(&mut self, regex: &'e Regex, text: &Arc<str>, from: usize) -> Res<'e> {
        let found = self.find_next(regex, text, from)?;
        Ok(found.map_or(Val::Undefined, Found::into_object))
    }

    fn find_next(&mut self, regex: &'e Regex, text: &Arc<str>, from: usize) -> Result<Option<Found<'e>>, Error> {
        if from >= utf16_length(text) {
            return Ok(None);
        }
        match self.find(regex, text, from)? {
            Some(found) if found.text.is_empty() => {
                Err(Error::new("D1004", "Regular expression matches zero length string"))
            }
            found => Ok(found),
        }
    }

    fn find(&mut self, regex: &'e Regex, text: &Arc<str>, from: usize) -> Result<Option<Found<'e>>, Error> {
        let Pattern(pattern) = regex.pattern()?;
        let Some(at) = byte_at(text, from) else { return Ok(None) };
        // A search looks at the rest of the text at most; counting units looks at what is before it.
        self.charge(1 + (text.len() - at) / 16 + if text.is_ascii() { 0 } else { text.len() / 16 })?;
        let Some(captures) = pattern.captures_at(text, at) else { return Ok(None) };
        let Some(whole) = captures.get(0) else { return Ok(None) };
        let start = from + utf16_length(&text[at..whole.start()]);
        let end = start + utf16_length(whole.as_str());
        self.charge(captures.len())?;
        let group = |group: Option<regex::Match<'_>>| group.map_or(Val::Undefined, |group| Val::str(group.as_str()));
        let groups = Val::array(captures.iter().skip(1).map(group).collect());
        let next = Val::func(Func::Next { regex, text: text.clone(), from: end });
        Ok(Some(Found { text: whole.as_str().into(), start, end, groups, next }))
    }

    /// Calls a function that finds something in a text: a regular expression, or one that gives the same kind of object.
    pub(super) fn matcher(&mut self, matcher: &Val<'e>, text: Option<&Arc<str>>) -> Result<Option<Found<'e>>, Error> {
        if let Val::Func(func) = matcher {
            match (&**func, text) {
                (Func::Regex(regex), Some(text)) => return self.find(regex, text, 0),
                (Func::Next { regex, text, from }, _) => return self.find_next(regex, text, *from),
                _ => {}
            }
        }
        let arguments = text.map(|text| Val::Str(text.clone())).into_iter().collect();
        let found = self.apply(matcher, arguments, &Val::Undefined)?;
        if !found.is_truthy() {
            return Ok(None);
        }
        let wrong = || {
            let message = "The matcher function argument passed to function {{token}} does not return the correct object structure";
            Error::new("T1010", message)
        };
        let Val::Object(object) = &found else { return Err(wrong()) };
        let field = |name: &str| object.map.get(name).cloned().unwrap_or(Val::Undefined);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A cast saturates.
        let place = |value: Val<'e>| if let Val::Num(number) = value { Some(number as usize) } else { None };
        let (Val::Str(text), Some(start)) = (field("match"), place(field("start"))) else { return Err(wrong()) };
        let end = place(field("end")).unwrap_or(start + utf16_length(&text));
        Ok(Some(Found { text, start, end, groups: field("groups"), next: field("next") }))
    }
}

impl<'e> Found<'e> {
    fn into_object(self) -> Val<'e> {
        #[allow(clippy::cast_precision_loss)]
        let count = |number: usize| Val::Num(number as f64);
        let fields = [
            ("match", Val::Str(self.text)),
            ("start", count(self.start)),
            ("end", count(self.end)),
            ("groups", self.groups),
            ("next", self.next),
        ];
        Val::object(IndexMap::from_iter(fields.map(|(name, value)| (name.into(), value))))
    }
}

pub(super) fn utf16_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The byte of a UTF-16 unit; none behind the end. In the middle of a character it is the next one's.
pub(super) fn byte_at(text: &str, unit: usize) -> Option<usize> {
    if text.is_ascii() {
        return (unit <= text.len()).then_some(unit);
    }
    let mut units = 0;
    for (at, character) in text.char_indices() {
        if units >= unit {
            return Some(at);
        }
        units += character.len_utf16();
    }
    (units >= unit).then_some(text.len())
}
