//! `top` on a terminal: looks come in and are drawn, keys come in and are obeyed, and the terminal is left as it was.

use std::{io, pin::pin, thread, time::Duration};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{gather::Gatherer, screen::Screen, snapshot::Problem};
use crate::{
    colour,
    failure::{Exit, Failure},
};

/// What somebody did at the terminal.
enum Input {
    Leave,
    /// It has another size.
    Resized,
}

/// Shows what `gatherer` sees until somebody leaves, or there were `count` looks.
pub(super) async fn show(
    gatherer: Gatherer,
    every: Duration,
    count: Option<u64>,
    title: &str,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut screen = Screen::new(title, colour::on_stdout());
    let mut terminal = Fullscreen::open()?;
    let mut inputs = listen();
    let (sender, mut looks) = mpsc::channel(1);
    let mut gathering = pin!(gatherer.run(every, sender));
    let mut left = count;
    while left != Some(0) {
        terminal.0.draw(|frame| screen.draw(frame))?;
        tokio::select! {
            biased;
            _ = terminate.recv() => return Err(Failure::new(Exit::Failed, "told to end: start it again to go on")),
            input = inputs.recv() => match input {
                Some(Input::Resized) => (),
                // Without a keyboard nobody could leave.
                Some(Input::Leave) | None => return Ok(()),
            },
            // Cancel-safe: a look is taken or stays.
            Some(look) = looks.recv() => {
                // To who may not look there will be nothing to see.
                if let Some(Problem { failure: failure @ Failure::Said(Exit::Refused, _), .. }) = look.problem {
                    return Err(failure);
                }
                screen.take(look);
                left = left.map(|left| left - 1);
            }
            never = &mut gathering => match never {},
        }
    }
    Ok(())
}

/// The terminal, taken whole. It is given back at the end, however that comes: a panic's message is printed after that.
struct Fullscreen(DefaultTerminal);

impl Fullscreen {
    fn open() -> io::Result<Self> {
        // A half-taken one is given back too.
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }
}

impl Drop for Fullscreen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is done at the terminal from now on. It is read by a thread of its own, which ends with the process.
fn listen() -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(16);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(input) = Input::of(&event) else { continue };
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    inputs
}

impl Input {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Resize(..) => Some(Self::Resized),
            Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) => {
                let leaves = match code {
                    KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
                    KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
                    _ => false,
                };
                leaves.then_some(Self::Leave)
            }
            _ => None,
        }
    }
}
