//! A worker drains while its sessions are being used.

use std::{collections::BTreeMap, time::Duration};

use tenure::Moment;
use tokio_util::sync::CancellationToken;

use super::{
    super::fleet::Signal,
    load::{Exchange, Load},
    report::{Bar, Measured},
    scene::{ACQUAINTED, Scene},
};
use crate::failure::{Exit, Failure};

/// How long a session rests between two messages.
const REST: Duration = Duration::from_secs(1);

/// How long the load runs before and after: until each session had a message or two.
const AROUND: Duration = Duration::from_secs(3);

impl Scene<'_> {
    /// SIGTERM, under load.
    pub(super) async fn drain(&mut self) -> Result<Measured, Failure> {
        let mut victim = self.workers(1).await?;
        let load = Load::over(self, REST).await?;
        let enough = CancellationToken::new();
        let (env, stop) = (&self.env, enough.clone().drop_guard());
        let drained = async {
            // All of them are the first worker's by now.
            env.sleep(AROUND).await;
            let survivors = self.workers(self.args.survivors).await?;
            env.sleep(ACQUAINTED + AROUND).await;
            let began = env.now();
            victim.signal(Signal::Terminate)?;
            let ended = victim.wait().await?;
            let took = env.now().since(began);
            env.sleep(AROUND).await;
            drop(stop);
            Ok::<_, Failure>((began, took, ended, survivors))
        };
        let (exchanges, (began, took, ended, survivors)) = tokio::try_join!(load.run(&enough), drained)?;
        let audit = load.audit(&exchanges).await?;
        survivors.end().await?;
        let (usual, added) = added(&exchanges, began);
        let failed = exchanges.iter().filter(|exchange| exchange.failed).count();
        let mut measured = Measured::of(added);
        measured.bars = vec![
            Bar::within("drained_ms", took, Duration::from_secs(1)),
            Bar::within("added_p99_ms", measured.percentile(99), Duration::from_millis(100)),
            Bar::exactly("failed", failed, 0),
            Bar::exactly("lost_or_twice", audit.lost + audit.twice + audit.broken, 0),
        ];
        if measured.samples.len() < self.sessions {
            return Err(Failure::new(
                Exit::Failed,
                "not every session had a message after the drain: run it again",
            ));
        }
        let turn = self.args.turn.as_millis();
        measured.note = Some(format!(
            "added to the median before, {:.0} ms with turns of {turn} ms; ended with {}",
            usual.as_secs_f64() * 1e3,
            ended.code().map_or("a signal".to_owned(), |code| code.to_string()),
        ));
        Ok(measured)
    }
}

/// The median exchange before the drain began; and by how much each session's first answer after that took longer.
fn added(exchanges: &[Exchange], began: Moment) -> (Duration, Vec<Duration>) {
    let before = |exchange: &&Exchange| exchange.answered < began && began.since(exchange.sent) < AROUND;
    let usual = Measured::of(exchanges.iter().filter(before).map(Exchange::took).collect()).percentile(50);
    let mut first = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.answered >= began) {
        first.entry(&exchange.session).or_insert(exchange);
    }
    (usual, first.values().map(|exchange| exchange.took().saturating_sub(usual)).collect())
}
