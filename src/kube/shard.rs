//! Which part of the namespaces is whose.

use sha2::{Digest, Sha256};

use super::lease::LEASE;

/// One of the parts into which the namespaces are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    total: u32,
}

impl Shard {
    /// All namespaces.
    pub const WHOLE: Self = Self { index: 0, total: 1 };

    /// The parts of a division into `total`.
    pub fn all(total: u32) -> impl Iterator<Item = Self> {
        (0..total).map(move |index| Self { index, total })
    }

    /// Its number, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn total(self) -> u32 {
        self.total
    }

    /// Whether a namespace belongs to it. The same for every replica and version: the first eight bytes of the name's SHA-256
    /// are a number, and its remainder is the number of the shard.
    pub fn has(self, namespace: &str) -> bool {
        if self.total <= 1 {
            return true;
        }
        let digest = Sha256::digest(namespace);
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.total) == u64::from(self.index)
    }

    /// Name of the Lease that its holder keeps. It tells the number of shards, so that two divisions never meet in one.
    pub fn lease_name(self) -> String {
        if self.total == 1 { LEASE.to_owned() } else { format!("{LEASE}-{}-{}", self.total, self.index) }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.index, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_has_exactly_one_shard_and_keeps_it() {
        for total in [1, 2, 3, 7, 64] {
            let mut sizes = vec![0; total as usize];
            for number in 0..2000 {
                let namespace = format!("team-{number}");
                let owners: Vec<Shard> = Shard::all(total).filter(|shard| shard.has(&namespace)).collect();
                let [owner] = owners[..] else { panic!("{namespace}: {owners:?}") };
                sizes[owner.index as usize] += 1;
            }
            let fair = 2000 / total as usize;
            assert!(sizes.iter().all(|size| *size > fair / 3 && *size <= fair * 2), "{total}: {sizes:?}");
        }
        // Written down: a new version that divided otherwise would have two owners of a namespace during its roll-out.
        let of = |namespace: &str| Shard::all(4).position(|shard| shard.has(namespace)).unwrap();
        assert_eq!(["shop", "default", "kube-system", "a"].map(of), [1, 1, 1, 2]);
    }

    #[test]
    fn one_shard_keeps_the_lease_of_an_operator_without_shards() {
        assert_eq!(Shard::WHOLE.lease_name(), "stepbound");
        let names: Vec<String> = Shard::all(2).map(Shard::lease_name).collect();
        assert_eq!(names, ["stepbound-2-0", "stepbound-2-1"]);
    }
}
