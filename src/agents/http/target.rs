//! Where an http agent is, and what is wrong with an address that is none.

use std::{fmt, str::FromStr};

use hyper::Uri;

/// An agent's settings that cannot be used; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadHttp(pub(super) String);

/// The URL of an http agent. Shows only its scheme, host and port: a path or a query may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target(Uri);

impl Target {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for Target {
    type Err = BadHttp;

    fn from_str(url: &str) -> Result<Self, BadHttp> {
        let bad = |why: &str| BadHttp(format!("the url {why}: write http://HOST:PORT/PATH or https://…"));
        let uri: Uri = url.parse().map_err(|err| bad(&format!("cannot be read ({err})")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad("is neither http nor https"));
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(BadHttp(
                "the url names a user: put what proves it into `headers`, as authorization".into(),
            )),
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri)),
            _ => Err(bad("names no host")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Origin(&self.0))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Origin(&self.0))
    }
}

/// Scheme, host and port of any address.
pub(super) struct Origin<'u>(pub(super) &'u Uri);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri) = self;
        write!(f, "{}://{}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())?;
        uri.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_neither_its_path_nor_its_query() {
        let target: Target = "https://agents.example:8443/hooks/s3cret?key=s3cret".parse().unwrap();
        assert_eq!(target.to_string(), "https://agents.example:8443");
        assert_eq!(format!("{target:?}"), "https://agents.example:8443");
        assert!(target.is_encrypted());
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (url, why) in [
            ("localhost:8080", "neither http nor https"),
            ("ftp://host/", "neither http nor https"),
            ("http:///path", "cannot be read"),
            ("/turn", "neither http nor https"),
            ("http://ann:s3cret@host/", "`headers`"),
        ] {
            let BadHttp(said) = url.parse::<Target>().unwrap_err();
            assert!(said.contains(why) && !said.contains("s3cret"), "{url}: {said}");
        }
    }
}
