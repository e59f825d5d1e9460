//! Which seeds to run.

use std::{ops::RangeInclusive, str::FromStr};

/// Seeds, both ends included: `1..100`, or one alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (first, last) = given.split_once("..").unwrap_or((given, given));
        let number = |text: &str| text.parse::<u64>().ok();
        match (number(first), number(last.strip_prefix('=').unwrap_or(last))) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err("write 1..100 (both are run), or one number".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_run() {
        assert_eq!("1..10000".parse(), Ok(Seeds(1..=10_000)));
        assert_eq!("3..=4".parse(), Ok(Seeds(3..=4)));
        assert_eq!("7".parse(), Ok(Seeds(7..=7)));
        for bad in ["", "1..", "..3", "4..3", "a..b", "-1..2"] {
            assert!(bad.parse::<Seeds>().is_err(), "{bad}");
        }
    }
}
