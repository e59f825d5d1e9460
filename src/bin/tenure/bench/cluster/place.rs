//! Where turns are measured: servers of the benchmark's own.

use std::{collections::BTreeMap, path::Path};

use tenure::{
    Env,
    model::{Partitions, ReplyTo},
};

use super::super::{
    failover::own_server::{Keeps, OwnServer},
    load::Lists,
    own_cluster::OwnCluster,
    server::Server,
};
use crate::{failure::Failure, global::Global};

/// Where turns are measured.
pub(super) struct Place {
    pub(super) url: String,
    servers: Vec<OwnServer>,
}

impl Place {
    pub(super) async fn server(program: &Path, env: &Env) -> Result<Self, Failure> {
        let server = OwnServer::start(program, Keeps::Nothing, env).await?;
        Ok(Self { url: server.url(), servers: vec![server] })
    }

    pub(super) async fn cluster(program: &Path, masters: usize, env: &Env) -> Result<Self, Failure> {
        let cluster = OwnCluster::start(program, masters, env).await?;
        Ok(Self { url: cluster.url(), servers: cluster.into_masters() })
    }

    /// A list at each server, for the replies of the sessions that it has: a commit can push to these. Each with a
    /// connection to its server, as any other sends away who asks for it.
    pub(super) async fn lists(
        &self,
        partitions: &Partitions,
        global: &Global,
    ) -> Result<(Lists, Vec<(ReplyTo, Server)>), Failure> {
        let (mut of, mut by_server) = (BTreeMap::new(), BTreeMap::new());
        for partition in partitions.all() {
            let own = format!("reply:{{{}}}", partitions.tag(partition)).parse().expect("not one of ours");
            let list = by_server.entry(self.who_has(&own).await?).or_insert(own);
            of.insert(partition, list.clone());
        }
        let mut lists = Vec::new();
        for (server, list) in by_server {
            lists.push((list, Server::connect(&at(&self.servers[server], global)).await?));
        }
        Ok((Lists::Of(of), lists))
    }

    /// The number of the server that has this list.
    async fn who_has(&self, list: &ReplyTo) -> Result<usize, Failure> {
        for (number, server) in self.servers.iter().enumerate() {
            if server.ask::<u64>(&["EXISTS", list.as_str()]).await.is_ok() {
                return Ok(number);
            }
        }
        Err(self.servers[0].unusable("no master has the replies"))
    }

    pub(super) async fn meters(&self, global: &Global) -> Result<Vec<Server>, Failure> {
        let mut meters = Vec::new();
        for server in &self.servers {
            meters.push(Server::connect(&at(server, global)).await?);
        }
        Ok(meters)
    }

    pub(super) async fn forget(&self) -> Result<(), Failure> {
        for server in &self.servers {
            let () = server.ask(&["FLUSHALL", "SYNC"]).await?;
        }
        Ok(())
    }
}

/// One server by itself.
fn at(server: &OwnServer, global: &Global) -> Global {
    Global { redis: server.url(), ..global.clone() }
}
