//! What a failed command means to the caller.

use redis::{ErrorKind, RedisError, Value};

use super::{slots::Slot, tls};
use crate::store::StoreError;

/// The server did not answer, or the connection broke: what was asked may have happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{address}: {cause}")]
pub(super) struct Unanswered {
    address: String,
    cause: String,
}

/// A node of a cluster does not do it: nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Elsewhere {
    /// Another node has the slot.
    #[error("{address}: slot {slot} is at {to}")]
    Moved { address: String, slot: Slot, to: String },
    /// The slot is on its way to another node, and what was asked for is not here any more.
    #[error("{address}: slot {slot} is on its way to {to}")]
    Ask { address: String, slot: Slot, to: String },
    /// The slot is on its way to another node, and what was asked for is not all in one place.
    #[error("{address}: its slot is on its way to another node")]
    OnItsWay { address: String },
    /// The cluster takes nothing now, or no master has the slot.
    #[error("{address} says: {detail}")]
    Down { address: String, detail: String },
    /// The same by what its nodes said before.
    #[error("no master of the cluster at {address} has slot {slot}")]
    Unserved { address: String, slot: Slot },
    /// Nobody has given any of them slots.
    #[error("{address} knows no slots: the cluster is not made yet")]
    Unmade { address: String },
}

/// What a cluster's node said, if that is what it was.
pub(super) fn elsewhere(error: &StoreError) -> Option<&Elsewhere> {
    match error {
        StoreError::Unavailable(source) => source.downcast_ref(),
        _ => None,
    }
}

/// The same from who was to be a server by itself.
pub(super) fn alone(error: StoreError) -> StoreError {
    match elsewhere(&error) {
        Some(said) => StoreError::Refused(format!(
            "{said}: it is a node of a cluster: write redis+cluster:// in --redis (TENURE_REDIS) for it"
        )),
        None => error,
    }
}

/// Whether a cluster answered, and no master of it has what was asked for.
pub fn lacks_master(error: &StoreError) -> bool {
    let said = elsewhere(error);
    matches!(said, Some(Elsewhere::Down { .. } | Elsewhere::Unserved { .. } | Elsewhere::Unmade { .. }))
}

/// Whether a cluster answered that what was asked for is moving from one node to another.
pub fn is_moving(error: &StoreError) -> bool {
    matches!(elsewhere(error), Some(Elsewhere::Ask { .. } | Elsewhere::OnItsWay { .. }))
}

/// `Unavailable`, as it is of a cluster.
pub(super) fn of_cluster(said: Elsewhere) -> StoreError {
    StoreError::Unavailable(Box::new(said))
}

/// `Unavailable`, from what is known of the cause. `address` is host and port, never more.
pub(super) fn unanswered(address: &str, cause: impl ToString) -> StoreError {
    StoreError::Unavailable(Box::new(Unanswered { address: address.to_owned(), cause: cause.to_string() }))
}

/// The server that was asked is not the primary any more.
pub(super) fn moved(address: &str) -> StoreError {
    unanswered(address, "another server is the primary now")
}

/// What an error of the client library means.
pub(super) fn store_error(address: &str, error: RedisError) -> StoreError {
    let of_server = error.clone().into_server_errors();
    if let Some((_, first)) = of_server.as_deref().and_then(<[_]>::first) {
        return answered(address, first.code(), first.details().unwrap_or_default());
    }
    if let Some(refused) = tls::refusal(address, &error) {
        return refused;
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => refused_login(address),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            StoreError::unreadable("an answer of the server", error)
        }
        ErrorKind::InvalidClientConfig => StoreError::Refused(
            "--redis (TENURE_REDIS) is not an address: write redis://HOST:PORT (rediss:// for TLS), unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT, with USER:PASSWORD@ before the first HOST if it wants them".to_owned(),
        ),
        ErrorKind::RESP3NotSupported => {
            StoreError::Refused(format!("{address} is too old: Redis 7.0 or Valkey 7.2 is needed"))
        }
        // The client library's words for what the server answered to SELECT.
        ErrorKind::Server(_) => not_selected(address, error.detail().unwrap_or_default()),
        _ => unanswered(address, error),
    }
}

