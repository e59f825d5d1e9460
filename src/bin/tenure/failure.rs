//! Why a command ends with another code than 0, in one line that says what to do.

use std::{error::Error, io};

use tenure::{
    client::ClientError,
    store::{
        Refusal, StoreError,
        redis::{is_moving, lacks_master},
    },
};

/// What the exit codes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was tried and did not work.
    Failed = 1,
    /// The command line, an address, a body or a file is malformed.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// It was refused: full, stopped, too large, or not this user's to do.
    Refused = 4,
    /// No answer, not in time, or the outcome is unknown.
    Unavailable = 5,
}

/// Why a command ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// With a code and a line on stderr.
    Said(Exit, String),
    /// Whoever read our output has gone: there is nobody to tell, and nothing is wrong.
    NobodyReads,
}

impl Failure {
    pub(crate) fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self::Said(exit, line.into())
    }

    /// Prints the line and gives the code.
    pub(crate) fn report(&self) -> i32 {
        match self {
            Self::Said(exit, line) => {
                eprintln!("tenure: {}", redacted(&on_one_line(line)));
                *exit as i32
            }
            Self::NobodyReads => 0,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::new(Exit::Failed, format!("input or output failed: {err}")),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(err: StoreError) -> Self {
        if lacks_master(&err) {
            return without_master(&err);
        }
        let line = with_causes(&err);
        match err {
            StoreError::Unavailable(_) if is_moving(&err) => Self::new(
                Exit::Unavailable,
                format!(
                    "{line}: try again when it has arrived; a slot that is left half moved wants `redis-cli --cluster fix`"
                ),
            ),
            StoreError::Unavailable(_) => Self::new(
                Exit::Unavailable,
                format!("{line}: check that Redis runs, and --redis (TENURE_REDIS)"),
            ),
            StoreError::Loading(_) => Self::new(Exit::Unavailable, format!("{line}: try again in a moment")),
            StoreError::Unconnected(_) => {
                Self::new(Exit::Unavailable, format!("{line}: see `tenure doctor`"))
            }
            StoreError::Refused(_) => Self::new(Exit::Refused, format!("{line}: see `tenure doctor`")),
            StoreError::Forbidden(_) => Self::new(Exit::Refused, line),
            StoreError::OutOfMemory => {
                Self::new(Exit::Refused, format!("{line}: raise `maxmemory` or delete sessions"))
            }
            StoreError::Unreadable { .. } if err.is_overwritten() => Self::new(Exit::Failed, line),
            StoreError::Unreadable { .. } => Self::new(
                Exit::Failed,
                format!("{line}: it was left alone; use the version that wrote it, or see `tenure doctor`"),
            ),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(err: ClientError) -> Self {
        let line = err.to_string();
        match err {
            ClientError::Store(err) => err.into(),
            ClientError::Refused(reason) => Self::new(Exit::Refused, format!("{line}: {}", way_out(reason))),
            ClientError::NoSession(session) => Self::new(
                Exit::NotFound,
                format!("{line}: its first message makes it (`tenure send {session} …`)"),
            ),
            ClientError::NoLetter(_) => Self::new(Exit::NotFound, format!("{line}: see `tenure dead ls`")),
            ClientError::NoMessage(id) => {
                Self::new(Exit::Refused, format!("{line}: drop it (`tenure dead drop {id}`)"))
            }
            ClientError::Failed { message, error, .. } => Self::new(
                Exit::Failed,
                format!(
                    "message {message} was given up on ({}): {}: see `tenure dead ls`",
                    error.reason, error.message
                ),
            ),
            ClientError::NoAnswer { session, id, .. } => Self::new(
                Exit::Unavailable,
                format!(
                    "{line}: see `tenure show {session}`, or wait on by sending again with --id {id} --wait"
                ),
            ),
            ClientError::Unknown(cause) if lacks_master(&cause) => without_master(&cause),
            ClientError::Unknown(cause) => Self::new(
                Exit::Unavailable,
                format!("{}: it may have happened; repeat the command", with_causes(&cause)),
            ),
            ClientError::NotReached(_) => {
                Self::new(Exit::Unavailable, format!("{line}: repeat the command, and see `tenure doctor`"))
            }
            ClientError::Beyond { .. } => Self::new(Exit::Refused, line),
            ClientError::NotQuarantined(session) | ClientError::NotSuspended { session, .. } => {
                Self::new(Exit::Refused, format!("{line}: see `tenure show {session}`"))
            }
            ClientError::StillOwned { .. } => Self::new(
                Exit::Unavailable,
                format!("{line}, which is about to give it back, or died: try again in a moment"),
            ),
            ClientError::Restless(_) => Self::new(Exit::Unavailable, format!("{line}: try again")),
        }
    }
}

/// A cluster is there, and nobody in it has what was asked for.
fn without_master(err: &StoreError) -> Failure {
    let said = err.source().map(ToString::to_string).unwrap_or_default();
    let line =
        format!("{said}: see `tenure doctor`, and `redis-cli --cluster check`; then repeat the command");
    Failure::new(Exit::Unavailable, line)
}

/// What helps against a refusal.
fn way_out(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Stopped => "send to another session, or delete this one",
        Refusal::Full => "send again when it has taken some of its messages (`tenure show`)",
        Refusal::TooLarge => "send less, or a reference to it",
        Refusal::Malformed => "send a JSON object or text",
        Refusal::Unreadable => "use the version that wrote it, or put back what was set by hand",
    }
}

/// An error and what lies below it, each said once.
pub(crate) fn with_causes(err: &dyn Error) -> String {
    let mut line = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let text = err.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = err.source();
    }
    line
}

fn on_one_line(text: &str) -> String {
    let plain = text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty());
    plain.collect::<Vec<_>>().join(" ")
}

/// The text without what stands between `://` and `@` in it, nor behind the `?` of an address: no password is ever printed.
pub(crate) fn redacted(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |marks: &[char]| part.find(marks).unwrap_or(part.len());
        let (host, end) = (ends(&[' ', '\'', '"', '`', '/']), ends(&[' ', '\'', '"', '`']));
        let from = part[..host].rfind('@').unwrap_or(0);
        let query = part[from..end].find('?').map_or(end, |mark| from + mark);
        shown.push_str("://");
        if from > 0 {
            shown.push_str("***");
        }
        shown.push_str(&part[from..query]);
        if query < end {
            shown.push_str("?***");
        }
        shown.push_str(&part[end..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_reaches_the_terminal() {
        let given = "cannot reach redis://user:p@ss@host:1/0, nor rediss://:x@h, nor redis://plain:1";
        let shown = "cannot reach redis://***@host:1/0, nor rediss://***@h, nor redis://plain:1";
        assert_eq!(redacted(given), shown);
        let given = "of unix:///run/redis.sock?db=1&pass=secret, redis://u:p?@h/1?x";
        assert_eq!(redacted(given), "of unix:///run/redis.sock?*** redis://***@h/1?***");
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(on_one_line("one\n  two\r\n\nthree"), "one two three");
    }
}
