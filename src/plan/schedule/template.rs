//! What a schedule's runs are made from. The API server looks at it when a run is created and not before, so without this a schedule
//! would be ready and none of its runs be there.

use crate::api::v1alpha1::{RunTemplate, is_annotation_key, is_label_value, is_qualified_name};
use crate::outcome::{Class, Failure};
use crate::plan::run::check_input;
use crate::reason::Reason;

/// What the API server would refuse of each run, with the JSON pointer of its place in the schedule.
pub(super) fn problems(template: &RunTemplate) -> Vec<(String, Failure)> {
    let input = template.spec.input.as_ref().and_then(|input| check_input(&input.to_string()).err());
    let input = input.map(|failure| ("/spec/runTemplate/spec/input".to_owned(), invalid(failure.message)));
    let Some(metadata) = &template.metadata else { return input.into_iter().collect() };
    let labels = metadata.labels.iter().filter_map(|(key, value)| {
        let problem = match (is_qualified_name(key), is_label_value(&value.0)) {
            (false, _) => "is no key of a label: a name of at most 63 letters, digits, - _ and ., with or without a domain in small letters and a slash before it",
            (true, false) => "has a value that no label can have: at most 63 letters, digits, - _ and ., the first and last of them a letter or digit",
            (true, true) => return None,
        };
        Some(found("labels", key, problem))
    });
    let annotations = metadata.annotations.keys().filter(|key| !is_annotation_key(key)).map(|key| {
        found("annotations", key, "is no key of an annotation: a name of at most 63 letters, digits, - _ and ., with or without a domain and a slash before it")
    });
    input.into_iter().chain(labels).chain(annotations).collect()
}

fn found(field: &str, key: &str, problem: &str) -> (String, Failure) {
    let pointer = format!("/spec/runTemplate/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1"));
    (
        pointer,
        invalid(format!("spec.runTemplate.metadata.{field}: \"{key}\" {problem}. No run could be created with it.")),
    )
}

fn invalid(message: String) -> Failure {
    Failure::new(Class::Terminal, Reason::RunTemplateInvalid, message)
}
