//! Reads a whole file, and finds all that is wrong with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf, absolute},
};

use toml::{Spanned, de::DeTable};

use super::{
    AgentSpec, AgentsFile, BadAgentsFile, Kind, Level, Problem, Variables, exec, http,
    report::Report,
    section::{Section, found, text},
    settings,
};
use crate::model::AgentName;

/// No file of agents is larger, in bytes.
const LARGEST: u64 = 1 << 20;

const NO_FILE: &str = "there is no such file: write it, or correct its name";

const A_FOLDER: &str = "a folder: name the file in it";

const TYPES: &str = "echo, exec or http";

/// What a file's values are read against.
pub(super) struct Surroundings<'v> {
    pub(super) directory: &'v Path,
    pub(super) variables: Variables<'v>,
}

/// What was found in a file: the agents that are sound, and all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The file, as it was named.
    pub file: String,
    /// By name; `echo` is always there.
    pub agents: BTreeMap<AgentName, AgentSpec>,
    /// Errors and warnings, by line.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Reads the file at `path`; `variables` are those of the worker's environment. A file that is
    /// not there is a problem like any other.
    pub fn of(path: &Path, variables: Variables<'_>) -> Self {
        let file = path.display().to_string();
        match load(path).and_then(|(bytes, directory)| Ok((text_of(bytes)?, directory))) {
            Ok((text, directory)) => Self::of_text(&file, &text, &directory, variables),
            Err((line, problem)) => {
                let problem = Problem { level: Level::Error, file, line, agent: None, problem };
                Self { file: problem.file.clone(), agents: BTreeMap::new(), problems: vec![problem] }
            }
        }
    }

    /// Reads `text` as the content of `file`, which lies in `directory`.
    pub fn of_text(file: &str, text: &str, directory: &Path, variables: Variables<'_>) -> Self {
        let mut report = Report::on(file, text);
        let (document, faults) = DeTable::parse_recoverable(text);
        let mut agents = BTreeMap::new();
        if faults.is_empty() {
            agents = read(&document, &Surroundings { directory, variables }, &mut report);
        } else {
            // What was salvaged of a broken text would be found wrong for the wrong reasons.
            faults.iter().for_each(|fault| syntax(fault, &mut report));
        }
        Self { file: file.to_owned(), agents, problems: report.into_problems() }
    }

    /// The file's agents, if nothing is wrong with any of them.
    pub fn into_file(self) -> Result<AgentsFile, BadAgentsFile> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.problems.into_iter().partition(|problem| problem.level == Level::Error);
        match errors.is_empty() {
            true => Ok(AgentsFile { name: self.file, agents: self.agents, warnings }),
            false => Err(BadAgentsFile::new(errors)),
        }
    }
}

/// A file's content and its folder; else a line and what is wrong.
fn load(path: &Path) -> Result<(Vec<u8>, PathBuf), (usize, String)> {
    let unreadable = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => (0, NO_FILE.to_owned()),
        io::ErrorKind::IsADirectory => (0, A_FOLDER.to_owned()),
        _ => (0, format!("cannot be read: {err}")),
    };
    let place = absolute(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err((0, "larger than 1 MiB: this is no file of agents".to_owned()));
    }
    let directory = place.parent().unwrap_or(&place).to_owned();
    Ok((bytes, directory))
}

