//! A proxy whose connections can be made half-open: nothing says that the other side is gone.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Passes bytes on; connections that were open when [`blackhole`](Self::blackhole) was called pass none any more.
pub struct Proxy {
    address: SocketAddr,
    generation: watch::Sender<u64>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    #[allow(clippy::disallowed_methods, reason = "a test's own task, ended with it")]
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (generation, current) = watch::channel(0);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                // A server that is gone accepts nobody.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(pass(from_client, to_server, current.clone()));
                tokio::spawn(pass(from_server, to_client, current.clone()));
            }
        });
        Self { address, generation, accepted, task }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on the connections that are open swallow all that is sent.
    pub fn blackhole(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Connections made so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes on while the connection is of the current generation, then swallows them.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, generation: watch::Receiver<u64>) {
    let own = *generation.borrow();
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if *generation.borrow() == own && to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
}
