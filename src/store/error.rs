//! What a store's caller can do when an operation gave no outcome.

/// The boxed reason below a [`StoreError`].
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with a key at which something else stands.
const BY_HAND: &str = "it was set to something else by hand";

/// No outcome. A variant per decision the caller can make; the cause is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer. The operation may have happened: repeat it, every one allows that.
    #[error("the server did not answer")]
    Unavailable(#[source] Source),
    /// The server is back and still reads its data: nothing was changed. Repeat it, a moment helps.
    #[error("the server at {0} is loading its data")]
    Loading(String),
    /// The server said no and changed nothing: it is a replica, say. Try again later or tell the operator.
    #[error("the server refused: {0}")]
    Refused(String),
    /// Nobody was found to ask: the two sides do not agree on TLS, or no sentinel knows a primary. Nothing was changed. Repeating
    /// helps nobody: the address or the certificates want mending.
    #[error("no connection to the server: {0}")]
    Unconnected(String),
    /// The server does not let this user in, or not do this, and changed nothing. Repeating helps nobody: the user needs the right.
    #[error("the server refused: {0}")]
    Forbidden(String),
    /// The server is out of memory: new work is refused, nothing was changed.
    #[error("the server is out of memory and takes no new work")]
    OutOfMemory,
    /// The server holds, or answered, something this version cannot read. Nothing was changed; needs an operator.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// The record or reply.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// An unreadable `what`.
    pub fn unreadable(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Unreadable { what: what.into(), why: why.to_string() }
    }

    /// `key`, at which somebody set something else; `what` says what stands there, and what to do.
    pub fn overwritten(key: &str, what: impl std::fmt::Display) -> Self {
        Self::unreadable(format!("`{key}`"), format!("{BY_HAND}: {what}"))
    }

    /// Whether somebody set something else at a key: then the error names it, and says what to do.
    pub fn is_overwritten(&self) -> bool {
        matches!(self, Self::Unreadable { why, .. } if why.starts_with(BY_HAND))
    }

    /// Whether to repeat the operation helps by itself: the server is away, or just back.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Loading(_))
    }

    /// Whether the operation may have taken effect.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
