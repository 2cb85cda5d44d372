//! For whose sake something is done.

/// The object for whose sake a request is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Revision in Git that it is of, where its annotation says so.
    pub git_revision: Option<String>,
}
