//! Keys by name: the first seals, all of them open.

use std::sync::Arc;

use super::{KeyId, SealingKey};
use crate::model::Group;

/// The keys that a process has; none, as a rule. Cheap to clone; shows their names and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<[SealingKey]>);

/// Why a text is no keyring. Never says what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyring {
    /// A line is not `ID KEY [group=NAME]`.
    #[error("line {0} is not `ID KEY` or `ID KEY group=NAME`: `tenure seal-key` prints such a line")]
    Line(usize),
    /// What stands for a key is not one.
    #[error("line {0}: the key is not 32 bytes in base64: `tenure seal-key` makes one")]
    Key(usize),
    /// Two keys have one name.
    #[error("line {0}: there is a key {1} already: every key has an id of its own")]
    Twice(usize, KeyId),
    /// Two keys seal for one group.
    #[error("line {0}: group {1} has a key already: its older keys stand without `group=`, below the first")]
    Group(usize, Group),
    /// There is a key, but none that seals what belongs to no group.
    #[error("no line stands without `group=`: that key seals what belongs to no group, and all mail")]
    NoFirst,
}

impl Keyring {
    /// Reads a keyring: a key a line, `ID KEY` or `ID KEY group=NAME`, where KEY is 32 bytes in base64. Empty lines and
    /// those that begin with `#` are left out. Of the keys without a group the first seals; a group's key seals what
    /// workers write for sessions of that group; all of them open.
    pub fn parse(text: &str) -> Result<Self, BadKeyring> {
        let mut keys = Vec::<SealingKey>::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = read(number, line)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(BadKeyring::Twice(number, key.id));
            }
            if let Some(group) =
                key.group.clone().filter(|_| keys.iter().any(|known| known.group == key.group))
            {
                return Err(BadKeyring::Group(number, group));
            }
            keys.push(key);
        }
        let keyring = Self(keys.into());
        if keyring.is_empty() || keyring.first().is_some() { Ok(keyring) } else { Err(BadKeyring::NoFirst) }
    }

    /// Whether there is no key: then nothing is sealed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What seals for a session of `group`.
    pub fn sealing(&self, group: Option<&Group>) -> Option<&SealingKey> {
        let own = group.and_then(|group| self.0.iter().find(|key| key.group.as_ref() == Some(group)));
        own.or_else(|| self.first())
    }

    /// Whether some group has a key of its own.
    pub fn has_groups(&self) -> bool {
        self.0.iter().any(|key| key.group.is_some())
    }

    /// The key of this name.
    pub fn get(&self, id: &KeyId) -> Option<&SealingKey> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.iter()
    }

    fn first(&self) -> Option<&SealingKey> {
        self.0.iter().find(|key| key.group.is_none())
    }
}

fn read(number: usize, line: &str) -> Result<SealingKey, BadKeyring> {
    let bad = || BadKeyring::Line(number);
    let mut words = line.split_ascii_whitespace();
    let (Some(id), Some(key)) = (words.next(), words.next()) else { return Err(bad()) };
    let group = words.next().map(|word| word.strip_prefix("group=").ok_or_else(bad)).transpose()?;
    let group = group.map(|group| group.parse().map_err(|_| bad())).transpose()?;
    if words.next().is_some() {
        return Err(bad());
    }
    let id = id.parse().map_err(|_| bad())?;
    SealingKey::new(id, group, key).ok_or(BadKeyring::Key(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn id(keyring: &Keyring, group: Option<&str>) -> String {
        let group = group.map(|group| group.parse().unwrap());
        keyring.sealing(group.as_ref()).unwrap().id().to_string()
    }

    #[test]
    fn the_first_key_seals_a_groups_own_seals_for_it_and_all_are_found() {
        let text = format!("# shop\n\n shop-1 {TWO} group=shop\nk2 {ONE}\nk1 {TWO}\n");
        let keyring = Keyring::parse(&text).unwrap();
        assert_eq!([id(&keyring, None), id(&keyring, Some("other"))], ["k2", "k2"]);
        assert_eq!(id(&keyring, Some("shop")), "shop-1");
        assert!(keyring.has_groups() && keyring.get(&"k1".parse().unwrap()).is_some());
        assert!(Keyring::parse("\n# none\n").unwrap().sealing(None).is_none());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_nothing_of_it_is_repeated() {
        let given = [
            (format!("k1 {ONE}\nk2"), BadKeyring::Line(2)),
            (format!("k1 {ONE} shop"), BadKeyring::Line(1)),
            (format!("k/1 {ONE}"), BadKeyring::Line(1)),
            (format!("k1 {ONE} group=a b"), BadKeyring::Line(1)),
            ("k1 c2hvcnQ=".to_owned(), BadKeyring::Key(1)),
            (format!("k1 {ONE}\nk1 {TWO}"), BadKeyring::Twice(2, "k1".parse().unwrap())),
            (format!("k1 {ONE} group=a"), BadKeyring::NoFirst),
            (format!("k1 {ONE} group=a\nk2 {TWO} group=a"), BadKeyring::Group(2, "a".parse().unwrap())),
        ];
        for (text, expected) in given {
            let found = Keyring::parse(&text).unwrap_err();
            assert_eq!(found, expected);
            assert!(!found.to_string().contains("AAEC") && !found.to_string().contains("c2hv"));
        }
    }

    #[test]
    fn a_keyring_shows_names_alone() {
        let keyring = Keyring::parse(&format!("k1 {ONE}")).unwrap();
        assert_eq!(format!("{keyring:?}"), "Keyring([SealingKey(k1)])");
    }
}
