//! Whether those who watch a primary are there, agree, and can replace it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;

use super::{
    doctor::{Check, CheckStatus, ask},
    records::Fields,
    sentinel::{Named, Said, Sentinels},
    target::Target,
};

/// The fewest that can replace a primary when one of them is gone with it.
const FEWEST: u64 = 3;

/// How many replicas must follow for a write to be taken.
const MIN_REPLICAS: &str = "min-replicas-to-write";

/// What there is to say of sentinels; nothing where there are none.
pub(super) async fn sentinel_checks(target: &Target, connection: &mut MultiplexedConnection) -> Vec<Check> {
    let Some(sentinels) = target.sentinels() else { return Vec::new() };
    let said = sentinels.ask(Duration::MAX).await;
    let said: Vec<_> = said.into_iter().map(|(sentinel, said)| (sentinel.address.as_str(), said)).collect();
    let fewest = ask(target, connection, &["CONFIG", "GET", MIN_REPLICAS]).await;
    let fewest = fewest.ok().and_then(|answer| Fields::read(answer).ok());
    let fewest = fewest.and_then(|fields| String::from_utf8_lossy(fields.get(MIN_REPLICAS)?).parse().ok());
    [Some(watched(sentinels, &said)), fewest.map(alone)].into_iter().flatten().collect()
}

/// Who answers, whom they name, and whether they are enough.
fn watched(sentinels: &Sentinels, said: &[(&str, Said)]) -> Check {
    let named: Vec<_> = said.iter().filter_map(|(_, said)| said.as_ref().ok()?.as_ref()).collect();
    let silent: Vec<_> = sentinels.each.iter().map(|sentinel| sentinel.address.as_str()).collect();
    let silent: Vec<_> = silent.into_iter().filter(|address| !knows(said, address)).collect();
    let advice = advice(&named, silent.len());
    Check {
        check: "sentinels",
        status: if advice.is_some() { CheckStatus::Warn } else { CheckStatus::Ok },
        found: found(&sentinels.name, &named, &silent),
        advice,
    }
}

fn knows(said: &[(&str, Said)], address: &str) -> bool {
    said.iter().any(|(of, said)| *of == address && matches!(said, Ok(Some(_))))
}

fn found(name: &str, named: &[&Named], silent: &[&str]) -> String {
    let mut primaries: Vec<_> =
        named.iter().map(|Named { primary: (host, port), .. }| format!("{host}:{port}")).collect();
    primaries.sort();
    primaries.dedup();
    let quorum = named.iter().map(|named| named.quorum).max().unwrap_or_default();
    let all = named.len() + silent.len();
    let of = format!("{} of {all} name {} as `{name}`, quorum {quorum}", named.len(), primaries.join(" or "));
    if silent.is_empty() { of } else { format!("{of}; not {}", silent.join(", ")) }
}

fn advice(named: &[&Named], silent: usize) -> Option<&'static str> {
    let known = named.iter().map(|named| named.sentinels).max().unwrap_or_default();
    let agree = named.windows(2).all(|pair| pair[0].primary == pair[1].primary);
    if silent > 0 {
        Some("see that each sentinel of --redis runs, and watches a primary of that name")
    } else if !agree {
        Some("a failover is under way, or a sentinel is cut off: look again in a moment")
    } else if known < FEWEST {
        Some(
            "run three sentinels at least, on machines of their own: with fewer nobody replaces a primary whose machine is gone",
        )
    } else {
        None
    }
}

/// Whether a primary that was cut off goes on taking writes.
fn alone(fewest: u64) -> Check {
    Check {
        check: MIN_REPLICAS,
        status: if fewest == 0 { CheckStatus::Warn } else { CheckStatus::Ok },
        found: fewest.to_string(),
        advice: (fewest == 0).then_some(
            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 2, on the replicas too: a primary that was replaced takes writes for seconds without it, and they are lost",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(port: u16, sentinels: u64) -> Named {
        Named { primary: ("h".to_owned(), port), election: 1, quorum: 2, sentinels }
    }

    #[test]
    fn three_who_agree_need_no_advice() {
        let (a, b) = (named(1, 3), named(1, 3));
        assert_eq!(advice(&[&a, &b, &a], 0), None);
        assert_eq!(found("main", &[&a, &b, &a], &[]), "3 of 3 name h:1 as `main`, quorum 2");
    }

    #[test]
    fn whoever_is_silent_or_names_another_is_told_of() {
        let (a, b) = (named(1, 3), named(2, 3));
        assert!(advice(&[&a], 2).unwrap().contains("runs"));
        assert!(advice(&[&a, &b], 0).unwrap().contains("under way"));
        assert_eq!(found("main", &[&b, &a], &["s:1"]), "2 of 3 name h:1 or h:2 as `main`, quorum 2; not s:1");
    }

    #[test]
    fn two_sentinels_are_too_few() {
        let few = named(1, 2);
        assert!(advice(&[&few, &few], 0).unwrap().contains("three"));
    }

    #[test]
    fn a_primary_that_would_write_alone_is_a_warning() {
        assert_eq!((alone(0).status, alone(1).status), (CheckStatus::Warn, CheckStatus::Ok));
    }
}
