//! Replicas that share the work: each keeps its part of the shards, and what a dead one leaves is taken over.
//!
//! A shard is worked on by controllers of its own, with caches of its own and a fence that is open only while both the
//! shard's Lease and the division's are held. A shard that is to go to another replica is stopped first: its reconciles end,
//! then its Lease is given free. A Lease that is lost against our will ends the process, as without shards.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Context;
use crate::kube::lease::{Elector, Fence, RETRY_PERIOD};
use crate::kube::membership::Membership;
use crate::kube::shard::Shard;

/// How long reconciles under way may take to end before a shard is given up.
pub const DRAIN: Duration = Duration::from_secs(20);

/// A Lease was lost while work went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLost;

/// What a replica needs to take part.
pub struct Replica<M, S> {
    /// Leases of the operator's namespace.
    pub leases: Api<Lease>,
    /// Differs between processes, restarts included.
    pub identity: String,
    /// Number of shards, more than one.
    pub total: u32,
    /// Makes the context of a shard.
    pub make: M,
    /// Is told how many shards are held whenever that changes.
    pub shared: S,
}

/// A shard as this replica sees it.
enum Seat {
    /// Not held: its Lease is watched, so that its expiry is noticed.
    Free(Box<Elector>),
    /// Held, and worked on in a task.
    Held { stop: watch::Sender<bool>, context: Arc<Context> },
    /// About to be given free.
    Leaving,
}

/// How the work on a shard ended.
struct Ended {
    shard: Shard,
    lost: bool,
}

impl<M, S> Replica<M, S>
where
    M: Fn(Shard, Fence) -> Arc<Context>,
    S: Fn(usize),
{
    /// Works on a fair part of the shards until `stop` turns true.
    ///
    /// # Errors
    /// When a Lease was lost: the process must end.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), LeaseLost> {
        let mut membership = Membership::new(self.leases.clone(), self.total, &self.identity);
        tracing::info!(identity = self.identity, shards = self.total, "waits to join the replicas");
        let replicas = tokio::select! {
            replicas = membership.join() => replicas,
            () = stopped(&mut stop) => return Ok(()),
        };
        let division = membership.fence().clone();
        let (tell, told) = watch::channel(replicas);
        let result = {
            let kept = membership.keep(|replicas| {
                tell.send_replace(replicas);
            });
            let worked = self.work(&division, told, &mut stop);
            tokio::pin!(kept, worked);
            tokio::select! {
                result = &mut worked => result,
                () = &mut kept => Err(LeaseLost),
            }
        };
        membership.leave().await;
        result
    }

    async fn work(
        &self,
        division: &Fence,
        replicas: watch::Receiver<usize>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), LeaseLost> {
        let mut seats: Vec<(Shard, Seat)> = Shard::all(self.total).map(|shard| (shard, self.free(shard))).collect();
        // Dropped on the way out, and with it everything that still runs.
        let mut tasks = JoinSet::new();
        let mut next_look = Duration::ZERO;
        loop {
            tokio::select! {
                () = tokio::time::sleep(next_look) => {}
                Some(ended) = tasks.join_next() => {
                    let Ok(Ended { shard, lost }) = ended else { return Err(LeaseLost) };
                    if lost {
                        tracing::warn!(%shard, "the lease of a shard was lost");
                        self.stop_all(&mut seats, &mut tasks).await;
                        return Err(LeaseLost);
                    }
                    tracing::info!(%shard, "gave a shard up");
                    // With a fence of its own: the old one stays closed for whatever still has it.
                    put(&mut seats, shard, self.free(shard));
                }
                () = stopped(stop) => {
                    self.stop_all(&mut seats, &mut tasks).await;
                    return Ok(());
                }
            }
            let fair = fair_share(self.total, *replicas.borrow());
            next_look = self.look(&mut seats, &mut tasks, division, fair).await;
            give_up_excess(&mut seats, fair);
            (self.shared)(seats.iter().filter(|(_, seat)| !matches!(seat, Seat::Free(_))).count());
        }
    }

    fn free(&self, shard: Shard) -> Seat {
        Seat::Free(Box::new(Elector::new(self.leases.clone(), &shard.lease_name(), &self.identity, Fence::closed())))
    }

    /// Looks at every shard that is not held and takes those that may be taken, up to the fair share. Gives the time until
    /// the next look.
    async fn look(
        &self,
        seats: &mut [(Shard, Seat)],
        tasks: &mut JoinSet<Ended>,
        division: &Fence,
        fair: usize,
    ) -> Duration {
        let looks = seats.iter_mut().filter_map(|(shard, seat)| match seat {
            Seat::Free(elector) => {
                let shard = *shard;
                Some(async move { (shard, look(elector).await) })
            }
            Seat::Held { .. } | Seat::Leaving => None,
        });
        let mut soonest = RETRY_PERIOD;
        let mut takeable = Vec::new();
        for (shard, seen) in join_all(looks).await {
            match seen {
                Ok(()) => takeable.push(shard),
                Err(left) => soonest = soonest.min(left.max(Duration::from_millis(50))),
            }
        }
        for shard in takeable {
            let held = seats.iter().filter(|(_, seat)| matches!(seat, Seat::Held { .. })).count();
            let Some((_, seat)) = seats.iter_mut().find(|(other, _)| *other == shard).filter(|_| held < fair) else {
                break;
            };
            let Seat::Free(mut elector) = std::mem::replace(seat, Seat::Leaving) else { break };
            *seat = if take(&mut elector).await {
                let context = (self.make)(shard, elector.fence().and(division));
                let (stop, stopped) = watch::channel(false);
                tracing::info!(%shard, "works on a shard");
                tasks.spawn(serve(shard, elector, context.clone(), stopped));
                Seat::Held { stop, context }
            } else {
                Seat::Free(elector)
            };
        }
        soonest
    }

    /// Lets every shard end what it has under way and gives it free.
    async fn stop_all(&self, seats: &mut [(Shard, Seat)], tasks: &mut JoinSet<Ended>) {
        for (_, seat) in seats {
            if let Seat::Held { stop, .. } = seat {
                stop.send_replace(true);
            }
        }
        while tasks.join_next().await.is_some() {}
        (self.shared)(0);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

fn put(seats: &mut [(Shard, Seat)], shard: Shard, seat: Seat) {
    if let Some(place) = seats.iter_mut().find(|(other, _)| *other == shard) {
        place.1 = seat;
    }
}

/// How many shards a replica may hold.
fn fair_share(total: u32, replicas: usize) -> usize {
    usize::try_from(total).unwrap_or(usize::MAX).div_ceil(replicas.max(1))
}

/// Stops one shard where more than the fair share is held: the next replica waits for it. One with a call under way that
/// must not be cut off is kept until that has ended.
fn give_up_excess(seats: &mut [(Shard, Seat)], fair: usize) {
    let held = seats.iter().filter(|(_, seat)| matches!(seat, Seat::Held { .. })).count();
    let leaving = seats.iter().any(|(_, seat)| matches!(seat, Seat::Leaving));
    if held <= fair || leaving {
        return;
    }
    for (shard, seat) in seats.iter_mut().rev() {
        match seat {
            Seat::Held { stop, context } if !context.has_flights() => {
                tracing::info!(%shard, "gives a shard up: there are more replicas now");
                stop.send_replace(true);
                *seat = Seat::Leaving;
                return;
            }
            _ => {}
        }
    }
}

/// Whether a Lease may be taken; else how long until it expires, as far as is known.
async fn look(elector: &mut Elector) -> Result<(), Duration> {
    elector.look().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot look at the lease of a shard");
        Err(RETRY_PERIOD)
    })
}

