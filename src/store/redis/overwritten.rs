//! Keys at which somebody set something else by hand. A server's error does not name them: each is read as what it should be.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redis::{Arg, Cmd};

use super::{
    RedisStore,
    errors::{is_one_of_several, is_some_key},
    keys::{PartitionKeys, kind_of},
    masters::Traffic,
    replies::text,
    scripts::Call,
};
use crate::{
    model::{AgentDeclaration, AgentName},
    store::{StoreError, StoreResult},
};

/// At how many partitions a look goes at once.
const AT_ONCE: usize = 16;

/// A key at which something else stands than belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// The key.
    pub key: String,
    /// What belongs there: `a hash`.
    pub wanted: &'static str,
    /// What stands there, by the server's word for it: `string`. None where this user may not ask.
    pub is: Option<String>,
}

impl Overwritten {
    /// What to do about it.
    pub fn way_out(&self) -> String {
        match session_of(&self.key) {
            Some(session) => {
                format!("put back what was there, or give the session up (`tenure delete {session}`)")
            }
            None => "put back what was there, or RENAME it out of the way: it is made anew then, without what it held"
                .to_owned(),
        }
    }

    /// What stands there, and what should: `a string, not a hash`.
    pub fn types(&self) -> String {
        match &self.is {
            Some(is) => format!("a {is}, not {}", self.wanted),
            None => format!("not {}", self.wanted),
        }
    }
}

impl From<Overwritten> for StoreError {
    fn from(found: Overwritten) -> Self {
        Self::overwritten(&found.key, format!("{}: {}", found.types(), found.way_out()))
    }
}

/// The session whose own key it is: deleting that one takes it.
fn session_of(key: &str) -> Option<&str> {
    let (kind, session) = kind_of(key)?.split_once(':')?;
    ["meta", "in", "hist", "state", "own"].contains(&kind).then_some(session)
}

/// What belongs at a key, and a command that only works there.
fn reader(key: &str) -> Option<(&'static str, Cmd)> {
    let kind = kind_of(key)?.split(':').next()?;
    let (wanted, command, rest): (_, _, &[&str]) = match kind {
        "meta" | "ids" | "workers" | "cursor" | "mark" | "conf" | "members" | "agents" => {
            ("a hash", "HGET", &["v"])
        }
        "in" => ("a list", "LLEN", &[]),
        "ready" | "idle" | "timers" | "index" => ("a sorted set", "ZRANGE", &["0", "0"]),
        "out" | "dead" | "hist" => ("a stream", "XRANGE", &["-", "+", "COUNT", "1"]),
        "own" | "state" | "duty" | "alive" => ("a string", "GET", &[]),
        "held" => ("a set", "SRANDMEMBER", &[]),
        _ => return None,
    };
    let mut read = redis::cmd(command);
    read.arg(key).arg(rest);
    Some((wanted, read))
}

/// A partition's own keys.
fn keys_at(of: &PartitionKeys, agents: &BTreeMap<AgentName, AgentDeclaration>) -> Vec<String> {
    let queues =
        agents.iter().flat_map(|(agent, how)| [of.ready(&how.pool, agent), of.idle(&how.pool, agent)]);
    let own = [of.workers(), of.timers(), of.index(), of.out(), of.dead(), of.cursor(), of.mark(), of.duty()];
    own.into_iter().chain(queues).collect()
}

impl RedisStore {
    /// Those among the namespace's keys and the partitions' own that this user can read, where a master answers. Sessions' are left
    /// out: there are too many.
    pub async fn overwritten(&self) -> StoreResult<Vec<Overwritten>> {
        let keys = self.keys();
        let mut found = self.overwritten_of(&[keys.conf(), keys.members(), keys.agents()]).await?;
        // Where they cannot be read that is found already.
        let agents = self.declared_agents().await.unwrap_or_default().known;
        let all: Vec<_> = keys.partitions().all().map(|at| keys_at(&keys.partition(at), &agents)).collect();
        for some in all.chunks(AT_ONCE) {
            let looked = join_all(some.iter().map(|keys| self.overwritten_of(keys))).await;
            found.extend(looked.into_iter().flatten().flatten());
        }
        Ok(found)
    }

    /// Those of `keys`, which are all in one slot.
    async fn overwritten_of(&self, keys: &[String]) -> StoreResult<Vec<Overwritten>> {
        let (mut asked, mut look) = (Vec::new(), redis::pipe());
        for key in keys {
            let Some((wanted, read)) = reader(key) else { continue };
            asked.push((key, wanted));
            look.add_command(read);
        }
        let Some((first, _)) = asked.first() else { return Ok(Vec::new()) };
        let answers = self.shared.masters.each(Traffic::Reads, first, &look).await?;
        let wrong = asked
            .iter()
            .zip(answers)
            .filter(|(_, answer)| matches!(answer, Err(error) if is_some_key(error)));
        let mut found = Vec::new();
        for ((key, wanted), _) in wrong {
            let is = self.type_of(key).await;
            found.push(Overwritten { key: (*key).clone(), wanted, is });
        }
        Ok(found)
    }

    /// The server's word for what stands at a key. A right that nobody needs but for this.
    async fn type_of(&self, key: &str) -> Option<String> {
        let asked = self.shared.masters.run(Traffic::Reads, key, redis::cmd("TYPE").arg(key)).await;
        text(asked.ok()?).ok()
    }

    /// The same error, with the key of a call's that it is about, where the server said only that it is one of them.
    pub(super) async fn naming(&self, keys: &[String], error: StoreError) -> StoreError {
        if !is_one_of_several(&error) {
            return error;
        }
        let found = self.overwritten_of(keys).await.unwrap_or_default();
        found.into_iter().next().map_or(error, StoreError::from)
    }
}

/// The keys of a call, as its command has them.
pub(super) fn keys_of(call: &Call) -> Vec<String> {
    // Behind the command and the script's hash.
    let mut args = call.command.args_iter().skip(2).map(|arg| match arg {
        Arg::Simple(arg) => String::from_utf8_lossy(arg).into_owned(),
        _ => String::new(),
    });
    let keys = args.next().and_then(|keys| keys.parse().ok()).unwrap_or_default();
    args.take(keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> Overwritten {
        Overwritten { key: key.to_owned(), wanted: reader(key).expect("it is ours").0, is: None }
    }

    #[test]
    fn a_key_of_a_session_goes_with_it_and_one_of_a_partition_is_put_out_of_the_way() {
        let of_session = at("tenure:{default.3}:meta:echo/a}:b");
        assert!(of_session.way_out().ends_with("(`tenure delete echo/a}:b`)"), "{}", of_session.way_out());
        for key in ["tenure:{default.3}:index", "tenure:{default.3}:ids:echo/a k", "tenure:{default}:members"]
        {
            assert!(at(key).way_out().contains("RENAME"), "{key}");
        }
        assert!(reader("my:replies").is_none() && reader("tenure:default:ingress").is_none());
    }

    #[test]
    fn what_stands_there_is_said_where_it_is_known() {
        let of = |is: Option<&str>| Overwritten { is: is.map(str::to_owned), ..at("tenure:{x}:out") }.types();
        assert_eq!([of(Some("string")), of(None)], ["a string, not a stream", "not a stream"]);
    }
}
