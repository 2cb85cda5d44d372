//! What is to go wrong, and when.

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is refused with code and message, and changes nothing.
    Refuse(String, String),
    /// It is made, and its answer is lost.
    LoseAnswer,
    /// It is not made for want of quota.
    NoQuota,
}

/// The next calls of an operation.
struct Rule {
    operation: String,
    fault: Fault,
    left: usize,
}

#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    /// How many changes come before the one that meets the fault.
    at_change: Option<(usize, Fault)>,
}

impl Faults {
    pub(super) fn add(&mut self, operation: &str, fault: Fault, left: usize) {
        self.rules.push(Rule { operation: operation.to_owned(), fault, left });
    }

    pub(super) fn end(&mut self, operation: &str) {
        self.rules.retain(|rule| rule.operation != operation);
    }

    pub(super) fn at_change(&mut self, number: usize, fault: Fault) {
        self.at_change = Some((number, fault));
    }

    pub(super) fn next(&mut self, operation: &str, changes: bool) -> Option<Fault> {
        if let Some(rule) = self.rules.iter_mut().find(|rule| rule.left > 0 && rule.operation == operation) {
            rule.left -= 1;
            return Some(rule.fault.clone());
        }
        let (before, fault) = self.at_change.as_mut().filter(|_| changes)?;
        if *before > 0 {
            *before -= 1;
            return None;
        }
        let fault = fault.clone();
        self.at_change = None;
        Some(fault)
    }

    pub(super) fn is_used_up(&self, operation: &str) -> bool {
        self.rules.iter().any(|rule| rule.operation == operation && rule.fault == Fault::NoQuota)
    }
}
