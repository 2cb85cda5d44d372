//! Turns among tenants: each that has something to look at gets as many calls as any other.

use std::collections::HashMap;

/// Start-time fair queueing with calls of one size: a tenant's next call starts where its last ended, or now where it has
/// not called for a while, so that nobody catches up on what it did not want.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Where the last call of each ended, in calls.
    ended: HashMap<(String, String), f64>,
    /// Where the last chosen call started.
    now: f64,
}

impl Turns {
    /// Whose turn it is among these.
    pub(super) fn next<'a>(&self, tenants: impl Iterator<Item = &'a (String, String)>) -> Option<&'a (String, String)> {
        tenants.min_by(|a, b| self.start_of(a).total_cmp(&self.start_of(b)).then_with(|| a.cmp(b)))
    }

    /// The tenant has had a call.
    pub(super) fn took(&mut self, tenant: &(String, String)) {
        self.now = self.start_of(tenant);
        self.ended.retain(|_, ended| *ended > self.now);
        self.ended.insert(tenant.clone(), self.now + 1.0);
    }

    fn start_of(&self, tenant: &(String, String)) -> f64 {
        self.ended.get(tenant).copied().unwrap_or_default().max(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_alternate_and_a_newcomer_does_not_catch_up() {
        let [a, b] = ["a", "b"].map(|name| (name.to_owned(), String::new()));
        let mut turns = Turns::default();
        (0..100).for_each(|_| turns.took(&a));
        let mut order = String::new();
        for _ in 0..6 {
            let next = turns.next([&a, &b].into_iter()).unwrap().clone();
            order.push_str(&next.0);
            turns.took(&next);
        }
        assert_eq!(order, "bababa");
    }
}
