//! What the table of an `exec` agent says.

use std::{collections::BTreeMap, path::Path};

use toml::de::DeValue;

use super::{
    ExecSpec, Secret, program,
    reading::Surroundings,
    report::Report,
    section::{Section, found, text},
    variables::filled_in,
};

/// The keys that only this type knows.
pub(super) const KEYS: [&str; 2] = ["command", "env"];

const EXPECTED: &str = r#"an array of strings, such as ["python3", "agent.py"]"#;

/// Reads the rest of the table; nothing if it cannot be run.
pub(super) fn read(
    section: &Section<'_>,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Option<ExecSpec> {
    let env = env(section, around, report);
    let path = env.get("PATH").map(|path| path.expose().to_owned());
    let path = path.or_else(|| (around.variables)("PATH")).unwrap_or_default();
    let (command, program) =
        section.need("command", EXPECTED, report, |value| command(value, around.directory, &path))?;
    Some(ExecSpec { program, command, env, directory: around.directory.to_owned() })
}

/// The command's words, and the file that it runs.
fn command(
    value: &DeValue<'_>,
    directory: &Path,
    path: &str,
) -> Result<(Vec<String>, std::path::PathBuf), String> {
    let words = value.as_array().ok_or_else(|| {
        let shell = if value.is_str() { ": there is no shell to split it" } else { "" };
        format!("expected {EXPECTED}, found {}{shell}", found(value))
    })?;
    let words: Result<Vec<_>, _> = words.iter().map(|word| text(word.get_ref()).map(str::to_owned)).collect();
    let words = words.map_err(|why| format!("expected {EXPECTED}: in it, {why}"))?;
    if words.iter().any(|word| word.contains('\0')) {
        return Err("a word of a command cannot hold a NUL character".to_owned());
    }
    match words.first().map(String::as_str) {
        None | Some("") => Err(format!("names no program: expected {EXPECTED}")),
        Some(name) => {
            let program = program::find(name, directory, path)?;
            Ok((words, program))
        }
    }
}

fn env(
    section: &Section<'_>,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, Secret> {
    let Some(table) = section.table("env", report) else { return BTreeMap::new() };
    let read = |(name, ..): (&str, _, &_)| {
        let value = table.entry_of("env", name, report, |value| variable(name, value, around))?;
        Some((name.to_owned(), Secret::new(value)))
    };
    table.entries().filter_map(read).collect()
}

fn variable(name: &str, value: &DeValue<'_>, around: &Surroundings<'_>) -> Result<String, String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("not a variable's name: it cannot be empty, nor hold `=` or a NUL character".to_owned());
    }
    let value =
        value.as_str().ok_or_else(|| format!("expected a string in quotes, found {}", found(value)))?;
    let value = filled_in(value, around.variables)?;
    if value.contains('\0') { Err("a variable cannot hold a NUL character".to_owned()) } else { Ok(value) }
}
