//! Speaks to a child: writes what is queued for its input, as much at once as there is.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    fault::Fault,
    link::Link,
    outbound::{Outgoing, cancel_line},
    silence::Silence,
};
use crate::runtime::Env;

/// Lines taken from the queue at once.
const BATCH: usize = 256;
/// What is gathered before it is written; also how much memory is kept for the next time.
const GATHERED: usize = 256 << 10;

/// What speaks to one child.
pub(super) struct Mouth {
    pub(super) link: Link,
    pub(super) env: Env,
    /// How long the child may neither read nor say anything, and how long it may owe an answer so.
    pub(super) patience: Duration,
    pub(super) heard: Arc<AtomicU64>,
    pub(super) ending: CancellationToken,
}

impl Mouth {
    /// Speaks until the worker ends (then nothing is wrong) or nobody reads. The input is closed then.
    pub(super) async fn speak(
        &self,
        mut input: ChildStdin,
        queue: &mut mpsc::Receiver<Outgoing>,
    ) -> Result<(), Fault> {
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), Vec::with_capacity(GATHERED));
        let mut silence = Silence::default();
        loop {
            tokio::select! {
                biased;
                _ = queue.recv_many(&mut batch, BATCH) => (),
                () = self.ending.cancelled() => return Ok(()),
            }
            for outgoing in batch.drain(..) {
                self.gather(outgoing, &mut bytes, &mut silence);
                if bytes.len() >= GATHERED {
                    self.write(&mut input, &mut bytes).await?;
                }
            }
            let cancelled = self.link.calls().take_cancelled();
            if !cancelled.is_empty() {
                self.check(&silence)?;
            }
            cancelled.into_iter().for_each(|id| bytes.extend(cancel_line(id)));
            self.write(&mut input, &mut bytes).await?;
        }
    }

    /// A turn was given up on. That may be the agent's way, or nobody is there any more who would answer.
    fn check(&self, silence: &Silence) -> Result<(), Fault> {
        match silence.lasted(self.env.now(), self.heard()) {
            lasted if lasted < self.patience => Ok(()),
            lasted => {
                let seconds = lasted.as_secs_f64();
                Err(Fault::Unbearable(format!("it owes answers and has said nothing for {seconds:.1} s")))
            }
        }
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    fn gather(&self, outgoing: Outgoing, bytes: &mut Vec<u8>, silence: &mut Silence) {
        match outgoing {
            Outgoing::Turn { id, line } if self.link.calls().begin(id) => {
                silence.given(self.env.now(), self.heard());
                bytes.extend(line);
            }
            Outgoing::Line(line) => bytes.extend(line),
            Outgoing::Turn { .. } | Outgoing::Cancels => (),
        }
    }

    async fn write(&self, input: &mut ChildStdin, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        if !bytes.is_empty() {
            self.written(input.write_all(bytes)).await?;
        }
        bytes.clear();
        bytes.shrink_to(GATHERED);
        Ok(())
    }

    /// Waits for a write as long as the child shows that it lives.
    async fn written(&self, write: impl Future<Output = io::Result<()>>) -> Result<(), Fault> {
        let mut write = pin!(write);
        let mut heard = self.heard();
        loop {
            if let Some(written) = self.env.timeout(self.patience, &mut write).await {
                return written.map_err(|err| Fault::HungUp(format!("its input cannot be written: {err}")));
            }
            let now = self.heard();
            if now == heard {
                let patience = self.patience;
                return Err(Fault::Unbearable(format!(
                    "it has read nothing and said nothing for {patience:?}"
                )));
            }
            heard = now;
        }
    }
}
