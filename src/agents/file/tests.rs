//! What is said of every mistake that can be made in a file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::*;
use crate::{
    model::{Backoff, Durability, Resume, TurnPolicy},
    runtime::Home,
};

/// The environment of these tests: a program's path, and a secret.
fn variables(name: &str) -> Option<String> {
    match name {
        "PATH" => Some("/nowhere:/bin:/usr/bin".to_owned()),
        "TOKEN" => Some("s3cret".to_owned()),
        "TORN" => Some("s3cret\n".to_owned()),
        _ => None,
    }
}

fn reading(text: &str) -> Reading {
    Reading::of_text("a.toml", text, Path::new("/"), &variables)
}

fn said(text: &str) -> Vec<String> {
    reading(text).problems.iter().map(ToString::to_string).collect()
}

fn sound(text: &str) -> AgentsFile {
    reading(text).into_file().unwrap_or_else(|err| panic!("{err}"))
}

/// The keys of an exec agent, with these lines from line 4 on.
fn exec(lines: &str) -> String {
    format!("[agents.support]\ntype = \"exec\"\ncommand = [\"sh\"]\n{lines}\n")
}

/// The same of an http agent.
fn http(lines: &str) -> String {
    format!("[agents.support]\ntype = \"http\"\nurl = \"http://a/b\"\n{lines}\n")
}

fn each_is_said(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(said(text), [*expected], "{text}");
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let file = sound(&exec(""));
    let support = &file.agents[&"support".parse().unwrap()];
    assert_eq!(support.policy, TurnPolicy::default());
    assert_eq!((support.line, &support.pool, support.policy.durability), (1, &None, None));
    assert_eq!((support.home(), AgentSpec::built_in().home()), (Home::Own, Home::Found));
    assert_eq!(file.agents[&"echo".parse().unwrap()], AgentSpec::built_in());
}

#[test]
fn what_is_declared_is_taken() {
    let text = r#"
        [agents.support]
        type = "exec"
        command = ["sh", "-c", "cat"]
        env = { KEY = "Bearer ${TOKEN}", PLAIN = "$${TOKEN}" }
        tries = 2
        backoff = { first = "1s", max = "1m" }
        history = 0
        timeout = "5m"
        concurrency = 7
        pool = "gpu"
        moved_from = "old"
        resume = "eager"
        durability = "memory"
        idle = "2s"

        [agents.a-hook]
        type = "http"
        url = "HTTPS://Example.com/hook?x=1"
        [agents.a-hook.headers]
        Authorization = "Bearer ${TOKEN}"

        [agents.echo]
        type = "echo"
        pool = "default"
    "#;
    let file = sound(text);
    assert_eq!(file.first().as_str(), "support");
    let support = &file.agents[&"support".parse().unwrap()];
    let expected = TurnPolicy {
        durability: Some(Durability::MEMORY),
        tries: 2,
        backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) },
        history: 0,
        timeout: Duration::from_secs(300),
        concurrency: 7,
        idle: Some(Duration::from_secs(2)),
        resume: Resume::Eager,
    };
    assert_eq!(support.policy, expected);
    let pool = |name: &str| name.parse().unwrap();
    assert_eq!((&support.pool, &support.moved_from), (&Some(pool("gpu")), &Some(pool("old"))));
    let served = ["gpu", "old", "default"].map(|name| support.is_served_in(&pool(name)));
    assert_eq!(served, [true, true, false]);
    assert_eq!(support.home(), Home::In(pool("gpu")), "to workers of the old pool too");
    let Kind::Exec(exec) = &support.kind else { panic!("{support:?}") };
    assert!(exec.program.is_absolute() && exec.program.ends_with("sh"), "{exec:?}");
    assert_eq!(exec.command, ["sh", "-c", "cat"]);
    assert_eq!(exec.directory, Path::new("/"));
    assert_eq!(exec.env["KEY"].expose(), "Bearer s3cret");
    assert_eq!(exec.env["PLAIN"].expose(), "${TOKEN}");
    let Kind::Http(http) = &file.agents[&"a-hook".parse().unwrap()].kind else { panic!() };
    assert_eq!(http.url.as_str(), "https://example.com/hook?x=1");
    assert_eq!(http.headers["authorization"].expose(), "Bearer s3cret");
    assert!(!format!("{file:?}").contains("s3cret"));
}

