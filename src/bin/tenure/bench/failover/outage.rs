//! Cases in which the server goes away under load, and comes back.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use tenure::{Moment, client::Client};
use tokio_util::sync::CancellationToken;

use super::{
    super::{fleet::Fleet, server::Server},
    Case,
    load::{Audit, Exchange, Load},
    own_server::OwnServer,
    report::{Bar, Measured},
    scene::{ACQUAINTED, Scene, held},
};
use crate::{
    connect::Connected,
    failure::{Exit, Failure},
};

/// How long a session of the load rests between two messages.
const REST: Duration = Duration::from_millis(100);

/// How long the load runs before and after.
const AROUND: Duration = Duration::from_secs(3);

/// How long the server is away where leases outlast that, and by how much longer than a lease where they do not.
const SHORTLY: Duration = Duration::from_secs(1);
const LONGER: Duration = Duration::from_secs(2);

/// How soon work goes on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(2);

/// Sessions looked at at once.
const LOOKING: usize = 64;

impl Scene<'_> {
    /// The server is killed and started again, or frozen, while some sessions are in long turns and others in short ones.
    pub(super) async fn outage(&mut self) -> Result<Measured, Failure> {
        let mut fleet = self.workers(self.args.survivors).await?;
        self.begin_turns().await?;
        self.env.sleep(ACQUAINTED).await;
        let load = Load::over(self, REST).await?;
        let (env, enough) = (self.env.clone(), CancellationToken::new());
        let away = self.away();
        let mut own = self.own.take().ok_or_else(|| Failure::new(Exit::Failed, "no server of its own"))?;
        let broken = async {
            let stop = enough.clone().drop_guard();
            env.sleep(AROUND).await;
            self.go_away(&mut own).await?;
            env.sleep(away).await;
            let back = self.come_back(&mut own).await?;
            let ran_again = self.held_turns_after(back).await?;
            env.sleep(AROUND).await;
            drop(stop);
            Ok::<_, Failure>((back, ran_again))
        };
        let (exchanges, (back, mut samples)) = tokio::try_join!(load.run(&enough), broken)?;
        let audit = load.audit(&exchanges).await?;
        samples.extend(first_answers(&exchanges, back));
        let mut measured = Measured::of(samples);
        measured.bars = self.outage_bars(&measured, &audit, &exchanges, &mut fleet).await?;
        measured.note = Some(format!("{} messages; away for {} s", exchanges.len(), away.as_secs_f64()));
        fleet.end().await?;
        self.own = Some(own);
        Ok(measured)
    }

    fn away(&self) -> Duration {
        if self.case == Case::Restart { SHORTLY } else { self.args.lease + LONGER }
    }

    async fn go_away(&self, own: &mut OwnServer) -> Result<(), Failure> {
        match self.case {
            Case::Frozen => own.freeze(),
            _ => own.kill().await,
        }
    }

    /// When it answers again.
    async fn come_back(&self, own: &mut OwnServer) -> Result<Moment, Failure> {
        match self.case {
            Case::Frozen => own.thaw()?,
            _ => own.launch().await?,
        }
        Ok(self.env.now())
    }

    /// How long after the server was back each long turn was run again, where leases had lapsed meanwhile.
    async fn held_turns_after(&mut self, back: Moment) -> Result<Vec<Duration>, Failure> {
        self.server = Server::connect(&self.global).await?;
        if self.case == Case::Restart {
            return Ok(Vec::new());
        }
        let runs = self.runs(|_| true).await?;
        Ok(runs.values().map(|(at, _)| at.since(back)).collect())
    }

    async fn outage_bars(
        &self,
        measured: &Measured,
        audit: &Audit,
        exchanges: &[Exchange],
        fleet: &mut Fleet,
    ) -> Result<Vec<Bar>, Failure> {
        let failed = exchanges.iter().filter(|exchange| exchange.failed).count();
        let mut bars = vec![
            Bar::exactly("lost", audit.lost, 0),
            Bar::exactly("twice", audit.twice, 0),
            Bar::exactly("broken_histories", audit.broken, 0),
            Bar::exactly("failed", failed, 0),
            Bar::exactly("buried", fleet.lost().await, 0),
            Bar::exactly("crashes", crashes(&self.client().await?, self.sessions).await?, 0),
        ];
        if self.case != Case::Restart {
            bars.push(Bar::within("max_ms", measured.percentile(100), GOES_ON_WITHIN));
        }
        Ok(bars)
    }
}

/// How long after `back` each session of the load was answered for the first time.
fn first_answers(exchanges: &[Exchange], back: Moment) -> Vec<Duration> {
    let mut first = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.answered >= back) {
        first.entry(&exchange.session).or_insert_with(|| exchange.answered.since(back));
    }
    first.into_values().collect()
}

/// How many crashes the sessions in long turns are charged with: they have committed nothing that would forgive them.
async fn crashes(client: &Client<Connected>, sessions: usize) -> Result<usize, Failure> {
    let views = stream::iter((0..sessions).map(|number| async move {
        let view = client.session(&held(number)).await?;
        Ok::<_, Failure>(view.crashes.len())
    }));
    let counts: Vec<_> = views.buffer_unordered(LOOKING).try_collect().await?;
    Ok(counts.into_iter().sum())
}
