//! What happened, a line an event, as it happens.

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tenure::{
    Env,
    model::{SessionId, WorkerName},
    runtime::Moment,
};

use super::summary::Summary;
use crate::{
    colour::{self, painted},
    failure::Failure,
    output,
};

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'e> {
    Ready { worker: &'e WorkerName },
    Claimed { worker: &'e WorkerName, session: &'e SessionId },
    Replied { worker: &'e WorkerName, session: &'e SessionId, turn: usize, reply: &'e str, waited_ms: u128 },
    Killed { worker: &'e WorkerName, session: &'e SessionId, turn: u64 },
    TakenOver { worker: &'e WorkerName, session: &'e SessionId, turn: u64, after_ms: u128 },
    Summary(Summary),
}

/// What `--json` prints.
#[derive(Serialize)]
struct Line<'e> {
    at_ms: u128,
    #[serde(flatten)]
    event: Event<'e>,
}

/// Prints events with the time since the beginning.
pub(super) struct Timeline {
    env: Env,
    began: Moment,
    json: bool,
    coloured: bool,
}

impl Timeline {
    /// Begins now.
    pub(super) fn begin(env: Env, json: bool) -> Self {
        Self { began: env.now(), coloured: colour::on_stdout(), env, json }
    }

    /// Says what is about to be seen, to people.
    pub(super) fn title(&self, text: &str) -> Result<(), Failure> {
        match self.json {
            true => Ok(()),
            false => output::line(format!("{}\n", painted(text, colour::heading(), self.coloured))),
        }
    }

    /// Now, by the clock of the timeline.
    pub(super) fn now(&self) -> Moment {
        self.env.now()
    }

    /// Waits until then, by the same clock.
    pub(super) async fn until(&self, then: Moment) {
        self.env.sleep_until(then).await;
    }

    /// Prints what happens now.
    pub(super) fn add(&self, event: Event<'_>) -> Result<(), Failure> {
        let at = self.now().since(self.began);
        match (self.json, &event) {
            (true, _) => output::json(&Line { at_ms: at.as_millis(), event }),
            (false, Event::Summary(summary)) => summary.print(self.coloured),
            (false, event) => {
                let (worker, session, words, style) = told(event);
                let time =
                    painted(&format!("{:6.2} s", at.as_secs_f64()), Style::new().dimmed(), self.coloured);
                let worker = painted(&format!("{worker:5}"), of_worker(worker), self.coloured);
                let words = painted(&words, style, self.coloured);
                output::line(format!("{time}  {worker}  {session:11}  {words}"))
            }
        }
    }
}

/// Who, which session, what, and how it looks.
fn told<'e>(event: &Event<'e>) -> (&'e str, &'e str, String, Style) {
    let plain = Style::new();
    match event {
        Event::Ready { worker } => (worker.as_str(), "", "ready".to_owned(), plain),
        Event::Claimed { worker, session } => {
            (worker.as_str(), session.as_str(), "claimed".to_owned(), plain)
        }
        Event::Replied { worker, session, turn, reply, .. } => {
            (worker.as_str(), session.as_str(), format!("turn {turn}, counted {reply}"), plain)
        }
        Event::Killed { worker, session, turn } => {
            let red = AnsiColor::Red.on_default().bold();
            (worker.as_str(), session.as_str(), format!("killed in the middle of turn {turn}"), red)
        }
        Event::TakenOver { worker, session, turn, after_ms } => {
            let yellow = AnsiColor::Yellow.on_default().bold();
            let words = format!("taken over after {after_ms} ms, at turn {turn}");
            (worker.as_str(), session.as_str(), words, yellow)
        }
        Event::Summary(_) => ("", "", String::new(), plain),
    }
}

fn of_worker(name: &str) -> Style {
    match name {
        "one" => AnsiColor::Cyan.on_default(),
        "two" => AnsiColor::Magenta.on_default(),
        _ => AnsiColor::Blue.on_default(),
    }
}