#[test]
fn a_text_that_is_not_toml_is_said_with_its_line() {
    let said = said("[agents.a]\ntype = \"echo\"\n\ntries = = 3\n");
    assert!(said.iter().all(|line| line.starts_with("a.toml:4: not TOML: ")), "{said:?}");
    assert!(!said.is_empty());
    each_is_said(&[(
        "[agents.a]\ntype = \"echo\"\n[agents.b]\ntype = \"echo\"\n[agents.a]\n",
        "a.toml:5: not TOML: duplicate key",
    )]);
}

#[test]
fn a_file_without_agents_is_said() {
    const NONE: &str = "a.toml:1: no agent is declared: expected a table for each, such as [agents.support] with type = \"exec\"";
    each_is_said(&[
        ("", NONE),
        ("[agents]\n", NONE),
        ("agents = 3\n", "a.toml:1: `agents`: expected a table, found an integer"),
        (
            "\n[agent.support]\ntype = \"echo\"\n",
            "a.toml:2: unknown key `agent` in the file: expected `agents` (did you mean `agents`?)",
        ),
        (
            "[[agents.a]]\ntype = \"echo\"\n",
            "a.toml:1: `a`: expected a table, [agents.NAME] in single brackets, found an array",
        ),
        (
            "[agents.Support]\ntype = \"echo\"\n",
            "a.toml:1: `Support` is not an agent's name: 1 to 64 characters of a-z 0-9 _ -, beginning with a letter or digit",
        ),
    ]);
}

#[test]
fn a_type_that_is_none_is_said() {
    each_is_said(&[
        ("\n\n[agents.a]\ntries = 3\n", "a.toml:3: [agents.a] has no `type`: expected echo, exec or http"),
        (
            "[agents.a]\ntype = \"grpc\"\n",
            "a.toml:2: `type`: `grpc` is no type of agent: expected echo, exec or http",
        ),
        (
            "[agents.a]\ntype = \"llm\"\n",
            "a.toml:2: `type`: llm comes in a later version: expected echo, exec or http",
        ),
        ("[agents.a]\ntype = 1\n", "a.toml:2: `type`: expected a string, found an integer"),
        (
            "[agents.echo]\ntype = \"exec\"\ncommand = [\"sh\"]\n",
            "a.toml:2: `type`: `echo` is built in: expected echo here, or another name for this exec agent",
        ),
    ]);
}

