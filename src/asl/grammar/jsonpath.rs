//! JSONPath as Step Functions has it: from the input (`$.a`), the context object (`$$.Execution.Id`) or a variable
//! (`$name.a`), with the operators of Jayway's implementation.
//!
//! Source: states-language.net/spec.html, "Paths" and "Reference Paths".

use super::GrammarError;

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$`: the state's input or result.
    Data,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable,
}

/// A path that is written well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where it begins.
    pub root: Root,
    /// True when it can lead to one place only, which is what the specification calls a Reference Path.
    pub is_reference: bool,
}

/// A path with its steps, to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What is known of the path as a whole.
    pub path: Path,
    /// Name of the variable that it begins with; empty for any other beginning.
    pub variable: String,
    /// The steps from there.
    pub segments: Vec<Segment>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `..`: from each value below as well.
    pub is_deep: bool,
    /// Where it leads.
    pub step: Step,
}

/// Where a step leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.name`, `['name']`, `['a', 'b']`.
    Names(Vec<String>),
    /// `*`.
    All,
    /// `[0]`, `[-1]`, `[0, 2]`.
    Indices(Vec<i64>),
    /// `[1:3]`.
    Slice(Option<i64>, Option<i64>),
    /// `[?(…)]`: what is between the parentheses.
    Filter(String),
    /// `[(…)]`.
    Script(String),
    /// `.length()`: a function of Jayway's, with what is between its parentheses.
    Function(String, String),
}

/// Reads a path that fills the text.
///
/// # Errors
/// The place where it stops to be one.
pub fn parse(text: &str) -> Result<Path, GrammarError> {
    Ok(query(text)?.path)
}

/// As [`parse`], with the steps.
///
/// # Errors
/// The place where it stops to be one.
pub fn query(text: &str) -> Result<Query, GrammarError> {
    let (query, end) = read(text, 0, true)?;
    if end < text.len() {
        return Err(GrammarError::new(end, unexpected(text, end)));
    }
    Ok(query)
}

fn unexpected(text: &str, at: usize) -> String {
    match text[at..].chars().next() {
        Some(found) => format!("\"{found}\" cannot stand here"),
        None => "the path ends too early".to_owned(),
    }
}

/// Reads a path from `start` as far as it goes: the path and where it ends. It stands among the arguments of a call.
pub(super) fn prefix(text: &str, start: usize) -> Result<(Query, usize), GrammarError> {
    read(text, start, false)
}

