//! `--set a.b=1,c[0]=x`: values put into the input, in the form that Helm has for it.

use serde_json::{Map, Value};

/// Elements that a list may get by its index.
const MOST: usize = 10_000;
/// Keys and indexes one within another; more than any input that is taken.
const DEEPEST: usize = 100;

/// A value as JSON would read it, where it is a number, a boolean or null; else a text. `1e3` and `007` are texts: who writes
/// them seldom means a number. So is a whole number of more than 64 bits, which would be rounded.
pub(super) fn typed(text: &str) -> Value {
    let is_plain = |c: char| c.is_ascii_digit() || c == '-' || c == '.';
    match text {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.chars().all(is_plain) => {
            let number = serde_json::from_str(text).ok();
            number.filter(|number: &Value| text.contains('.') || !number.is_f64()).unwrap_or_else(|| text.into())
        }
        _ => text.into(),
    }
}

/// A value that is a text whatever it looks like.
pub(super) fn text(text: &str) -> Value {
    text.into()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The input, and what flags have put into it.
#[derive(Default)]
pub(super) struct Values {
    input: Option<Value>,
    put: Vec<Vec<Step>>,
    /// Places of lists that were made on the way to a later one.
    holes: Vec<Vec<Step>>,
}

impl Values {
    pub fn of(input: Option<Value>) -> Self {
        Self { input, ..Self::default() }
    }

    /// Puts the values that a flag names into the input.
    pub fn put(&mut self, flag: &str, value: fn(&str) -> Value) -> Result<(), String> {
        let mut rest = flag.chars().peekable();
        loop {
            let steps = path(&mut rest)?;
            let new =
                if rest.peek() == Some(&'{') { list(&mut rest, value)? } else { value(&word(&mut rest, &[',']).0) };
            if let Some(inner) = self.put.iter().find(|put| put.len() > steps.len() && put.starts_with(&steps)) {
                return Err(format!("{} was given already, and would be lost in {}", written(inner), written(&steps)));
            }
            let root = self.input.get_or_insert_with(|| Value::Object(Map::new()));
            place(root, &steps, &mut self.holes)?.clone_from(&new);
            self.put.push(steps);
            match rest.next() {
                None => return Ok(()),
                Some(',') => {}
                Some(other) => return Err(format!("after a list stands {other:?}; separate values by a comma")),
            }
        }
    }

    /// The input with all that was put into it, which leaves no place of a list without a value.
    pub fn whole(self) -> Result<Option<Value>, String> {
        match self.holes.iter().find(|hole| !self.put.iter().any(|put| put.starts_with(hole))) {
            Some(hole) => {
                Err(format!("{} has no value, and a later one of its list has; give it one too", written(hole)))
            }
            None => Ok(self.input),
        }
    }
}

/// As a flag has it.
fn written(steps: &[Step]) -> String {
    let text = steps.iter().fold(String::new(), |text, step| match step {
        Step::Key(key) => format!("{text}.{key}"),
        Step::Index(index) => format!("{text}[{index}]"),
    });
    text.trim_start_matches('.').to_owned()
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Up to one of these characters, which is left; a backslash before one takes its meaning.
fn word(rest: &mut Rest<'_>, ends: &[char]) -> (String, bool) {
    let (mut word, mut was_escaped) = (String::new(), false);
    while let Some(&next) = rest.peek() {
        if ends.contains(&next) {
            break;
        }
        rest.next();
        if next == '\\'
            && let Some(escaped) = rest.next()
        {
            was_escaped = true;
            word.push(escaped);
        } else {
            word.push(next);
        }
    }
    (word, was_escaped)
}

/// Keys and indexes up to the equals sign.
fn path(rest: &mut Rest<'_>) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    loop {
        let (key, _) = word(rest, &['.', '[', '=', ',']);
        if !key.is_empty() {
            steps.push(Step::Key(key));
        } else if !matches!(steps.last(), Some(Step::Index(_))) {
            return Err("a key is missing; write path=value, such as a.b=1".into());
        }
        while rest.next_if_eq(&'[').is_some() {
            let (index, _) = word(rest, &[']']);
            let index = index.parse().ok().filter(|index| *index < MOST && rest.next() == Some(']'));
            let index = index.ok_or_else(|| format!("an index is [0] to [{}]", MOST - 1))?;
            steps.push(Step::Index(index));
        }
        if steps.len() > DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} levels deep"));
        }
        match rest.next() {
            Some('.') => {}
            Some('=') => return Ok(steps),
            _ => return Err("no value; write path=value, such as a.b=1".into()),
        }
    }
}

/// `{a,b}`
fn list(rest: &mut Rest<'_>, value: fn(&str) -> Value) -> Result<Value, String> {
    rest.next();
    let mut items = Vec::new();
    loop {
        let (item, was_escaped) = word(rest, &[',', '}']);
        match rest.next() {
            Some('}') if items.is_empty() && item.is_empty() && !was_escaped => return Ok(Value::Array(items)),
            Some(end) => {
                items.push(value(&item));
                if end == '}' {
                    return Ok(Value::Array(items));
                }
            }
            None => return Err("a list has no end; write {a,b}".into()),
        }
    }
}

