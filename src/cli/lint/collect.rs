//! From texts to findings: manifests, the definitions in them, and bare definitions. Reads and writes nothing.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::finding::finding;
use super::input::Source;
use super::nothing;
use super::operator::{self, Objects};
use super::prepared::Run;
use super::report::{Definition, Difference, Located, Question, Report, Subject};
use super::schema::Schemas;
use super::unread::{GROUP, no_json, syntax};
use super::{verdict, words};
use crate::asl::lint::{Finding, IGNORE_ANNOTATION, lint};
use crate::asl::model::Machine;
use crate::asl::{
    self, Circumstances, Ignore, Lines, MAX_DEFINITION_BYTES, Node, Parsed, Span, doubts, unresolved, with_placeholders,
};
use crate::aws::DefinitionDiagnostic;

/// Largest inline definition: the API server keeps no larger objects.
const MAX_INLINE_BYTES: usize = 512 * 1024;

/// How to check.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Bare definitions are of the type Express.
    pub express: bool,
    /// What not to tell.
    pub ignore: Ignore,
    /// Whether to keep what AWS can be asked about each definition.
    pub asking: bool,
    /// What AWS said of each definition, in the order in which they are checked; `None` where it was not asked.
    pub answers: Vec<Option<Vec<DefinitionDiagnostic>>>,
}

/// Checks all that the texts hold. ConfigMaps that a Workflow names are looked up among them.
///
/// # Errors
/// When the custom resource definitions cannot be written, which is a mistake in the program.
pub fn check(sources: &[Source], options: &Options) -> Result<Report, serde_json::Error> {
    let mut report = Report { files: sources.len(), ..Report::default() };
    let mut texts = Vec::new();
    for source in sources {
        let looked_at = Cell::new(false);
        let documents = asl::parse_all(&source.text).unwrap_or_else(|error| {
            if is_asked_for(source) || is_ours(&source.text) {
                report.findings.push(syntax(source, &error));
                looked_at.set(true);
            }
            Vec::new()
        });
        texts.push(File { source, lines: Lines::of(&source.text), documents, looked_at });
    }
    let (schemas, config_maps, objects) = (Schemas::new()?, HashMap::new(), Objects::default());
    let mut collector =
        Collector { options, schemas, config_maps, objects, first: HashMap::new(), read: HashSet::new(), report };
    for file in &texts {
        for root in file.documents.iter().map(Parsed::root) {
            each_object(root, &mut |object| collector.index(file, object));
        }
    }
    for file in &texts {
        for document in &file.documents {
            each_object(document.root(), &mut |object| collector.object(file, document, object));
        }
    }
    collector.nothing(&texts);
    let order = |found: &Located| (found.file.clone(), found.line, found.column);
    collector.report.findings.sort_by_key(order);
    Ok(collector.report)
}

/// True of what was named, and of what is a definition by its name.
fn is_asked_for(source: &Source) -> bool {
    source.folder.is_none() || is_named_as_definition(source)
}

fn is_named_as_definition(source: &Source) -> bool {
    [".asl.json", ".asl.yaml", ".asl.yml"].iter().any(|end| source.name.ends_with(end))
}

/// A template of Helm, for example, is no YAML, and nobody asked to read it.
fn is_ours(text: &str) -> bool {
    text.contains(GROUP) || text.contains("StartAt")
}

struct File<'a> {
    source: &'a Source,
    lines: Lines<'a>,
    documents: Vec<Parsed>,
    /// Whether anything in it was ours, or was asked for by something of ours.
    looked_at: Cell<bool>,
}

/// The objects of a document: itself, or the items of a List.
fn each_object<'a>(root: Node<'a>, see: &mut impl FnMut(Node<'a>)) {
    let is_list = root.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List"));
    match root.get("items").filter(|_| is_list) {
        Some(items) => items.items().for_each(|item| each_object(item, see)),
        None => see(root),
    }
}

