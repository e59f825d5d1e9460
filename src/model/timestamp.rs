//! A moment as people and other programs read it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Millis;

/// A moment, shown and serialized as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub Millis);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(time) => write!(f, "{time:.3}"),
            // Further away than the calendar goes.
            Err(_) => write!(f, "{:.3}", jiff::Timestamp::MAX),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(Timestamp(Millis(1_767_225_600_000)).to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(Millis(1_767_225_600_007)).to_string(), "2026-01-01T00:00:00.007Z");
        assert!(Timestamp(Millis(u64::MAX)).to_string().starts_with("9999-"));
    }
}
