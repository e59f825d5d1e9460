//! What each kind of program may do on a namespace, and no more: the rules of an ACL user, and what a
//! connection lacks of them.
//!
//! A script runs with the rights of whoever calls it, and its caller may run what it consists of, in any
//! order. So rights hold apart *keys*, not operations: who may send by the script may write all
//! that sending writes. Only the plain door is narrower. `docs/security.md` says what follows from that.

use std::collections::BTreeSet;

use redis::{Pipeline, Value, aio::MultiplexedConnection};

use super::{
    Options,
    keys::{Lapses, NUMBERS, Patterns},
    scripts::{Name, Scripts},
    target::Target,
};
use crate::{model::Durability, store::StoreResult};

/// What a program is to a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Owns sessions and looks after the namespace; operators' commands need the same.
    Worker,
    /// Sends by the direct door, waits for replies and reads.
    Client,
    /// Sends by the plain door and waits for replies; reads nothing else.
    Sender,
    /// Reads.
    Observer,
}

/// What a role needs, as `ACL SETUSER` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Patterns of keys, each with what may be done: `~` all, `%R~` read, `%W~` write.
    pub keys: Vec<String>,
    /// Patterns of channels, each behind `&`.
    pub channels: Vec<String>,
    /// Commands, by name, each behind `+`.
    pub commands: Vec<String>,
}

/// The lists for replies that `send --wait` makes.
pub const REPLIES: &str = "reply:*";

/// What every connection does: says who answers, keeps itself alive, and is looked at by `doctor`.
const EVERYBODY: &[&str] = &["info", "ping", "select", "unwatch", "multi", "exec", "discard"];

/// What would end the transaction in which rights are asked for; looked at before.
const ENDS_PROBING: [&str; 3] = ["+multi", "+exec", "+discard"];

const READING: &[&str] =
    &["evalsha_ro", "exists", "hget", "hgetall", "lindex", "llen", "xrange", "xread", "xrevrange", "zrange"];

/// What `top` looks at besides.
const WATCHING: &[&str] = &["get", "time", "xlen", "zcard", "zcount"];

/// What finds where slots are.
const FOLLOWING: &[&str] = &["asking", "cluster|slots"];

const WAITING: &[&str] = &["blpop", "lpop"];

const SENDING: &[&str] = &["evalsha", "wait"];

/// What waits for a disk. Servers before 7.2 do not know it, and refuse a line with it.
const SYNCING: &str = "waitaof";

/// What tells whether there is a disk to wait for. It shows the server's passwords too.
const READING_SETTINGS: &str = "config|get";

const WORKING: &[&str] = &[
    "lrange",
    "pubsub|shardnumsub",
    "script|load",
    "spublish",
    "srandmember",
    "ssubscribe",
    "subscribe",
    "xadd",
    "xdel",
    "xinfo|stream",
];

/// The kinds of a partition's keys that sending writes.
const SENT_TO: &[&str] = &["meta:*", "in:*", "ids:*", "ready:*", "idle:*", "index", "out", "mark"];

impl Role {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Client => "client",
            Self::Sender => "sender",
            Self::Observer => "observer",
        }
    }

    fn commands(self, scripts: &Scripts) -> BTreeSet<String> {
        let (plain, called): (&[&[&str]], Vec<Name>) = match self {
            Self::Worker => (&[READING, WATCHING, WAITING, SENDING, WORKING], Name::all().collect()),
            Self::Client => (&[READING, WAITING, SENDING], vec![Name::Look, Name::Mark, Name::Send]),
            Self::Sender => (&[WAITING, &["xadd"]], Vec::new()),
            Self::Observer => (&[READING, WATCHING], vec![Name::Look]),
        };
        let plain = plain.iter().copied().chain([EVERYBODY]).flatten().map(|&name| name.to_owned());
        plain.chain(called.into_iter().flat_map(|name| scripts.commands(name))).collect()
    }
}

/// With the keys that guard scripts while slots move; see [`Scripts`].
fn with_guards(role: Role, of: &Patterns<'_>, mut keys: Vec<String>) -> Vec<String> {
    match role {
        Role::Worker => keys.extend(of.guards_of_doors().map(|key| format!("~{key}"))),
        Role::Client => keys.push(format!("~{}", of.partitions("moving"))),
        Role::Sender | Role::Observer => (),
    }
    keys
}

