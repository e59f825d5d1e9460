//! What an agent says of itself may quote what it was given: secrets are taken out of it again.

use std::{fmt, iter, sync::Arc};

/// The secrets of one agent.
#[derive(Clone, Default)]
pub(super) struct Redaction(Arc<[String]>);

impl Redaction {
    /// A shorter value is no secret, and would be struck out of every other word.
    const SHORTEST: usize = 4;
    /// Nor is a shorter part of one.
    const SHORTEST_WORD: usize = 6;
    const INSTEAD: &'static str = "***";

    /// Hides every value.
    pub(super) fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let long = |value: &&str| value.len() >= Self::SHORTEST;
        let mut secrets: Vec<_> = values.into_iter().filter(long).map(str::to_owned).collect();
        // A longer one may hold a shorter one.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets.into())
    }

    /// Hides every value, and every word of it: `Bearer abc…` is also quoted as `abc…`.
    pub(super) fn of_words<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let words = |value: &'v str| value.split([' ', '=', '&']).filter(Self::long_word);
        Self::of(values.into_iter().flat_map(|value| iter::once(value).chain(words(value))))
    }

    fn long_word(word: &&str) -> bool {
        word.len() >= Self::SHORTEST_WORD
    }

    /// `text` without them, on one line, and at most so many characters of it.
    pub(super) fn excerpt(&self, text: &str, most: usize) -> String {
        let text = self.apply(text);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
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
        let redaction = Redaction::of_words(["Bearer s3cret-token", "key=pa55word", "en"]);
        let said = redaction.apply("unknown token s3cret-token, Bearer s3cret-token, pa55word, then en");
        assert_eq!(said, "unknown token ***, ***, ***, then en");
        assert!(!format!("{redaction:?}").contains("s3cret"));
    }

    #[test]
    fn the_words_of_a_value_stay_where_only_values_are_secret() {
        let redaction = Redaction::of(["good morning", "1", "long", "longest"]);
        assert_eq!(redaction.apply("morning, good morning, 1 longest, long"), "morning, ***, 1 ***, ***");
    }
}