fn text_of(bytes: Vec<u8>) -> Result<String, (usize, String)> {
    String::from_utf8(bytes).map_err(|err| {
        let good = &err.as_bytes()[..err.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        (line, "not UTF-8: save the file as UTF-8 text".to_owned())
    })
}

fn syntax(fault: &toml::de::Error, report: &mut Report<'_>) {
    let at = fault.span().unwrap_or_default();
    let said = fault.message().split_whitespace().collect::<Vec<_>>().join(" ");
    report.error(&at, None, format!("not TOML: {said}"));
}

fn read(
    document: &Spanned<DeTable<'_>>,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<AgentName, AgentSpec> {
    let whole = Section::file(document.get_ref());
    whole.only(&["agents"], |_| None, report);
    let mut agents = BTreeMap::new();
    if let Some(tables) = whole.table("agents", report) {
        for (name, at, value) in tables.entries() {
            let Some(table) = value.get_ref().as_table() else {
                let problem = format!(
                    "`{}`: expected a table, [agents.NAME] in single brackets, found {}",
                    name.escape_debug(),
                    found(value.get_ref())
                );
                report.error(&at, None, problem);
                continue;
            };
            match name.parse::<AgentName>() {
                Ok(known) => {
                    let section = Section::agent(name, at.clone(), table);
                    agents.extend(
                        agent(&section, &known, report.line(&at), around, report).map(|spec| (known, spec)),
                    );
                }
                Err(why) => report.error(&at, None, why.to_string()),
            }
        }
    }
    if agents.is_empty() && report.errors() == 0 {
        report.error(&(0..0), None, NO_AGENTS);
    }
    agents.entry(echo()).or_insert_with(AgentSpec::built_in);
    agents
}

const NO_AGENTS: &str =
    "no agent is declared: expected a table for each, such as [agents.support] with type = \"exec\"";

/// The agent that every worker has.
fn echo() -> AgentName {
    "echo".parse().expect("an agent's name")
}

/// One agent; nothing if anything is wrong with it.
fn agent(
    section: &Section<'_>,
    name: &AgentName,
    line: usize,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Option<AgentSpec> {
    let before = report.errors();
    let kind = section.need("type", TYPES, report, |value| kind_of(text(value)?, name));
    let policy = settings::policy(section, report);
    let pool = settings::pool(section, report);
    let moved_from = settings::moved_from(section, pool.as_ref(), report);
    section.only(
        &[Type::keys(kind), &settings::KEYS].concat(),
        |key| whose(key).filter(|_| kind.is_some()),
        report,
    );
    let kind = kind.and_then(|kind| kind.read(section, around, report))?;
    (report.errors() == before).then_some(AgentSpec { line, kind, policy, pool, moved_from })
}

/// What `type` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Echo,
    Exec,
    Http,
}

fn kind_of(given: &str, name: &AgentName) -> Result<Type, String> {
    let kind = match given {
        "echo" => Type::Echo,
        "exec" => Type::Exec,
        "http" => Type::Http,
        "llm" => return Err(format!("llm comes in a later version: expected {TYPES}")),
        _ => return Err(format!("`{}` is no type of agent: expected {TYPES}", given.escape_debug())),
    };
    match kind {
        Type::Exec | Type::Http if *name == echo() => {
            Err(format!("`echo` is built in: expected echo here, or another name for this {given} agent"))
        }
        kind => Ok(kind),
    }
}

impl Type {
    /// The keys that only this type knows; all of them where it is not known itself.
    fn keys(this: Option<Self>) -> &'static [&'static str] {
        match this {
            None => &["command", "env", "url", "headers"],
            Some(Self::Echo) => &[],
            Some(Self::Exec) => &exec::KEYS,
            Some(Self::Http) => &http::KEYS,
        }
    }

    fn read(self, section: &Section<'_>, around: &Surroundings<'_>, report: &mut Report<'_>) -> Option<Kind> {
        match self {
            Self::Echo => Some(Kind::Echo),
            Self::Exec => exec::read(section, around, report).map(Kind::Exec),
            Self::Http => http::read(section, around, report).map(Kind::Http),
        }
    }
}

/// Whose key it is, where it is one of another type's.
fn whose(key: &str) -> Option<&'static str> {
    match key {
        key if exec::KEYS.contains(&key) => Some("type = \"exec\": leave it out here"),
        key if http::KEYS.contains(&key) => Some("type = \"http\": leave it out here"),
        _ => None,
    }
}
