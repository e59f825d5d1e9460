//! What an address of Redis leads to: one server, or the primary that sentinels name.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, io::tcp::TcpSettings};
use url::Url;

use super::errors::store_error;
use crate::store::{StoreError, StoreResult};

/// Where sentinels listen, unless said otherwise.
const SENTINEL_PORT: u16 = 26379;

/// What an address leads to.
#[derive(Debug, Clone)]
pub(super) enum Topology {
    /// One server.
    Single(ConnectionInfo),
    /// Whoever sentinels name as the primary.
    Sentinel(Watched),
}

/// A primary that sentinels watch.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// What the sentinels call it.
    pub(super) name: String,
    /// How each sentinel is connected to.
    pub(super) sentinels: Vec<ConnectionInfo>,
    /// How the primary is connected to, but for its address.
    login: ConnectionInfo,
}

impl Topology {
    /// Parses an address. An error never repeats it: it may hold a password.
    pub(super) fn parse(url: &str) -> StoreResult<Self> {
        let watched = match url.split_once("://") {
            Some(("redis+sentinel", rest)) => watched("redis", rest),
            Some(("rediss+sentinel", rest)) => watched("rediss", rest),
            _ => {
                let info = url.into_connection_info().map_err(|error| store_error("", error))?;
                return Ok(Self::Single(settled(info)));
            }
        };
        watched.map(Self::Sentinel).ok_or_else(no_sentinels)
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        match self {
            Self::Single(info) | Self::Sentinel(Watched { login: info, .. }) => info.redis_settings().db(),
        }
    }
}

impl Watched {
    /// How the primary at `host` is connected to.
    pub(super) fn primary(&self, host: &str, port: u16) -> ConnectionInfo {
        let host = host.to_owned();
        let addr = match self.login.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.login.clone().set_addr(addr)
    }
}

/// Small answers must not wait for more to send; and answers are those of RESP2 unless something is to be pushed.
fn settled(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

/// Reads `[user:password@]host[:port],…/name[/db][?…]`.
fn watched(scheme: &str, rest: &str) -> Option<Watched> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#'])?);
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hosts: Vec<_> = hosts.split(',').map(|host| server(scheme, host)).collect::<Option<_>>()?;
    let whole = Url::parse(&format!("{scheme}://{login}@sentinels{tail}")).ok()?;
    let mut path = whole.path_segments()?;
    let name = decoded(path.next().filter(|name| !name.is_empty())?)?;
    let (database, rest) = (path.next().unwrap_or_default(), path.next());
    let sound = rest.is_none() && whole.fragment().is_none();
    let login = Url::parse(&format!("{scheme}://{login}@sentinels/{database}")).ok().filter(|_| sound)?;
    let own = Own::read(&whole)?;
    Some(Watched {
        name,
        sentinels: hosts.into_iter().map(|host| own.given_to(host)).collect(),
        login: settled(login.into_connection_info().ok()?),
    })
}

