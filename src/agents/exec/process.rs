//! A child process, in a process group of its own, that does not outlive its worker.

use std::{
    env, io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    runtime::Handle,
    sync::oneshot,
};

use crate::{agents::file::ExecSpec, runtime::Env};

/// How long a child may take to end by itself, first when its input is closed, then after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// Not for children: some hold a password or keys, the others lead to them.
const SERVER: [&str; 5] =
    ["TENURE_REDIS", "TENURE_REDIS_FILE", "TENURE_TLS_KEY", "TENURE_KEYS", "TENURE_KEYS_FILE"];

/// A child that was started. Its group is killed when this is dropped.
pub(super) struct Process {
    child: Child,
    group: Group,
}

/// The three pipes to a child.
pub(super) struct Pipes {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

impl Process {
    /// Starts what `spec` says.
    pub(super) async fn start(spec: &ExecSpec) -> io::Result<(Self, Pipes)> {
        let (mut child, lasting) = start_from_lasting_thread(command(spec)).await?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = Group { leader, _lasting: lasting };
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = (input, output, errors) else {
            unreachable!("all three are pipes")
        };
        Ok((Self { child, group }, Pipes { input, output, errors }))
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, and ends what it left behind in its group.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group.kill();
        status
    }

    /// Sees to its end, now that its input is closed: waits, asks, kills.
    pub(super) async fn end(&mut self, clock: &Env) {
        if clock.timeout(GRACE, self.wait()).await.is_some() {
            return;
        }
        self.group.signal(Signal::TERM);
        if clock.timeout(GRACE, self.wait()).await.is_none() {
            self.kill().await;
        }
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) {
        self.group.signal(Signal::KILL);
        // It cannot refuse; what cannot be waited for is gone.
        let _ = self.wait().await;
    }
}

fn command(spec: &ExecSpec) -> Command {
    let mut command = match &*SETPRIV {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&spec.program);
            command
        }
        None => Command::new(&spec.program),
    };
    command.args(spec.command.iter().skip(1)).current_dir(&spec.directory);
    for name in SERVER {
        command.env_remove(name);
    }
    command.envs(spec.env.iter().map(|(name, secret)| (name, secret.expose())));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// Linux has it (util-linux). Elsewhere a child learns of its worker's sudden end when its input closes.
///
/// By its whole path: a child's `PATH` may be another than ours.
static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = env::var_os("PATH")?;
    let setpriv = env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file())?;
    let mut probe = std::process::Command::new(&setpriv);
    probe.args(["--pdeathsig", "KILL", "--", "true"]);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success()).then_some(setpriv)
});

/// The kernel ties its promise to kill a child to the *thread* that started it, and the runtime's
/// threads come and go: so each child has a thread that lasts until its [`Group`] is let go.
async fn start_from_lasting_thread(mut command: Command) -> io::Result<(Child, mpsc::Sender<()>)> {
    let runtime = Handle::current();
    let (started, child) = oneshot::channel();
    let (lasting, over) = mpsc::channel();
    thread::Builder::new().name("exec child".to_owned()).spawn(move || {
        let context = runtime.enter();
        // Nobody waits any more: then the child is dropped, and killed by that.
        let _ = started.send(command.spawn());
        drop(context);
        // Nothing is ever sent: this waits for the other end to be dropped.
        let _ = over.recv();
    })?;
    let child = child.await.map_err(|_| io::Error::other("the thread that starts it ended"))??;
    Ok((child, lasting))
}

/// A child and its own children, as long as they stay in its group.
struct Group {
    /// None once it is over.
    leader: Option<Pid>,
    _lasting: mpsc::Sender<()>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // A group that is gone needs no signal.
            let _ = kill_process_group(leader, signal);
        }
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::file::Secret;

    #[test]
    fn a_child_is_given_what_is_declared_and_never_the_address_of_the_server() {
        let spec = ExecSpec {
            program: "/bin/cat".into(),
            command: ["cat", "-u"].map(String::from).into(),
            env: [("KEY".to_owned(), Secret::new("value"))].into(),
            directory: "/tmp".into(),
        };
        let command = command(&spec);
        let given: Vec<_> = command.as_std().get_envs().collect();
        assert!(given.contains(&("KEY".as_ref(), Some("value".as_ref()))));
        assert!(SERVER.iter().all(|name| given.contains(&(name.as_ref(), None))));
        let words: Vec<_> = command.as_std().get_args().collect();
        assert!(words.ends_with(&["-u".as_ref()]) && !words.contains(&"cat".as_ref()), "{words:?}");
    }
}
