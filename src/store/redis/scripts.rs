//! The Lua files, each with what it uses of the prelude spliced in behind its first line.

use std::collections::BTreeSet;

use redis::{Cmd, Script, ToRedisArgs};

use super::keys::guard;

/// The scripts by the name of their file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Advance,
    Announce,
    Bury,
    Claim,
    Commit,
    Configure,
    Continue,
    Declare,
    Delete,
    Deliver,
    Fire,
    Free,
    Look,
    Mark,
    Mend,
    Offer,
    Reap,
    Refresh,
    Relay,
    Release,
    Renew,
    Retire,
    Revive,
    Send,
    Survey,
}

const PRELUDE: &str = include_str!("../../../lua/prelude.lua");

/// In the order of [`Name`].
const SOURCES: [(&str, &str); 25] = [
    ("advance", include_str!("../../../lua/advance.lua")),
    ("announce", include_str!("../../../lua/announce.lua")),
    ("bury", include_str!("../../../lua/bury.lua")),
    ("claim", include_str!("../../../lua/claim.lua")),
    ("commit", include_str!("../../../lua/commit.lua")),
    ("configure", include_str!("../../../lua/configure.lua")),
    ("continue", include_str!("../../../lua/continue.lua")),
    ("declare", include_str!("../../../lua/declare.lua")),
    ("delete", include_str!("../../../lua/delete.lua")),
    ("deliver", include_str!("../../../lua/deliver.lua")),
    ("fire", include_str!("../../../lua/fire.lua")),
    ("free", include_str!("../../../lua/free.lua")),
    ("look", include_str!("../../../lua/look.lua")),
    ("mark", include_str!("../../../lua/mark.lua")),
    ("mend", include_str!("../../../lua/mend.lua")),
    ("offer", include_str!("../../../lua/offer.lua")),
    ("reap", include_str!("../../../lua/reap.lua")),
    ("refresh", include_str!("../../../lua/refresh.lua")),
    ("relay", include_str!("../../../lua/relay.lua")),
    ("release", include_str!("../../../lua/release.lua")),
    ("renew", include_str!("../../../lua/renew.lua")),
    ("retire", include_str!("../../../lua/retire.lua")),
    ("revive", include_str!("../../../lua/revive.lua")),
    ("send", include_str!("../../../lua/send.lua")),
    ("survey", include_str!("../../../lua/survey.lua")),
];

impl Name {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [
            Self::Advance,
            Self::Announce,
            Self::Bury,
            Self::Claim,
            Self::Commit,
            Self::Configure,
            Self::Continue,
            Self::Declare,
            Self::Delete,
            Self::Deliver,
            Self::Fire,
            Self::Free,
            Self::Look,
            Self::Mark,
            Self::Mend,
            Self::Offer,
            Self::Reap,
            Self::Refresh,
            Self::Relay,
            Self::Release,
            Self::Renew,
            Self::Retire,
            Self::Revive,
            Self::Send,
            Self::Survey,
        ]
        .into_iter()
    }

    /// The file's name, without `.lua`.
    pub(super) fn as_str(self) -> &'static str {
        SOURCES[self as usize].0
    }
}

/// All scripts, as they are sent to the server.
#[derive(Debug, Clone)]
pub struct Scripts {
    loaded: Vec<(String, Script)>,
    guarded: bool,
}

/// One call of a script: keys are complete, arguments are still added.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: Name,
    pub(super) command: Cmd,
}

impl Scripts {
    /// The scripts as they stand in `lua/`.
    pub fn embedded() -> Self {
        let whole = SOURCES.map(|(_, source)| splice(PRELUDE, source));
        Self { loaded: whole.into_iter().map(load).collect(), guarded: false }
    }

    /// The same for a cluster: each names one key more, which never is there.
    ///
    /// While a slot moves a node runs what it has all keys of. A script that empties one and looks at it again would be
    /// broken off there, half done; with a key that is missing it does not begin, at either node.
    pub(super) fn guarded(&self) -> Self {
        if self.guarded {
            return self.clone();
        }
        let guarded = self.loaded.iter().map(|(source, _)| {
            let (shebang, rest) = source.split_once('\n').expect("a script has a shebang line");
            load(format!("{shebang}\nKEYS[#KEYS] = nil\n{rest}"))
        });
        Self { loaded: guarded.collect(), guarded: true }
    }

