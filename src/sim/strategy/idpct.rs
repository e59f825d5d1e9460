//! Iterative deepening of [`Pct`](super::pct::Pct): nobody knows how deep the bug is.
//!
//! The first seeds look at depth 1, the next at depth 2, and so on; after the greatest depth it starts over. A seed's
//! depth is a function of the seed alone, so that any seed can be run by itself.

/// Which depth a seed looks at: `each` seeds per depth, from 1 to `depth`, over and over; seeds count from 1.
pub(super) fn depth_of(seed: u64, each: u64, depth: u64) -> u64 {
    1 + seed.saturating_sub(1) / each.max(1) % depth.max(1)
}