/// The same error again, for another who waited for the same thing.
pub(super) fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(source) => match source.downcast_ref::<Elsewhere>() {
            Some(said) => StoreError::Unavailable(Box::new(said.clone())),
            None => StoreError::Unavailable(source.to_string().into()),
        },
        StoreError::Loading(address) => StoreError::Loading(address.clone()),
        StoreError::Refused(why) => StoreError::Refused(why.clone()),
        StoreError::Unconnected(why) => StoreError::Unconnected(why.clone()),
        StoreError::Forbidden(why) => StoreError::Forbidden(why.clone()),
        StoreError::OutOfMemory => StoreError::OutOfMemory,
        StoreError::Unreadable { what, why } => StoreError::unreadable(what.clone(), why),
    }
}

/// Whether a connection that gave this error should not be used again: it broke, or its server is no
/// longer one that takes writes.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.kind(), ErrorKind::Parse) || is_demotion(error.code())
}

/// Whether an error's code says that the server became a replica.
pub(super) fn is_demotion(code: Option<&str>) -> bool {
    matches!(code, Some("READONLY" | "MASTERDOWN" | "UNBLOCKED"))
}

/// Whether an error's code says that the server may have been replaced: it became a replica, or has lost its own.
pub(super) fn is_failover(code: Option<&str>) -> bool {
    is_demotion(code) || code == Some("NOREPLICAS")
}

/// Whether the server forbids it to this user.
pub(super) fn is_forbidden(error: &RedisError) -> bool {
    let of_server = error.clone().into_server_errors();
    of_server.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "NOPERM"))
}

/// Whether the server does not know a script (any more).
pub(super) fn is_no_script(error: &RedisError) -> bool {
    let of_server = error.clone().into_server_errors();
    of_server.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "NOSCRIPT"))
}

/// The same of one answer in a pipeline.
pub(super) fn is_no_script_value(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

fn refused_login(address: &str) -> StoreError {
    StoreError::Forbidden(format!(
        "{address} wants a user name and password, or does not know the ones given: check --redis, where user:password@ stands before the host"
    ))
}

/// The answer to SELECT, of which the code is not known any more.
fn not_selected(address: &str, said: &str) -> StoreError {
    const CODES: [(&str, &str); 4] = [
        ("Authentication required", "NOAUTH"),
        ("no permissions", "NOPERM"),
        ("is busy", "BUSY"),
        ("is loading", "LOADING"),
    ];
    if let Some((_, code)) = CODES.iter().find(|(words, _)| said.contains(words)) {
        return answered(address, code, said);
    }
    let what = match said.contains("DB index") {
        true => format!("has no such database ({said})"),
        false => format!("gives no database by its number ({said})"),
    };
    StoreError::Refused(format!("{address} {what}: mend the number at the end of --redis (TENURE_REDIS)"))
}

fn forbidden(address: &str, detail: &str) -> StoreError {
    StoreError::Forbidden(format!(
        "{address} forbids it to this user: {detail}; allow it with ACL SETUSER, as `tenure acl` prints it for each role"
    ))
}

/// Whether the server says that there is nothing at a key: it has no code for that, only words.
pub(super) fn is_nothing_there(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(why) if why.ends_with("ERR no such key"))
}

/// What cannot be read where a server says so of some key, and not of which.
const A_KEY: &str = "a key of this namespace";

/// What is said behind the key of which nobody knows whether it is that one.
const OR_ANOTHER: &str = ", or a key that is used with it,";

/// Whether a server says of some key that it cannot be read.
pub(super) fn is_some_key(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreadable { what, .. } if what == A_KEY)
}

/// Whether it is known only that it is one of several.
pub(super) fn is_one_of_several(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreadable { what, .. } if what.ends_with(OR_ANOTHER))
}

/// The same error, with the first key of what was asked.
pub(super) fn about(key: &[u8], error: StoreError) -> StoreError {
    match error {
        StoreError::Unreadable { what, why } if what == A_KEY => {
            let key = String::from_utf8_lossy(key);
            StoreError::unreadable(format!("`{key}`{OR_ANOTHER}"), why)
        }
        error => error,
    }
}

