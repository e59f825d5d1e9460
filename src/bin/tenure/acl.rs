//! `tenure acl`.

use serde::Serialize;
use tenure::{
    model::Durability,
    store::redis::{REPLIES, Rights, Role},
};

use crate::{connect, failure::Failure, global::Global, output, values};

/// Print the least rights that a program needs on this namespace
///
/// Prints the ACL SETUSER command that gives them to a user and takes all others. It sets no password:
/// a new user is shut until it has one. Needs no server. What rights can and cannot hold apart is in
/// docs/security.md.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// worker: serve and operate; client: send and read; sender: send by the plain door alone; observer: read
    #[arg(value_name = "ROLE", value_parser = values::role())]
    role: Role,
    /// The user [default: tenure-ROLE]
    #[arg(long, value_name = "NAME", value_parser = values::user)]
    user: Option<String>,
    /// The lists that replies go to, as patterns of keys
    #[arg(long, value_name = "PATTERN", default_value = REPLIES, value_parser = values::reply_lists)]
    replies: Vec<String>,
    /// What its turns are to reach. Above replicas:N a worker needs to wait for the disk, and to read the server's
    /// settings, its passwords among them: Redis 7.2 or Valkey
    #[arg(long, value_name = "CLASS", default_value = "memory")]
    durability: Durability,
}

const EXAMPLES: &str = "\
Examples:
  tenure acl worker
  tenure acl client --user shop | redis-cli
  redis-cli ACL SETUSER shop '>its-password'
  tenure doctor --as client --redis redis://shop:its-password@127.0.0.1:6379";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    role: &'static str,
    user: &'a str,
    keys: &'a [String],
    channels: &'a [String],
    commands: &'a [String],
    line: String,
}

pub(crate) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let replies: Vec<_> = args.replies.iter().map(String::as_str).collect();
    let rights = Rights::of(args.role, &connect::options(global)?, &replies)?;
    let rights = rights.reaching(args.role, args.durability);
    let role = args.role.as_str();
    let user = args.user.clone().unwrap_or_else(|| format!("tenure-{role}"));
    let line = rights.line(&user);
    if !global.json {
        return output::line(line);
    }
    let Rights { keys, channels, commands } = &rights;
    output::json(&Report { role, user: &user, keys, channels, commands, line })
}
