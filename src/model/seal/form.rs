//! What is sealed: a JSON object in place of the one that it holds.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    XNonce,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};

use super::{Content, KeyId, Keyring, Place, SealingKey};
use crate::model::Body;

/// Drawn for one seal and never again. So long that any number of workers may draw them at random.
pub type Nonce24 = [u8; 24];

/// A body or a state under a seal, as it is stored: `{"sealed":{"v":1,"key":…,"of":…,"nonce":…,"box":…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    v: u32,
    key: KeyId,
    of: Content,
    nonce: String,
    r#box: String,
}

/// What stands around it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer<T> {
    sealed: T,
}

impl Seal {
    const VERSION: u32 = 1;

    /// How all that is sealed begins, in this version and later ones.
    const BEGINNING: &str = "{\"sealed\":{\"v\":";

    /// Whether `json` has the form of something sealed.
    pub fn is_form_of(json: &str) -> bool {
        json.starts_with(Self::BEGINNING)
    }

    /// What is sealed in `json`; none if that is in clear.
    pub fn read(json: &str) -> Option<Result<Self, Unopened>> {
        #[derive(Deserialize)]
        struct Named {
            v: u32,
            key: Option<KeyId>,
        }
        if !Self::is_form_of(json) {
            return None;
        }
        let named = serde_json::from_str::<Outer<Named>>(json).ok().map(|outer| outer.sealed);
        let why = match &named {
            Some(Named { v: Self::VERSION, .. }) | None => Why::Changed,
            Some(Named { .. }) => Why::Newer,
        };
        let unopened = || Unopened { key: named.and_then(|named| named.key), why };
        match serde_json::from_str::<Outer<Self>>(json) {
            Ok(Outer { sealed }) if sealed.v == Self::VERSION => Some(Ok(sealed)),
            _ => Some(Err(unopened())),
        }
    }

    /// Seals `text`, which belongs at `place`.
    pub fn close(key: &SealingKey, nonce: Nonce24, place: &Place<'_>, text: &str) -> Body {
        let payload = Payload { msg: text.as_bytes(), aad: &place.as_bytes() };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a text is far smaller than what a key may seal");
        let sealed = Self {
            v: Self::VERSION,
            key: key.id.clone(),
            of: place.content,
            nonce: STANDARD_NO_PAD.encode(nonce),
            r#box: STANDARD_NO_PAD.encode(sealed),
        };
        Body::of(&Outer { sealed }).expect("an object")
    }

    /// The text, if it was sealed for `place` by a key that is here, and not touched since. What `place` is the place of
    /// must be what the seal says.
    pub fn open(&self, keyring: &Keyring, place: &Place<'_>) -> Result<String, Unopened> {
        let Some(key) = keyring.get(&self.key) else { return Err(self.unopened(Why::NoKey)) };
        let changed = || self.unopened(Why::Changed);
        let nonce: Nonce24 =
            bytes(&self.nonce).and_then(|nonce| nonce.try_into().ok()).ok_or_else(changed)?;
        let sealed = bytes(&self.r#box).filter(|_| self.of == place.content).ok_or_else(changed)?;
        let payload = Payload { msg: &sealed, aad: &place.as_bytes() };
        let text = key.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| changed())?;
        String::from_utf8(text).map_err(|_| changed())
    }

    /// What it says that it is.
    pub fn content(&self) -> Content {
        self.of
    }

    /// The key that it names.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    fn unopened(&self, why: Why) -> Unopened {
        Unopened { key: Some(self.key.clone()), why }
    }
}

fn bytes(base64: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(base64).ok()
}

/// Why something sealed was not opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unopened {
    /// The key that it names, if it names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<KeyId>,
    /// Why.
    #[serde(default)]
    pub why: Why,
}

/// Why something sealed was not opened, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// That key is not here.
    #[default]
    NoKey,
    /// It is not what was sealed, or not where that belongs.
    Changed,
    /// It was sealed by a newer version of tenure.
    Newer,
}

impl Unopened {
    /// What stands in its place for whoever only looks: `{"sealed":{"key":…,"why":…}}`.
    pub fn as_body(&self) -> Body {
        Body::of(&Outer { sealed: self }).expect("an object")
    }

    /// Why `json` is not what it should be, if it is a seal or what stands in the place of one.
    pub fn read(json: &str) -> Option<Self> {
        // A seal that nobody tried to open has more members.
        Some(serde_json::from_str::<Outer<Self>>(json).ok()?.sealed)
    }
}

