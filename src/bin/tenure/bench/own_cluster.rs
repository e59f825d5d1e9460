//! A cluster of the benchmark's own: masters that share all slots evenly, and no replicas.

use std::{path::Path, time::Duration};

use tenure::Env;

use super::failover::own_server::OwnServer;
use crate::failure::Failure;

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// How long they may take to agree.
const AGREED_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks whether they do.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The masters; end with this value.
pub(super) struct OwnCluster {
    masters: Vec<OwnServer>,
}

impl OwnCluster {
    /// So many masters, that serve all slots when this returns.
    pub(super) async fn start(program: &Path, masters: usize, env: &Env) -> Result<Self, Failure> {
        let mut cluster = Self { masters: Vec::new() };
        for _ in 0..masters {
            cluster.masters.push(OwnServer::start_node(program, env).await?);
        }
        cluster.share_out().await?;
        match env.timeout(AGREED_WITHIN, cluster.until_it_serves(env)).await {
            Some(served) => served.map(|()| cluster),
            None => Err(cluster.masters[0].unusable("its cluster does not get ready")),
        }
    }

    pub(super) fn url(&self) -> String {
        let hosts: Vec<_> = self.masters.iter().map(OwnServer::address).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The masters by themselves.
    pub(super) fn into_masters(self) -> Vec<OwnServer> {
        self.masters
    }

    async fn share_out(&self) -> Result<(), Failure> {
        let [host, port, bus] = self.masters[0].met_at();
        for (index, master) in self.masters.iter().enumerate() {
            let first = (index * SLOTS / self.masters.len()).to_string();
            let last = ((index + 1) * SLOTS / self.masters.len() - 1).to_string();
            // Each its own, so that nobody has to settle which of two is right.
            let epoch = (index + 1).to_string();
            let () = master.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
            let () = master.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
            if index > 0 {
                let () = master.ask(&["CLUSTER", "MEET", &host, &port, &bus]).await?;
            }
        }
        Ok(())
    }

    async fn until_it_serves(&self, env: &Env) -> Result<(), Failure> {
        let size = format!("cluster_size:{}\r\n", self.masters.len());
        for master in &self.masters {
            loop {
                let said: String = master.ask(&["CLUSTER", "INFO"]).await?;
                if said.contains("cluster_state:ok") && said.contains(&size) {
                    break;
                }
                env.sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }
}
