//! Encryption at rest, with real processes: what lies in Redis, who can read it, and what becomes of a session that
//! cannot be read.

mod support;

#[path = "security/command.rs"]
mod command;
#[path = "sealed/keys.rs"]
mod keys;
#[path = "sealed/scene.rs"]
mod scene;
#[path = "sealed/unreadable.rs"]
mod unreadable;
#[path = "sealed/visible.rs"]
mod visible;
