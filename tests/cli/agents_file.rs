//! What workers and `dev` make of an agents file.

use serde_json::json;

use crate::{
    check::{folder, in_folder},
    command::{RunningWorker, end, end_with_input, on, tenure},
    support::RedisServer,
};

/// No server listens there.
const NOWHERE: &str = "redis://127.0.0.1:1";

const TWO_POOLS: &str =
    "[agents.parrot]\ntype = \"echo\"\npool = \"gpu\"\n[agents.mynah]\ntype = \"echo\"\npool = \"default\"\n";

/// Next to the built-in echo.
const MOVED: &str = "[agents.parrot]\ntype = \"echo\"\npool = \"cpu\"\nmoved_from = \"gpu\"\n";

#[test]
fn a_worker_with_a_bad_file_says_the_first_error_and_how_many_more_there_are() {
    let folder = folder("[agents.a]\ntype = \"ecko\"\ntries = 0\n");
    let ended = end(in_folder(&folder, &["worker", "--agents", "agents.toml", "--redis", NOWHERE]));
    let line = ended.badly(2);
    assert!(line.starts_with("tenure: agents.toml:2: `type`: `ecko` is no type"), "{line}");
    assert!(line.ends_with("(and 1 more: `tenure check agents.toml`)"), "{line}");
    let mut command = tenure(&["worker", "--redis", NOWHERE]);
    command.env("TENURE_AGENTS", "/nowhere/agents.toml");
    assert_eq!(
        end(command).badly(2),
        "tenure: /nowhere/agents.toml: there is no such file: write it, or correct its name"
    );
}

#[test]
fn a_worker_does_not_start_with_a_durability_that_it_cannot_give() {
    let folder = folder("[agents.a]\ntype = \"echo\"\ndurability = \"replicas:2\"\n");
    let server = RedisServer::start();
    let mut command = on(&server, &["worker", "--agents", "agents.toml"]);
    command.current_dir(folder.path()).env("RUST_LOG", "error");
    let line = end(command).badly(4).to_owned();
    assert!(line.contains("replicas:2 is asked for: 0 replicas follow: add replicas"), "{line}");
}

#[test]
fn a_worker_serves_the_agents_of_its_pool_and_clients_know_where_they_are() {
    let folder = folder(TWO_POOLS);
    let path = folder.path().join("agents.toml");
    let file = path.to_str().unwrap();
    let server = RedisServer::start();
    let _gpu = RunningWorker::start(&server, &["--agents", file, "--pool", "gpu"]);
    let _default = RunningWorker::start(&server, &["--agents", file]);
    let mut serving: Vec<_> = end(on(&server, &["workers", "--json"])).json();
    serving.sort_by_key(|worker| worker["pool"].to_string());
    let serving: Vec<_> = serving.iter().map(|worker| (&worker["pool"], &worker["agents"])).collect();
    let expected = [json!("default"), json!(["echo", "mynah"]), json!("gpu"), json!(["echo", "parrot"])];
    assert_eq!(serving, [(&expected[0], &expected[1]), (&expected[2], &expected[3])]);
    for (session, pool) in [("parrot/a", "gpu"), ("mynah/a", "default"), ("echo/a", "gpu")] {
        assert_eq!(end(on(&server, &["send", session, "hi", "--wait=30s"])).well(), "hi\n");
        let view = end(on(&server, &["show", session, "--json"])).json().remove(0);
        assert_eq!(view["pool"], pool, "{session}");
    }
}

#[test]
fn a_worker_with_an_agent_in_another_pool_than_those_who_serve_it_is_refused_by_name() {
    let (ours, moved) = (folder("[agents.parrot]\ntype = \"echo\"\n"), folder(MOVED));
    let path = |folder: &tempfile::TempDir| folder.path().join("agents.toml").to_str().unwrap().to_owned();
    let (ours, moved) = (path(&ours), path(&moved));
    let server = RedisServer::start();
    let mut gpu = RunningWorker::start(&server, &["--agents", &ours, "--pool", "gpu"]);
    let refused = |args: &[&str]| {
        let mut command = on(&server, &[&["worker", "--agents"], args].concat());
        command.env("RUST_LOG", "error");
        end(command).badly(1).to_owned()
    };
    let line = refused(&[&ours, "--pool", "cpu"]);
    let by =
        format!("agent parrot belongs to pool gpu, where it is served by {}, and not to pool cpu: ", gpu.id);
    assert!(line.contains(&by), "{line}");
    let _other = RunningWorker::start(&server, &["--agents", &moved, "--pool", "other"]);
    refused(&[&moved, "--pool", "cpu"]);
    gpu.signal("TERM");
    assert!(gpu.ended().success());
    let _cpu = RunningWorker::start(&server, &["--agents", &moved, "--pool", "cpu"]);
    refused(&[&ours, "--pool", "gpu"]);
    let _gpu = RunningWorker::start(&server, &["--agents", &moved, "--pool", "gpu"]);
}

#[test]
fn a_worker_of_a_pool_that_no_agent_belongs_to_says_so() {
    let folder = folder(
        "[agents.parrot]\ntype = \"echo\"\npool = \"gpu\"\n[agents.echo]\ntype = \"echo\"\npool = \"gpu\"\n",
    );
    let ended = end(in_folder(&folder, &["worker", "--agents", "agents.toml", "--redis", NOWHERE]));
    assert!(ended.badly(2).contains("agents.toml has no agent for pool default"));
}

#[test]
fn dev_serves_all_that_the_file_in_its_folder_declares_whatever_the_pool() {
    let folder = folder(TWO_POOLS);
    for args in [&["dev"][..], &["dev", "parrot/x"], &["dev", "mynah/x"], &["dev", "echo/x"]] {
        assert_eq!(end_with_input(in_folder(&folder, args), b"hi\n").well(), "hi\n");
    }
    let line = end(in_folder(&folder, &["dev", "nobody/x"])).badly(3).to_owned();
    assert!(line.ends_with("dev has echo, mynah, parrot, as in parrot/dev"), "{line}");
    let path = folder.path().join("agents.toml");
    let elsewhere = tenure(&["dev", "parrot/x", "--agents", path.to_str().unwrap()]);
    assert_eq!(end_with_input(elsewhere, b"hi\n").well(), "hi\n");
    end(tenure(&["dev", "--agents", "/nowhere.toml"])).badly(2);
}