fn server(scheme: &str, host: &str) -> Option<ConnectionInfo> {
    let url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    let alone = url.path().is_empty() && url.username().is_empty() && url.password().is_none();
    let port = url.port().unwrap_or(SENTINEL_PORT);
    let info = url.into_connection_info().ok().filter(|_| alone)?;
    let addr = match info.addr().clone() {
        ConnectionAddr::Tcp(host, _) => ConnectionAddr::Tcp(host, port),
        ConnectionAddr::TcpTls { host, insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => return None,
    };
    Some(settled(info.set_addr(addr)))
}

/// Who the sentinels take us for; they have users of their own.
#[derive(Default)]
struct Own {
    user: Option<String>,
    password: Option<String>,
}

impl Own {
    /// None where the address says something that is not known here.
    fn read(url: &Url) -> Option<Self> {
        let mut own = Self::default();
        for (key, value) in url.query_pairs() {
            match &*key {
                "sentinel_user" => own.user = Some(value.into_owned()),
                "sentinel_password" => own.password = Some(value.into_owned()),
                _ => return None,
            }
        }
        Some(own)
    }

    fn given_to(&self, info: ConnectionInfo) -> ConnectionInfo {
        let mut settings = info.redis_settings().clone();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        info.set_redis_settings(settings)
    }
}

/// A segment of a path as it was meant.
fn decoded(segment: &str) -> Option<String> {
    // The one decoder at hand reads queries, where a plus is a space.
    let query = format!("={}", segment.replace('+', "%2B"));
    let (_, value) = url::form_urlencoded::parse(query.as_bytes()).next()?;
    Some(value.into_owned())
}

fn no_sentinels() -> StoreError {
    StoreError::Refused(
        "--redis (TENURE_REDIS) is not an address of sentinels: write redis+sentinel://HOST:PORT,HOST:PORT/NAME, with USER:PASSWORD@ of Redis before the first host and ?sentinel_user=…&sentinel_password=… at the end if they are wanted".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinel(url: &str) -> Watched {
        match Topology::parse(url) {
            Ok(Topology::Sentinel(watched)) => watched,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn addresses(watched: &Watched) -> Vec<String> {
        watched.sentinels.iter().map(|info| info.addr().to_string()).collect()
    }

    #[test]
    fn sentinels_have_the_usual_port_unless_another_is_given() {
        let watched = sentinel("redis+sentinel://a,b:1,[::1]:2/main");
        assert_eq!(addresses(&watched), ["a:26379", "b:1", "::1:2"]);
        assert_eq!(watched.name, "main");
        assert_eq!(watched.primary("h", 3).addr().to_string(), "h:3");
    }

    #[test]
    fn the_user_is_the_primarys_and_the_query_has_the_sentinels_own() {
        let url = "redis+sentinel://u:p%40q@a:1,b:2/my%20main/3?sentinel_user=s&sentinel_password=t%26";
        let watched = sentinel(url);
        let primary = watched.primary("h", 4);
        let settings = primary.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("u"), Some("p@q"), 3));
        assert_eq!(watched.name, "my main");
        for sentinel in &watched.sentinels {
            let settings = sentinel.redis_settings();
            assert_eq!((settings.username(), settings.password(), settings.db()), (Some("s"), Some("t&"), 0));
        }
    }

    #[test]
    fn without_a_query_sentinels_are_told_no_password() {
        let watched = sentinel("redis+sentinel://:secret@a:1/main");
        assert_eq!(watched.sentinels[0].redis_settings().password(), None);
        assert_eq!(watched.primary("h", 4).redis_settings().password(), Some("secret"));
    }

    #[test]
    fn by_tls_both_sentinels_and_primary_are_reached_by_tls() {
        let watched = sentinel("rediss+sentinel://a:1/main");
        let by_tls =
            |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. });
        assert!(by_tls(&watched.sentinels[0]) && by_tls(&watched.primary("h", 4)));
    }

    #[test]
    fn what_is_no_address_of_sentinels_is_refused_without_repeating_it() {
        for bad in [
            "redis+sentinel://",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/",
            "redis+sentinel:///main",
            "redis+sentinel://u:secret@a:port/main",
            "redis+sentinel://u:secret@a,,b/main",
            "redis+sentinel://u:secret@a/main/one",
            "redis+sentinel://u:secret@a/main/0/more",
            "redis+sentinel://u:secret@a/main?password=secret",
            "redis+sentinel://u:secret@a/main#insecure",
            "redis+sentinel://u:sec/ret@a/main",
        ] {
            let error = Topology::parse(bad).unwrap_err();
            assert!(matches!(error, StoreError::Refused(_)), "{bad}: {error:?}");
            assert!(!format!("{error:?}").contains("secret"), "{bad}");
        }
    }

    #[test]
    fn any_other_address_is_one_servers() {
        assert!(matches!(Topology::parse("redis://h:1/2"), Ok(Topology::Single(_))));
        assert_eq!(Topology::parse("redis://h:1/2").unwrap().database(), 2);
        assert_eq!(Topology::parse("redis+sentinel://h/main/2").unwrap().database(), 2);
    }
}
