//! A fleet is restarted under load, one worker after the other.

use std::time::Duration;

use tenure::Moment;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        figures::in_ms,
        fleet::{Fleet, Signal},
    },
    load::{Exchange, Load},
    report::{Bar, Measured},
    scene::{ACQUAINTED, Scene},
};
use crate::failure::{Exit, Failure};

/// How long a session rests between two messages.
const REST: Duration = Duration::from_secs(1);

/// How long the load runs before and after: until each session had a message or two.
const AROUND: Duration = Duration::from_secs(3);

/// How often the whole fleet is restarted.
const TIMES: usize = 3;

/// Between a new worker's readiness and the end of the next old one: what notices readiness looks once a second at most.
const NOTICED: Duration = Duration::from_secs(1);

/// When the restarts began and when the last worker was there again, how long each took to drain, and who is there now.
struct Restarted {
    began: Moment,
    ended: Moment,
    drained: Vec<Duration>,
    fleet: Vec<Fleet>,
}

impl Scene<'_> {
    /// SIGTERM to one worker after the other, over and over; each is gone before another takes its place, and the next is
    /// told a second after that was ready.
    pub(super) async fn rolling(&mut self) -> Result<Measured, Failure> {
        let fleet = self.one_by_one().await?;
        let load = Load::over(self, REST).await?;
        let enough = CancellationToken::new();
        let restart = async {
            let _stop = enough.clone().drop_guard();
            self.restart(fleet).await
        };
        let (exchanges, restarted) = tokio::try_join!(load.run(&enough), restart)?;
        let audit = load.audit(&exchanges).await?;
        for worker in restarted.fleet {
            worker.end().await?;
        }
        let failed = exchanges.iter().filter(|exchange| exchange.failed).count();
        let (usual, quiet) = undisturbed(&exchanges, restarted.began);
        let during =
            |exchange: &&Exchange| exchange.answered >= restarted.began && exchange.sent <= restarted.ended;
        let added = |exchange: &Exchange| exchange.took().saturating_sub(usual);
        let mut measured = Measured::of(exchanges.iter().filter(during).map(added).collect());
        if measured.samples.len() < self.sessions {
            return Err(Failure::new(
                Exit::Failed,
                "too few messages during the restart, which was soon over: take a shorter --turn",
            ));
        }
        measured.bars = vec![
            Bar::within("added_max_ms", measured.percentile(100), self.args.turn),
            Bar::exactly("failed", failed, 0),
            Bar::exactly("lost_or_twice", audit.lost + audit.twice + audit.broken, 0),
        ];
        measured.note = Some(format!(
            "{} answers; added to the median before, {:.0} ms (at most {:.0} then) with turns of {} ms; {} workers drained, each within {:.0} ms",
            measured.samples.len(),
            in_ms(usual),
            in_ms(quiet),
            self.args.turn.as_millis(),
            restarted.drained.len(),
            in_ms(restarted.drained.into_iter().max().unwrap_or_default()),
        ));
        Ok(measured)
    }

    /// As many as there are, each by itself.
    async fn one_by_one(&self) -> Result<Vec<Fleet>, Failure> {
        let mut fleet = Vec::new();
        for _ in 0..=self.args.survivors {
            fleet.push(self.workers(1).await?);
        }
        Ok(fleet)
    }

    async fn restart(&self, mut fleet: Vec<Fleet>) -> Result<Restarted, Failure> {
        self.env.sleep(ACQUAINTED + AROUND).await;
        let (began, count, mut drained) = (self.env.now(), fleet.len(), Vec::new());
        for number in 0..count * TIMES {
            let worker = &mut fleet[number % count];
            let told = self.env.now();
            worker.signal(Signal::Terminate)?;
            let ended = worker.wait().await?;
            if !ended.success() {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("a worker that was to drain ended with {ended}"),
                ));
            }
            drained.push(self.env.now().since(told));
            *worker = self.workers(1).await?;
            self.env.sleep(NOTICED).await;
        }
        let ended = self.env.now();
        self.env.sleep(AROUND).await;
        Ok(Restarted { began, ended, drained, fleet })
    }
}

/// The median and the longest exchange just before the restart.
fn undisturbed(exchanges: &[Exchange], began: Moment) -> (Duration, Duration) {
    let before = |exchange: &&Exchange| exchange.answered < began && began.since(exchange.sent) < AROUND;
    let before = Measured::of(exchanges.iter().filter(before).map(Exchange::took).collect());
    (before.percentile(50), before.percentile(100))
}
