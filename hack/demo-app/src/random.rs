//! Numbers that look random and are the same at every start (`SplitMix64`).

/// A sequence that its seed determines.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 for no bound at all.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (self.next() >> 33) as u32 % bound.max(1)
    }

    /// Like [`Random::below`], small numbers more often than large ones.
    pub(crate) fn skewed(&mut self, bound: u32) -> u32 {
        let limit = self.below(bound) + 1;
        self.below(limit)
    }

    /// One of `choices`, which is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() >> 33) as usize % choices.len()]
    }
}
