//! What an agent says of itself may quote what it was sent: secrets are taken out of it again.

use std::fmt;

/// The secrets of one agent.
#[derive(Clone, Default)]
pub(super) struct Redaction(Vec<String>);

impl Redaction {
    /// Shorter words are not secret, and would be found everywhere.
    const SHORTEST: usize = 6;
    const INSTEAD: &'static str = "[secret]";

    /// Hides every value, and every word of it: `Bearer abc…` is also quoted as `abc…`.
    pub(super) fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let long = |part: &&str| part.len() >= Self::SHORTEST;
        let parts = |value: &'v str| std::iter::once(value).chain(value.split([' ', '=', '&']));
        let mut secrets: Vec<_> =
            values.into_iter().flat_map(parts).filter(long).map(str::to_owned).collect();
        // A longer one may hold a shorter one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// `text` without them.
    pub(super) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, Self::INSTEAD))
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_secret_is_hidden_whole_or_in_part_and_short_words_stay() {
        let redaction = Redaction::of(["Bearer s3cret-token", "key=pa55word", "en"]);
        let said = redaction.apply("unknown token s3cret-token, Bearer s3cret-token, pa55word, then en");
        assert_eq!(said, "unknown token [secret], [secret], [secret], then en");
        assert!(!format!("{redaction:?}").contains("s3cret"));
    }
}
