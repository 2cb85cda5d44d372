//! Random numbers and ids that a seed decides.

use std::fmt::Write;

/// `SplitMix64`: small, and good enough for jitter and ids that nobody has to be unable to guess.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below this, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// An id as of version 4.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (high, low) = ((high & !0xF000) | 0x4000, (low & !(3 << 62)) | (1 << 63));
        let mut id = String::with_capacity(36);
        for (at, byte) in high.to_be_bytes().into_iter().chain(low.to_be_bytes()).enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                id.push('-');
            }
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_ids_and_they_have_their_form() {
        let ids = |seed| {
            let mut random = Random::seeded(seed);
            [random.uuid(), random.uuid()]
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        let [first, second] = ids(7);
        assert_ne!(first, second);
        assert_eq!((first.len(), &first[14..15], &first[23..24]), (36, "4", "-"));
        assert!(matches!(&first[19..20], "8" | "9" | "a" | "b"), "{first}");
    }
}
