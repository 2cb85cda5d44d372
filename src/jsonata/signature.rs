//! `<s-n?:s>`: which arguments a function takes.
//!
//! The reference implementation makes a regular expression of a signature and matches the kinds of the arguments with it.
//! The same is done here with a matcher that remembers where it failed, so that no signature takes long.

use super::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    One,
    Optional,
    Many,
}

#[derive(Debug)]
pub(super) struct Parameter {
    /// Letters of the kinds that fit, `m` for a missing one among them.
    pub fits: String,
    times: Times,
    /// The context item stands in for it.
    pub takes_context: bool,
    pub is_array: bool,
    pub subtype: Option<String>,
}

#[derive(Debug)]
pub(super) struct Signature {
    pub(super) parameters: Vec<Parameter>,
}

/// Longer signatures than any real function has.
const MAX_PARAMETERS: usize = 32;

impl Signature {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let symbols: Vec<char> = text.chars().collect();
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut at = 1;
        while let Some(symbol) = symbols.get(at).copied() {
            let fits = match symbol {
                ':' => break,
                's' | 'n' | 'b' | 'l' | 'o' => Some(format!("{symbol}m")),
                'a' | 'x' => Some("asnblfom".into()),
                'f' => Some("f".into()),
                'j' => Some("asnblom".into()),
                '(' => {
                    let end = closing(&symbols, at, '(', ')');
                    let choice: String = symbols[at + 1..end.max(at + 1)].iter().collect();
                    if choice.contains('<') {
                        let message = "Choice groups containing parameterized types are not supported";
                        return Err(Error::new("S0402", message));
                    }
                    at = end;
                    Some(choice + "m")
                }
                _ => None,
            };
            if let Some(fits) = fits {
                let is_array = symbol == 'a';
                let (takes_context, subtype) = (false, None);
                parameters.push(Parameter { fits, times: Times::One, takes_context, is_array, subtype });
                if parameters.len() > MAX_PARAMETERS {
                    return Err(Error::new("S0401", "A signature has more parameters than it may"));
                }
            } else if symbol == '<' {
                let end = closing(&symbols, at, '<', '>');
                let typed = parameters.last_mut().filter(|last| last.is_array || last.fits == "f");
                let Some(typed) = typed else {
                    let message = "Type parameters can only be applied to functions and arrays";
                    return Err(Error::new("S0401", message));
                };
                typed.subtype = Some(symbols[at + 1..end.max(at + 1)].iter().collect());
                at = end;
            } else if let Some(last) = parameters.last_mut() {
                match symbol {
                    '-' => (last.takes_context, last.times) = (true, Times::Optional),
                    '?' => last.times = Times::Optional,
                    '+' => last.times = Times::Many,
                    _ => {}
                }
            }
            at += 1;
        }
        Ok(Self { parameters })
    }

    /// How many arguments of these kinds each parameter takes, as many as possible, from left to right.
    pub(super) fn taken(&self, kinds: &[char]) -> Result<Vec<usize>, Error> {
        let width = kinds.len() + 1;
        let mut failed = vec![false; (self.parameters.len() + 1) * width];
        let mut taken = Vec::with_capacity(self.parameters.len());
        if self.matches(kinds, 0, 0, &mut taken, &mut failed) { Ok(taken) } else { Err(self.refusal(kinds)) }
    }

    fn matches(
        &self,
        kinds: &[char],
        parameter: usize,
        at: usize,
        taken: &mut Vec<usize>,
        failed: &mut [bool],
    ) -> bool {
        let Some(current) = self.parameters.get(parameter) else { return at == kinds.len() };
        let state = parameter * (kinds.len() + 1) + at;
        if failed[state] {
            return false;
        }
        let fitting = kinds[at..].iter().take_while(|kind| current.fits.contains(**kind)).count();
        let (least, most) = match current.times {
            Times::One => (1, fitting.min(1)),
            Times::Optional => (0, fitting.min(1)),
            Times::Many => (1, fitting),
        };
        for count in (least..=most).rev() {
            taken.push(count);
            if self.matches(kinds, parameter + 1, at + count, taken, failed) {
                return true;
            }
            taken.pop();
        }
        failed[state] = true;
        false
    }

    /// The first argument that does not fit.
    fn refusal(&self, kinds: &[char]) -> Error {
        let mut good = 0;
        for known in 1..=self.parameters.len() {
            let mut at = 0;
            for parameter in &self.parameters[..known] {
                let fits = kinds[at..].iter().take_while(|kind| parameter.fits.contains(**kind)).count();
                let fits = if parameter.times == Times::Many { fits } else { fits.min(1) };
                if fits == 0 && parameter.times != Times::Optional {
                    return refusal(good);
                }
                at += fits;
            }
            good = at;
        }
        refusal(good)
    }
}

fn refusal(good: usize) -> Error {
    let message = format!("Argument {} of function {{{{token}}}} does not match function signature", good + 1);
    Error::new("T0410", message)
}

fn closing(symbols: &[char], start: usize, open: char, close: char) -> usize {
    let mut depth = 1;
    for (at, symbol) in symbols.iter().enumerate().skip(start + 1) {
        if *symbol == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        } else if *symbol == open {
            depth += 1;
        }
    }
    symbols.len()
}
