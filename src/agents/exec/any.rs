//! Any bytes as what a child says; for fuzzing.

use super::{
    inbound::{self, Inbound},
    lines::Lines,
};
use crate::agents::protocol::{Answer, Refusal};

/// Longer lines are cut.
const LONGEST: usize = 64;

/// Reads `said`, in pieces that end where `cuts` say: the pieces do not change the lines, and each line is read.
pub(crate) fn any_lines(said: &[u8], cuts: &[u8]) {
    let whole = lines(said, &[]);
    assert_eq!(whole, lines(said, cuts), "how a pipe cuts it does not matter");
    for line in whole.iter().flatten() {
        inbound::read(line, |inbound| {
            if let Inbound::Garbage { why, .. } = inbound {
                assert!(!why.is_empty());
            }
        });
        _ = (Answer::read(line), Refusal::read(line));
    }
}

/// The lines of `said`; none once one is too long, for that is the end of a child.
fn lines(mut said: &[u8], cuts: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut lines, mut heard, mut cuts) = (Lines::at_most(LONGEST), Vec::new(), cuts.iter());
    while !said.is_empty() {
        let length = cuts.next().map_or(said.len(), |cut| usize::from(*cut) + 1).min(said.len());
        let (piece, rest) = said.split_at(length);
        lines.room().extend_from_slice(piece);
        if lines.each(|line| heard.push(line.to_vec())).is_err() {
            lines.cut();
            return None;
        }
        said = rest;
    }
    lines.last(|line| heard.push(line.to_vec()));
    Some(heard)
}
