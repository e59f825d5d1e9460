//! `tenure chat` and `tenure dev` as a person meets them: on a terminal.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    command::{RunningWorker, end, on, tenure},
    support::RedisServer,
};

/// How long anything may take to appear.
const SOON_MS: u64 = 30_000;
const UP: &str = "\x1b[A";

/// A command on a terminal of its own.
struct Terminal(PtySession);

impl Terminal {
    fn run(mut command: Command) -> Self {
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        // The terminal takes the place of what the test gave.
        command.stdin(std::process::Stdio::inherit());
        Self(spawn_command(command, Some(SOON_MS)).expect("it starts on a terminal"))
    }

    fn sees(&mut self, text: &str) -> String {
        // What is read comes a byte a character.
        let bytes: String = text.bytes().map(char::from).collect();
        self.0.exp_string(&bytes).unwrap_or_else(|err| panic!("not seen: {text:?}: {err}"))
    }

    fn types(&mut self, text: &str) {
        self.0.send(text).and_then(|_| self.0.flush()).expect("it can be typed");
    }

    fn presses(&mut self, control: char) {
        self.0.send_control(control).expect("it can be pressed");
    }

    /// Waits until it has ended, with exit code 0.
    fn ends_well(mut self) {
        self.0.exp_eof().expect("it ends");
        let status = self.0.process().wait().expect("our own child can be awaited");
        // Its type has no name here, but a form: `Exited(Pid(1), 0)`.
        let status = format!("{status:?}");
        assert!(status.starts_with("Exited(") && status.ends_with(", 0)"), "{status}");
    }
}

#[test]
fn dev_greets_prompts_replies_recalls_a_line_and_ends_at_ctrl_d() {
    let mut dev = Terminal::run(tenure(&["dev"]));
    dev.sees("echo/dev, embedded in this process: no Redis");
    dev.sees("agents: echo");
    dev.sees("you> ");
    dev.types("hello\r");
    dev.sees("echo> hello\r\n");
    dev.sees("you> ");
    dev.types(UP);
    dev.types(" again\r");
    dev.sees("echo> hello again\r\n");
    dev.sees("you> ");
    dev.presses('d');
    dev.ends_well();
}

#[test]
fn chat_recalls_what_was_said_to_the_session_before_from_anywhere() {
    let server = RedisServer::start();
    let _worker = RunningWorker::start(&server, &[]);
    end(on(&server, &["send", "echo/a", "from elsewhere", "--wait"])).well();
    let mut chat = Terminal::run(on(&server, &["chat", "echo/a"]));
    chat.sees("echo/a of redis://");
    chat.sees("you> ");
    chat.types(UP);
    chat.sees("from elsewhere");
    chat.types("!\r");
    chat.sees("echo> from elsewhere!\r\n");
    chat.sees("you> ");
    chat.presses('d');
    chat.ends_well();
}

