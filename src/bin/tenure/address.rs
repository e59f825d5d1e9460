//! Where Redis is, and by which certificates: from the command line, the environment or files.

use std::{fs, path::Path};

use tenure::store::redis::{Identity, Tls};

use crate::{
    failure::{Exit, Failure},
    global::Global,
};

impl Global {
    /// Whether somebody said where Redis is.
    pub(crate) fn names_a_server(&self) -> bool {
        self.redis_given || self.redis_url_file.is_some()
    }

    /// The address of Redis. It may hold a password.
    pub(crate) fn address(&self) -> Result<String, Failure> {
        match &self.redis_url_file {
            None => Ok(self.redis.clone()),
            Some(_) if self.redis_given => Err(usage(
                "give --redis (TENURE_REDIS) or --redis-url-file (TENURE_REDIS_FILE), and not both",
            )),
            Some(file) => in_file(file),
        }
    }

    /// What connections by TLS trust and show.
    pub(crate) fn tls(&self) -> Result<Tls, Failure> {
        let (certificate, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return self.trust(None),
            _ => return Err(usage("--tls-cert and --tls-key go together: give both, or none")),
        };
        let (certificate, key) = (read("--tls-cert", certificate)?, read("--tls-key", key)?);
        self.trust(Some(Identity { certificate: &certificate, key: &key }))
    }

    fn trust(&self, identity: Option<Identity<'_>>) -> Result<Tls, Failure> {
        let ca = self.tls_ca.as_deref().map(|file| read("--tls-ca", file)).transpose()?;
        Tls::new(ca.as_deref(), identity)
            .map_err(|err| usage(format!("{err}: see --tls-ca, --tls-cert and --tls-key")))
    }
}

/// The one line of the file. What stands there is never repeated.
fn in_file(file: &Path) -> Result<String, Failure> {
    let bytes = read("--redis-url-file", file)?;
    let text = str::from_utf8(&bytes).map(str::trim_end).unwrap_or_default();
    if text.is_empty() || text.contains(char::is_whitespace) {
        let line = "is not an address alone on its line: write redis://USER:PASSWORD@HOST:PORT into it";
        return Err(usage(format!("--redis-url-file: {} {line}", file.display())));
    }
    Ok(text.to_owned())
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|err| usage(format!("{option}: cannot read {}: {err}", file.display())))
}

fn usage(line: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, line)
}
