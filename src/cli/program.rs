//! What the program is called by whoever reads its words: `kubectl sfn` has four verbs of `stepbound`.

use std::sync::atomic::{AtomicBool, Ordering};

/// The verbs that both programs have.
const SHARED: [&str; 4] = ["graph", "lint", "policy", "trust"];

static IS_PLUGIN: AtomicBool = AtomicBool::new(false);

/// From here on this is `kubectl sfn`.
#[cfg(feature = "kubectl")]
pub(crate) fn is_the_plugin() {
    IS_PLUGIN.store(true, Ordering::Relaxed);
}

/// The words, with the commands in them as they are typed for this program.
pub(crate) fn as_typed(words: &str) -> String {
    if IS_PLUGIN.load(Ordering::Relaxed) { of_plugin(words) } else { words.to_owned() }
}

fn of_plugin(words: &str) -> String {
    SHARED.iter().fold(words.to_owned(), |words, verb| {
        words.replace(&format!("stepbound {verb}"), &format!("kubectl sfn {verb}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_as_the_plugin_takes_them_and_nothing_else_is_changed() {
        for (words, typed) in [
            ("Run `stepbound lint` to see it.", "Run `kubectl sfn lint` to see it."),
            (
                "`stepbound trust render` or `stepbound policy binding-role`",
                "`kubectl sfn trust render` or `kubectl sfn policy binding-role`",
            ),
            ("stepbound release --all", "stepbound release --all"),
            ("the label stepbound.dev/workflow", "the label stepbound.dev/workflow"),
        ] {
            assert_eq!(of_plugin(words), typed);
        }
        assert_eq!(as_typed("stepbound lint"), "stepbound lint");
    }
}
