//! The screen, drawn from what was seen and nothing else.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table},
};
use tenure::{model::AgentName, store::MemberState};

use super::snapshot::{Death, Problem, QueueRow, Seen, Snapshot, WorkerRow};
use crate::{colour, output::Time};

/// How many queues are shown at most; the JSON has all.
const MOST_QUEUES: usize = 6;

/// Rows of the summary.
const SUMMARY: u16 = 7;

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    title: String,
    coloured: bool,
    /// What was seen last, and when.
    seen: Option<(Time, Seen)>,
    /// Why nothing newer is known, and since when.
    problem: Option<(Time, Problem)>,
}

impl Screen {
    pub(super) fn new(title: &str, coloured: bool) -> Self {
        Self { title: title.to_owned(), coloured, seen: None, problem: None }
    }

    /// Takes in one more look. Without an answer what was seen before stays, and is said to be old.
    pub(super) fn take(&mut self, Snapshot { time, problem, seen }: Snapshot) {
        self.problem = problem.map(|problem| match self.problem.take() {
            Some((since, _)) => (since, problem),
            None => (time, problem),
        });
        if let Some(seen) = seen {
            self.seen = Some((time, seen));
        }
    }

    /// Draws all of it, as far as there is room.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let (queues, deaths) = match &self.seen {
            Some((_, seen)) => (seen.queues.len().min(MOST_QUEUES), seen.failovers.recent.len()),
            None => (0, 0),
        };
        let below = |rows: usize| Constraint::Length(if rows == 0 { 0 } else { rows as u16 + 2 });
        let heights = [
            Constraint::Length(2),
            Constraint::Length(SUMMARY),
            Constraint::Min(3),
            below(queues),
            below(deaths),
            Constraint::Length(1),
        ];
        let [head, summary, workers, waiting, dead, foot] = Layout::vertical(heights).areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        frame.render_widget(Line::styled("q leaves", self.style(dimmed())), foot);
        let Some((now, seen)) = &self.seen else { return };
        frame.render_widget(Paragraph::new(self.summary(seen)), summary);
        self.workers(frame, workers, &seen.workers, *now);
        self.queues(frame, waiting, &seen.queues);
        self.deaths(frame, dead, &seen.failovers.recent);
    }

    fn head(&self) -> Vec<Line<'_>> {
        let name = Span::styled("tenure top", self.style(bold()));
        let title = Line::from(vec![name, format!("  {}", self.title).into()]);
        let second = match (&self.problem, &self.seen) {
            (Some((since, problem)), seen) => {
                let known = if seen.is_some() { "; below is what was seen before" } else { "" };
                let line = format!("nothing seen since {since}: {}{known}", problem.line);
                Line::styled(line, self.style(Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)))
            }
            (None, Some((time, _))) => Line::styled(time.to_string(), self.style(dimmed())),
            (None, None) => Line::styled("looking…", self.style(dimmed())),
        };
        vec![title, second]
    }

    fn summary(&self, seen: &Seen) -> Vec<Line<'_>> {
        let Seen { sessions, lag, failovers, server, .. } = seen;
        let ready = seen.workers.iter().filter(|worker| worker.state == MemberState::Ready).count();
        let draining = seen.workers.len() - ready;
        let oldest = seen.oldest.as_ref().map(|oldest| format!(", {} longest", oldest.session));
        let no_door = seen.no_door.as_ref().map(|key| format!("   {key} is no stream"));
        let memory = match server.memory_limit_bytes {
            Some(limit) => format!("{} of {}", bytes(server.memory_bytes), bytes(limit)),
            None => bytes(server.memory_bytes),
        };
        vec![
            self.line(
                "workers",
                format!(
                    "{ready} ready, {draining} draining   turns/s {}   failovers {} ({} sessions taken over)",
                    rate(seen.turns_per_second),
                    failovers.seen,
                    failovers.sessions
                ),
            ),
            self.line(
                "sessions",
                format!(
                    "{}   owned {}   running {}   want an owner {}   dead letters {}",
                    sessions.total, sessions.owned, sessions.running, sessions.ready, seen.dead
                ),
            ),
            self.statuses(seen),
            self.line(
                "lag",
                format!(
                    "owner {}{}   timers {} ({} due)   replies {}   door {} ({} entries){}",
                    age(lag.ready_ms),
                    oldest.unwrap_or_default(),
                    age(lag.timers_ms),
                    lag.overdue,
                    age(lag.replies_ms),
                    age(lag.door_ms),
                    seen.door,
                    no_door.unwrap_or_default()
                ),
            ),
            self.line(
                "upkeep",
                format!(
                    "every {}   pass over the index {}   partitions unkept {}",
                    age(lag.upkeep_ms),
                    age(lag.pass_ms),
                    lag.unkept
                ),
            ),
            self.line(
                "redis",
                format!(
                    "{memory}   {} commands/s   {} connections",
                    server.operations_per_second, server.clients
                ),
            ),
        ]
    }

    fn statuses(&self, seen: &Seen) -> Line<'_> {
        let of = match seen.sessions.sampled as u64 {
            all if all >= seen.sessions.total => "of all".to_owned(),
            sampled => format!("of {sampled} looked at last"),
        };
        let mut spans = vec![self.label("status"), of.into()];
        for (status, count) in &seen.sessions.status {
            let word = status.to_string();
            let style = self.state_style(&word);
            spans.extend(["   ".into(), Span::styled(word, style), format!(" {count}").into()]);
        }
        Line::from(spans)
    }

    fn workers(&self, frame: &mut Frame<'_>, area: Rect, workers: &[WorkerRow], now: Time) {
        let columns =
            ["WORKER", "STATE", "POOL", "AGENTS", "SESSIONS", "RUNNING", "CAPACITY", "TURNS/S", "UP"];
        let widths = [
            Constraint::Fill(3),
            Constraint::Length(8),
            Constraint::Fill(1),
            Constraint::Fill(2),
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(7),
        ];
        let room = usize::from(area.height.saturating_sub(1));
        let shown = if workers.len() > room { room.saturating_sub(1) } else { workers.len() };
        let mut rows: Vec<_> = workers[..shown].iter().map(|worker| self.worker(worker, now)).collect();
        if shown < workers.len() {
            rows.push(Row::new([format!("and {} more", workers.len() - shown)]));
        }
        frame.render_widget(Table::new(rows, widths).header(self.header(&columns)), area);
    }

    fn worker<'w>(&self, worker: &'w WorkerRow, now: Time) -> Row<'w> {
        let state = match worker.state {
            MemberState::Ready => "ready",
            MemberState::Draining => "draining",
        };
        let agents: Vec<_> = worker.agents.iter().map(AgentName::as_str).collect();
        let up = now.0.0.saturating_sub(worker.since.0.0);
        Row::new([
            Cell::from(worker.worker.as_str()),
            Cell::from(Span::styled(state, self.state_style(state))),
            Cell::from(worker.pool.as_str()),
            Cell::from(agents.join(",")),
            Cell::from(worker.sessions.to_string()),
            Cell::from(worker.running.to_string()),
            Cell::from(worker.capacity.to_string()),
            Cell::from(rate(worker.turns_per_second)),
            Cell::from(age(Some(up))),
        ])
    }

    fn queues(&self, frame: &mut Frame<'_>, area: Rect, queues: &[QueueRow]) {
        let rows = queues.iter().take(MOST_QUEUES).map(|queue| {
            let note = if queue.served { "" } else { "no worker of this pool takes them" };
            Row::new([
                queue.pool.to_string(),
                queue.agent.to_string(),
                queue.sessions.to_string(),
                age(Some(queue.oldest_ms)),
                note.to_owned(),
            ])
        });
        let widths = [
            Constraint::Length(16),
            Constraint::Length(24),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Min(0),
        ];
        let header = self.header(&["WANT AN OWNER", "AGENT", "SESSIONS", "LONGEST", ""]);
        frame.render_widget(Table::new(rows, widths).header(header), area);
    }

    fn deaths(&self, frame: &mut Frame<'_>, area: Rect, deaths: &[Death]) {
        let rows = deaths.iter().map(|death| Row::new([death.time.to_string(), death.worker.to_string()]));
        let header = self.header(&["FOUND DEAD", "WORKER"]);
        let widths = [Constraint::Length(24), Constraint::Min(0)];
        frame.render_widget(Table::new(rows, widths).header(header), area);
    }

    fn header<'c>(&self, columns: &[&'c str]) -> Row<'c> {
        Row::new(columns.iter().copied().map(Cell::from).collect::<Vec<_>>()).style(self.style(bold()))
    }

    fn line(&self, label: &'static str, text: String) -> Line<'_> {
        Line::from(vec![self.label(label), text.into()])
    }

    fn label(&self, label: &'static str) -> Span<'_> {
        Span::styled(format!("{label:<10}"), self.style(dimmed()))
    }

    fn style(&self, style: Style) -> Style {
        if self.coloured { style } else { Style::new() }
    }

    fn state_style(&self, word: &str) -> Style {
        self.style(as_on_a_line(colour::of_state(word)))
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dimmed() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The style that the same word has in a table of another command.
fn as_on_a_line(style: anstyle::Style) -> Style {
    let colour = match style.get_fg_color() {
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Green)) => Color::Green,
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Cyan)) => Color::Cyan,
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Yellow)) => Color::Yellow,
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Red)) => Color::Red,
        _ => Color::Reset,
    };
    let effects = style.get_effects();
    let bold = if effects.contains(anstyle::Effects::BOLD) { Modifier::BOLD } else { Modifier::empty() };
    let dim = if effects.contains(anstyle::Effects::DIMMED) { Modifier::DIM } else { Modifier::empty() };
    Style::new().fg(colour).add_modifier(bold | dim)
}

fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

fn age(ms: Option<u64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 1_000 => format!("{ms}ms"),
        Some(ms) if ms < 60_000 => format!("{:.1}s", ms as f64 / 1e3),
        Some(ms) if ms < 3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
        Some(ms) => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