/// An error by its code, as Redis writes it before the text.
fn answered(address: &str, code: &str, detail: &str) -> StoreError {
    let refused = |what: &str| StoreError::Refused(format!("{address} {what}"));
    match code {
        "OOM" => StoreError::OutOfMemory,
        "READONLY" | "MASTERDOWN" => refused("is a replica: connect to its primary"),
        "UNBLOCKED" => refused("became a replica: connect to its primary"),
        "LOADING" => StoreError::Loading(address.to_owned()),
        "NOAUTH" | "WRONGPASS" => refused_login(address),
        "NOPERM" => forbidden(address, detail),
        "MISCONF" => refused(&format!("cannot persist and takes no writes: {detail}")),
        "NOREPLICAS" => refused("has fewer replicas than it demands, and takes no writes: start them again"),
        "BUSY" => refused("is busy with somebody's script: wait, or end that with SCRIPT KILL"),
        "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => of_cluster(redirected(address, code, detail)),
        "WRONGTYPE" => StoreError::unreadable(A_KEY, without_place(detail)),
        _ if detail.contains("OOM command not allowed") => StoreError::OutOfMemory,
        _ if detail.contains("cluster support disabled") => {
            refused("is a server by itself: write redis:// in --redis (TENURE_REDIS) for it")
        }
        _ if detail.contains("unknown command 'SENTINEL'") => refused(
            "is no sentinel: name sentinels behind redis+sentinel:// in --redis (TENURE_REDIS), or write redis:// for a server",
        ),
        _ => refused(&format!("answered {code} {detail}")),
    }
}

/// What a script failed of, without where in it: that leads nowhere.
fn without_place(detail: &str) -> &str {
    detail.split_once(" script: ").map_or(detail, |(detail, _)| detail)
}

/// `MOVED` and `ASK` name the slot and who has it.
fn redirected(address: &str, code: &str, detail: &str) -> Elsewhere {
    let (host, address) = (address.rsplit_once(':').map_or(address, |(host, _)| host), address.to_owned());
    let known = detail.split_once(' ').and_then(|(slot, to)| {
        // A node that does not know by what host it is reached leaves it out.
        let to = if to.starts_with(':') { format!("{host}{to}") } else { to.to_owned() };
        Some((Slot::numbered(slot)?, to))
    });
    match (code, known) {
        ("MOVED", Some((slot, to))) => Elsewhere::Moved { address, slot, to },
        ("ASK", Some((slot, to))) => Elsewhere::Ask { address, slot, to },
        ("CLUSTERDOWN", _) => Elsewhere::Down { address, detail: detail.to_owned() },
        _ => Elsewhere::OnItsWay { address },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_leads_to_what_the_caller_can_do() {
        let of = |code| answered("h:1", code, "detail");
        assert!(matches!(of("OOM"), StoreError::OutOfMemory));
        for code in ["READONLY", "MISCONF", "BUSY", "ERR", ""] {
            assert!(matches!(of(code), StoreError::Refused(_)), "{code}");
        }
        for code in ["NOAUTH", "WRONGPASS", "NOPERM"] {
            assert!(matches!(of(code), StoreError::Forbidden(_)), "{code}");
        }
        assert!(of("LOADING").passes() && !of("LOADING").may_have_happened());
        for code in ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"] {
            assert!(elsewhere(&of(code)).is_some() && of(code).passes(), "{code}");
            assert!(matches!(alone(of(code)), StoreError::Refused(why) if why.contains("redis+cluster://")));
        }
        let to = |detail| match redirected("h:1", "MOVED", detail) {
            Elsewhere::Moved { to, .. } => to,
            other => panic!("{other:?}"),
        };
        assert_eq!((to("3 g:2").as_str(), to("3 :2").as_str()), ("g:2", "h:2"));
        assert!(matches!(of("WRONGTYPE"), StoreError::Unreadable { .. }));
    }

    #[test]
    fn an_answer_to_select_is_told_as_what_it_is_and_only_a_number_out_of_range_as_no_database() {
        let of = |said| not_selected("h:1", said);
        let is_missing = |error: &StoreError| error.to_string().contains("no such database");
        for said in ["DB index is out of range", "invalid DB index"] {
            assert!(matches!(of(said), StoreError::Refused(_)) && is_missing(&of(said)), "{said}");
        }
        let forbidden = "User ann has no permissions to run the 'select' command";
        for said in [forbidden, "Authentication required."] {
            assert!(matches!(of(said), StoreError::Forbidden(_)), "{said}");
        }
        assert!(matches!(of("Redis is loading the dataset in memory"), StoreError::Loading(_)));
        let busy = "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
        for said in [busy, "SELECT is not allowed in cluster mode", ""] {
            assert!(matches!(of(said), StoreError::Refused(_)) && !is_missing(&of(said)), "{said}");
        }
    }

    #[test]
    fn nothing_at_a_key_is_told_from_what_may_not_be_seen() {
        assert!(is_nothing_there(&answered("h:1", "ERR", "no such key")));
        assert!(!is_nothing_there(&answered("h:1", "NOPERM", "no permissions to run 'xinfo'")));
    }

    #[test]
    fn a_broken_connection_may_have_done_it() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(store_error("h:1", broken.into()).may_have_happened());
    }
}
