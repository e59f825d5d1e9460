//! `tenure keys`.

use serde::Serialize;
use tenure::{
    model::{Partition, Partitions, SessionId, Settings},
    store::{RedisStore, redis::Keys},
};
use tracing::debug;

use crate::{connect, failure::Failure, global::Global, output, table::facts};

/// Print where sessions live in Redis
///
/// Needs no server: if one answers, its namespace's number of partitions counts, else the default.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The sessions: agent/key
    #[arg(required = true, value_name = "SESSION")]
    sessions: Vec<SessionId>,
}

const EXAMPLES: &str = "\
Examples:
  tenure keys echo/alice
  redis-cli XRANGE \"$(tenure keys echo/alice --json | jq -r .hist)\" - +";

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    session: SessionId,
    partition: Partition,
    own: String,
    meta: String,
    state: String,
    hist: String,
    r#in: String,
}

pub(crate) async fn run(Args { sessions }: Args, global: &Global) -> Result<(), Failure> {
    let keys = keys(global).await?;
    for session in sessions {
        let report = Report::of(session, &keys);
        match global.json {
            true => output::json(&report)?,
            false => report.print()?,
        }
    }
    Ok(())
}

async fn keys(global: &Global) -> Result<Keys, Failure> {
    match RedisStore::connect(connect::options(global)?).await {
        Ok(store) => Ok(store.keys().clone()),
        Err(err) => {
            let partitions = Settings::default().partitions;
            debug!(%err, partitions, "nobody to ask for the number of partitions");
            let namespace = global.namespace.clone();
            let partitions = Partitions::new(&namespace, partitions);
            Ok(Keys::new(namespace, partitions))
        }
    }
}

impl Report {
    fn of(session: SessionId, keys: &Keys) -> Self {
        let of = keys.session(&session);
        let (own, meta, state, hist, r#in) = (of.own(), of.meta(), of.state(), of.hist(), of.inbox());
        let partition = keys.partitions().of(&session);
        Self { session, partition, own, meta, state, hist, r#in }
    }

    fn print(self) -> Result<(), Failure> {
        facts(&[
            ("session", self.session.to_string()),
            ("partition", self.partition.to_string()),
            ("own", self.own),
            ("meta", self.meta),
            ("state", self.state),
            ("hist", self.hist),
            ("in", self.r#in),
        ])
    }
}
