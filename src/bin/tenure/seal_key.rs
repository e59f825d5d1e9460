//! `tenure seal-key`.

use rand::{TryRngCore, rngs::OsRng};
use serde::Serialize;
use tenure::model::{
    Group,
    seal::{KeyId, SealingKey},
};
use zeroize::Zeroizing;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    output,
};

/// Make a key that bodies and states are sealed with in Redis
///
/// Prints a line for the file that --keys-file names, which workers and clients need alike. The first key
/// there seals, all of them open: to change it, add the new one below everywhere, then move it to the top,
/// and take the old one out when nothing is sealed with it any more. Needs no server. docs/security.md tells
/// what is sealed and what is not.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What it is called, in all that it seals: not a secret
    #[arg(value_name = "ID")]
    id: KeyId,
    /// The group it is for: workers seal with it what they write for sessions of that group
    #[arg(long, value_name = "GROUP")]
    group: Option<Group>,
}

const EXAMPLES: &str = "\
Examples:
  (umask 077; tenure seal-key 2026-11 > tenure.keys)
  tenure worker --keys-file tenure.keys
  TENURE_KEYS_FILE=tenure.keys tenure history echo/alice";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    id: &'a KeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Group>,
    line: &'a str,
}

pub(crate) fn run(Args { id, group }: &Args, global: &Global) -> Result<(), Failure> {
    let mut bytes = Zeroizing::new([0; SealingKey::BYTES]);
    OsRng.try_fill_bytes(&mut *bytes).map_err(no_randomness)?;
    let line = SealingKey::line(id, group.as_ref(), &bytes);
    match global.json {
        true => output::json(&Report { id, group: group.as_ref(), line: &line }),
        false => output::line(line.as_str()),
    }
}

fn no_randomness(err: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the system gives no random numbers: {err}: try again"))
}
