//! What a Guardrail does not allow.

/// One thing that is not allowed.
pub(super) struct Problem {
    /// JSON pointer into the definition, or into the object where it begins with `/spec/`; `None` where it is not known.
    pub(super) path: Option<String>,
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

impl Problem {
    pub(super) fn new(path: Option<&str>, what: String, remedy: &'static str) -> Self {
        Self { path: path.map(str::to_owned), what, remedy }
    }
}
