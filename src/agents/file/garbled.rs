//! Whatever a file holds, reading it ends with agents or with problems, and shows no secret.

use std::path::Path;

use super::Reading;
use crate::runtime::Env;

const GOOD: &str = r#"
# A file as people write them.
[agents.support]
type = "exec"
command = ["sh", "-c", 'cat "$1"']
env = { TOKEN = "${TOKEN}", PRICE = "5$" }
tries = 3
backoff = { first = "100ms", max = "30s" }
history = 1_000
timeout = "60s"

[agents.web]
type = "http"
url = "https://agents.example/turn?key=value"
pool = "gpu"
resume = "eager"
durability = "fsync+replicas:1"
concurrency = 0x10
idle = "5m"

[agents.web.headers]
authorization = "Bearer ${TOKEN}"
"x-ünïcode" = """
many lines"""
"#;

const PIECES: [&str; 24] = [
    "\n",
    "\r\n",
    "[",
    "]",
    "[[agents.x]]",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "${",
    "$${",
    "}",
    "{",
    ",",
    ".",
    "#",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "ü",
    "-1",
    "1e400",
    "inf",
    "1979-05-27",
];

/// `GOOD` after a few slips of the hand.
fn garbled(env: &Env) -> String {
    let mut text: Vec<char> = GOOD.chars().collect();
    for _ in 0..=env.random_below(4) {
        let at = |below: usize| usize::try_from(env.random_below(below as u64)).unwrap();
        let (from, length) = (at(text.len() + 1), at(12));
        let to = (from + length).min(text.len());
        match at(3) {
            0 => drop(text.drain(from..to)),
            1 => drop(text.splice(from..from, PIECES[at(PIECES.len())].chars())),
            _ => {
                let copied = text[from..to].to_vec();
                let into = at(text.len() + 1);
                text.splice(into..into, copied);
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn a_garbled_file_is_read_or_refused_with_a_line_that_it_has_and_without_a_secret() {
    let variables = |name: &str| match name {
        "TOKEN" => Some("s3cret".to_owned()),
        "PATH" => Some("/bin".to_owned()),
        _ => None,
    };
    let rounds = std::env::var("TENURE_TEST_ROUNDS").ok().map_or(500, |rounds| rounds.parse().unwrap());
    for seed in 0..rounds {
        let text = garbled(&Env::seeded(seed));
        let reading = Reading::of_text("a.toml", &text, Path::new("/"), &variables);
        let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        for problem in &reading.problems {
            assert!((1..=lines).contains(&problem.line), "seed {seed}: {problem}\n{text}");
            assert!(!problem.problem.chars().any(char::is_control), "seed {seed}: {problem:?}");
        }
        assert!(!format!("{reading:?}").contains("s3cret"), "seed {seed}: {reading:?}");
        let _ = reading.into_file();
    }
}
