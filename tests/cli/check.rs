//! `tenure check`.

use std::{fs, process::Command};

use serde_json::json;
use tempfile::TempDir;

use crate::command::{end, members, tenure};

/// A folder with an agents file of that text.
pub fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("agents.toml"), text).unwrap();
    folder
}

/// `tenure` in a folder.
pub fn in_folder(folder: &TempDir, args: &[&str]) -> Command {
    let mut command = tenure(args);
    command.current_dir(folder.path());
    command
}

const SOUND: &str = r#"
[agents.support]
type = "exec"
command = ["sh", "-c", "cat"]
env = { KEY = "Bearer ${TOKEN}", OTHER = "planted-literal" }
tries = 2
pool = "gpu"

[agents.hook]
type = "http"
url = "https://example.com/hook?key=planted-query"
headers = { Authorization = "Bearer ${TOKEN}", X-Other = "planted-literal" }
"#;

#[test]
fn a_sound_file_is_shown_with_every_agents_settings() {
    let folder = folder(SOUND);
    let check = |args: &[&str]| {
        let mut command = in_folder(&folder, &[&["check"], args].concat());
        command.env("TOKEN", "planted-variable");
        end(command)
    };
    let agents = check(&["--json"]).json();
    let names: Vec<_> = agents.iter().map(|agent| agent["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "hook", "support"]);
    let settings = [
        "agent",
        "backoff",
        "concurrency",
        "durability",
        "history",
        "idle",
        "line",
        "moved_from",
        "pool",
        "resume",
        "timeout",
        "tries",
        "type",
    ];
    assert_eq!(members(&agents[0]), settings);
    assert_eq!(agents[0]["line"], json!(null));
    assert_eq!(agents[1]["headers"], json!(["authorization", "x-other"]));
    assert_eq!(agents[1]["url"], "https://example.com/hook?***");
    let support = &agents[2];
    assert_eq!(
        (&support["line"], &support["tries"], &support["pool"]),
        (&json!(2), &json!(2), &json!("gpu"))
    );
    assert_eq!(support["command"], json!(["sh", "-c", "cat"]));
    assert_eq!(support["env"], json!(["KEY", "OTHER"]));
    assert_eq!(support["backoff"], json!({"first": "100ms", "max": "30s"}));
    let plain = check(&["agents.toml"]).well();
    assert!(plain.starts_with("AGENT") && plain.contains("sh -c cat"), "{plain}");
    for said in [plain, check(&["--json"]).well()] {
        assert!(!said.contains("planted"), "{said}");
    }
}

#[test]
fn every_error_has_its_line_and_the_exit_code_is_2() {
    let folder = folder("[agents.a]\ntype = \"ecko\"\n[agents.b]\ntype = \"echo\"\ntrys = 3\n");
    let ended = end(in_folder(&folder, &["check"]));
    assert_eq!(ended.badly(2), "tenure: agents.toml has 2 errors: correct them and check again");
    let errors: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors[0].starts_with("error: agents.toml:2: `type`: `ecko`"), "{errors:?}");
    assert!(
        errors[1].contains("agents.toml:5: unknown key `trys`")
            && errors[1].ends_with("(did you mean `tries`?)")
    );
    let ended = end(in_folder(&folder, &["check", "--json"]));
    ended.badly(2);
    let problem: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(members(&problem), ["agent", "file", "level", "line", "problem"]);
    assert_eq!((&problem["level"], &problem["line"]), (&json!("error"), &json!(5)));
}

#[test]
fn every_class_is_fine_with_the_file() {
    let folder = folder("[agents.a]\ntype = \"echo\"\ndurability = \"fsync+replicas:2\"\n");
    let said = end(in_folder(&folder, &["check", "--json"])).json().remove(0);
    assert_eq!(said["durability"], "fsync+replicas:2");
}

#[test]
fn the_pool_that_an_agent_moved_from_is_shown_beside_its_own() {
    let folder = folder("[agents.a]\ntype = \"echo\"\npool = \"gpu\"\nmoved_from = \"default\"\n");
    let said = end(in_folder(&folder, &["check"])).well();
    assert!(said.contains("gpu (from default)"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let ended = end(in_folder(&folder, &["check"]));
    ended.badly(2);
    assert_eq!(ended.stdout, "error: agents.toml: there is no such file: write it, or correct its name\n");
}

#[test]
fn no_message_repeats_a_secret() {
    let wrong = [
        "[agents.a]\ntype = \"exec\"\ncommand = [\"sh\"]\nenv = { A = \"planted ${NONE}\", \"B=\" = \"planted\" }\n",
        "[agents.a]\ntype = \"http\"\nurl = \"http://user:planted@a/\"\nheaders = { a = \"planted\\n\", Host = \"planted\" }\n",
        "[agents.a]\ntype = \"exec\"\nenv = { A = \"planted\n",
        "[agents.a]\ntype = \"exec\"\nenv = { A = planted }\n",
        "[agents.a]\ntype = \"exec\"\nenv = { A = \"${TOKEN}\" }\ncolour = 1\n",
        "[agents.a]\ntype = \"exec\"\nenv = { A = \"planted\", A = \"planted\" }\n",
    ];
    for text in wrong {
        let folder = folder(text);
        for args in [&["check"][..], &["check", "--json"], &["worker", "--agents", "agents.toml"], &["dev"]] {
            let mut command = in_folder(&folder, args);
            let ended = end({
                command.env("TOKEN", "planted").env("RUST_LOG", "trace");
                command
            });
            assert_eq!(ended.code, 2, "{text}: {ended:?}");
            assert!(!format!("{ended:?}").contains("planted"), "{text}: {ended:?}");
        }
    }
}