/// A write without an answer may have been carried out: the next look tells, as the holder is us then.
async fn take(elector: &mut Elector) -> bool {
    elector.step().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot take the lease of a shard");
        false
    })
}

/// Works on a shard until it is told to stop, or its Lease is lost.
async fn serve(shard: Shard, mut elector: Box<Elector>, context: Arc<Context>, stop: watch::Receiver<bool>) -> Ended {
    let lost = {
        let drained = drained(context, stop);
        let kept = elector.keep();
        tokio::pin!(drained, kept);
        tokio::select! {
            () = &mut drained => false,
            () = &mut kept => true,
        }
    };
    if !lost {
        elector.release().await;
    }
    Ended { shard, lost }
}

/// Runs the controllers until they were told to stop and what they had under way has ended, or takes too long.
async fn drained(context: Arc<Context>, mut stop: watch::Receiver<bool>) {
    let controllers = super::run(context, stop.clone());
    tokio::pin!(controllers);
    tokio::select! {
        () = &mut controllers => return,
        () = stopped(&mut stop) => {}
    }
    if tokio::time::timeout(DRAIN, controllers).await.is_err() {
        tracing::warn!("some reconciles did not end in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::lease::{LEASE_DURATION, RENEW_DEADLINE};

    #[test]
    fn shares_add_up_to_all_shards_and_are_as_equal_as_can_be() {
        for (total, replicas, share) in [(2, 1, 2), (2, 2, 1), (3, 2, 2), (2, 3, 1), (8, 3, 3), (4, 0, 4)] {
            assert_eq!(fair_share(total, replicas), share, "{total} shards, {replicas} replicas");
            assert!(fair_share(total, replicas) * replicas.max(1) >= total as usize);
        }
        // A share is counted again well before a dead replica's Lease expires.
        assert!(RENEW_DEADLINE < LEASE_DURATION);
    }
}
