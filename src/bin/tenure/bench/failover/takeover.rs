//! Cases in which workers go away and others take over turns that were under way.

use std::time::Duration;

use tenure::Moment;

use super::{
    super::fleet::{Fleet, Signal},
    Case,
    proxy::Proxy,
    report::{Bar, Measured},
    scene::{ACQUAINTED, Runs, Scene, since},
};
use crate::{failure::Failure, global::Global};

/// From so many sessions on what counts is that all of them run again soon and evenly, and not how soon the first do.
const MANY: usize = 5_000;

/// What a session may wait on top of the lease, if that must run out, and after a whole fleet's start.
const ON_TOP: Duration = Duration::from_secs(1);
const FLEET_WITHIN: Duration = Duration::from_secs(2);

/// On top of a lease, for it to be over for sure.
const SURELY: Duration = Duration::from_secs(1);

impl Scene<'_> {
    /// `kill -9`.
    pub(super) async fn kill(&mut self) -> Result<Measured, Failure> {
        let (victim, survivors) = self.one_has_all().await?;
        let began = self.env.now();
        victim.signal(Signal::Kill)?;
        let mut measured = since(began, &self.runs_without(&victim).await?);
        measured.bars = kill_bars(&measured, self.sessions);
        survivors.end().await?;
        Ok(measured)
    }

    /// SIGSTOP, and SIGCONT in the end.
    pub(super) async fn stop(&mut self) -> Result<Measured, Failure> {
        let (mut victim, survivors) = self.one_has_all().await?;
        let began = self.env.now();
        victim.signal(Signal::Stop)?;
        let runs = self.runs_without(&victim).await?;
        victim.signal(Signal::Continue)?;
        let measured = self.fenced(began, &runs, &mut victim).await?;
        survivors.end().await?;
        Ok(measured)
    }

    /// The network between one worker and the server is cut, and mended in the end.
    pub(super) async fn cut(&mut self) -> Result<Measured, Failure> {
        let proxy = Proxy::before(&self.global.redis).await?;
        let through = Global { redis: proxy.url().to_owned(), ..self.global.clone() };
        let mut victim = self.workers_at(1, &through).await?;
        self.begin_turns().await?;
        let survivors = self.survivors().await?;
        let began = self.env.now();
        proxy.cut();
        let runs = self.runs_without(&victim).await?;
        proxy.mend();
        let measured = self.fenced(began, &runs, &mut victim).await?;
        survivors.end().await?;
        Ok(measured)
    }

    /// `kill -9` of all workers; others are started, after the lease or at once.
    pub(super) async fn fleet(&mut self) -> Result<Measured, Failure> {
        let all = self.workers(self.args.survivors).await?;
        self.begin_turns().await?;
        let pids = all.pids();
        all.end().await?;
        let killed = self.env.now();
        if self.case == Case::Fleet {
            self.env.sleep(self.args.lease + SURELY).await;
        }
        let first = self.workers(1).await?;
        let ready = self.env.now();
        let others = self.workers(self.args.survivors - 1).await?;
        let runs = self.runs(|runner| !pids.contains(&runner)).await?;
        let (began, bar) = match self.case {
            Case::Fleet => (ready, FLEET_WITHIN),
            _ => (killed, self.args.lease + FLEET_WITHIN),
        };
        let mut measured = since(began, &runs);
        measured.bars = vec![Bar::within("max_ms", measured.percentile(100), bar)];
        others.end().await?;
        first.end().await?;
        Ok(measured)
    }

    /// One worker with all sessions, and the others, who know each other.
    async fn one_has_all(&mut self) -> Result<(Fleet, Fleet), Failure> {
        let victim = self.workers(1).await?;
        self.begin_turns().await?;
        Ok((victim, self.survivors().await?))
    }

    async fn survivors(&self) -> Result<Fleet, Failure> {
        let survivors = self.workers(self.args.survivors).await?;
        self.env.sleep(ACQUAINTED).await;
        Ok(survivors)
    }

    async fn runs_without(&mut self, victim: &Fleet) -> Result<Runs, Failure> {
        let gone = victim.pids();
        self.runs(|runner| !gone.contains(&runner)).await
    }

    /// The victim is back: it must have noticed, and go on.
    async fn fenced(&self, began: Moment, runs: &Runs, victim: &mut Fleet) -> Result<Measured, Failure> {
        let events = victim.next_events(2).await?;
        let mut measured = since(began, runs);
        measured.bars = vec![
            Bar::within("max_ms", measured.percentile(100), self.args.lease + ON_TOP),
            Bar::exactly("old_owner_lost_then_ready", usize::from(events == "lost, then ready"), 1),
        ];
        measured.note = Some(format!("old owner: {events}"));
        Ok(measured)
    }
}

fn kill_bars(measured: &Measured, sessions: usize) -> Vec<Bar> {
    let within =
        |name, percent, ms| Bar::within(name, measured.percentile(percent), Duration::from_millis(ms));
    match sessions < MANY {
        true => vec![within("p50_ms", 50, 150), within("p99_ms", 99, 400), within("max_ms", 100, 1_000)],
        false => vec![
            within("max_ms", 100, 5_000),
            Bar::at_most("furthest_from_mean_percent", measured.unevenness(), 15.0),
        ],
    }
}
