//! What AWS's own words of a refusal mean and who can mend it.

/// Words of AWS's access-denied messages, and what they mean (IAM user guide, "Troubleshoot access denied error messages").
const MEANINGS: [(&str, &str); 7] = [
    (
        "explicit deny in a service control policy",
        "A service control policy of the organization denies it; only the organization's administrators can change that.",
    ),
    (
        "no service control policy allows",
        "No service control policy of the organization allows it; only the organization's administrators can change that.",
    ),
    (
        "explicit deny in a resource control policy",
        "A resource control policy of the organization denies it; only the organization's administrators can change that.",
    ),
    (
        "no permissions boundary allows",
        "The permissions boundary of the binding's role does not allow it, whatever its policies say; add the action to the boundary.",
    ),
    (
        "explicit deny in a permissions boundary",
        "The permissions boundary of the binding's role denies it; change the boundary.",
    ),
    (
        "no session policy allows",
        "The session policy does not allow it: spec.sessionPolicy of the TrustBinding limits what its role may do.",
    ),
    ("explicit deny in a session policy", "The session policy denies it: see spec.sessionPolicy of the TrustBinding."),
];

/// What an access-denied message of AWS means beyond the role's own policies.
pub fn denial_hint(message: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(words, _)| message.contains(words)).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_that_denied_is_named() {
        let message = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: states:StartExecution on resource: arn:aws:states:eu-west-1:111122223333:stateMachine:m because no permissions boundary allows the states:StartExecution action";
        assert!(denial_hint(message).unwrap().contains("boundary"));
        assert!(denial_hint("with an explicit deny in a service control policy").unwrap().contains("organization"));
        assert_eq!(denial_hint("because no identity-based policy allows the action"), None);
    }
}
