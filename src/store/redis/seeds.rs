//! The address of a cluster: some of its nodes, any of which knows the others.

use super::{Options, target::Target};
use crate::store::{StoreError, StoreResult};

/// `redis+cluster://[user:password@]host[:port],host[:port]…`, or `rediss+cluster://` for TLS.
#[derive(Clone)]
pub(super) struct Seeds {
    /// `redis://`, or `rediss://`.
    scheme: String,
    /// With its `@`, or nothing.
    user: String,
    hosts: Vec<String>,
    /// All behind the hosts.
    rest: String,
}

impl Seeds {
    /// Nothing where the address is that of something else.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("+cluster://")?;
        if !["redis", "rediss"].contains(&scheme) {
            return None;
        }
        let end = rest.rfind('@').map_or(0, |at| at + 1);
        let (user, places) = rest.split_at(end);
        let (hosts, rest) = places.split_at(places.find(['/', '?', '#']).unwrap_or(places.len()));
        let hosts = hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
        Some(Self { scheme: format!("{scheme}://"), user: user.to_owned(), hosts, rest: rest.to_owned() })
    }

    /// The hosts, for people.
    pub(super) fn address(&self) -> &str {
        self.hosts.first().map_or("", String::as_str)
    }

    /// What leads to each.
    pub(super) fn targets(&self, options: &Options) -> StoreResult<Vec<Target>> {
        if self.hosts.is_empty() {
            return Err(not_an_address());
        }
        self.hosts.iter().map(|host| self.target_at(host, options)).collect()
    }

    fn url(&self, address: &str) -> String {
        let Self { scheme, user, rest, .. } = self;
        format!("{scheme}{user}{}{rest}", bracketed(address))
    }

    /// What leads to one node, by host and port.
    pub(super) fn target_at(&self, address: &str, options: &Options) -> StoreResult<Target> {
        let target =
            Target::new(&self.url(address), &options.tls, options.timeout, options.scripts.guarded())
                .map_err(|_| not_an_address())?;
        match target.database() {
            0 => Ok(target),
            _ => Err(StoreError::Refused(
                "a cluster has database 0 alone: leave the number out of --redis (TENURE_REDIS)".to_owned(),
            )),
        }
    }
}

/// Servers write IPv6 addresses without brackets.
fn bracketed(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        _ => address.to_owned(),
    }
}

/// Without the address: it may hold a password.
fn not_an_address() -> StoreError {
    StoreError::Refused(
        "--redis (TENURE_REDIS) is not the address of a cluster: write redis+cluster://HOST:PORT,HOST:PORT, with USER:PASSWORD@ before the first HOST if it wants them".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        let seeds = Seeds::of(url).expect("a cluster's");
        let targets = seeds.targets(&Options::new(url)).unwrap();
        targets.iter().map(|target| target.address().to_owned()).collect()
    }

    #[test]
    fn every_host_is_a_seed_and_has_the_same_user() {
        assert_eq!(addresses("redis+cluster://a:1,b:2,c"), ["a:1", "b:2", "c:6379"]);
        let seeds = Seeds::of("redis+cluster://u:p%40ss@a:1,b:2/0").unwrap();
        assert_eq!(seeds.url("::1:7000"), "redis://u:p%40ss@[::1]:7000/0");
        assert_eq!(seeds.target_at("::1:7000", &Options::new("")).unwrap().address(), "::1:7000");
    }

    #[test]
    fn other_addresses_are_others_business() {
        for url in ["redis://h", "redis+sentinel://h/m", "http+cluster://h", ""] {
            assert!(Seeds::of(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_bad_address_is_refused_without_repeating_it_and_so_is_a_database() {
        for (bad, why) in [
            ("redis+cluster://", "not the address"),
            ("redis+cluster://u:secret@", "not the address"),
            ("redis+cluster://u:secret@h:port", "not the address"),
            ("redis+cluster://u:secret@h:1,g:2/3", "database 0"),
        ] {
            let error = Seeds::of(bad).unwrap().targets(&Options::new(bad)).map(drop).unwrap_err();
            assert!(matches!(&error, StoreError::Refused(said) if said.contains(why)), "{error:?}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
