//! Regular expressions of the reference implementation as those of the crate `regex`, which take linear time.

use regex::RegexBuilder;

/// A compiled one.
#[derive(Debug)]
pub(super) struct Pattern(pub regex::Regex);

/// Bytes that a compiled one may take.
const SIZE: usize = 1 << 20;

impl Pattern {
    /// Why it cannot be used, else the pattern.
    pub(super) fn compile(pattern: &str, ignores_case: bool, is_multiline: bool) -> Result<Self, String> {
        let translated = translate(pattern)?;
        let mut builder = RegexBuilder::new(&translated);
        builder.case_insensitive(ignores_case).multi_line(is_multiline);
        builder.size_limit(SIZE).dfa_size_limit(SIZE).nest_limit(100);
        builder.build().map(Pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it becomes larger than it may".to_owned(),
            _ => "it is none, or has look-around or back-references, which take more than linear time".to_owned(),
        })
    }
}

/// From the reference implementation's regular expressions to those of the crate `regex`.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, in_class, &mut out)?,
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if rest.peek() == Some(&'^') {
                    rest.next();
                    out.push('^');
                }
                if rest.peek() == Some(&']') {
                    return Err("an empty class matches nothing, or everything".into());
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // These have a meaning of their own in a class there.
            '[' | '&' | '~' if in_class => out.extend(['\\', character]),
            '.' if !in_class => out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            '{' if !in_class && !is_count(&rest) => out.push_str(r"\{"),
            // Behind what is no count, which keeps its closing brace.
            '}' if !in_class && !closes_count(&out) => out.push_str(r"\}"),
            other => out.push(other),
        }
    }
    if in_class { Err("a class is not closed".into()) } else { Ok(out) }
}

type Rest<'p> = std::iter::Peekable<std::str::Chars<'p>>;

/// `2}`, `2,}`, `2,3}`
fn is_count(rest: &Rest<'_>) -> bool {
    let inside: String = rest.clone().take_while(|character| *character != '}').collect();
    let (first, second) = inside.split_once(',').unwrap_or((&inside, ""));
    let digits = |text: &str| text.chars().all(|character| character.is_ascii_digit());
    !first.is_empty() && digits(first) && digits(second) && rest.clone().any(|character| character == '}')
}

fn closes_count(out: &str) -> bool {
    let inside = out.rfind('{').filter(|at| !out[..*at].ends_with('\\')).map(|at| &out[at + 1..]);
    inside.is_some_and(|inside| !inside.is_empty() && inside.chars().all(|c| c.is_ascii_digit() || c == ','))
}

fn escape(rest: &mut Rest<'_>, in_class: bool, out: &mut String) -> Result<(), String> {
    let Some(escaped) = rest.next() else { return Err("it ends with a backslash".into()) };
    let class = |inside: &str| if in_class { inside.to_owned() } else { format!("[{inside}]") };
    let space = r"\t\n\x0B\x0C\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
    match escaped {
        'd' => out.push_str(&class("0-9")),
        'w' => out.push_str(&class("0-9A-Za-z_")),
        's' => out.push_str(&class(space)),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => {
            out.push_str("[^");
            out.push_str(space);
            out.push(']');
        }
        'b' if in_class => out.push_str(r"\x08"),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        'n' | 'r' | 't' | 'f' | 'v' => out.extend(['\\', escaped]),
        '0' => out.push_str(r"\x00"),
        '1'..='9' | 'k' => return Err("back-references take more than linear time".into()),
        'x' | 'u' => match code(rest, if escaped == 'x' { 2 } else { 4 }) {
            Some(code) => out.extend(unit(code)),
            None => out.push(escaped),
        },
        'c' => match rest.next_if(char::is_ascii_alphabetic) {
            Some(letter) => out.extend(unit(u32::from(letter) % 32)),
            None => out.push_str(r"\\c"),
        },
        letter if letter.is_ascii_alphanumeric() => out.push(letter),
        other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
    }
    if in_class && escaped == '-' {
        // `escape` leaves it alone, and it would be a range here.
        if out.ends_with('-') && !out.ends_with("\\-") {
            out.pop();
            out.push_str("\\-");
        }
    }
    Ok(())
}

/// A character by its number, whatever it means.
fn unit(code: u32) -> [String; 1] {
    [format!("\\u{{{code:x}}}")]
}

fn code(rest: &mut Rest<'_>, digits: usize) -> Option<u32> {
    let text: String = rest.clone().take(digits).collect();
    let is_code = text.len() == digits && text.chars().all(|digit| digit.is_ascii_hexdigit());
    let code = u32::from_str_radix(&text, 16).ok().filter(|code| is_code && char::from_u32(*code).is_some())?;
    rest.nth(digits - 1);
    Some(code)
}
