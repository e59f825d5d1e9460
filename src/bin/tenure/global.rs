//! Options of every command, before and after its name.

use std::{path::PathBuf, time::Duration};

use tenure::model::Namespace;

use crate::values;

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Where Redis is: redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix:///path,
    /// redis+sentinel://host,host/name, or redis+cluster://host,host
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
    /// A file with that address in place of --redis, so that a password stands in no command line
    #[arg(long, global = true, env = "TENURE_REDIS_FILE", value_name = "FILE")]
    pub(crate) redis_url_file: Option<PathBuf>,
    /// The certificates (PEM) to trust at rediss:// in place of the system's
    #[arg(long, global = true, env = "TENURE_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The certificate (PEM) to show at rediss://; --tls-key belongs to it
    #[arg(long, global = true, env = "TENURE_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key (PEM) of --tls-cert
    #[arg(long, global = true, env = "TENURE_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The keys that bodies and states are sealed with (see seal-key); without it they are in clear
    #[arg(long, global = true, env = "TENURE_KEYS_FILE", value_name = "FILE")]
    pub(crate) keys_file: Option<PathBuf>,
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
