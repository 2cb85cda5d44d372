//! Attempts that must fail, each with who refused it, as a table.

use crate::attribution::create_as;
use crate::held::as_operator;
use crate::*;

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// RBAC of the API server.
    Rbac,
    /// The schema of the kind.
    Schema,
    /// A rule in the schema.
    Cel,
    /// An admission policy of the chart.
    Admission,
    /// The operator, before AWS is asked.
    Operator,
    /// STS or IAM, here the front.
    Aws,
}

/// Tells by its words which layer of the API server refused.
fn layer_of(refusal: &str) -> Layer {
    const SCHEMA: [&str; 7] =
        ["unknown field", "should match", "Unsupported value", "Too long", "may not be", "must be of type", "Too many"];
    if refusal.contains("ValidatingAdmissionPolicy") {
        Layer::Admission
    } else if refusal.contains("User \"mallory\" cannot") || refusal.contains("is attempting to grant RBAC permissions")
    {
        Layer::Rbac
    } else if SCHEMA.iter().any(|words| refusal.contains(words)) {
        Layer::Schema
    } else {
        assert!(refusal.contains("is invalid: "), "who refused? {refusal}");
        Layer::Cel
    }
}

/// The attempts so far.
pub(crate) struct Suite<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) operator: &'a Process,
    pub(crate) rows: Vec<(String, Layer, String)>,
}

impl<'a> Suite<'a> {
    pub(crate) fn new(tenant: &'a Tenant, operator: &'a Process) -> Self {
        Self { tenant, operator, rows: Vec::new() }
    }

    fn row(&mut self, what: &str, expected: Layer, actual: Layer, words: &str, said: &str) {
        assert!(said.contains(words), "{what}: \"{words}\" is not in: {said}");
        assert_eq!(actual, expected, "{what} was refused by another layer: {said}");
        let line = said.lines().map(str::trim).find(|line| line.contains(words)).unwrap_or(words);
        self.rows.push((
            what.to_owned(),
            actual,
            line.chars().rev().take(110).collect::<Vec<_>>().into_iter().rev().collect(),
        ));
    }

    /// A command that the API server must refuse.
    pub(crate) fn command(&mut self, what: &str, args: &[&str], input: Option<&Value>, layer: Layer, words: &str) {
        let input = input.map(Value::to_string);
        let answer = self.tenant.bed.control_plane.kubectl_as("mallory", args, input.as_deref());
        let said = answer.expect_err(&format!("{what}: this was let through"));
        self.row(what, layer, layer_of(&said), words, &said);
    }

    /// A command that the API server must refuse although it comes with the operator's own token.
    pub(crate) fn stolen(&mut self, what: &str, args: &[&str], input: Option<&Value>, words: &str) {
        let said = as_operator(self.tenant, args, input).expect_err(&format!("{what}: this was let through"));
        self.row(what, Layer::Admission, layer_of(&said), words, &said);
    }

    /// An object that the API server must refuse.
    pub(crate) fn object(&mut self, what: &str, object: &Value, layer: Layer, words: &str) {
        let namespace = self.tenant.name.clone();
        self.command(what, &["-n", &namespace, "create", "-f", "-"], Some(object), layer, words);
    }

    /// An object that the API server takes and the operator, or AWS, must refuse: with this condition.
    pub(crate) fn condition(&mut self, what: &str, object: &Value, expected: (Layer, &str, &str), words: &str) {
        let (layer, kind, reason) = expected;
        create_as(self.tenant, "mallory", object).unwrap_or_else(|error| panic!("{what}: {error}"));
        let resource = format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let truth = if ["Stalled", "Failed"].contains(&kind) { "True" } else { "False" };
        let refused = self.tenant.wait_for(self.operator, &resource, kind, truth, reason);
        let said = condition(&refused, kind).unwrap()["message"].as_str().unwrap().to_owned();
        self.row(what, layer, layer, words, &said);
    }

    /// Something that is harmless, as the test has seen.
    pub(crate) fn harmless(&mut self, what: &str, layer: Layer, why: &str) {
        self.rows.push((what.to_owned(), layer, why.to_owned()));
    }

    pub(crate) fn print(&self) {
        println!("{:>3}  {:<62} {:<9}  end of what was said", "", "attempt", "layer");
        for (index, (what, layer, said)) in self.rows.iter().enumerate() {
            println!("{:>3}  {what:<62} {:<9}  {said}", index + 1, format!("{layer:?}"));
        }
        println!("{} attempts, each refused", self.rows.len());
    }
}
