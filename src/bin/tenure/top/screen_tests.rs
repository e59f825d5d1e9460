use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use tenure::model::{Millis, Status};

use super::*;
use crate::{
    failure::Failure,
    top::snapshot::{Failovers, Lag, Oldest, Server, Sessions},
};

const NOON: Millis = Millis(1_767_268_800_000);

fn worker(n: usize, state: MemberState) -> WorkerRow {
    WorkerRow {
        worker: format!("web-{n}-9f3c0a12").parse().unwrap(),
        pool: "default".parse().unwrap(),
        agents: vec!["echo".parse().unwrap(), "support".parse().unwrap()],
        state,
        sessions: 400 + n,
        running: n,
        capacity: 10_000,
        turns_per_second: (n > 0).then_some(4.25 * n as f64),
        since: Time(Millis(NOON.0 - 7_500_000)),
    }
}

fn seen(workers: usize) -> Seen {
    let state = |n| if n == 1 { MemberState::Draining } else { MemberState::Ready };
    Seen {
        workers: (0..workers).map(|n| worker(n, state(n))).collect(),
        sessions: Sessions {
            total: 1_234,
            owned: 803,
            running: 3,
            ready: 12,
            sampled: 1_000,
            status: [(Status::Idle, 900), (Status::Waiting, 99), (Status::Quarantined, 1)].into(),
        },
        turns_per_second: Some(812.4),
        failovers: Failovers {
            seen: 1,
            sessions: 400,
            recent: vec![Death { worker: "web-9-1d".parse().unwrap(), time: Time(NOON) }],
        },
        lag: Lag {
            ready_ms: Some(65_300),
            timers_ms: Some(80),
            overdue: 2,
            replies_ms: None,
            door_ms: Some(1_500),
            upkeep_ms: Some(104),
            pass_ms: Some(31_000),
            unkept: 0,
        },
        queues: vec![QueueRow {
            pool: "gpu".parse().unwrap(),
            agent: "draw".parse().unwrap(),
            sessions: 12,
            oldest_ms: 65_300,
            served: false,
        }],
        oldest: Some(Oldest { session: "draw/cat".parse().unwrap(), waiting_ms: 65_300 }),
        door: 3,
        no_door: None,
        dead: 2,
        server: Server {
            memory_bytes: 12_300_000,
            memory_limit_bytes: Some(2_000_000_000),
            operations_per_second: 5_321,
            clients: 34,
        },
    }
}

fn look(seen: Option<Seen>, problem: Option<&str>) -> Snapshot {
    let problem = problem.map(|line| Problem { line: line.to_owned(), failure: Failure::NobodyReads });
    Snapshot { time: Time(NOON), problem, seen }
}

fn drawn(screen: &Screen, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width));
    let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    rows.map(row).map(|row| row.trim_end().to_owned() + "\n").collect()
}

fn screen(coloured: bool, looks: impl IntoIterator<Item = Snapshot>) -> Screen {
    let mut screen = Screen::new("redis://127.0.0.1:6379  namespace default", coloured);
    looks.into_iter().for_each(|look| screen.take(look));
    screen
}

#[test]
fn a_fleet_fits_on_a_screen() {
    let screen = screen(false, [look(Some(seen(3)), None)]);
    insta::assert_snapshot!(text(&drawn(&screen, 120, 24)));
}

#[test]
fn without_an_answer_what_was_seen_stays_and_is_said_to_be_old() {
    let screen = screen(false, [look(Some(seen(1)), None), look(None, Some("the server did not answer"))]);
    insta::assert_snapshot!(text(&drawn(&screen, 110, 20)));
}

#[test]
fn before_the_first_answer_nothing_is_claimed() {
    let screen = screen(false, [look(None, Some("the server did not answer"))]);
    let text = text(&drawn(&screen, 100, 10));
    assert!(
        text.contains("nothing seen since 2026-01-01T12:00:00.000Z: the server did not answer\n"),
        "{text}"
    );
    assert!(!text.contains("ready") && !text.contains("sessions"), "{text}");
}

#[test]
fn an_answer_ends_the_problem() {
    let screen = screen(false, [look(None, Some("gone")), look(Some(seen(1)), None)]);
    assert!(!text(&drawn(&screen, 100, 20)).contains("gone"));
}

#[test]
fn workers_for_whom_there_is_no_room_are_counted() {
    let screen = screen(false, [look(Some(seen(50)), None)]);
    let text = text(&drawn(&screen, 120, 24));
    assert!(text.contains("web-0-9f3c0a12") && text.contains("and 44 more"), "{text}");
}

#[test]
fn no_size_of_a_terminal_breaks_it() {
    let screen = screen(true, [look(Some(seen(3)), Some("x"))]);
    for width in [1, 2, 7, 20, 79, 300] {
        for height in [1, 2, 3, 5, 11, 100] {
            drawn(&screen, width, height);
        }
    }
}

#[test]
fn states_are_coloured_as_elsewhere_and_only_if_that_is_wanted() {
    let colours = |coloured| {
        let buffer = drawn(&screen(coloured, [look(Some(seen(3)), None)]), 120, 24);
        let colours: std::collections::BTreeSet<_> =
            buffer.content.iter().map(|cell| format!("{:?}", cell.fg)).collect();
        colours.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(colours(false), ["Reset"]);
    assert_eq!(colours(true), ["Green", "Red", "Reset", "Yellow"]);
}
