//! Whether a service account agrees to act as a role.

use std::collections::BTreeMap;

use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// The annotation that users of IAM roles for service accounts know.
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
/// The annotation for more than one role, separated by commas. A comma may stand in a role's name too (`iam:RoleName` is
/// `[\w+=,.@-]+`), so only one that the next ARN follows separates.
pub const ROLES_ANNOTATION: &str = "stepbound.dev/allowed-role-arns";

/// Checks the annotations of a service account for the exact role. Under lockdown only our own annotation counts: the other
/// one says that pods act as the role, and was perhaps never meant for Stepbound.
///
/// # Errors
/// `ConsentMissing`, with the command that gives it.
pub fn check(
    annotations: Option<&BTreeMap<String, String>>,
    namespace: &str,
    service_account: &str,
    role_arn: &str,
    lockdown: bool,
) -> Result<(), Failure> {
    let value = |key: &str| annotations.and_then(|annotations| annotations.get(key)).map_or("", String::as_str);
    let consents = (!lockdown && value(ROLE_ANNOTATION) == role_arn)
        || roles(value(ROLES_ANNOTATION)).any(|allowed| allowed == role_arn);
    if consents {
        return Ok(());
    }
    let annotation = if lockdown { ROLES_ANNOTATION } else { ROLE_ANNOTATION };
    Err(Failure::new(
        Class::Waiting,
        Reason::ConsentMissing,
        format!(
            "Service account \"{service_account}\" in namespace \"{namespace}\" does not say that it acts as {role_arn}. If it may: kubectl annotate serviceaccount {service_account} -n {namespace} --overwrite {annotation}={role_arn}"
        ),
    ))
}

/// The roles of a list.
fn roles(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut commas = text.match_indices(',').map(|(at, _)| at);
        let end = commas.find(|at| text[at + 1..].trim_start().starts_with("arn:"));
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement 3 of docs/security.md: consent on the service account.
    #[test]
    fn requirement_03_only_the_exact_role_is_consented_to() {
        let role = "arn:aws:iam::111122223333:role/a";
        let with = |key: &str, value: &str| {
            let annotations = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            check(Some(&annotations), "shop", "orders", role, false).is_ok()
        };
        assert!(with(ROLE_ANNOTATION, role));
        assert!(with(ROLES_ANNOTATION, &format!("arn:aws:iam::1:role/b, {role}")));
        assert!(!with(ROLE_ANNOTATION, "arn:aws:iam::111122223333:role/ab"));
        assert!(!with(ROLE_ANNOTATION, "*"));
        assert!(!with(ROLES_ANNOTATION, "arn:aws:iam::111122223333:role/*"));
        let refused = check(None, "shop", "orders", role, false).unwrap_err();
        assert!(refused.message.contains("kubectl annotate serviceaccount orders -n shop"));
    }

    #[test]
    fn a_comma_of_a_roles_name_separates_nothing() {
        let (plain, comma) = ("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/a,readonly");
        for (list, consented, others) in [
            (comma.to_owned(), vec![comma], vec![plain]),
            (format!("{plain},readonly, {plain}"), vec![comma, plain], vec![]),
            (format!("{plain},{comma}"), vec![plain, comma], vec![]),
            (format!(" {comma} ,\n\t{plain} "), vec![comma, plain], vec![]),
            (format!("{plain},"), vec![], vec![plain, comma]),
            (format!("{plain}, readonly"), vec![], vec![plain, comma]),
            (format!("x,{plain}"), vec![plain], vec![comma]),
            (String::new(), vec![], vec![plain, comma]),
        ] {
            let annotations = BTreeMap::from([(ROLES_ANNOTATION.to_owned(), list.clone())]);
            let is_consent = |role: &&str| check(Some(&annotations), "shop", "orders", role, true).is_ok();
            assert!(consented.iter().all(is_consent), "{list:?} is consent for {consented:?}");
            assert!(!others.iter().any(is_consent), "{list:?} is no consent for {others:?}");
        }
    }

    #[test]
    fn under_lockdown_the_annotation_of_pods_is_no_consent() {
        let role = "arn:aws:iam::111122223333:role/a";
        let of_pods = BTreeMap::from([(ROLE_ANNOTATION.to_owned(), role.to_owned())]);
        let refused = check(Some(&of_pods), "shop", "orders", role, true).unwrap_err();
        assert!(refused.message.contains(&format!("{ROLES_ANNOTATION}={role}")), "{}", refused.message);
        let ours = BTreeMap::from([(ROLES_ANNOTATION.to_owned(), role.to_owned())]);
        check(Some(&ours), "shop", "orders", role, true).unwrap();
    }
}
