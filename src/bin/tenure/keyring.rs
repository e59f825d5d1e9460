//! The keys that bodies and states are sealed with: from a file or the environment, never from a command line.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use tenure::model::seal::Keyring;
use zeroize::Zeroizing;

use crate::{
    failure::{Exit, Failure},
    global::Global,
};

/// The keys themselves, where no file can be had.
const VARIABLE: &str = "TENURE_KEYS";

/// What may not be allowed on a file of keys: that others read it, or that anybody else writes it.
const TOO_OPEN: u32 = 0o027;

impl Global {
    /// The keys of this process; none, if nobody said where they are.
    pub(crate) fn keyring(&self) -> Result<Keyring, Failure> {
        let given = env::var_os(VARIABLE).filter(|given| !given.is_empty());
        match (&self.keys_file, given) {
            (None, None) => Ok(Keyring::default()),
            (Some(_), Some(_)) => {
                Err(usage(format!("give --keys-file (TENURE_KEYS_FILE) or {VARIABLE}, and not both")))
            }
            (Some(file), None) => parse(&format!("--keys-file: {}", file.display()), &in_file(file)?),
            (None, Some(given)) => {
                let text = given.into_string().map_err(|_| usage(format!("{VARIABLE} is not UTF-8")))?;
                parse(VARIABLE, &Zeroizing::new(text))
            }
        }
    }
}

/// What the file holds, if nobody can read it who should not. A group may: that is how a cluster mounts secrets.
fn in_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = file.display();
    let unreadable = |err| usage(format!("--keys-file: cannot read {shown}: {err}"));
    let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & TOO_OPEN != 0 {
        let mode = mode & 0o777;
        return Err(usage(format!(
            "--keys-file: {shown} is open to others (mode {mode:o}): chmod 600 {shown}"
        )));
    }
    fs::read_to_string(file).map(Zeroizing::new).map_err(unreadable)
}

/// What is wrong is told by its line alone.
fn parse(place: &str, text: &str) -> Result<Keyring, Failure> {
    let keyring = Keyring::parse(text).map_err(|err| usage(format!("{place}: {err}")))?;
    match keyring.is_empty() {
        // Somebody wants their sessions sealed, and they would not be.
        true => Err(usage(format!("{place}: there is no key: `tenure seal-key` makes one"))),
        false => Ok(keyring),
    }
}

fn usage(line: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, line)
}
