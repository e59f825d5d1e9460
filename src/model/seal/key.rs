//! A key that seals, and its name.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::model::Group;

/// What a key is called: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Not secret: it stands in all that the key sealed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

/// What is no name of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is 1 to 64 characters of A-Z a-z 0-9 . _ -, for example 2026-11")]
pub struct BadKeyId;

impl KeyId {
    const MAX_LEN: usize = 64;
}

impl FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(given: &str) -> Result<Self, BadKeyId> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let ok = !given.is_empty() && given.len() <= Self::MAX_LEN && given.chars().all(is_good);
        if ok { Ok(Self(given.to_owned())) } else { Err(BadKeyId) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = BadKeyId;

    fn try_from(given: String) -> Result<Self, BadKeyId> {
        given.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key with its name. What it is made of is wiped when it is dropped, and never shown.
pub struct SealingKey {
    pub(super) id: KeyId,
    pub(super) group: Option<Group>,
    pub(super) cipher: XChaCha20Poly1305,
}

impl SealingKey {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// The line of a keyring that stands for a key of these bytes, which must come from the system's own randomness.
    pub fn line(id: &KeyId, group: Option<&Group>, bytes: &[u8; Self::BYTES]) -> Zeroizing<String> {
        let bytes = Zeroizing::new(STANDARD.encode(bytes));
        let group = group.map(|group| format!(" group={group}")).unwrap_or_default();
        Zeroizing::new(format!("{id} {}{group}", bytes.as_str()))
    }

    /// What it is called.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The group whose sessions' workers seal with it; none seals for all that have no key of their own.
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    pub(super) fn new(id: KeyId, group: Option<Group>, base64: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(base64).ok()?);
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).ok()?;
        Some(Self { id, group, cipher })
    }
}

/// Its name alone.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}
