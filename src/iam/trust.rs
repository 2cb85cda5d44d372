//! Trust policies: what a role must say for a token to be taken, why one is not, and what makes a policy weak.

mod claims;
mod explain;
mod github;
mod hint;
mod lint;
mod operator;
mod provider;
mod render;
mod request;

pub use claims::{Audiences, Claims, SessionTags, provider_of};
pub use explain::{Check, Explanation, Outcome, Subject, Verdict, explain};
pub use hint::denial_hint;
pub use lint::{Severity, Weakness, lint_permissions, lint_service_trust, lint_trust};
pub use operator::{Operator, holds};
pub use provider::{is_built_in, provider_arn};
pub use render::{RenderError, Rendered, TrustedToken, cloud_formation, render, terraform};
pub(super) use render::{heredoc, quoted, role_name, role_path};
pub use request::{Known, Request};
