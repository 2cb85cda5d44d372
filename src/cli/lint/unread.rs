//! Texts that cannot be read, or not by AWS.

use std::path::Path;

use super::input::Source;
use super::report::Located;
use crate::asl::lint::Finding;
use crate::asl::{self, Lines, Span, has_directive};
use crate::cli::program::as_typed;

/// What a version of our kinds begins with.
pub(super) const GROUP: &str = "stepbound.dev/";

/// What keeps a text from being read.
pub(super) fn syntax(source: &Source, error: &asl::SyntaxError) -> Located {
    let (text, message) = (source.text.as_str(), &error.message);
    // What AWS may take is no error; of a manifest the operator reads no more than this does.
    let may_be_right = error.is_too_deep && text.contains("StartAt") && !text.contains(GROUP);
    let finding = if may_be_right {
        let message = format!(
            "{message}, which is deeper than is read here and by the operator, from a ConfigMap too: nothing of this text was looked at. AWS may take it all the same"
        );
        Finding::new("SB009", "/", message, Span::default())
    } else {
        let hint = template_hint(text, Lines::of(text).line(error.line), message);
        Finding::new("SB025", "/", as_typed(&format!("{message}{hint}")), Span::default())
    };
    Located { file: source.name.clone(), line: error.line, column: error.column, width: 1, finding, subject: None }
}

/// Which tool's template a text may be that cannot be read.
fn template_hint(text: &str, line: &str, message: &str) -> &'static str {
    if text.contains("{{") {
        "; this looks like a template: lint what it renders, as in `helm template . | stepbound lint -`"
    } else if message.contains("%{") || message.contains("placeholder") {
        ""
    } else if has_directive(text) {
        "; %{ … } is a directive of a Terraform template: render the file first (templatefile) and lint what that gives"
    } else if has_inner_quotes(line) {
        "; the quotes inside of ${ … } end the text here: Terraform reads them otherwise in a heredoc, and JSON does not: lint what the template gives, or take the value from a local whose name needs no quotes"
    } else if line.contains("${") {
        "; a placeholder without quotes inside of braces or brackets cannot be read before its value is put in: lint what the template gives, or write the value in a line of its own"
    } else {
        ""
    }
}

/// True of a placeholder within quotes that has quotes itself.
fn has_inner_quotes(line: &str) -> bool {
    line.match_indices("\"${").any(|(start, mark)| {
        let inside = &line[start + mark.len()..];
        inside.split_once('"').is_some_and(|(before, _)| !before.contains('}'))
    })
}

/// AWS takes a definition as JSON, so YAML in a file that is named as JSON goes there as it is. Manifests and templates are no matter
/// of this: `kubectl` and CloudFormation read YAML whatever the file's name.
pub(super) fn no_json(source: &Source) -> Option<Finding> {
    let is_named_json = Path::new(&source.name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let error = asl::not_json(&source.text).filter(|_| is_named_json)?;
    let start = source.text.len() - Lines::of(&source.text).rest(error.line, error.column).len();
    let message = format!("the file is named .json and is no JSON, which AWS refuses: {}", error.message);
    Some(Finding::new("SB025", "/", message, Span::new(start, start + 1)))
}
