//! `stepbound trust render|explain|lint`

pub(super) mod answer;
mod explain;
mod lint;
pub(super) mod manifest;
mod render;

use clap::{Args, Subcommand};

pub use answer::TrustError;

/// Flags of `stepbound trust`.
#[derive(Debug, Args)]
pub struct TrustFlags {
    #[command(subcommand)]
    verb: TrustVerb,
}

#[derive(Debug, Subcommand)]
enum TrustVerb {
    /// Write the trust policy that the role of a binding needs, and the OIDC provider beside it
    Render(render::RenderFlags),
    /// Read a trust policy against a token's claims and say which condition fails
    Explain(explain::ExplainFlags),
    /// Find what is weak in trust policies, session policies and permissions
    Lint(lint::LintFlags),
}

#[cfg(feature = "kubectl")]
impl TrustFlags {
    /// The files that are read as manifests.
    pub(crate) fn files(&self) -> Vec<&std::path::Path> {
        match &self.verb {
            TrustVerb::Render(flags) => flags.files(),
            TrustVerb::Explain(flags) => flags.files(),
            TrustVerb::Lint(flags) => flags.files(),
        }
    }
}

pub(crate) fn run(flags: &TrustFlags) -> Result<(), TrustError> {
    match &flags.verb {
        TrustVerb::Render(flags) => render::run(flags),
        TrustVerb::Explain(flags) => explain::run(flags),
        TrustVerb::Lint(flags) => lint::run(flags),
    }
}