impl Rights {
    /// What `role` needs on the namespace of `options`, where replies go to lists named by the patterns `replies`.
    ///
    /// Fails with [`StoreError::Refused`](crate::store::StoreError::Refused) at an address that is none.
    pub fn of(role: Role, options: &Options, replies: &[&str]) -> StoreResult<Self> {
        let of = Patterns::of(&options.namespace);
        let replies = replies.iter().map(|list| format!("~{list}"));
        let read = |pattern: String| format!("%R~{pattern}");
        let keys = match role {
            Role::Worker => {
                let all = [of.namespace("*"), of.partitions("*")].into_iter().chain(of.doors());
                all.map(|key| format!("~{key}")).chain(replies).collect()
            }
            Role::Client => {
                let read = [of.namespace("*"), of.partitions("hist:*"), of.partitions("dead")].map(read);
                let sent = SENT_TO.iter().map(|kind| format!("~{}", of.partitions(kind)));
                read.into_iter().chain(sent).chain(replies).collect()
            }
            Role::Sender => of.doors().into_iter().map(|key| format!("%W~{key}")).chain(replies).collect(),
            Role::Observer => {
                let all = [of.namespace("*"), of.partitions("*")].into_iter().chain(of.doors());
                all.map(read).collect()
            }
        };
        let keys = if options.is_cluster() { with_guards(role, &of, keys) } else { keys };
        let wake = of.partitions("wake:*");
        let channels = match role {
            Role::Worker => {
                vec![wake, of.namespace("life:*"), Lapses::channel_of(options.target()?.database())]
            }
            Role::Client => vec![wake],
            Role::Sender | Role::Observer => Vec::new(),
        };
        let channels = channels.into_iter().map(|channel| format!("&{channel}")).collect();
        let following = if options.is_cluster() { FOLLOWING } else { &[] };
        let following = following.iter().map(|&name| name.to_owned());
        let commands: BTreeSet<_> = role.commands(&options.scripts).into_iter().chain(following).collect();
        let commands = commands.into_iter().map(|name| format!("+{name}")).collect();
        Ok(Self { keys, channels, commands })
    }

    /// With what `role` needs besides where its turns, or those of what it sends, are to reach `class`: for a class with the disk
    /// what waits for it, and for a worker, which does not start without having seen how the server writes, what reads settings.
    #[must_use]
    pub fn reaching(mut self, role: Role, class: Durability) -> Self {
        let needed: &[&str] = match role {
            Role::Worker if class.fsync => &[READING_SETTINGS, SYNCING],
            Role::Client if class.fsync => &[SYNCING],
            _ => &[],
        };
        self.commands.extend(needed.iter().map(|name| format!("+{name}")));
        self.commands.sort_unstable();
        self.commands.dedup();
        self
    }

    /// The command that gives them to `user`, and takes all others. Passwords stay as they are: a new user has none, and
    /// nobody gets in as it.
    pub fn line(&self, user: &str) -> String {
        let rules = [&self.keys, &self.channels, &self.commands].into_iter().flatten();
        let rules: Vec<_> = rules.map(String::as_str).collect();
        let rules = rules.join(" ");
        format!("ACL SETUSER {user} on clearselectors resetkeys resetchannels nocommands {rules}")
    }

    /// Which of them the user of this connection lacks. Asked inside a transaction that is given up: nothing is run.
    pub(super) async fn missing(
        &self,
        target: &Target,
        connection: &mut MultiplexedConnection,
    ) -> StoreResult<Vec<String>> {
        // Outside a transaction what is only to be asked for would be run.
        for (command, end) in [("MULTI", "DISCARD"), ("MULTI", "EXEC")] {
            let answers = answers(target, connection, redis::pipe().cmd(command).cmd(end)).await?;
            for (command, answer) in [command, end].into_iter().zip(&answers) {
                if forbidden(answer).is_some() {
                    return Ok(vec![format!("+{}", command.to_ascii_lowercase())]);
                }
            }
        }
        let probes: Vec<_> = self.probes().collect();
        let mut pipeline = redis::pipe();
        pipeline.cmd("MULTI");
        for (_, command) in &probes {
            pipeline.add_command(command.clone());
        }
        pipeline.cmd("DISCARD");
        let answers = answers(target, connection, &pipeline).await?;
        let mut missing = Vec::new();
        for ((rule, _), answer) in probes.iter().zip(answers.iter().skip(1)) {
            let wanted = if rule.starts_with('+') { Forbidden::Command } else { Forbidden::Place };
            if forbidden(answer) == Some(wanted) && missing.last() != Some(rule) {
                missing.push(rule.clone());
            }
        }
        Ok(missing)
    }

