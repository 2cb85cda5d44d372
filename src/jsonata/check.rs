//! Arguments as a function's signature asks for them.

use super::error::Error;
use super::signature::{Parameter, Signature};
use super::value::{Evaluator, Val};

impl<'e> Evaluator<'e> {
    /// The arguments as the function gets them: what the context item stands in for is put in, and what shall be an array is
    /// made one.
    pub(super) fn check(
        &mut self,
        signature: &Signature,
        arguments: Vec<Val<'e>>,
        context: &Val<'e>,
    ) -> Result<Vec<Val<'e>>, Error> {
        let kinds: Vec<char> = arguments.iter().map(kind).collect();
        // The search looks at each parameter with each argument once.
        self.charge(signature.parameters.len() * (1 + arguments.len()))?;
        let taken = signature.taken(&kinds)?;
        let mut given = arguments.into_iter();
        let mut checked = Vec::new();
        let mut place = 0;
        for (parameter, count) in signature.parameters.iter().zip(taken) {
            if count == 0 {
                if !parameter.takes_context {
                    checked.push(given.next().unwrap_or(Val::Undefined));
                    place += 1;
                } else if parameter.fits.contains(kind(context)) {
                    checked.push(context.clone());
                } else {
                    let message = format!(
                        "Context value is not a compatible type with argument {} of function {{{{token}}}}",
                        place + 1
                    );
                    return Err(Error::new("T0411", message));
                }
                continue;
            }
            for _ in 0..count {
                let argument = given.next().unwrap_or(Val::Undefined);
                place += 1;
                checked.push(if parameter.is_array {
                    self.as_array(parameter, argument, count, place)?
                } else {
                    argument
                });
            }
        }
        Ok(checked)
    }

    fn as_array(
        &mut self,
        parameter: &Parameter,
        argument: Val<'e>,
        count: usize,
        place: usize,
    ) -> Result<Val<'e>, Error> {
        let Val::Array(array) = &argument else {
            if argument.is_undefined() {
                return Ok(argument);
            }
            let only = kind(&argument).to_string();
            if count > 1 || parameter.subtype.as_ref().is_some_and(|subtype| *subtype != only) {
                return if parameter.subtype.is_none() {
                    Ok(Val::array(vec![argument]))
                } else {
                    Err(mismatch(parameter, place))
                };
            }
            return Ok(Val::array(vec![argument]));
        };
        if let (Some(subtype), Some(first)) = (&parameter.subtype, array.items.first()) {
            self.charge(array.items.len())?;
            let wanted = subtype.chars().next();
            if wanted != Some(kind(first)) || array.items.iter().any(|item| Some(kind(item)) != wanted) {
                return Err(mismatch(parameter, place));
            }
        }
        Ok(argument)
    }
}

fn mismatch(parameter: &Parameter, place: usize) -> Error {
    let kinds = match parameter.subtype.as_deref() {
        Some("a") => "arrays",
        Some("b") => "booleans",
        Some("f") => "functions",
        Some("n") => "numbers",
        Some("o") => "objects",
        Some("s") => "strings",
        _ => "the right type",
    };
    let message = format!("Argument {place} of function {{{{token}}}} must be an array of \"{kinds}\"");
    Error::new("T0412", message)
}

/// The letter of a value's kind.
fn kind(value: &Val<'_>) -> char {
    match value {
        Val::Undefined => 'm',
        Val::Null => 'l',
        Val::Bool(_) => 'b',
        Val::Num(_) => 'n',
        Val::Str(_) => 's',
        Val::Array(_) | Val::Tuples(_) => 'a',
        Val::Object(_) => 'o',
        Val::Func(_) => 'f',
    }
}
