//! What an agent says of itself may quote what it was sent: secrets are taken out of it again.

use std::fmt;

/// The secrets of one agent.
#[derive(Clone, Default)]
pub(super) struct Redaction(Vec<String>);

impl Redaction {
    /// Shorter words are not secret, and would be found everywhere.
    const SHORTEST_WORD: usize = 6;
    const SHORTEST_LINE: usize = 4;
    const INSTEAD: &'static str = "[secret]";

    /// Hides every value, and every word of it: `Bearer abc…` is also quoted as `abc…`.
    pub(super) fn of_words<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let parts = |value: &'v str| std::iter::once(value).chain(value.split([' ', '=', '&']));
        Self::of(values.into_iter().flat_map(parts), Self::SHORTEST_WORD)
    }

    /// Hides every value, and every line of it: a log is written by lines.
    pub(super) fn of_lines<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let parts = |value: &'v str| std::iter::once(value).chain(value.lines().map(str::trim));
        Self::of(values.into_iter().flat_map(parts), Self::SHORTEST_LINE)
    }

    fn of<'v>(parts: impl Iterator<Item = &'v str>, shortest: usize) -> Self {
        let mut secrets: Vec<_> = parts.filter(|part| part.len() >= shortest).map(str::to_owned).collect();
        // A longer one may hold a shorter one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// `text` without them.
    pub(super) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, Self::INSTEAD))
    }

    /// The beginning of `text` without them, at most so many characters.
    pub(super) fn excerpt(&self, text: &str, most: usize) -> String {
        let mut text = self.apply(text);
        if let Some((end, _)) = text.char_indices().nth(most) {
            text.truncate(end);
            text.push('…');
        }
        text
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
        assert_eq!(said, "unknown token [secret], [secret], [secret], then en");
        assert!(!format!("{redaction:?}").contains("s3cret"));
    }

    #[test]
    fn a_value_of_many_lines_is_hidden_in_each_of_them_and_one_that_begins_like_another_whole() {
        let redaction = Redaction::of_lines(["-- BEGIN --\n  pa55\n", "token", "token-2"]);
        assert_eq!(redaction.apply("-- BEGIN --, then pa55"), "[secret], then [secret]");
        assert_eq!(redaction.apply("token token-2"), "[secret] [secret]");
    }

    #[test]
    fn what_is_cut_off_is_no_part_of_a_secret() {
        let redaction = Redaction::of_lines(["hunter2hunter2"]);
        assert_eq!(redaction.excerpt("it is hunter2hunter2", 12), "it is [secre…");
        assert_eq!(redaction.excerpt("üü", 2), "üü");
    }
}