    /// The same with one text changed, in the script `name` (or in all of them, where it is `prelude`):
    /// for tests that plant faults. Panics if there is no such script or no such text in it.
    #[doc(hidden)]
    pub fn patched(&self, name: &str, from: &str, to: &str) -> Self {
        let mut found = false;
        let patched = self.loaded.iter().zip(SOURCES).map(|((source, _), (script, _))| {
            let meant = name == script || name == "prelude";
            found |= meant && source.contains(from);
            load(if meant { source.replace(from, to) } else { source.clone() })
        });
        let loaded = patched.collect();
        assert!(found, "`{from}` does not stand in {name}.lua");
        Self { loaded, guarded: self.guarded }
    }

    /// The whole text of a script, by the name of its file.
    pub fn source(&self, name: &str) -> Option<&str> {
        let at = SOURCES.iter().position(|(script, _)| *script == name)?;
        Some(&self.loaded[at].0)
    }

    /// What `EVALSHA` knows a script by.
    pub fn sha(&self, name: &str) -> Option<&str> {
        let at = SOURCES.iter().position(|(script, _)| *script == name)?;
        Some(self.loaded[at].1.get_hash())
    }

    /// The commands that load all scripts.
    pub(super) fn load_all(&self) -> impl Iterator<Item = Cmd> {
        self.loaded.iter().map(|(source, _)| load_command(source))
    }

    /// The command that loads one.
    pub(super) fn load(&self, name: Name) -> Cmd {
        load_command(&self.loaded[name as usize].0)
    }

    /// The commands that a script calls, in small letters, with their subcommands (`xinfo|stream`).
    pub(super) fn commands(&self, name: Name) -> BTreeSet<String> {
        let calls = self.loaded[name as usize].0.split("call(\"").skip(1);
        let command = |call: &str| {
            let mut words = call.split('"');
            match words.next().unwrap_or_default().to_ascii_lowercase() {
                container if container == "xinfo" => {
                    let subcommand = words.nth(1).unwrap_or_default().to_ascii_lowercase();
                    format!("{container}|{subcommand}")
                }
                command => command,
            }
        };
        calls.map(command).collect()
    }

    /// A call of `name` on these keys; one that only reads asks for no right to write.
    pub(super) fn call<K: AsRef<str>>(&self, name: Name, keys: &[K]) -> Call {
        let reads =
            self.loaded[name as usize].0.lines().next().is_some_and(|line| line.contains("no-writes"));
        let mut command = redis::cmd(if reads { "EVALSHA_RO" } else { "EVALSHA" });
        let guard = self.guarded.then(|| keys.first().map(|key| guard(key.as_ref()))).flatten();
        command.arg(self.loaded[name as usize].1.get_hash()).arg(keys.len() + usize::from(guard.is_some()));
        for key in keys {
            command.arg(key.as_ref());
        }
        command.arg(guard.as_slice());
        Call { name, command }
    }
}

impl Call {
    /// The first of its keys: where that is, all are.
    pub(super) fn key(&self) -> &[u8] {
        // Behind the command, the script's hash and how many keys there are.
        match self.command.args_iter().nth(3) {
            Some(redis::Arg::Simple(key)) => key,
            _ => &[],
        }
    }

    /// Adds an argument.
    pub(super) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds an argument that is empty where there is none.
    pub(super) fn maybe(self, arg: Option<impl ToString>) -> Self {
        let text = arg.map(|arg| arg.to_string()).unwrap_or_default();
        self.arg(text)
    }
}

fn load(source: String) -> (String, Script) {
    let script = Script::new(&source);
    (source, script)
}

fn load_command(source: &str) -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(source);
    command
}