    /// Commands that are refused without a right, beside that right.
    fn probes(&self) -> impl Iterator<Item = (String, redis::Cmd)> {
        let keys = self.keys.iter().map(|rule| (rule.clone(), of_key(rule)));
        let channels =
            self.channels.iter().flat_map(|rule| of_channel(rule).map(|command| (rule.clone(), command)));
        let commands = self.commands.iter().filter(|rule| !ENDS_PROBING.contains(&rule.as_str()));
        let commands = commands.flat_map(|rule| {
            let asked = rule.trim_start_matches('+');
            // How many arguments it takes is not known here: one of these is right, the others are errors of another kind.
            (0..=4).map(move |arguments| (rule.clone(), with_arguments(asked, arguments)))
        });
        keys.chain(channels).chain(commands)
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forbidden {
    Command,
    Place,
}

fn forbidden(answer: &Value) -> Option<Forbidden> {
    let Value::ServerError(error) = answer else { return None };
    let says = |words: &str| error.details().is_some_and(|text| text.contains(words));
    let about_command = says("to run the");
    // EXEC says so in its own words.
    (error.code() == "NOPERM" || says("NOPERM")).then_some(if about_command {
        Forbidden::Command
    } else {
        Forbidden::Place
    })
}

async fn answers(
    target: &Target,
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
) -> StoreResult<Vec<Value>> {
    target.answer_to(connection.send_packed_commands(pipeline, 0, pipeline.len())).await
}

/// A command that touches a key of the rule's pattern in the rule's way.
fn of_key(rule: &str) -> redis::Cmd {
    let (access, pattern) = rule.split_once('~').expect("a rule of keys has a tilde");
    let key = pattern.replace(NUMBERS, "0").replace('*', "0");
    let mut command = redis::Cmd::new();
    match access {
        "%R" => command.arg("XRANGE").arg(key).arg("-").arg("+"),
        "%W" => command.arg("XADD").arg(key).arg("*").arg("body").arg("{}"),
        _ => command.arg("EVALSHA").arg("0".repeat(40)).arg(1).arg(key),
    };
    command
}

/// Commands that touch a channel: whoever may not run the one may run the other.
fn of_channel(rule: &str) -> [redis::Cmd; 2] {
    let channel = rule.trim_start_matches('&').replace('*', "0");
    let mut commands = ["SPUBLISH", "SUBSCRIBE"].map(redis::cmd);
    commands[0].arg(&channel).arg("");
    commands[1].arg(&channel);
    commands
}

fn with_arguments(command: &str, arguments: usize) -> redis::Cmd {
    let mut asked = redis::Cmd::new();
    for word in command.split('|') {
        asked.arg(word);
    }
    for _ in 0..arguments {
        asked.arg("0");
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(role: Role) -> Rights {
        Rights::of(role, &Options::new("redis://h/3"), &[REPLIES]).unwrap()
    }

    #[test]
    fn commands_are_those_that_the_scripts_call() {
        let of = |role| rights(role).commands;
        assert!(of(Role::Worker).contains(&"+xsetid".to_owned()), "claim calls it");
        assert!(of(Role::Worker).contains(&"+xinfo|stream".to_owned()));
        assert!(!of(Role::Worker).contains(&"+xinfo".to_owned()), "with its subcommand alone");
        assert!(of(Role::Client).contains(&"+rpush".to_owned()), "send calls it");
        for not in ["+xsetid", "+script|load", "+del", "+set", "+xdel", "+ssubscribe"] {
            assert!(!of(Role::Client).contains(&not.to_owned()), "{not}");
        }
        let writing = ["+hset", "+rpush", "+evalsha", "+spublish", "+lpop", "+xadd"];
        assert!(writing.iter().all(|name| !of(Role::Observer).contains(&(*name).to_owned())));
    }

    #[test]
    fn only_who_waits_for_a_disk_may_and_only_a_worker_reads_settings() {
        let more = |role, class: &str| {
            let (plain, all) = (rights(role), rights(role).reaching(role, class.parse().unwrap()));
            let more = all.commands.into_iter().filter(|name| !plain.commands.contains(name));
            more.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(more(Role::Worker, "fsync"), "+config|get +waitaof");
        assert_eq!(more(Role::Client, "fsync+replicas:1"), "+waitaof");
        assert_eq!(more(Role::Worker, "replicas:1"), "");
        assert_eq!(more(Role::Sender, "fsync") + &more(Role::Observer, "fsync"), "");
    }

    #[test]
    fn only_a_worker_may_touch_what_says_who_owns() {
        let client = rights(Role::Client).keys;
        for kind in ["own:", "held:", "workers", "state:", "duty", "cursor", "timers"] {
            assert!(!client.iter().any(|rule| rule.contains(&format!(":{kind}"))), "{kind}");
        }
        assert!(rights(Role::Sender).keys.iter().all(|rule| !rule.contains('{')));
        assert!(rights(Role::Observer).keys.iter().all(|rule| rule.starts_with("%R~")));
    }

    #[test]
    fn nothing_that_is_asked_for_ends_the_transaction() {
        for role in [Role::Worker, Role::Client, Role::Sender, Role::Observer] {
            for (_, command) in rights(role).probes() {
                let first = command.args_iter().next();
                let Some(redis::Arg::Simple(word)) = first else { panic!("{first:?}") };
                let word = String::from_utf8_lossy(word).to_ascii_lowercase();
                assert!(!["multi", "exec", "discard", "reset", "quit"].contains(&word.as_str()), "{word}");
            }
        }
    }

    #[test]
    fn no_role_may_do_everything() {
        for role in [Role::Worker, Role::Client, Role::Sender, Role::Observer] {
            let line = rights(role).line("u");
            assert!(!line.contains("+@") && !line.contains("~* ") && !line.contains("&* "), "{line}");
            assert!(line.starts_with("ACL SETUSER u on clearselectors resetkeys resetchannels nocommands "));
        }
        assert!(rights(Role::Worker).channels.contains(&"&__keyevent@3__:expired".to_owned()));
    }
}
