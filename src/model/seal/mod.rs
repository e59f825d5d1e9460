//! Seals: bodies and states that only who has the key can read. Pure: whoever seals is handed a nonce.
//!
//! What is sealed stands where the clear text would: a JSON object that names its key and says what it is
//! ([`Seal`]). It is bound to its [`Place`], so that in another one it cannot be opened. Keys come in a
//! [`Keyring`]: one of them seals, all of them open.

mod form;
mod key;
mod keyring;
mod place;

pub use form::{Nonce24, Seal, Unopened, Why};
pub use key::{BadKeyId, KeyId, SealingKey};
pub use keyring::{BadKeyring, Keyring};
pub use place::{Content, Place};