/// Where the steps lead, made on the way. Nothing is an object or a list, whichever is needed.
fn place<'a>(root: &'a mut Value, steps: &[Step], holes: &mut Vec<Vec<Step>>) -> Result<&'a mut Value, String> {
    steps.iter().enumerate().try_fold(root, |at, (depth, step)| match step {
        Step::Key(key) => {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let object = at.as_object_mut().ok_or_else(|| format!("{key:?} is put into what is no object"))?;
            Ok(object.entry(key.clone()).or_insert(Value::Null))
        }
        Step::Index(index) => {
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            let items = at.as_array_mut().ok_or_else(|| format!("[{index}] is put into what is no list"))?;
            if *index >= items.len() {
                let hole = |hole| steps[..depth].iter().cloned().chain([Step::Index(hole)]).collect();
                holes.extend((items.len()..*index).map(hole));
                items.resize(index + 1, Value::Null);
            }
            Ok(&mut items[*index])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put_all(input: Option<Value>, flags: &[&str]) -> Result<Value, String> {
        let mut values = Values::of(input);
        flags.iter().try_for_each(|flag| values.put(flag, typed))?;
        Ok(values.whole()?.unwrap_or_default())
    }

    #[test]
    fn values_are_put_where_their_paths_say_with_their_types() {
        for (before, flags, after) in [
            (None, &["a.b=1"][..], json!({"a": {"b": 1}})),
            (None, &["a=1,b=true", "c=null"], json!({"a": 1, "b": true, "c": null})),
            (
                None,
                &["a=1.50,b=-3,c=007,d=1e3,e=-,f="],
                json!({"a": 1.5, "b": -3, "c": "007", "d": "1e3", "e": "-", "f": ""}),
            ),
            (None, &["a=12345678901234567890123"], json!({"a": "12345678901234567890123"})),
            (None, &["a=18446744073709551615,b=-9223372036854775808"], json!({"a": u64::MAX, "b": i64::MIN})),
            (None, &["a[1].b=x", "a[0].b=y"], json!({"a": [{"b": "y"}, {"b": "x"}]})),
            (None, &["a[1].b=x", "a[0]=y"], json!({"a": ["y", {"b": "x"}]})),
            (None, &["a[0][1]=x,a[0][0]=null"], json!({"a": [[null, "x"]]})),
            (None, &["a=1", "a=2"], json!({"a": 2})),
            (None, &["a={1,2},a[1]=3,a[2]=4"], json!({"a": [1, 3, 4]})),
            (Some(json!({"a": {"b": 1}})), &["a=2"], json!({"a": 2})),
            (None, &["a={1,x},b={}"], json!({"a": [1, "x"], "b": []})),
            (None, &[r"a\.b=x\,y,c=p=q"], json!({"a.b": "x,y", "c": "p=q"})),
            (Some(json!({"a": {"b": 1}, "c": 2})), &["a.d=3", "c=4"], json!({"a": {"b": 1, "d": 3}, "c": 4})),
            (Some(json!([{"a": 1}])), &[], json!([{"a": 1}])),
        ] {
            assert_eq!(put_all(before, flags), Ok(after), "{flags:?}");
        }
        let mut values = Values::default();
        values.put("a=1,b=null,c={true}", text).unwrap();
        assert_eq!(values.whole().unwrap(), Some(json!({"a": "1", "b": "null", "c": ["true"]})));
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_what_to_write() {
        let deep = format!("{}a=1", "a.".repeat(DEEPEST));
        for (before, flag, why) in [
            (None, "a", "write path=value"),
            (None, "=1", "a key is missing"),
            (None, "a..b=1", "a key is missing"),
            (None, "a=1,", "a key is missing"),
            (None, "a[x]=1", "an index is"),
            (None, "a[99999999]=1", "an index is"),
            (None, "a[0=1", "an index is"),
            (None, "a={1", "no end"),
            (None, "a={1}b", "after a list"),
            (None, &deep, "levels deep"),
            (Some(json!({"a": 1})), "a.b=1", "no object"),
            (Some(json!({"a": 1})), "a[0]=1", "no list"),
            (Some(json!([1])), "a=1", "no object"),
            (None, "a.b=1,a=2", "a.b was given already, and would be lost in a"),
            (None, "a=2,a.b=1", "no object"),
            (None, "a.c[0]=1,a={2}", "a.c[0] was given already"),
            (None, "a[2]=x,a[0]=y", "a[1] has no value"),
            (None, "a[0][1]=x", "a[0][0] has no value"),
            (Some(json!({"a": [1]})), "a[2].b=x", "a[1] has no value"),
        ] {
            let said = put_all(before, &[flag]).unwrap_err();
            assert!(said.contains(why), "{flag}: {said}");
        }
    }
}
