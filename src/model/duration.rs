//! Durations as people write them.

use std::{fmt, time::Duration};

/// The units, largest first: how each is written, and its milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number and `ms`, `s`, `m` or `h`. The error says what to write.
pub fn parse_duration(given: &str) -> Result<Duration, String> {
    let bad = || format!("`{}` is not a duration: write 500ms, 3s or 5m", given.escape_debug());
    let digits = given.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = given.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let (_, ms_per_unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    number.checked_mul(ms_per_unit).map(Duration::from_millis).ok_or_else(bad)
}

/// Shows a duration as [`parse_duration`] reads it, in the largest unit that fits, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownDuration(pub Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fits = |(_, per_unit): &(&str, u64)| ms != 0 && ms.is_multiple_of(u128::from(*per_unit));
        let (unit, per_unit) = UNITS.into_iter().find(fits).unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", ms / u128::from(per_unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        for bad in
            ["", "3", "s", "-3s", "1.5s", "3 s", "3d", "99999999999999999999s", "18446744073709551615s"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_is_shown_as_it_is_read() {
        for text in ["0s", "1ms", "1500ms", "2s", "90s", "5m", "1h"] {
            assert_eq!(ShownDuration(parse_duration(text).unwrap()).to_string(), text);
        }
        assert_eq!(ShownDuration(Duration::from_secs(120)).to_string(), "2m");
    }
}
