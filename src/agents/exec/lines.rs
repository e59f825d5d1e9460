//! Lines out of whatever pieces a pipe delivers.

/// How much room there is for one read.
const READ: usize = 64 << 10;

/// What was read and is not a whole line yet.
#[derive(Debug)]
pub(super) struct Lines {
    read: Vec<u8>,
    searched: usize,
    longest: usize,
}

/// A line is longer than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Nothing read; no line may be longer than `longest` bytes.
    pub(super) fn at_most(longest: usize) -> Self {
        Self { read: Vec::new(), searched: 0, longest }
    }

    /// Where the next piece is to be appended.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.read.reserve(READ);
        &mut self.read
    }

    /// Hands out the lines that are whole, without their ends; a blank one is none.
    pub(super) fn each(&mut self, mut hear: impl FnMut(&[u8])) -> Result<(), TooLong> {
        let mut start = 0;
        while let Some(length) = self.read[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + length;
            if end - start > self.longest {
                return Err(TooLong);
            }
            hear_line(&self.read[start..end], &mut hear);
            (start, self.searched) = (end + 1, end + 1);
        }
        self.read.drain(..start);
        self.searched = self.read.len();
        if self.searched > self.longest { Err(TooLong) } else { Ok(()) }
    }

    /// What came last, if it was left without an end.
    pub(super) fn last(self, mut hear: impl FnMut(&[u8])) {
        hear_line(&self.read, &mut hear);
    }

    /// Lets go of what cannot become a line, up to and including its end.
    pub(super) fn cut(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.read)
    }
}

fn hear_line(line: &[u8], hear: &mut impl FnMut(&[u8])) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        hear(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&str]) -> Vec<String> {
        let (mut lines, mut heard) = (Lines::at_most(10), Vec::new());
        let mut hear = |line: &[u8]| heard.push(String::from_utf8(line.to_vec()).unwrap());
        for piece in pieces {
            lines.room().extend_from_slice(piece.as_bytes());
            lines.each(&mut hear).unwrap();
        }
        lines.last(hear);
        heard
    }

    #[test]
    fn lines_come_out_whole_whatever_pieces_they_arrive_in() {
        let whole = ["one", "two", "three"];
        assert_eq!(heard(&["one\ntwo\r\n\n \nthree\n"]), whole);
        assert_eq!(heard(&["o", "ne\nt", "wo\nthr", "", "ee"]), whole);
    }

    #[test]
    fn a_line_that_never_ends_is_noticed_before_it_fills_the_memory() {
        let mut lines = Lines::at_most(10);
        lines.room().extend_from_slice(b"1234567890");
        assert_eq!(lines.each(|_| ()), Ok(()));
        lines.room().push(b'x');
        assert_eq!(lines.each(|_| ()), Err(TooLong));
        let mut lines = Lines::at_most(10);
        lines.room().extend_from_slice(b"ok\n12345678901\n");
        assert_eq!(lines.each(|_| ()), Err(TooLong));
    }
}