fn read(text: &str, start: usize, is_whole: bool) -> Result<(Query, usize), GrammarError> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: start, is_reference: true, is_whole };
    let root = reader.root()?;
    let is_variable = root == Root::Variable;
    let variable = if is_variable { text[start + 1..reader.at].to_owned() } else { String::new() };
    let mut segments = Vec::new();
    while let Some(segment) = reader.segment()? {
        segments.push(segment);
    }
    let path = Path { root, is_reference: reader.is_reference };
    Ok((Query { path, variable, segments }, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    is_reference: bool,
    /// The path fills the text: signs that would end an argument of a call are part of a name.
    is_whole: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self) -> GrammarError {
        GrammarError::new(self.at, unexpected(self.text, self.at))
    }

    fn root(&mut self) -> Result<Root, GrammarError> {
        if !self.eat(b'$') {
            return Err(GrammarError::new(self.at, "a path begins with \"$\""));
        }
        if self.eat(b'$') {
            return Ok(Root::Context);
        }
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += length;
        Ok(if length > 0 { Root::Variable } else { Root::Data })
    }

    /// One step; nothing where the path ends.
    fn segment(&mut self) -> Result<Option<Segment>, GrammarError> {
        let mut is_deep = false;
        if self.eat(b'.') {
            if self.eat(b'.') {
                self.is_reference = false;
                is_deep = true;
            }
            let step = match self.peek() {
                Some(b'[') => self.bracket()?,
                Some(b'*') => {
                    self.at += 1;
                    self.is_reference = false;
                    Step::All
                }
                _ => self.name()?,
            };
            return Ok(Some(Segment { is_deep, step }));
        }
        if self.peek() == Some(b'[') {
            return Ok(Some(Segment { is_deep, step: self.bracket()? }));
        }
        Ok(None)
    }

    /// Jayway reads on to the next point, bracket, parenthesis or space; a backslash escapes these in the specification.
    fn name(&mut self) -> Result<Step, GrammarError> {
        let ends = |c: char| {
            c.is_whitespace()
                || matches!(c, '.' | '[' | '(')
                || !self.is_whole && matches!(c, ']' | ')' | ',' | '\'' | '"')
        };
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let mut name = String::new();
        let end = rest.find(|c: char| {
            let is_escaped = escaped;
            escaped = c == '\\' && !is_escaped;
            let is_end = !is_escaped && ends(c);
            if !is_end && !escaped {
                name.push(c);
            }
            is_end
        });
        let length = end.unwrap_or(rest.len());
        if length == 0 {
            return Err(self.wrong());
        }
        self.at += length;
        if self.peek() == Some(b'(') {
            // A function of Jayway's, such as `.length()`.
            self.is_reference = false;
            let inner = self.balanced(b'(', b')')?;
            return Ok(Step::Function(name, inner));
        }
        Ok(Step::Names(vec![name]))
    }

    /// `[0]`, `[-1]`, `[1:3]`, `[*]`, `['a','b']`, `[?(@.a > 1)]`, `[(@.length-1)]`.
    fn bracket(&mut self) -> Result<Step, GrammarError> {
        self.at += 1;
        self.space();
        let step = match self.peek() {
            Some(b'*') => {
                self.at += 1;
                self.is_reference = false;
                Step::All
            }
            Some(b'?') => {
                self.at += 1;
                self.is_reference = false;
                self.space();
                Step::Filter(self.balanced(b'(', b')')?)
            }
            Some(b'(') => {
                self.is_reference = false;
                Step::Script(self.balanced(b'(', b')')?)
            }
            Some(b'\'' | b'"') => Step::Names(self.list(Self::quoted)?),
            _ => self.indices()?,
        };
        self.space();
        if !self.eat(b']') {
            return Err(self.wrong());
        }
        Ok(step)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, GrammarError>) -> Result<Vec<T>, GrammarError> {
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            self.space();
            if !self.eat(b',') {
                return Ok(items);
            }
            self.is_reference = false;
            self.space();
        }
    }

    fn indices(&mut self) -> Result<Step, GrammarError> {
        let first = self.integer();
        let mut bounds = vec![first];
        while self.eat(b':') {
            self.is_reference = false;
            bounds.push(self.integer());
        }
        match (first, bounds.as_slice()) {
            (None, [_]) => Err(self.wrong()),
            (Some(first), [_]) => {
                self.space();
                let mut indices = vec![first];
                if self.eat(b',') {
                    self.is_reference = false;
                    self.space();
                    indices.extend(self.list(|reader| reader.integer().ok_or_else(|| reader.wrong()))?);
                }
                Ok(Step::Indices(indices))
            }
            // Jayway's slices have no step; what stands there is passed over.
            (_, bounds) => Ok(Step::Slice(first, bounds.get(1).copied().flatten())),
        }
    }

    fn integer(&mut self) -> Option<i64> {
        let start = self.at;
        self.eat(b'-');
        let digits = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == digits {
            self.at = start;
            return None;
        }
        // No array has an item at a place that does not fit.
        Some(self.text[start..self.at].parse().unwrap_or(i64::MAX))
    }

    fn quoted(&mut self) -> Result<String, GrammarError> {
        let start = self.at;
        let Some(quote @ (b'\'' | b'"')) = self.peek() else { return Err(self.wrong()) };
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == quote {
                let mark = char::from(quote);
                // A recording of AWS: a backslash before another sign than this quote stands for itself.
                return Ok(self.text[start + 1..self.at - 1].replace(&format!("\\{mark}"), &mark.to_string()));
            }
        }
        Err(GrammarError::new(start, "this quote is not closed"))
    }

    /// A condition or script in parentheses: only that it closes is checked, as Jayway's grammar is open inside.
    fn balanced(&mut self, open: u8, close: u8) -> Result<String, GrammarError> {
        let start = self.at;
        if self.peek() != Some(open) {
            return Err(self.wrong());
        }
        let (mut depth, mut has_quotes) = (0usize, true);
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' | b'"' if has_quotes => {
                    let at = self.at;
                    if self.quoted().is_ok() {
                        continue;
                    }
                    // A quote in a regular expression need not close. Looking again at each would cost square time.
                    has_quotes = false;
                    self.at = at;
                }
                _ if byte == open => depth += 1,
                _ if byte == close => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(self.text[start + 1..self.at - 1].to_owned());
            }
        }
        Err(GrammarError::new(start, "this parenthesis is not closed"))
    }

    fn space(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_what_is_none() {
        for (text, root, is_reference) in [
            ("$", Root::Data, true),
            ("$.a.b-c[0]['d e'][\"f\"]", Root::Data, true),
            ("$$", Root::Context, true),
            ("$$.Execution.Input.machines", Root::Context, true),
            ("$order.id", Root::Variable, true),
            ("$.ünïcode.@type.a:b", Root::Data, true),
            ("$.a[-2]", Root::Data, true),
            ("$.a[1:]", Root::Data, false),
            ("$.a[:3]", Root::Data, false),
            ("$.a[0,2]", Root::Data, false),
            ("$.a[*].b", Root::Data, false),
            ("$..b", Root::Data, false),
            ("$.*", Root::Data, false),
            ("$.a['b','c']", Root::Data, false),
            ("$.a[?(@.b == ')' && (@.c > 1))].d", Root::Data, false),
            ("$.[?(@.year < 1999)].name", Root::Data, false),
            ("$[(@.length-1)].bar", Root::Data, false),
            ("$.a[?(@.b =~ /it's/)]", Root::Data, false),
            ("$.a.length()", Root::Data, false),
            // What Jayway takes in a name without brackets.
            ("$.it's", Root::Data, true),
            ("$.a,b.\"c\"", Root::Data, true),
            ("$.a]", Root::Data, true),
            // states-language.net/spec.html, "Reference Paths".
            (r"$.store\.book", Root::Data, true),
            (r"$.\stor\e.boo\k", Root::Data, true),
            (r"$.foo.\.bar", Root::Data, true),
            (r"$.foo\@bar.baz\[\[.\?pretty", Root::Data, true),
            (r"$.&Ж中.\uD800\uDF46", Root::Data, true),
            ("$.ledgers[0][22][315].foo", Root::Data, true),
            ("$['store'][0]['book']", Root::Data, true),
        ] {
            assert_eq!(parse(text), Ok(Path { root, is_reference }), "{text}");
        }
        for (text, at) in [
            ("", 0),
            (".guid", 0),
            ("()", 0),
            ("ipsum", 0),
            ("$...", 3),
            ("$.", 2),
            ("$.a b", 3),
            ("$.a[", 4),
            ("$.a[]", 4),
            ("$.a['b]", 4),
            ("$.a[?(@.b]", 5),
            ("$.a[0", 5),
            ("States.Format('x')", 0),
        ] {
            assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}");
        }
    }
}