/// A script as the server gets it: its shebang line, what it uses of the prelude, the rest.
///
/// All of the prelude would do as well, but what it defines is defined anew at every call: measured,
/// 6 µs for the whole, which is a fifth of a commit.
fn splice(prelude: &str, source: &str) -> String {
    let (shebang, rest) = source.split_once('\n').expect("a script has a shebang line");
    // A definition uses only those above it, so one pass from the last to the first finds all.
    let used = definitions(prelude).into_iter().rev().fold(rest.to_owned(), |text, definition| {
        if names(&definition).any(|name| mentions(&text, name)) {
            format!("{definition}\n\n{text}")
        } else {
            text
        }
    });
    format!("{shebang}\n{used}")
}

/// The prelude's parts: each begins at the margin behind an empty line.
fn definitions(prelude: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in prelude.trim_end().split("\n\n") {
        match parts.last_mut() {
            Some(open) if part.starts_with(' ') => *open = format!("{open}\n\n{part}"),
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

/// What a part of the prelude defines.
fn names(definition: &str) -> impl Iterator<Item = &str> {
    let defined = definition.lines().filter_map(|line| line.strip_prefix("local "));
    defined.filter_map(|line| line.trim_start_matches("function ").split(|c| !is_in_name(c)).next())
}

/// Whether `name` stands in `text` as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(is_in_name) && !text[at + name.len()..].starts_with(is_in_name))
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_opens_with_a_shebang_and_its_contract() {
        for (name, source) in SOURCES {
            let mut lines = source.lines();
            assert!(lines.next().is_some_and(|line| line.starts_with("#!lua")), "{name}");
            let title = format!("-- {name}: ");
            assert!(lines.next().is_some_and(|line| line.starts_with(&title)), "{name}");
            for part in ["-- KEYS", "-- Reply", "-- A repeat"] {
                assert!(source.contains(part), "{name} does not say {part}");
            }
        }
    }

    #[test]
    fn a_script_carries_what_it_uses_of_the_prelude_and_nothing_else() {
        let scripts = Scripts::embedded();
        let carries = |script, definition| mentions(scripts.source(script).unwrap(), definition);
        assert!(carries("send", "local function accept(keys, m, at)"));
        assert!(carries("send", "local function write_out"), "accept uses it");
        assert!(!carries("send", "local function write_dead"));
        assert!(!carries("commit", "local function accept"));
        assert!(!carries("offer", "local SENTENCES"));
        for (name, _) in SOURCES {
            let text = scripts.source(name).unwrap();
            assert!(text.lines().next().is_some_and(|line| line.starts_with("#!lua")), "{name}");
        }
    }

    #[test]
    fn in_a_cluster_a_script_names_a_key_that_never_is_there_and_does_not_see_it() {
        let scripts = Scripts::embedded().guarded();
        assert!(scripts.source("mark").unwrap().lines().nth(1) == Some("KEYS[#KEYS] = nil"));
        let call = scripts.call(Name::Mark, &["tenure:{default.3}:mark"]);
        let words: Vec<_> = call.command.args_iter().skip(2).collect();
        let word = |text: &'static str| redis::Arg::Simple(text.as_bytes());
        assert_eq!(words, [word("2"), word("tenure:{default.3}:mark"), word("tenure:{default.3}:moving")]);
        assert_eq!(call.key(), b"tenure:{default.3}:mark");
        assert_eq!(guard("tenure:default:ingress"), "tenure:{tenure:default:ingress}:moving");
    }

    #[test]
    fn names_and_sources_are_in_the_same_order() {
        assert_eq!(Name::Advance.as_str(), "advance");
        assert_eq!(Name::Mend.as_str(), "mend");
        assert_eq!(Name::Survey.as_str(), "survey");
        assert!(SOURCES.is_sorted_by_key(|(name, _)| *name));
        assert!(Name::all().map(Name::as_str).eq(SOURCES.map(|(name, _)| name)));
    }

    #[test]
    fn a_patch_changes_its_script_only() {
        let scripts = Scripts::embedded();
        let patched = scripts.patched("commit", "\"fenced\"", "\"done\"");
        assert_ne!(scripts.sha("commit"), patched.sha("commit"));
        assert_eq!(scripts.sha("send"), patched.sha("send"));
    }

    #[test]
    #[should_panic(expected = "does not stand in commit.lua")]
    fn a_patch_that_changes_nothing_is_a_mistake() {
        Scripts::embedded().patched("commit", "no such text", "");
    }
}
