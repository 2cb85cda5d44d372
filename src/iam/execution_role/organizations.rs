//! Ids of Organizations, whose form says what they are of: a field can take that of an account, a unit or a root (Organizations API
//! reference, patterns of `TargetId`, `ParentId`, `ChildId` and `ResourceId`).

use super::task::is_account;

/// True where an id could be that of the part of this name. What a template puts in could be any.
pub(super) fn fits(name: &str, begins: &str, id: &str) -> bool {
    id.contains("${") || if name.ends_with("AccountId") { is_account(id) } else { id.starts_with(begins) }
}

/// The policies that AWS made are of no organization, and have capitals in their ids: `p-FullAWSAccess` (Organizations user guide,
/// "Service control policies").
pub(super) fn of_aws(arn: &str) -> Option<String> {
    let (before, rest) = arn.split_once(":organizations::")?;
    let (_, id) = rest.split_once(":policy/o-*/")?.1.rsplit_once('/')?;
    let is_of_aws =
        id.starts_with("p-") && !id.contains("${") && id.contains(|letter: char| letter.is_ascii_uppercase());
    is_of_aws.then(|| format!("{before}:organizations::aws:policy/*/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_of_aws_are_of_no_organization() {
        let of = |resource: &str| of_aws(&format!("arn:aws:organizations::111122223333:{resource}"));
        assert_eq!(
            of("policy/o-*/*/p-FullAWSAccess").as_deref(),
            Some("arn:aws:organizations::aws:policy/*/p-FullAWSAccess")
        );
        for other in ["policy/o-*/*/p-abcd1234", "policy/o-*/*/p-${Policy}", "ou/o-*/ou-abcd-12345678"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
