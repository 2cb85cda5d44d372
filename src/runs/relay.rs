//! Hands hints on to every tracker of the process. A message goes to one reader of its queue, and what it hints at may be
//! followed by the tracker of another shard that this replica works on.

use parking_lot::Mutex;
use tokio::sync::mpsc::WeakUnboundedSender;

use super::Hint;
use super::command::{Command, Domain};

/// Where the trackers of a process are told what was hinted at.
#[derive(Default)]
pub struct Relay {
    trackers: Mutex<Vec<WeakUnboundedSender<(Domain, Command)>>>,
}

impl Relay {
    /// One more tracker, until it is dropped.
    pub(super) fn join(&self, tracker: WeakUnboundedSender<(Domain, Command)>) {
        self.trackers.lock().push(tracker);
    }

    /// Tells every tracker. Those that do not follow the execution keep the hint for a moment and forget it.
    pub(super) fn pass(&self, hint: &Hint) {
        let mut trackers = self.trackers.lock();
        trackers.retain(|tracker| {
            let told = (hint.domain.clone(), Command::Hint(hint.execution_arn.clone()));
            tracker.upgrade().is_some_and(|tracker| tracker.send(told).is_ok())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn a_hint_reaches_the_trackers_of_all_shards_of_the_process_and_no_ended_one_is_kept() {
        let relay = Relay::default();
        let (one, mut of_one) = mpsc::unbounded_channel();
        let (two, mut of_two) = mpsc::unbounded_channel();
        relay.join(one.downgrade());
        relay.join(two.downgrade());
        let hint = Hint { execution_arn: "arn".into(), domain: ("1".into(), "eu-west-1".into()) };
        relay.pass(&hint);
        for told in [of_one.try_recv().unwrap(), of_two.try_recv().unwrap()] {
            assert!(matches!(told, (domain, Command::Hint(arn)) if domain == hint.domain && arn == "arn"));
        }
        drop(one);
        relay.pass(&hint);
        assert!(of_two.try_recv().is_ok() && of_one.try_recv().is_err());
        assert_eq!(relay.trackers.lock().len(), 1);
    }
}
