//! Child processes that end with the test, whatever ends it.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

/// A command for `binary`; should the test process be killed, the kernel kills it too.
pub(super) fn guarded(binary: &str) -> Command {
    if has_setpriv() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
        command
    } else {
        Command::new(binary)
    }
}

/// Linux has it (util-linux); elsewhere only `Drop` ends the process.
fn has_setpriv() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let mut probe = Command::new("setpriv");
        probe.args(["--pdeathsig", "KILL", "--", "true"]);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    *FOUND
}

/// The kernel's promise to kill a child is tied to the *thread* that started it. A test's thread
/// may end before its server should, so one thread that lasts as long as the process starts all.
pub(super) fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static ORDERS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in taken {
                // An order whose sender has gone starts nothing that anyone could end.
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                    orphan.kill().and_then(|()| orphan.wait()).expect("our own child can be killed");
                }
            }
        });
        orders
    });
    let (answer, spawned) = mpsc::channel();
    ORDERS.send((command, answer)).expect("the thread lasts");
    spawned.recv().expect("the thread answers every order")
}

/// By the shell's own `kill`, which every Unix has.
pub(super) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "sh", name, &pid.to_string()])
        .status()
        .expect("there is a shell");
    assert!(sent.success(), "cannot send SIG{name} to {pid}");
}

/// The kernel's letter for what a process does: `T` is stopped.
pub(super) fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("State:\t")?.chars().next())
}
