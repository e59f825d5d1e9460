//! Which servers speak TLS.

use std::process::{Command, Stdio};

/// Whether this program is built with TLS. One that is ends with the complaint that it has no certificate; either way nothing is
/// listened to.
pub(super) fn has_tls(server: &str) -> bool {
    let mut command = Command::new(server);
    command.args(["--port", "0", "--tls-port", "1", "--save", ""]).stdin(Stdio::null());
    let Ok(ended) = command.output() else { return false };
    let said = [ended.stdout, ended.stderr].concat();
    String::from_utf8_lossy(&said).contains("tls-cert-file")
}
