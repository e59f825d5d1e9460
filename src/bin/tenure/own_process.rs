//! This program again, as a process of its own.

use std::{env, ffi::OsStr, process::Stdio};

use tokio::process::Command;

use crate::{failure::Failure, global::Global};

/// A command that runs this program on the same Redis, and ends with this process, whatever ends that.
pub(crate) fn command(global: &Global) -> Result<Command, Failure> {
    let mut command = guarded(env::current_exe()?);
    // The address may hold a password, so it does not go where `ps` shows it.
    command.env("TENURE_REDIS", global.address()?).env_remove("TENURE_REDIS_FILE");
    command.env("TENURE_NAMESPACE", global.namespace.as_str());
    let files = [
        ("TENURE_TLS_CA", &global.tls_ca),
        ("TENURE_TLS_CERT", &global.tls_cert),
        ("TENURE_TLS_KEY", &global.tls_key),
        ("TENURE_KEYS_FILE", &global.keys_file),
    ];
    for (name, file) in files {
        if let Some(file) = file {
            command.env(name, file);
        }
    }
    // A door is for one process, and the agents are this command's own.
    command.env_remove("TENURE_HEALTH").env_remove("TENURE_AGENTS");
    if env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "error");
    }
    command.stdout(Stdio::piped());
    Ok(command)
}

/// A command that runs `program`, which is told nothing and ends with this process, whatever ends that.
pub(crate) fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = match has_setpriv() {
        // Should this process be killed, the kernel ends its children.
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn has_setpriv() -> bool {
    let mut probe = std::process::Command::new("setpriv");
    probe.args(["--pdeathsig", "KILL", "--", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
