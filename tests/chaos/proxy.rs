//! The fault proxy: stands between one worker (or all senders) and the server, and does to the bytes what a bad
//! network does.

use std::{io, net::Ipv4Addr, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What happens to bytes that come in, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They go on.
    Pass,
    /// They go on after that long.
    Delay(Duration),
    /// They wait, and so does the news that a side has closed, until the way is another: as when a cable is pulled
    /// and put back, and the rest is sent again.
    Blackhole,
}

/// Passes connections on to a port of this machine, the same also after a restart of what listens there.
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    /// Ends the connections that are open; renewed by each reset.
    cut: std::sync::Arc<Mutex<CancellationToken>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before `server`, which passes everything on.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (way, _) = watch::channel(Way::Pass);
        let cut = std::sync::Arc::new(Mutex::new(CancellationToken::new()));
        let task = tokio::spawn(accept(listener, server, way.subscribe(), cut.clone()));
        Self { port, way, cut, task }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on bytes fare like this.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Resets all connections that are open; new ones are taken. Both sides are told, whatever the way.
    pub fn reset(&self) {
        let mut cut = self.cut.lock().expect("nobody panics while holding it");
        std::mem::replace(&mut *cut, CancellationToken::new()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.reset();
    }
}

async fn accept(
    listener: TcpListener,
    server: u16,
    way: watch::Receiver<Way>,
    cut: std::sync::Arc<Mutex<CancellationToken>>,
) {
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let cut = cut.lock().expect("nobody panics while holding it").clone();
        tokio::spawn(carry(near, server, way.clone(), cut));
    }
}

/// One connection, to its end.
async fn carry(mut near: TcpStream, server: u16, way: watch::Receiver<Way>, cut: CancellationToken) {
    // Without a server the caller is told at once, as its own machine would.
    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let (from_near, to_near) = near.split();
    let (from_far, to_far) = far.split();
    tokio::select! {
        biased;
        () = cut.cancelled() => (),
        _ = async { tokio::try_join!(pump(from_near, to_far, way.clone()), pump(from_far, to_near, way)) } => return,
    }
    // Both sides get a reset, not an orderly end.
    let _ = (near.set_zero_linger(), far.set_zero_linger());
}

async fn pump(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    mut way: watch::Receiver<Way>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        // A broken connection is news like any other: the other side must not have it earlier.
        let read = from.read(&mut bytes).await.unwrap_or(0);
        wait(&mut way).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}

/// Until bytes that are here may go on.
async fn wait(way: &mut watch::Receiver<Way>) {
    let open = way.wait_for(|way| *way != Way::Blackhole).await.map(|way| *way);
    if let Ok(Way::Delay(delay)) = open {
        tokio::time::sleep(delay).await;
    }
}
