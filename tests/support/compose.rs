//! The project's own `docker-compose.yml`, brought up as a user would.
//!
//! Workers run from `TENURE_TEST_TENURE_IMAGE` (`scripts/test` makes it from this checkout), Redis
//! from `TENURE_TEST_IMAGE`. One at a time: the test belongs to the group `heavy`.

use std::process::Command;
use std::thread;

use super::containers::redis_image;
use super::port;

/// One name for all, so that what a killed run left behind is found and removed by the next.
const PROJECT: &str = "tenure-test";
const DOWN: &[&str] = &["down", "--volumes", "--remove-orphans", "--timeout", "5"];

/// Redis and workers, up until dropped.
pub struct Compose {
    port: u16,
    profile: Option<&'static str>,
}

impl Compose {
    /// Redis and as many workers as the file says.
    pub fn up() -> Self {
        Self::up_with(None)
    }

    /// What a profile of the file is; without one what comes up when none is named.
    pub fn up_with(profile: Option<&'static str>) -> Self {
        let compose = Self { port: port::free(), profile };
        compose.run(DOWN);
        compose.run(&["up", "-d", "--no-build"]);
        compose
    }

    /// Runs `tenure` in a worker's container of this service, with the address that it has; what it printed.
    pub fn tenure(&self, worker: &str, args: &[&str]) -> Result<String, String> {
        let exec = ["exec", "-T", worker, "tenure"];
        self.try_run(&[&exec[..], args].concat())
    }

    /// `up --scale worker=N`, while it runs.
    pub fn scale_workers(&self, workers: usize) {
        self.run(&["up", "-d", "--no-build", "--scale", &format!("worker={workers}")]);
    }

    /// Where clients on this machine connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A client of its Redis.
    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).expect("the fixture makes good addresses")
    }

    /// The container ids of the workers that run.
    pub fn workers(&self) -> Vec<String> {
        self.run(&["ps", "-q", "worker"]).lines().map(str::to_owned).collect()
    }

    /// What the workers said.
    pub fn logs(&self) -> String {
        self.run(&["logs", "--no-color", "worker"])
    }

    fn run(&self, args: &[&str]) -> String {
        self.try_run(args).unwrap_or_else(|said| panic!("docker-compose {args:?}: {said}"))
    }

    fn try_run(&self, args: &[&str]) -> Result<String, String> {
        let profile = self.profile.map(|profile| ["--profile", profile]);
        let output = compose_command()
            .args(["-p", PROJECT])
            .args(profile.iter().flatten())
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("TENURE_REDIS_PORT", self.port.to_string())
            .env("TENURE_REDIS_IMAGE", redis_image())
            .env("TENURE_IMAGE", tenure_image())
            .output()
            .expect("docker-compose can be started");
        let [said, answer] =
            [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned());
        if output.status.success() { Ok(answer) } else { Err(said) }
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // A panic here would hide the one that is under way.
        if thread::panicking() {
            let logs = self.try_run(&["logs", "--no-color"]).unwrap_or_else(|said| said);
            eprintln!("--- logs\n{logs}");
        }
        if let Err(said) = self.try_run(DOWN) {
            eprintln!("docker-compose {DOWN:?}: {said}");
        }
    }
}

/// The plugin of newer Docker, else the program of its own that Debian has.
fn compose_command() -> Command {
    let plugin = Command::new("docker").args(["compose", "version"]).output();
    if plugin.is_ok_and(|output| output.status.success()) {
        let mut command = Command::new("docker");
        command.arg("compose");
        return command;
    }
    Command::new("docker-compose")
}

fn tenure_image() -> String {
    std::env::var("TENURE_TEST_TENURE_IMAGE").unwrap_or_else(|_| "tenure:local".to_owned())
}