#[test]
fn ctrl_c_leaves_the_waiting_and_not_the_message() {
    let server = RedisServer::start();
    let mut chat = Terminal::run(on(&server, &["chat", "echo/a"]));
    chat.sees("you> ");
    chat.types("hello\r");
    chat.sees("waiting…");
    chat.sees("no worker that runs serves the agent echo");
    chat.presses('c');
    chat.sees("stays accepted");
    chat.sees("tenure history echo/a");
    chat.sees("you> ");
    let _worker = RunningWorker::start(&server, &[]);
    chat.types("second\r");
    chat.sees("echo> second\r\n");
    chat.sees("you> ");
    chat.presses('c');
    chat.sees("Ctrl-D, or Ctrl-C again, ends");
    chat.presses('c');
    chat.ends_well();
    let history = end(on(&server, &["history", "echo/a", "--json"])).json();
    let texts: Vec<_> = history.iter().map(|entry| entry["body"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hello", "hello", "second", "second"]);
}

#[test]
fn who_ends_it_by_sigterm_has_the_terminal_back_as_it_was() {
    let dev = tenure(&["dev"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "sh -c 'echo pid=$$.; exec \"$0\" dev' \"$0\"; echo ended $?; stty -a"])
        .arg(dev.get_program());
    let mut shell = Terminal::run(shell);
    shell.sees("pid=");
    let pid = shell.sees(".").parse().unwrap();
    shell.sees("you> ");
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    shell.sees("told to end");
    shell.sees("ended 1");
    shell.sees(" icanon");
    shell.ends_well();
}

#[test]
fn an_error_is_shown_and_the_conversation_goes_on() {
    let mut server = RedisServer::start();
    let mut chat = Terminal::run(on(&server, &["chat", "echo/a", "--timeout", "200ms"]));
    chat.sees("you> ");
    server.kill();
    chat.types("hello\r");
    chat.sees("tenure: ");
    chat.sees("you> ");
    server.restart();
    let _worker = RunningWorker::start(&server, &[]);
    chat.types("again\r");
    chat.sees("echo> again\r\n");
    chat.presses('d');
    chat.ends_well();
}

#[test]
fn a_reply_cannot_command_the_terminal() {
    let mut dev = Terminal::run(tenure(&["dev"]));
    dev.sees("you> ");
    // Ctrl-V takes the next key as it is.
    dev.types("a\x16\x07b\r");
    dev.sees("echo> a\u{fffd}b\r\n");
    dev.presses('d');
    dev.ends_well();
}

#[test]
fn top_shows_the_fleet_lives_through_an_outage_and_leaves_the_terminal_as_it_was() {
    let mut server = RedisServer::start();
    let worker = RunningWorker::start(&server, &["--name", "web"]);
    let mut shell = Command::new("sh");
    let script = "stty cols 120 rows 40; \"$0\" top --every 100ms --timeout 300ms; echo ended $?; stty -a";
    shell.args(["-c", script]).arg(tenure(&[]).get_program()).env("TENURE_REDIS", server.url());
    let mut top = Terminal::run(shell);
    // Only what changes is drawn, word by word: so what is looked for stands where nothing stood before.
    top.sees("namespace");
    top.sees(&worker.id);
    server.kill();
    top.sees("answer:");
    server.restart();
    let _again = RunningWorker::start(&server, &["--name", "again"]);
    top.sees("again");
    top.types("q");
    top.sees("\x1b[?1049l");
    top.sees("ended 0");
    top.sees(" icanon");
    top.ends_well();
}

#[test]
fn top_ends_by_ctrl_c_escape_and_sigterm() {
    for (typed, code) in [("\x03", 0), ("\x1b", 0), ("", 1)] {
        let mut shell = Command::new("sh");
        let script = "stty cols 120 rows 40; sh -c 'echo pid=$$.; exec \"$0\" top --redis redis://127.0.0.1:1 --timeout 200ms' \"$0\"; \
                      echo ended $?; stty -a";
        shell.args(["-c", script]).arg(tenure(&[]).get_program());
        let mut shell = Terminal::run(shell);
        shell.sees("pid=");
        let pid = shell.sees(".").parse().unwrap();
        shell.sees("answer:");
        match typed {
            "" => kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap(),
            typed => shell.types(typed),
        }
        shell.sees("\x1b[?1049l");
        shell.sees(&format!("ended {code}"));
        shell.sees(" icanon");
        shell.ends_well();
    }
}

#[test]
fn a_table_is_coloured_on_a_terminal_unless_that_is_not_wanted() {
    let server = RedisServer::start();
    end(on(&server, &["send", "echo/a", "hello"])).well();
    let on_terminal = |surroundings: &[(&str, &str)]| {
        let mut command = on(&server, &["sessions"]);
        command.env("TERM", "xterm").envs(surroundings.iter().copied());
        command.stdin(std::process::Stdio::inherit());
        let mut session = spawn_command(command, Some(SOON_MS)).expect("it starts on a terminal");
        session.exp_eof().expect("it ends")
    };
    assert!(on_terminal(&[]).contains("\x1b[33mwaiting\x1b[0m"));
    assert!(!on_terminal(&[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!on_terminal(&[("TERM", "dumb")]).contains('\x1b'));
    let mut piped = on(&server, &["sessions"]);
    assert!(!end(on(&server, &["sessions"])).well().contains('\x1b'));
    piped.env("CLICOLOR_FORCE", "1");
    assert!(end(piped).well().contains("\x1b[33mwaiting\x1b[0m"));
}