fn text_at<'a>(node: Node<'a>, pointer: &str) -> Option<&'a str> {
    node.pointer(pointer)?.as_str()
}

fn is_namespace(object: Node<'_>) -> bool {
    ["kind", "apiVersion"].map(|field| object.get(field).and_then(Node::as_str)) == [Some("Namespace"), Some("v1")]
}

struct Collector<'a> {
    options: &'a Options,
    schemas: Schemas,
    /// `data` of each ConfigMap, by namespace and name.
    config_maps: HashMap<(&'a str, &'a str), (&'a File<'a>, Node<'a>)>,
    /// What objects of our kinds refer to.
    objects: Objects,
    /// Where each object stands that was met first, by kind, namespace and name.
    first: HashMap<[&'a str; 3], String>,
    /// Namespace and name of each ConfigMap that a Workflow, a run or a schedule takes something from.
    read: HashSet<[&'a str; 2]>,
    report: Report,
}

/// Where a definition stands, and whose it is.
struct Place<'a> {
    file: &'a File<'a>,
    subject: Option<Subject>,
    /// For one inside of a text of the file: its own lines, and where that text begins.
    embedded: Option<(Lines<'a>, Node<'a>)>,
}

impl<'a> Collector<'a> {
    fn index(&mut self, file: &'a File<'a>, object: Node<'a>) {
        let is_map = object.get("kind").and_then(Node::as_str) == Some("ConfigMap");
        if let (true, Some(name), Some(data)) = (is_map, text_at(object, "/metadata/name"), object.get("data")) {
            let namespace = text_at(object, "/metadata/namespace").unwrap_or_default();
            self.config_maps.insert((namespace, name), (file, data));
            self.objects.add_config_map(namespace, name, data.value());
        }
        let version = object.get("apiVersion").and_then(Node::as_str).unwrap_or_default();
        if is_namespace(object) {
            self.objects.guardrails.add_namespace(object.value());
        }
        if let Some(kind) = text_at(object, "/kind").filter(|_| version.starts_with(GROUP)) {
            self.objects.add(kind, &self.schemas.completed(object, kind));
            let from = object.pointer("/spec/definitionFrom/configMapKeyRef").into_iter();
            let values = object.pointer("/spec/substitutionsFrom").into_iter().flat_map(Node::items);
            let maps = from.chain(values.filter_map(|from| from.get("configMapRef")));
            let inputs = ["/spec/inputFrom/configMapKeyRef", "/spec/runTemplate/spec/inputFrom/configMapKeyRef"];
            let maps = maps.chain(inputs.into_iter().filter_map(|at| object.pointer(at)));
            let namespace = text_at(object, "/metadata/namespace").unwrap_or_default();
            self.read.extend(maps.filter_map(|map| Some([namespace, text_at(map, "/name")?])));
        }
    }

    /// True of a ConfigMap that something takes from.
    fn is_read(&self, map: Node<'a>) -> bool {
        let place = ["/metadata/namespace", "/metadata/name"].map(|at| text_at(map, at).unwrap_or_default());
        self.read.contains(&place)
    }

    /// Tells an object of ours, or a ConfigMap that one may read, that stood in the files before.
    fn again(&mut self, file: &File<'a>, object: Node<'a>) -> Option<Finding> {
        let [kind, name, namespace] = ["/kind", "/metadata/name", "/metadata/namespace"].map(|at| text_at(object, at));
        let (kind, name) = (kind?, object.pointer("/metadata/name").filter(|_| name.is_some())?);
        let key = [kind, namespace.unwrap_or_default(), name.as_str()?];
        let (line, ..) = place_of(&file.lines, name.mark());
        let place = format!("{}:{line}", file.source.name);
        let Some(first) = self.first.get(&key) else {
            self.first.insert(key, place);
            return None;
        };
        let message =
            format!("{kind} \"{}\" stands already at {first}; the cluster keeps the one that is applied last", key[2]);
        Some(finding(object, name, "SB101", message))
    }

    fn object(&mut self, file: &'a File<'a>, document: &'a Parsed, object: Node<'a>) {
        let version = object.get("apiVersion").and_then(Node::as_str).unwrap_or_default();
        let kind = object.get("kind").and_then(Node::as_str);
        if let Some(kind) = kind.filter(|_| version.starts_with(GROUP)) {
            file.looked_at.set(true);
            return self.manifest(file, document, object, kind);
        }
        if kind == Some("ConfigMap") && self.is_read(object) {
            file.looked_at.set(true);
            let place = Place { file, subject: None, embedded: None };
            let again = self.again(file, object);
            return self.add(&place, again.into_iter().collect(), &Ignore::default());
        }
        if is_namespace(object) && self.objects.guardrails.asks_for_labels() {
            file.looked_at.set(true);
        }
        let is_definition = object.get("States").is_some() || object.get("StartAt").is_some();
        if kind.is_none() && (is_definition || is_named_as_definition(file.source)) {
            file.looked_at.set(true);
            let place = Place { file, subject: None, embedded: None };
            let circumstances = Circumstances { express: self.options.express, placeholders: true, partition: None };
            let value = with_placeholders(object, document);
            let mut findings = lint(object.with_value(&value), circumstances);
            doubts(object, document, None, true, &mut findings);
            findings.extend(too_large(object, MAX_DEFINITION_BYTES));
            findings.extend(no_json(file.source));
            let is_whole = || {
                document.unquoted.is_empty()
                    && document.tagged.is_empty()
                    && unresolved(object, &BTreeMap::new()).is_empty()
            };
            let question = (self.options.asking && is_whole())
                .then(|| Question { text: object.value().to_string(), express: self.options.express });
            self.definition(&place, object, findings, question, &Ignore::default());
        }
    }

    fn manifest(&mut self, file: &'a File<'a>, document: &'a Parsed, object: Node<'a>, kind: &str) {
        let subject = Subject {
            kind: kind.to_owned(),
            namespace: text_at(object, "/metadata/namespace").map(str::to_owned),
            name: text_at(object, "/metadata/name").unwrap_or("without a name").to_owned(),
        };
        let place = Place { file, subject: Some(subject), embedded: None };
        if let Some(span) = document.unquoted.first() {
            let text = file.source.text.get(span.start..span.end).unwrap_or_default();
            let message = format!(
                "{text} stands outside of quotes, which the API server cannot read; lint the manifest once the value is put in"
            );
            return self.add(&place, vec![Finding::new("SB025", "/", message, *span)], &Ignore::default());
        }
        let annotations = object.pointer("/metadata/annotations");
        let annotation = annotations.and_then(|annotations| annotations.get(IGNORE_ANNOTATION));
        let (ignore, unknown) = Ignore::parse_annotation(annotation.and_then(Node::as_str).unwrap_or_default());
        let mut findings = self.schemas.check(object, kind);
        findings.extend(self.again(file, object));
        let refused = operator::check(object, kind, &self.schemas.completed(object, kind), &self.objects);
        // What the API server refuses the operator never sees.
        let is_seen = !findings.iter().any(|finding| finding.code == "SB091");
        findings.extend(refused.into_iter().filter(|finding| is_seen || !finding.is_error()));
        findings.extend(unknown.map(|finding| at(annotation.unwrap_or(object), finding)));
        let definition = object.pointer("/spec/definition");
        doubts(object, document, definition, false, &mut findings);
        words::with_doubts(document, &mut findings);
        if kind == "Workflow" {
            self.workflow(&place, object, document, &mut findings, &ignore);
        }
        self.add(&place, findings, &ignore);
    }

    /// The definition of a Workflow, inline or from a ConfigMap, with its substitutions.
    fn workflow(
        &mut self,
        place: &Place<'a>,
        object: Node<'a>,
        document: &Parsed,
        outer: &mut Vec<Finding>,
        ignore: &Ignore,
    ) {
        let namespace = text_at(object, "/metadata/namespace").unwrap_or_default();
        let (values, complete) = self.values(object, namespace, outer);
        let express = text_at(object, "/spec/type") == Some("Express");
        let (full, asking) = (self.schemas.completed(object, "Workflow"), self.options.asking);
        let guardrails = &self.objects.guardrails;
        let run = Run { object, values: &values, complete, express, asking, full: &full, guardrails };
        if let Some(definition) = object.pointer("/spec/definition").filter(|node| node.value().is_object()) {
            let (mut findings, question) = run.findings(definition, outer);
            doubts(definition, document, None, false, &mut findings);
            findings.extend(too_large(definition, MAX_INLINE_BYTES));
            return self.definition(place, definition, findings, question, ignore);
        }
        let Some(reference) = object.pointer("/spec/definitionFrom/configMapKeyRef") else { return };
        let (Some(name), Some(key)) = (text_at(reference, "/name"), text_at(reference, "/key")) else { return };
        let found = self.config_maps.get(&(namespace, name)).copied();
        let Some((file, node)) = found.and_then(|(file, data)| Some((file, data.get(key)?))) else {
            let message = match found {
                Some(_) => format!("ConfigMap \"{name}\" has no key \"{key}\""),
                None => {
                    format!("ConfigMap \"{name}\", which holds the definition, is not among the files that were given")
                }
            };
            outer.push(finding(object, reference, "SB092", message));
            return;
        };
        file.looked_at.set(true);
        let text = node.as_str().unwrap_or_default();
        let place = Place { file, subject: place.subject.clone(), embedded: Some((Lines::of(text), node)) };
        match asl::parse_whole(text) {
            Ok(parsed) => {
                let root = parsed.root();
                let (mut findings, question) = run.findings(root, outer);
                doubts(root, &parsed, None, false, &mut findings);
                findings.extend(too_large(root, MAX_DEFINITION_BYTES));
                self.definition(&place, root, findings, question, ignore);
            }
            Err(error) => {
                let lines = Lines::of(text);
                let start = text.len() - lines.rest(error.line, error.column).len();
                let deeper =
                    if error.is_too_deep { ", and the operator reads no deeper either; nest it less" } else { "" };
                let message = format!("{}{deeper}", error.message);
                let finding = Finding::new("SB025", "/", message, Span::new(start, start + 1));
                self.add(&place, vec![finding], ignore);
            }
        }
    }

    /// Values for names in the definition, and whether all sources of them are known.
    fn values(&self, object: Node<'a>, namespace: &str, outer: &mut Vec<Finding>) -> (BTreeMap<String, String>, bool) {
        let mut values = BTreeMap::new();
        let mut complete = true;
        let texts = |node: Node<'a>| {
            node.fields()
                .filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
                .collect::<Vec<_>>()
        };
        for from in object.pointer("/spec/substitutionsFrom").into_iter().flat_map(Node::items) {
            let Some(name) = text_at(from, "/configMapRef/name") else { continue };
            if let Some((file, data)) = self.config_maps.get(&(namespace, name)) {
                file.looked_at.set(true);
                values.extend(texts(*data));
            } else {
                complete = false;
                let message = format!(
                    "ConfigMap \"{name}\", which holds values for the definition, is not among the files that were given"
                );
                outer.push(finding(object, from, "SB092", message));
            }
        }
        values.extend(object.pointer("/spec/substitutions").into_iter().flat_map(texts));
        (values, complete)
    }

    /// Files and folders that were given and held nothing that was looked at.
    fn nothing(&mut self, files: &[File<'_>]) {
        let mut told: Vec<(String, String)> = Vec::new();
        // How many files each folder has, and how many of them were passed over.
        let mut folders: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for file in files {
            let (source, is_passed_over) = (file.source, !file.looked_at.get());
            if is_passed_over && is_asked_for(source) {
                told.push((source.name.clone(), nothing::in_text(&source.text, &file.documents)));
            }
            if let Some(folder) = &source.folder {
                let (all, passed_over) = folders.entry(folder).or_default();
                *all += 1;
                *passed_over += usize::from(is_passed_over && !is_asked_for(source));
            }
        }
        for (folder, (all, passed_over)) in folders {
            self.report.passed_over += passed_over;
            if all == passed_over {
                told.push((folder.to_owned(), nothing::in_folder(all)));
            }
        }
        for (file, message) in told {
            let finding = Finding::new("SB097", "/", message, Span::default());
            if !self.options.ignore.covers(&finding) {
                self.report.findings.push(Located { file, line: 1, column: 1, width: 1, finding, subject: None });
            }
        }
    }

    fn add(&mut self, place: &Place<'a>, findings: Vec<Finding>, ignore: &Ignore) {
        for finding in findings {
            if ignore.covers(&finding) || self.options.ignore.covers(&finding) {
                continue;
            }
            let (line, column, width) = place.locate(finding.span);
            let (file, subject) = (place.file.source.name.clone(), place.subject.clone());
            self.report.findings.push(Located { file, line, column, width, finding, subject });
        }
    }

    /// A definition with what was found in it, and what AWS said where it was asked.
    fn definition(
        &mut self,
        place: &Place<'a>,
        root: Node<'_>,
        mut findings: Vec<Finding>,
        question: Option<Question>,
        ignore: &Ignore,
    ) {
        let states = Machine::of(root).walk().len();
        let (file, subject) = (place.file.source.name.clone(), place.subject.clone());
        let answer = self.options.answers.get(self.report.definitions.len()).and_then(Option::as_ref);
        if let Some(answer) = answer {
            let told = |difference| Difference { file: file.clone(), subject: subject.clone(), ..difference };
            self.report.differences.extend(verdict::differences(&findings, answer).into_iter().map(told));
            findings.extend(answer.iter().map(|diagnostic| verdict::finding(root, diagnostic)));
        }
        let question = question.filter(|question| question.text.len() <= MAX_DEFINITION_BYTES);
        let definition = Definition { file, subject, states, question, asked: answer.is_some() };
        self.add(place, findings, ignore);
        self.report.definitions.push(definition);
    }
}

impl Place<'_> {
    /// Line, column and width of a span of the definition, in the file.
    fn locate(&self, span: Span) -> (usize, usize, usize) {
        let Some((inner, node)) = &self.embedded else { return place_of(&self.file.lines, span) };
        let (line, column, width) = place_of(inner, span);
        let (start, ..) = place_of(&self.file.lines, node.span());
        // The lines of a literal block stand as they are, but for their indentation.
        let first = (start..start + 3).find(|outer| {
            let text = self.file.lines.line(*outer);
            !inner.line(1).trim().is_empty() && text.trim_start() == inner.line(1).trim_start()
        });
        let moved = first.map(|first| first + line - 1).and_then(|outer| {
            let (text, own) = (self.file.lines.line(outer), inner.line(line));
            text.strip_suffix(own).map(|indent| (outer, indent.chars().count() + column, width))
        });
        moved.unwrap_or_else(|| place_of(&self.file.lines, node.mark()))
    }
}

fn place_of(lines: &Lines<'_>, span: Span) -> (usize, usize, usize) {
    let (line, column) = lines.position(span.start);
    let (last, end) = lines.position(span.end);
    let width = if last == line {
        end.saturating_sub(column)
    } else {
        (lines.line(line).chars().count() + 1).saturating_sub(column)
    };
    (line, column, width.max(1))
}

fn at(node: Node<'_>, finding: Finding) -> Finding {
    Finding { span: node.mark(), ..finding }
}

fn too_large(definition: Node<'_>, most: usize) -> Option<Finding> {
    let size = match definition.span() {
        span if span.end - span.start <= most => 0,
        _ => Value::to_string(definition.value()).len(),
    };
    let message = format!("the definition has {size} bytes; at most {most} are taken here");
    (size > most).then(|| Finding::new("SB026", "/", message, definition.mark()))
}

#[cfg(test)]
mod tests;
