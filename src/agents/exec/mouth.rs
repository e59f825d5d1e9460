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
    /// How long the child may neither read nor say anything.
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
        loop {
            tokio::select! {
                biased;
                _ = queue.recv_many(&mut batch, BATCH) => (),
                () = self.ending.cancelled() => return Ok(()),
            }
            for outgoing in batch.drain(..) {
                self.gather(outgoing, &mut bytes);
                if bytes.len() >= GATHERED {
                    self.write(&mut input, &mut bytes).await?;
                }
            }
            self.link.calls().take_cancelled().into_iter().for_each(|id| bytes.extend(cancel_line(id)));
            self.write(&mut input, &mut bytes).await?;
        }
    }

    fn gather(&self, outgoing: Outgoing, bytes: &mut Vec<u8>) {
        match outgoing {
            Outgoing::Turn { id, line } if self.link.calls().begin(id) => bytes.extend(line),
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
        let mut heard = self.heard.load(Ordering::Relaxed);
        loop {
            if let Some(written) = self.env.timeout(self.patience, &mut write).await {
                return written.map_err(|err| Fault::HungUp(format!("its input cannot be written: {err}")));
            }
            let now = self.heard.load(Ordering::Relaxed);
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
