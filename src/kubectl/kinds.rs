//! The kinds that verbs take, and how people name an object of one: `workflow/fulfil`.

use kube::Resource;

use super::KubectlError;
use crate::api::v1alpha1::is_object_name;

/// The kinds that verbs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Binding,
    Workflow,
    Run,
    Approval,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Binding, Self::Workflow, Self::Run, Self::Approval];

    /// The kind of a type.
    pub fn of<K>() -> Option<Self>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }

    /// As the API server has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "TrustBinding",
            Self::Workflow => "Workflow",
            Self::Run => "WorkflowRun",
            Self::Approval => "Approval",
        }
    }

    /// The words that kubectl takes for it, and the shorter ones of this plugin.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Binding => &["trustbinding", "trustbindings", "tb", "binding"],
            Self::Workflow => &["workflow", "workflows", "sfn"],
            Self::Run => &["workflowrun", "workflowruns", "sfnrun", "run"],
            Self::Approval => &["approval", "approvals", "sfnapproval"],
        }
    }

    /// The word of it that people type, as in `run/NAME`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Workflow => "workflow",
            Self::Run => "run",
            Self::Approval => "approval",
        }
    }

    /// What the usage of verbs has in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Binding => "BINDING",
            Self::Workflow => "WORKFLOW",
            Self::Run => "RUN",
            Self::Approval => "APPROVAL",
        }
    }

    /// The kind that the usage calls so.
    pub fn of_placeholder(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.placeholder() == word)
    }

    pub fn named(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = word.strip_suffix(".stepbound.dev").unwrap_or(&word);
        Self::ALL.into_iter().find(|kind| kind.words().contains(&word))
    }
}

/// An object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub kind: Kind,
    pub name: String,
}

impl Named {
    /// Reads `KIND/NAME`; nothing where the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        let kind = Kind::named(kind)?;
        is_object_name(name).then(|| Self { kind, name: name.to_owned() })
    }
}

/// The name in `NAME` or `KIND/NAME` of an object of this kind.
pub(super) fn name_of(kind: Kind, text: &str) -> Result<String, KubectlError> {
    let name = match text.split_once('/') {
        None => text,
        Some((word, name)) if Kind::named(word) == Some(kind) => name,
        Some((word, _)) => {
            let (what, first) = (kind.as_str(), kind.words()[0]);
            return Err(KubectlError::Usage(format!("{word:?} is no {what}; name one, as in {first}/NAME or NAME")));
        }
    };
    if is_object_name(name) {
        return Ok(name.to_owned());
    }
    Err(KubectlError::Usage(format!("{name:?} is no name of an object; names have lowercase letters, digits, - and .")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_with_the_words_that_kubectl_takes() {
        for (text, kind, name) in [
            ("workflow/fulfil", Kind::Workflow, "fulfil"),
            ("sfn/fulfil", Kind::Workflow, "fulfil"),
            ("Workflows.stepbound.dev/a.b", Kind::Workflow, "a.b"),
            ("tb/orders", Kind::Binding, "orders"),
            ("binding/orders", Kind::Binding, "orders"),
            ("run/order-1", Kind::Run, "order-1"),
            ("approval.stepbound.dev/order-1", Kind::Approval, "order-1"),
        ] {
            assert_eq!(Named::parse(text), Some(Named { kind, name: name.into() }), "{text}");
        }
        for none in ["fulfil", "pod/a", "workflow/", "workflow/A", "workflow/a/b", "workflow/../x", "./workflow/a"] {
            assert_eq!(Named::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_may_stand_alone_where_its_kind_is_known() {
        assert_eq!(name_of(Kind::Run, "order").unwrap(), "order");
        assert_eq!(name_of(Kind::Run, "sfnrun/order").unwrap(), "order");
        for (kind, text, part) in [
            (Kind::Run, "secret/fulfil", "is no WorkflowRun"),
            (Kind::Run, "../pods", "is no WorkflowRun"),
            (Kind::Run, "", "is no name of an object"),
            (Kind::Run, "sfnrun/", "is no name of an object"),
            (Kind::Run, "workflow/fulfil", "is no WorkflowRun; name one, as in workflowrun/NAME or NAME"),
            (Kind::Workflow, "A b", "is no name of an object"),
            (Kind::Workflow, "workflow/a?b", "is no name of an object"),
        ] {
            let error = name_of(kind, text).unwrap_err();
            assert!(matches!(error, KubectlError::Usage(_)) && error.to_string().contains(part), "{error}");
        }
    }
}
