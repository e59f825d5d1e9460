//! `Retry-After`: seconds, or a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

use crate::model::Millis;

/// For how long a server asks not to be asked again. A date is counted from the server's own
/// `Date` where it gives one, else from `now`.
pub(super) fn wait(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let from: SystemTime = date.unwrap_or(UNIX_EPOCH + Duration::from_millis(now.0));
    Some(until.duration_since(from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: Millis = Millis(1_767_225_600_000);

    fn of(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        wait(&headers.collect(), NOW)
    }

    #[test]
    fn seconds_and_dates_are_waits_and_a_date_that_is_over_is_none() {
        assert_eq!(of(&[("retry-after", "120")]), Some(Duration::from_secs(120)));
        let date = ("retry-after", "Thu, 01 Jan 2026 00:01:30 GMT");
        assert_eq!(of(&[date]), Some(Duration::from_secs(90)));
        assert_eq!(of(&[("retry-after", "Wed, 31 Dec 2025 23:59:00 GMT")]), Some(Duration::ZERO));
        let its_clock = ("date", "Thu, 01 Jan 2026 00:01:20 GMT");
        assert_eq!(of(&[date, its_clock]), Some(Duration::from_secs(10)), "its clock, not ours");
    }

    #[test]
    fn what_is_neither_is_ignored() {
        for nonsense in ["", "soon", "-5", "1.5"] {
            assert_eq!(of(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(of(&[]), None);
    }
}
