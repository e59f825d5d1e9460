//! The line that a person writes, with editing and the lines before it.

use std::io;

use rustyline::{DefaultEditor, error::ReadlineError};

use crate::failure::{Exit, Failure};

/// What stands before a line.
const SIGN: &str = "you> ";

/// A line editor that remembers what was written.
pub(super) struct Prompt(DefaultEditor);

impl Prompt {
    /// A prompt that remembers `past`, oldest first.
    pub(super) fn remembering(past: Vec<String>) -> Result<Self, Failure> {
        let mut editor = DefaultEditor::new().map_err(|err| broken(&err))?;
        for line in past {
            remember(&mut editor, &line)?;
        }
        Ok(Self(editor))
    }

    /// The next line that says something, and the prompt for the one after it; none at the end.
    pub(super) async fn next(self) -> Result<Option<(String, Self)>, Failure> {
        // Reading a terminal blocks. If this future is dropped the thread ends with the process.
        let read = tokio::task::spawn_blocking(move || self.read());
        read.await.expect("the line editor does not panic")
    }

    fn read(mut self) -> Result<Option<(String, Self)>, Failure> {
        let mut interrupted = false;
        loop {
            match self.0.readline(SIGN) {
                Ok(line) if line.trim().is_empty() => interrupted = false,
                Ok(line) => {
                    remember(&mut self.0, &line)?;
                    return Ok(Some((line, self)));
                }
                Err(ReadlineError::Interrupted) if !interrupted => {
                    eprintln!("(Ctrl-D, or Ctrl-C again, ends)");
                    interrupted = true;
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(None),
                Err(err) => return Err(broken(&err)),
            }
        }
    }
}

fn remember(editor: &mut DefaultEditor, line: &str) -> Result<(), Failure> {
    editor.add_history_entry(line).map_err(|err| broken(&err)).map(drop)
}

fn broken(err: &ReadlineError) -> Failure {
    match err {
        ReadlineError::Io(err) if err.kind() == io::ErrorKind::InvalidData => {
            Failure::new(Exit::Usage, "a line is not UTF-8: give text")
        }
        err => Failure::new(Exit::Failed, format!("the terminal cannot be read: {err}: use a pipe")),
    }
}