#[test]
fn a_key_that_is_unknown_or_anothers_is_said() {
    const EXEC: &str = "expected one of command, env, type, tries, backoff, history, timeout, concurrency, pool, moved_from, resume, durability, idle";
    let cases = [
        (exec("comand = []"), format!("a.toml:4: unknown key `comand` in [agents.support]: {EXEC} (did you mean `command`?)")),
        (exec("colour = 1"), format!("a.toml:4: unknown key `colour` in [agents.support]: {EXEC}")),
        (
            exec("url = \"http://a\""),
            "a.toml:4: `url` in [agents.support] belongs to type = \"http\": leave it out here".to_owned(),
        ),
        (http("env = {}"), "a.toml:4: `env` in [agents.support] belongs to type = \"exec\": leave it out here".to_owned()),
        (
            exec("\n[agents.support.backoff]\nfrist = \"1s\""),
            "a.toml:6: unknown key `frist` in [agents.support.backoff]: expected one of first, max (did you mean `first`?)".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(&text), [expected], "{text}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_said() {
    const MILLION: &str = "expected a whole number from 1 to 1000000, found";
    let cases = [
        ("tries = 0", format!("`tries`: {MILLION} 0")),
        ("tries = \"5\"", format!("`tries`: {MILLION} a string")),
        ("tries = 1.5", format!("`tries`: {MILLION} a float")),
        ("concurrency = 0", format!("`concurrency`: {MILLION} 0")),
        ("concurrency = -1", format!("`concurrency`: {MILLION} -1")),
        ("history = -1", "`history`: expected a whole number from 0 to 1000000, found -1".to_owned()),
        ("timeout = \"0s\"", "`timeout`: expected at least 1ms".to_owned()),
        ("timeout = 60", "`timeout`: expected a duration in quotes, such as \"60s\", found an integer".to_owned()),
        ("timeout = \"60\"", "`timeout`: `60` is not a duration: write 500ms, 3s or 5m".to_owned()),
        ("timeout = \"9000h\"", "`timeout`: expected at most 8760h".to_owned()),
        ("idle = \"soon\"", "`idle`: `soon` is not a duration: write 500ms, 3s or 5m".to_owned()),
        ("backoff = \"1s\"", "`backoff`: expected a table, found a string".to_owned()),
        ("backoff = { first = \"0ms\" }", "`first`: expected at least 1ms".to_owned()),
        ("backoff = { first = \"2s\", max = \"1s\" }", "`backoff`: `first` (2s) is longer than `max` (1s)".to_owned()),
        ("backoff = { first = \"1m\" }", "`backoff`: `first` (1m) is longer than `max` (30s, the default)".to_owned()),
        ("pool = \"a b\"", "`pool`: `a b` is not a pool: 1 to 32 characters of A-Z a-z 0-9 _ -".to_owned()),
        ("moved_from = \"gpu\"", "`moved_from`: expected `pool` too, for where it moved to".to_owned()),
        ("resume = \"now\"", "`resume`: `now` is not a resume policy: write eager or lazy".to_owned()),
        (
            "durability = \"disk\"",
            "`durability`: `disk` is not a durability class: write memory, replicas:N, fsync or fsync+replicas:N, N from 1 to 255".to_owned(),
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(said(&exec(line)), [format!("a.toml:4: {expected}")], "{line}");
    }
}

#[test]
fn an_agent_that_moved_from_where_it_is_is_said() {
    let said = said(&exec("pool = \"gpu\"\nmoved_from = \"gpu\""));
    assert_eq!(said, ["a.toml:5: `moved_from`: expected another pool than `pool`"]);
}

#[test]
fn a_command_that_cannot_be_run_is_said() {
    const ARRAY: &str = r#"expected an array of strings, such as ["python3", "agent.py"]"#;
    let cases = [
        ("", format!("1: [agents.a] has no `command`: {ARRAY}")),
        ("command = []", format!("3: `command`: names no program: {ARRAY}")),
        ("command = [\"\"]", format!("3: `command`: names no program: {ARRAY}")),
        (
            "command = \"sh -c x\"",
            format!("3: `command`: {ARRAY}, found a string: there is no shell to split it"),
        ),
        (
            "command = [\"sh\", 1]",
            format!("3: `command`: {ARRAY}: in it, expected a string, found an integer"),
        ),
        (
            "command = [\"sh\", \"\\u0000\"]",
            "3: `command`: a word of a command cannot hold a NUL character".to_owned(),
        ),
        (
            "command = [\"no-such-program\"]",
            "3: `command`: no program `no-such-program` in PATH: install it, or write its path".to_owned(),
        ),
        ("command = [\"./none\"]", "3: `command`: there is no /./none".to_owned()),
        ("command = [\"/bin/\"]", "3: `command`: /bin/ is a folder, not a program".to_owned()),
    ];
    for (line, expected) in cases {
        let text = format!("[agents.a]\ntype = \"exec\"\n{line}\n");
        assert_eq!(said(&text), [format!("a.toml:{expected}")], "{line}");
    }
}

#[test]
fn a_program_is_looked_for_beside_the_file_and_must_be_executable() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent");
    fs::write(&agent, "#!/bin/sh\n").unwrap();
    let read = |command: &str| {
        let text = format!("[agents.a]\ntype = \"exec\"\ncommand = [\"{command}\"]\n");
        Reading::of_text("a.toml", &text, folder.path(), &variables)
    };
    let said = |command: &str| read(command).into_file().unwrap_err().to_string();
    assert!(said("./agent").contains("is not executable: `chmod +x` it"), "{}", said("./agent"));
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let file = read("./agent").into_file().unwrap();
    let Kind::Exec(exec) = &file.agents[&"a".parse().unwrap()].kind else { panic!() };
    assert_eq!(exec.program, folder.path().join("./agent"));
    assert_eq!(
        said("agent"),
        "a.toml:3: `command`: no program `agent` in PATH: write ./agent for the file beside this one"
    );
}

#[test]
fn an_address_or_a_header_that_does_not_fit_is_said_without_its_value() {
    const ADDRESS: &str = r#"expected an address such as "https://agents.example.com/support""#;
    let with_url = |url: &str| said(&format!("[agents.a]\ntype = \"http\"\nurl = \"{url}\"\n"));
    let cases = [
        ("example.com/x", format!("not an address (relative URL without a base): {ADDRESS}")),
        ("http://", format!("not an address (empty host): {ADDRESS}")),
        ("ftp://a/b", "expected http:// or https://, found ftp:".to_owned()),
        (
            "http://u:s3cret@a/",
            "no user and password here: set `authorization` in `headers`, from the environment".to_owned(),
        ),
        ("http://a/#b", "no `#` here: a server never sees what follows it".to_owned()),
        (
            "http://${HOST}/",
            "${…} is replaced in `env` and `headers` only: write the address itself".to_owned(),
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(with_url(url), [format!("a.toml:3: `url`: {}", expected)], "{url}");
    }
    assert_eq!(
        said("[agents.a]\ntype = \"http\"\n"),
        [format!("a.toml:1: [agents.a] has no `url`: {ADDRESS}")]
    );
    let cases = [
        (
            "headers = { \"a b\" = \"s3cret\" }",
            "`headers.a b`: not a header's name: write letters, digits and -",
        ),
        ("headers = { a = 1 }", "`headers.a`: expected a string in quotes, found an integer"),
        (
            "headers = { a = \"x\", A = \"s3cret\" }",
            "`headers.a`: there already, in other letters: leave one out",
        ),
        ("headers = { Host = \"x\" }", "`headers.Host`: tenure sets this header itself: leave it out"),
        (
            "headers = { a = \"${TORN}\" }",
            "`headers.a`: its value holds a line break or another control character",
        ),
        (
            "headers = { a = \"s3cret ${NONE}\" }",
            "`headers.a`: ${NONE} is not set: set NONE in the worker's environment",
        ),
        ("headers = \"s3cret\"", "`headers`: expected a table, found a string"),
    ];
    for (line, expected) in cases {
        assert_eq!(said(&http(line)), [format!("a.toml:4: {expected}")], "{line}");
    }
}

#[test]
fn a_variable_that_does_not_fit_is_said_without_its_value() {
    let cases = [
        (
            "env = { A = \"s3cret ${NONE}\" }",
            "`env.A`: ${NONE} is not set: set NONE in the worker's environment",
        ),
        ("env = { A = 80 }", "`env.A`: expected a string in quotes, found an integer"),
        (
            "env = { \"A=B\" = \"s3cret\" }",
            "`env.A=B`: not a variable's name: it cannot be empty, nor hold `=` or a NUL character",
        ),
        ("env = { A = \"s3cret\\u0000\" }", "`env.A`: a variable cannot hold a NUL character"),
        ("env = [\"s3cret\"]", "`env`: expected a table, found an array"),
    ];
    for (line, expected) in cases {
        assert_eq!(said(&exec(line)), [format!("a.toml:4: {expected}")], "{line}");
    }
}

#[test]
fn all_that_is_wrong_is_said_and_what_is_sound_is_kept() {
    let text = "[agents.b]\ntype = \"echo\"\n[agents.a]\ntype = \"nono\"\ntries = 0\n[other]\n";
    let reading = reading(text);
    let lines: Vec<_> =
        reading.problems.iter().map(|problem| (problem.line, problem.agent.as_deref())).collect();
    assert_eq!(lines, [(4, Some("a")), (5, Some("a")), (6, None)]);
    let names: Vec<_> = reading.agents.keys().map(AgentName::as_str).collect();
    assert_eq!(names, ["b", "echo"]);
    let refused = reading.into_file().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a.toml:4: `type`: `nono` is no type of agent: expected echo, exec or http (and 2 more: `tenure check a.toml`)"
    );
}

#[test]
fn a_file_that_is_absent_or_no_text_is_a_problem_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.toml");
    let said = || AgentsFile::read(&path, &variables).unwrap_err().to_string();
    assert!(
        said().ends_with("agents.toml: there is no such file: write it, or correct its name"),
        "{}",
        said()
    );
    fs::write(&path, b"# one\n# \xff\n").unwrap();
    assert!(said().ends_with("agents.toml:2: not UTF-8: save the file as UTF-8 text"), "{}", said());
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(said().contains("larger than 1 MiB"), "{}", said());
}
