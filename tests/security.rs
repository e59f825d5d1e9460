//! How programs get to Redis, and what they may do there: TLS, sockets, users and their rights.

mod support;

#[path = "security/address.rs"]
mod address;
#[path = "security/command.rs"]
mod command;
#[path = "security/tls.rs"]
mod tls;
#[path = "security/users.rs"]
mod users;
