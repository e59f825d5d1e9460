//! Options of every command, before and after its name.

use std::time::Duration;

use tenure::model::Namespace;

use crate::values;

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Where Redis is: redis://[[user]:password@]host[:port]
    #[arg(
        long,
        global = true,
        env = "TENURE_REDIS",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379",
        value_name = "URL"
    )]
    pub(crate) redis: String,
    /// Whether that was given, and is not the default.
    #[arg(skip)]
    pub(crate) redis_given: bool,
    /// The fleet's own corner of that Redis
    #[arg(long, global = true, env = "TENURE_NAMESPACE", default_value = "default", value_name = "NAME")]
    pub(crate) namespace: Namespace,
    /// How long to try to reach Redis, and to wait for any single answer of it
    #[arg(long, global = true, default_value = "5s", value_parser = values::duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// Print one JSON object a line and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
}
