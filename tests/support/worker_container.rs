//! A worker in a container of the project's own image.
//!
//! The image is `TENURE_TEST_TENURE_IMAGE` (`scripts/test` makes it from this checkout). It shares the host's network,
//! so that it reaches a server of the test's own.

use std::process::{Command, Output};

use super::port;

/// Where containers are if nothing else is said.
const NETWORK: &str = "bridge";

/// A running worker; the container goes with the fixture.
pub struct WorkerContainer {
    id: String,
}

impl WorkerContainer {
    /// A worker on the Redis at `url`, with all that the image says.
    pub fn start(url: &str) -> Self {
        let image = std::env::var("TENURE_TEST_TENURE_IMAGE").unwrap_or_else(|_| "tenure:local".to_owned());
        let (server, health) =
            (format!("TENURE_REDIS={url}"), format!("TENURE_HEALTH=127.0.0.1:{}", port::free()));
        let mut run = vec!["run", "--detach", "--label", "tenure.test=1", "--network", "host"];
        run.extend(["--stop-timeout", "60", "--env", &server, "--env", &health, &image]);
        Self { id: said(&run) }
    }

    /// A worker in Docker's own network, which it can be cut off from, with these arguments.
    pub fn start_in_network(url: &str, args: &[&str]) -> Self {
        let image = std::env::var("TENURE_TEST_TENURE_IMAGE").unwrap_or_else(|_| "tenure:local".to_owned());
        let server = format!("TENURE_REDIS={url}");
        let mut run = vec!["run", "--detach", "--label", "tenure.test=1", "--network", NETWORK];
        run.extend(["--env", &server, &image, "worker", "--json"]);
        run.extend(args);
        Self { id: said(&run) }
    }

    /// Cuts it off: nothing gets in or out, and nobody is told.
    pub fn disconnect(&self) {
        said(&["network", "disconnect", NETWORK, &self.id]);
    }

    /// Ends that.
    pub fn reconnect(&self) {
        said(&["network", "connect", NETWORK, &self.id]);
    }

    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        said(&["inspect", "--format", "{{.State.Running}}", &self.id]) == "true"
    }

    /// The user that its process is to the host.
    pub fn user_id(&self) -> u32 {
        let listed = said(&["top", &self.id, "-o", "pid,uid"]);
        let process = listed.lines().last().expect("it runs");
        process.split_whitespace().nth(1).expect("two columns").parse().expect("a number")
    }

    /// What the image's own health check has come to.
    pub fn health(&self) -> String {
        said(&["inspect", "--format", "{{.State.Health.Status}}", &self.id])
    }

    /// `docker stop`; the exit code.
    pub fn stop(&self) -> i32 {
        said(&["stop", &self.id]);
        said(&["inspect", "--format", "{{.State.ExitCode}}", &self.id]).parse().expect("a number")
    }

    /// What it said.
    pub fn logs(&self) -> String {
        let Output { stdout, stderr, .. } = docker(&["logs", &self.id]);
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    }
}

impl Drop for WorkerContainer {
    fn drop(&mut self) {
        // A panic here would hide the one that is under way.
        docker(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// What `docker` printed, once it went well.
fn said(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = docker(args);
    assert!(status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().expect("docker can be started")
}