/// For people; names the key, and what to do.
impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "sealed by key {key}, ")?,
            None => f.write_str("sealed, ")?,
        }
        f.write_str(match self.why {
            Why::NoKey => "which is not here (--keys-file)",
            Why::Changed => "and changed or moved since",
            Why::Newer => "by a newer version of tenure",
        })
    }
}

impl std::error::Error for Unopened {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EntryKind, Namespace, SessionId};

    fn keyring() -> Keyring {
        Keyring::parse("k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap()
    }

    fn session(name: &str) -> SessionId {
        name.parse().unwrap()
    }

    /// An entry's body, sealed.
    fn sealed(namespace: &Namespace, session: &SessionId, text: &str) -> Body {
        let place = Place { entry: Some((EntryKind::User, 7)), ..of(namespace, session) };
        Seal::close(keyring().sealing(None).unwrap(), [9; 24], &place, text)
    }

    fn of<'a>(namespace: &'a Namespace, session: &'a SessionId) -> Place<'a> {
        Place::of(namespace, Some(session), Content::Entry)
    }

    fn open(body: &Body, place: &Place<'_>) -> Result<String, Unopened> {
        Seal::read(body.as_json()).expect("it is sealed")?.open(&keyring(), place)
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_in_no_other() {
        let (shop, alice) = ("shop".parse().unwrap(), session("echo/alice"));
        let body = sealed(&shop, &alice, "{\"text\":\"hello\"}");
        assert!(!body.as_json().contains("hello") && body.as_json().contains("\"key\":\"k1\""));
        let place = Place { entry: Some((EntryKind::User, 7)), ..of(&shop, &alice) };
        assert_eq!(open(&body, &place).unwrap(), "{\"text\":\"hello\"}");

        let (other, bob) = ("other".parse().unwrap(), session("echo/bob"));
        let name = crate::model::MessageId(uuid::Uuid::from_u128(1));
        for elsewhere in [
            Place { namespace: &other, ..place },
            Place { session: Some(&bob), ..place },
            Place { session: None, ..place },
            Place { content: Content::State, ..place },
            Place { entry: Some((EntryKind::User, 8)), ..place },
            Place { entry: Some((EntryKind::Assistant, 7)), ..place },
            Place { message: Some(name), ..place },
        ] {
            assert_eq!(open(&body, &elsewhere).unwrap_err().why, Why::Changed, "{elsewhere:?}");
        }
    }

    #[test]
    fn any_byte_that_is_changed_within_the_seal_is_noticed() {
        let (shop, alice) = ("shop".parse().unwrap(), session("echo/alice"));
        let body = sealed(&shop, &alice, "{\"text\":\"hello\"}");
        let place = Place { entry: Some((EntryKind::User, 7)), ..of(&shop, &alice) };
        for at in Seal::BEGINNING.len()..body.as_json().len() {
            let mut bytes = body.as_json().as_bytes().to_vec();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let read = Seal::read(&changed).expect("it still looks sealed");
            assert!(read.and_then(|sealed| sealed.open(&keyring(), &place)).is_err(), "{changed}");
        }
    }

    #[test]
    fn a_missing_key_and_a_newer_seal_are_told_by_name() {
        let (shop, alice) = ("shop".parse().unwrap(), session("echo/alice"));
        let body = sealed(&shop, &alice, "{}");
        let read = Seal::read(body.as_json()).unwrap().unwrap();
        let missing = read.open(&Keyring::default(), &of(&shop, &alice)).unwrap_err();
        assert_eq!(missing.to_string(), "sealed by key k1, which is not here (--keys-file)");
        assert_eq!(missing.as_body().as_json(), r#"{"sealed":{"key":"k1","why":"no_key"}}"#);
        assert_eq!(Unopened::read(missing.as_body().as_json()), Some(missing));
        let newer = body.as_json().replace("\"v\":1,", "\"v\":2,\"more\":[],");
        let newer = Seal::read(&newer).unwrap().unwrap_err();
        assert_eq!(newer.to_string(), "sealed by key k1, by a newer version of tenure");
    }

    #[test]
    fn a_body_in_clear_is_not_taken_for_a_seal() {
        for clear in ["{}", r#"{"sealed":true}"#, r#"{"sealed":{"key":"k1"}}"#, r#"{"text":"sealed"}"#] {
            assert!(Seal::read(clear).is_none(), "{clear}");
        }
    }
}
