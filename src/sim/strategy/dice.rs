//! Random numbers that mean the same for ever.
//!
//! A failing seed is kept for years, so it must not depend on which generator a library prefers this year. This is
//! splitmix64 (Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, 2014): 64 bits of state, well
//! spread from any seed, and a new version of nothing can change it.

/// A source of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dice {
    state: u64,
}

impl Dice {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The numbers that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(Self::STEP);
        let number = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(limit);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits fits into 64")
    }

    /// An index into something of `len`, which must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// True this many times in a thousand.
    pub fn per_mille(&mut self, rate: u64) -> bool {
        self.below(1000) < rate
    }
}
