//! Keeps a child: starts it, starts it again when it ends, ends it with the worker.

use std::{
    io,
    pin::pin,
    process::ExitStatus,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    calls::Calls,
    complaints::Complaints,
    ear::Ear,
    fault::Fault,
    link::{Link, Standing},
    mouth::Mouth,
    outbound::Outgoing,
    process::{Pipes, Process},
    stderr::Log,
};
use crate::{agents::file::ExecSpec, model::AgentName, runtime::Env};

/// How long the last words of a child are waited for: something else may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a child that reads slowly may hold up the end of its worker, before its input is closed.
const SAYING_GOODBYE: Duration = Duration::from_secs(1);

/// What keeps the child of one agent on one worker.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) name: Arc<AgentName>,
    pub(super) spec: Arc<ExecSpec>,
    pub(super) env: Env,
    pub(super) patience: Duration,
    pub(super) stands: watch::Sender<Standing>,
    pub(super) ending: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// One child's life, when it is over.
struct Life {
    why: Arc<str>,
    /// What it was asked; nothing if it never began.
    asked: Option<Asked>,
}

/// What one child was asked, until it is known everywhere that it is gone.
struct Asked {
    calls: Arc<Calls>,
    _queue: mpsc::Receiver<Outgoing>,
}

/// Why a child is not served any longer.
enum Gone {
    /// The worker ends; whether all that was to be said is said.
    Ending { said_all: bool },
    /// It ended by itself.
    Exited(io::Result<ExitStatus>),
    /// It cannot be talked to.
    Fault(Fault),
}

impl Keeper {
    /// Keeps one child after the other, until the worker ends.
    pub(super) async fn run(self) {
        let (mut backoff, mut next_id) = (Backoff::new(), 1);
        while !self.ending.is_cancelled() {
            self.stands.send_replace(Standing::Starting);
            let began = self.env.now();
            let Life { why, asked } = self.one_life(next_id).await;
            let now = self.env.now();
            let wait = backoff.after(now.since(began));
            if !self.ending.is_cancelled() {
                warn!(agent = %self.name, error = %why, again_in = ?wait, "an agent's program is down");
            }
            // First nobody comes any more, then those who are there are told.
            self.stands.send_replace(Standing::Down { until: now.plus(wait), why: why.clone() });
            next_id = asked.map_or(next_id, |asked| asked.calls.close(&why));
            tokio::select! {
                biased;
                () = self.ending.cancelled() => break,
                () = self.env.sleep(wait) => (),
            }
        }
        self.stands.send_replace(Standing::Ended);
    }

    async fn one_life(&self, first_id: u64) -> Life {
        let program = self.spec.program.display();
        match Process::start(&self.spec).await {
            Ok((process, pipes)) => self.serve(process, pipes, first_id).await,
            Err(err) => Life { why: format!("{program} cannot be started: {err}").into(), asked: None },
        }
    }

    /// Feeds and hears a child until it is gone.
    async fn serve(
        &self,
        mut process: Process,
        Pipes { input, output, errors }: Pipes,
        first_id: u64,
    ) -> Life {
        info!(agent = %self.name, pid = process.id(), "an agent's program is up");
        let calls = Arc::new(Calls::from(first_id));
        let (link, mut queue) = Link::new(calls.clone());
        let log = Arc::new(Log::new(self.name.clone(), link.clone(), &self.spec.env));
        let (mouth, ear) = self.mouth_and_ear(&link);
        self.stands.send_replace(Standing::Up(link));

        let logging = self.tasks.spawn({
            let log = log.clone();
            async move { log.keep(errors).await }
        });
        let why = self.talk(&mut process, mouth.speak(input, &mut queue), ear.hear(output)).await;
        let why = self.with_last_words(why, logging, &log).await;
        Life { why: why.into(), asked: Some(Asked { calls, _queue: queue }) }
    }

    /// Talks with a child until it is gone; why. Its input is closed when `speaking` is dropped.
    async fn talk(
        &self,
        process: &mut Process,
        speaking: impl Future<Output = Result<(), Fault>>,
        hearing: impl Future<Output = Fault>,
    ) -> String {
        let (mut speaking, mut hearing) = (Box::pin(speaking), pin!(hearing));
        let gone = tokio::select! {
            biased;
            () = self.ending.cancelled() => Gone::Ending { said_all: false },
            status = process.wait() => Gone::Exited(status),
            spoken = &mut speaking => spoken.map_or_else(Gone::Fault, |()| Gone::Ending { said_all: true }),
            fault = &mut hearing => Gone::Fault(fault),
        };
        match gone {
            Gone::Ending { said_all } => {
                let rest = async {
                    if !said_all {
                        self.env.timeout(SAYING_GOODBYE, &mut speaking).await;
                    }
                    drop(speaking);
                    process.end(&self.env).await;
                };
                hear_meanwhile(hearing, rest).await;
                "the worker is ending".to_owned()
            }
            Gone::Exited(status) => {
                self.env.timeout(LAST_WORDS, hearing).await;
                ended(status)
            }
            Gone::Fault(fault) => {
                drop(speaking);
                self.part(process, fault).await
            }
        }
    }

    fn mouth_and_ear(&self, link: &Link) -> (Mouth, Ear) {
        let heard = Arc::<AtomicU64>::default();
        let mouth = Mouth {
            link: link.clone(),
            env: self.env.clone(),
            patience: self.patience,
            heard: heard.clone(),
            ending: self.ending.clone(),
        };
        let complaints = Complaints::new(self.env.clone());
        (mouth, Ear { agent: self.name.clone(), link: link.clone(), complaints, heard })
    }

    /// Ends a child that cannot be talked to.
    async fn part(&self, process: &mut Process, fault: Fault) -> String {
        let why = match fault {
            Fault::Unbearable(why) => why,
            Fault::HungUp(why) => match self.env.timeout(LAST_WORDS, process.wait()).await {
                Some(status) => return ended(status),
                None => why,
            },
        };
        process.kill().await;
        format!("the agent's program was ended: {why}")
    }

    async fn with_last_words(&self, why: String, mut logging: JoinHandle<()>, log: &Log) -> String {
        if self.env.timeout(LAST_WORDS, &mut logging).await.is_none() {
            logging.abort();
        }
        match log.last() {
            last if last.is_empty() => why,
            last => format!("{why}: {last}"),
        }
    }
}

/// Lets a child speak while `work` goes on: it may have to, before it can end.
async fn hear_meanwhile<T>(hearing: impl Future<Output = T>, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = work => (),
        () = async { _ = hearing.await; std::future::pending().await } => (),
    }
}

fn ended(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("the agent's program ended ({status})"),
        Err(err) => format!("the agent's program is lost: {err}"),
    }
}
