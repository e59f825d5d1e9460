//! What every case begins with: a server, a namespace of its own, workers in it, and sessions in the middle of turns.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tenure::{
    Env, Moment,
    client::{Client, Outgoing},
    model::{Namespace, ReplyTo, SessionId},
};

use super::{
    super::{
        fleet::Fleet,
        server::Server,
        sleeper::{self, Sleep},
    },
    Args, Case,
    own_server::{Keeps, OwnServer},
    report::Measured,
};
use crate::{
    connect,
    failure::{Exit, Failure},
    forget,
    global::Global,
};

/// Until workers know each other: they read the members once a second.
pub(super) const ACQUAINTED: Duration = Duration::from_millis(2_500);

/// Longer than anything here may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than any case lasts, and shorter than a turn's timeout.
const LONG: Duration = Duration::from_secs(1_800);

/// Messages under way at once.
const SENDING: usize = 64;

/// One case, as it is being measured.
pub(super) struct Scene<'a> {
    pub(super) args: &'a Args,
    pub(super) case: Case,
    pub(super) sessions: usize,
    pub(super) env: Env,
    pub(super) global: Global,
    /// Where runs are told.
    pub(super) list: ReplyTo,
    pub(super) server: Server,
    /// The server, where it is the benchmark's own.
    pub(super) own: Option<OwnServer>,
    owns_server: bool,
}

/// When each session ran again, and where.
pub(super) type Runs = BTreeMap<SessionId, (Moment, u32)>;

impl<'a> Scene<'a> {
    pub(super) async fn open(
        args: &'a Args,
        case: Case,
        sessions: usize,
        global: &Global,
    ) -> Result<Self, Failure> {
        let env = Env::system();
        let namespace: Namespace = format!("bench-{:08x}", env.random_u32()).parse().expect("a short word");
        let list: ReplyTo = format!("runs:{namespace}").parse().expect("not one of ours");
        let keeps =
            if matches!(case, Case::Restart | Case::Late) { Keeps::Everything } else { Keeps::Nothing };
        let owns_server = case.breaks_the_server() || !global.names_a_server();
        let own = match owns_server {
            true => Some(OwnServer::start(&args.redis_server, keeps, &env).await?),
            false => None,
        };
        let redis = match &own {
            Some(own) => own.url(),
            None => global.address()?,
        };
        let global = Global { namespace, redis, redis_url_file: None, ..global.clone() };
        let server = Server::connect(&global).await?;
        Ok(Self { args, case, sessions, env, global, list, server, own, owns_server })
    }

    /// Leaves nothing behind.
    pub(super) async fn close(self) -> Result<(), Failure> {
        match self.owns_server {
            true => Ok(()),
            false => {
                forget::namespace(&self.global, &[self.list.to_string(), self.replies().to_string()]).await
            }
        }
    }

    /// Where the load is answered.
    pub(super) fn replies(&self) -> ReplyTo {
        format!("replies:{}", self.global.namespace).parse().expect("not one of ours")
    }

    pub(super) async fn workers(&self, count: usize) -> Result<Fleet, Failure> {
        self.workers_at(count, &self.global).await
    }

    /// Workers that reach the server in their own way.
    pub(super) async fn workers_at(&self, count: usize, global: &Global) -> Result<Fleet, Failure> {
        let lease = format!("{}ms", self.args.lease.as_millis());
        let options = ["--lease", &lease, "--bench-list", self.list.as_str()];
        Fleet::start_with(count, &options, global).await
    }

    pub(super) async fn client(&self) -> Result<Client<connect::Connected>, Failure> {
        Ok(connect::for_writing(&self.global).await?.with_patience(PATIENCE))
    }

    /// Gives each session a turn that outlasts the case, and waits until all run.
    pub(super) async fn begin_turns(&mut self) -> Result<(), Failure> {
        let client = self.client().await?;
        let body = Sleep { how_long: LONG, told: true }.body();
        let sends = (0..self.sessions).map(|number| client.send(Outgoing::new(held(number), body.clone())));
        let mut sends = stream::iter(sends).buffer_unordered(SENDING);
        while let Some(sent) = sends.next().await {
            sent?;
        }
        drop(sends);
        self.runs(|_| true).await?;
        Ok(())
    }

    /// The first run of every session by a process that counts, as they come.
    pub(super) async fn runs(&mut self, counts: impl Fn(u32) -> bool) -> Result<Runs, Failure> {
        let (mut runs, until) = (Runs::new(), self.env.now().plus(PATIENCE));
        while runs.len() < self.sessions {
            if self.env.now() > until {
                let left = self.sessions - runs.len();
                let line = format!("{left} sessions did not run again within {PATIENCE:?}");
                return Err(Failure::new(Exit::Failed, line));
            }
            for (session, run) in self.told().await? {
                if counts(run.1) {
                    runs.entry(session).or_insert(run);
                }
            }
        }
        Ok(runs)
    }

    /// How many runs were told that nobody has looked at.
    pub(super) async fn all_told(&mut self) -> Result<usize, Failure> {
        let mut told = 0;
        loop {
            match self.told().await?.len() {
                0 => return Ok(told),
                more => told += more,
            }
        }
    }

    /// The next runs that were told; none if there was none for a second.
    pub(super) async fn told(&mut self) -> Result<Vec<(SessionId, (Moment, u32))>, Failure> {
        let pushed = self.server.replies(&self.list).await?;
        let now = self.env.now();
        let runs = pushed.iter().filter_map(|run| parse(run));
        Ok(runs.map(|(runner, session)| (session, (now, runner))).collect())
    }
}

/// A session that is in the middle of a turn all the time.
pub(super) fn held(number: usize) -> SessionId {
    format!("{}/{number}", sleeper::NAME).parse().expect("a good session")
}

fn parse(run: &str) -> Option<(u32, SessionId)> {
    let (runner, session) = run.split_once(' ')?;
    Some((runner.parse().ok()?, session.parse().ok()?))
}

/// How long after `began` each ran, and how they are spread.
pub(super) fn since(began: Moment, runs: &Runs) -> Measured {
    let runners: BTreeSet<_> = runs.values().map(|(_, runner)| *runner).collect();
    let share = |runner: &u32| runs.values().filter(|(_, other)| other == runner).count();
    let mut spread: Vec<_> = runners.iter().map(share).collect();
    spread.sort_unstable_by(|one, other| other.cmp(one));
    Measured { spread, ..Measured::of(runs.values().map(|(at, _)| at.since(began)).collect()) }
}
