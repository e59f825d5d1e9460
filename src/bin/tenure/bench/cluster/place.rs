//! Where turns are measured: servers of the benchmark's own.

use std::path::Path;

use tenure::{Env, model::ReplyTo};

use super::super::{
    failover::own_server::{Keeps, OwnServer},
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

    /// A connection to the server that has this list: any other sends away who asks for it.
    pub(super) async fn who_has(&self, list: &ReplyTo, global: &Global) -> Result<Server, Failure> {
        for server in &self.servers {
            if server.ask::<u64>(&["EXISTS", list.as_str()]).await.is_ok() {
                return Server::connect(&at(server, global)).await;
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
