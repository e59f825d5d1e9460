//! What was measured, for a reader and for `--json`.

use std::{fs, path::Path};

use serde::Serialize;

use super::cost::Cost;
use crate::{failure::Failure, output};

/// What `--json` prints of each number in flight.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) bench: &'static str,
    pub(super) masters: usize,
    pub(super) in_flight: usize,
    pub(super) messages: usize,
    pub(super) rounds: usize,
    /// On a server by itself.
    pub(super) server: Cost,
    /// On a cluster of one master.
    pub(super) one: Cost,
    /// On the cluster of all.
    pub(super) cluster: Cost,
    /// The cost of a turn on that cluster over that on the cluster of one, in the same round.
    pub(super) ratio: f64,
    /// The same over the server by itself.
    pub(super) ratio_to_server: f64,
    /// What neither may exceed.
    pub(super) bar: f64,
    pub(super) ok: bool,
}

pub(super) const HEADER: [&str; 9] = [
    "IN FLIGHT",
    "MASTERS",
    "TURNS/S",
    "P99",
    "SERVERS/TURN",
    "WORKER/TURN",
    "CLIENT/TURN",
    "SUM/TURN",
    "RATIO",
];

impl Row {
    pub(super) fn lines(&self) -> [[String; 9]; 3] {
        let missed = if self.ok { "" } else { "MISSED " };
        let (one, server) = (self.ratio, self.ratio_to_server);
        let ratio = format!("{missed}{one} over one, {server} over a server; bar {}", self.bar);
        let nothing = output::or_dash(None::<String>);
        [
            self.line("a server".to_owned(), &self.server, nothing.clone()),
            self.line("1".to_owned(), &self.one, nothing),
            self.line(self.masters.to_string(), &self.cluster, ratio),
        ]
    }

    fn line(&self, masters: String, cost: &Cost, ratio: String) -> [String; 9] {
        let time = |us: f64| format!("{us} µs");
        [
            self.in_flight.to_string(),
            masters,
            format!("{:.0}", cost.figures.turns_per_second),
            format!("{} ms", cost.figures.p99_ms),
            time(cost.figures.server_us_per_turn),
            output::or_dash(cost.figures.worker_us_per_turn.map(time)),
            time(cost.client_us_per_turn),
            time(cost.us_per_turn),
            ratio,
        ]
    }
}

/// Writes the table in Markdown, under a line that says what it was measured on.
pub(super) fn write(rows: &[Row], setting: &str, file: &Path) -> Result<(), Failure> {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{setting}\n\n");
    text += &line(&HEADER.map(str::to_lowercase));
    text += &line(&HEADER.map(|_| "---".to_owned()));
    rows.iter().flat_map(Row::lines).for_each(|cells| text += &line(&cells));
    Ok(fs::write(file, text)?)
}
