//! Names of runs that are begun with a key.

use crate::digest::short_hex;

/// The name of the run that a caller's key begins: the same for the same Workflow, caller and key, and nobody else's by chance.
pub(super) fn name(workflow: &str, caller: &str, key: &str, most: usize) -> String {
    let digest = short_hex(format!("{workflow}\0{caller}\0{key}").as_bytes(), 10);
    let beginning: String = workflow.chars().take(most).collect();
    format!("{}-{}", beginning.trim_end_matches(['-', '.']), digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::is_object_name;

    #[test]
    fn a_key_names_one_run_of_one_caller_and_workflow() {
        let first = name("ship", "system:serviceaccount:shop:agent", "k", 200);
        assert_eq!(first, name("ship", "system:serviceaccount:shop:agent", "k", 200));
        for (workflow, caller, key) in
            [("ship", "bob", "k"), ("ship", "system:serviceaccount:shop:agent", "k2"), ("shi", "p", "k")]
        {
            assert_ne!(first, name(workflow, caller, key, 200));
        }
        let long = name(&format!("{}-x", "w".repeat(199)), "a", "k", 200);
        assert!(is_object_name(&first) && is_object_name(&long) && long.len() < 246, "{long}");
    }
}
