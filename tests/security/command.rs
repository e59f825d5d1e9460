//! Runs the built `tenure`.

use std::process::{Command, Stdio};

/// What would change where a command goes.
const SURROUNDINGS: [&str; 9] = [
    "TENURE_REDIS",
    "TENURE_REDIS_FILE",
    "TENURE_TLS_CA",
    "TENURE_TLS_CERT",
    "TENURE_TLS_KEY",
    "TENURE_KEYS",
    "TENURE_KEYS_FILE",
    "TENURE_NAMESPACE",
    "RUST_LOG",
];

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `tenure` to its end, with a few variables.
pub fn tenure_with(variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(args).stdin(Stdio::null());
    for name in SURROUNDINGS {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `tenure` to its end.
pub fn tenure(args: &[&str]) -> Ended {
    tenure_with(&[], args)
}

impl Ended {
    /// What it printed, for it went well.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The one line it ended with, and not with 0.
    pub fn badly(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self.stderr
    }
}
