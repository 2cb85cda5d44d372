//! Faults: the next so many calls, or a share of all calls.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Throttle,
    Unavailable,
    /// AWS applies the call and its answer is lost.
    LoseAnswer,
    /// AWS gets the call only after this time.
    Delay(Duration),
    /// AWS applies the call, and its answer arrives only after this time.
    DelayAnswer(Duration),
    /// STS answers for another account.
    AnotherAccount,
    /// STS finds that another key signed the token.
    OtherKey,
    /// STS finds the token expired.
    ClockAhead,
}

/// The next calls of an operation whose body mentions a text.
struct Rule {
    operation: String,
    text: String,
    fault: Fault,
    left: u32,
}

/// Percentages of the calls whose body mentions a text.
#[derive(Clone, Copy, Debug)]
pub struct Percent {
    pub throttled: f64,
    pub unavailable: f64,
    pub answers_lost: f64,
}

struct Share {
    text: String,
    percent: Percent,
    random: StdRng,
}

#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    shares: Vec<Share>,
    /// How often each was thrown by a share.
    thrown: [u64; 3],
    calls: u64,
}

impl Faults {
    pub(super) fn add(&mut self, operation: &str, text: &str, fault: Fault, times: u32) {
        self.rules.push(Rule { operation: operation.to_owned(), text: text.to_owned(), fault, left: times });
    }

    pub(super) fn share(&mut self, text: &str, percent: Percent, seed: u64) {
        self.shares.push(Share { text: text.to_owned(), percent, random: StdRng::seed_from_u64(seed) });
    }

    pub(super) fn end_share(&mut self, text: &str) {
        self.shares.retain(|share| share.text != text);
    }

    /// Calls that a share looked at, and how many were throttled, failed and lost.
    pub(super) fn tally(&self) -> (u64, [u64; 3]) {
        (self.calls, self.thrown)
    }

    pub(super) fn next(&mut self, called: &str, body: &str) -> Option<Fault> {
        let meets = |rule: &&mut Rule| rule.left > 0 && rule.operation == called && body.contains(&rule.text);
        if let Some(rule) = self.rules.iter_mut().find(meets) {
            rule.left -= 1;
            return Some(rule.fault);
        }
        let share = self.shares.iter_mut().find(|share| body.contains(&share.text))?;
        self.calls += 1;
        let throw = share.random.random_range(0.0..100.0);
        let Percent { throttled, unavailable, answers_lost } = share.percent;
        let faults = [
            (throttled, Fault::Throttle),
            (throttled + unavailable, Fault::Unavailable),
            (throttled + unavailable + answers_lost, Fault::LoseAnswer),
        ];
        let thrown = faults.iter().position(|(below, _)| throw < *below)?;
        self.thrown[thrown] += 1;
        Some(faults[thrown].1)
    }
}
