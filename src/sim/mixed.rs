//! Numbers out of numbers, where a generator with a state would make one draw depend on another.

/// A number that looks like no other's neighbour (SplitMix64's finalizer, Steele et al. 2014).
pub(super) fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
