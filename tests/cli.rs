//! The command line: exit codes, one-line errors and JSON, as the contract has them.

mod support;

#[path = "cli/agents_file.rs"]
mod agents_file;
#[path = "cli/chat.rs"]
mod chat;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/command.rs"]
mod command;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/dev.rs"]
mod dev;
#[path = "cli/draining.rs"]
mod draining;
#[path = "cli/failures.rs"]
mod failures;
#[path = "cli/following.rs"]
mod following;
#[path = "cli/health.rs"]
mod health;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/looking.rs"]
mod looking;
#[path = "cli/operating.rs"]
mod operating;
#[path = "cli/printed.rs"]
mod printed;
#[path = "cli/sending.rs"]
mod sending;
#[path = "cli/simulating.rs"]
mod simulating;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/top.rs"]
mod top;
#[path = "cli/worker.rs"]
mod worker;
