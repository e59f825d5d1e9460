//! A network in front of the server that can be cut: what is sent then is held, as if the cable were out.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};
use url::Url;

use crate::failure::{Exit, Failure};

/// How many bytes are carried at once.
const LOAD: usize = 64 << 10;

/// Carries bytes until it is dropped.
pub(super) struct Proxy {
    url: String,
    open: watch::Sender<bool>,
    // Ends with it, and every connection with that.
    _task: JoinSet<()>,
}

impl Proxy {
    /// One in front of the server at `redis`.
    pub(super) async fn before(redis: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new(Exit::Usage, "--case cut wants a server at redis://HOST:PORT");
        let mut url = Url::parse(redis).map_err(|_| wrong())?;
        let server = (url.host_str().ok_or_else(wrong)?.to_owned(), url.port().unwrap_or(6379));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        url.set_host(Some("127.0.0.1")).map_err(|_| wrong())?;
        url.set_port(Some(listener.local_addr()?.port())).map_err(|()| wrong())?;
        let (open, opened) = watch::channel(true);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server, opened));
        Ok(Self { url: url.into(), open, _task: task })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// What was held is delivered now.
    pub(super) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, server: (String, u16), open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, open) = (server.clone(), open.clone());
        connections.spawn(async move {
            // A connection that ends is nothing to the others.
            let _ = carry(client, server, open).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(client: TcpStream, server: (String, u16), mut open: watch::Receiver<bool>) -> io::Result<()> {
    let _ = open.wait_for(|open| *open).await;
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(pump(from_client, to_server, open.clone()), pump(from_server, to_client, open))?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut load = vec![0; LOAD];
    loop {
        let read = from.read(&mut load).await?;
        // Also the end of a connection is not heard on the other side of a cut.
        let _ = open.wait_for(|open| *open).await;
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&load[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_during_a_cut_arrives_after_it_and_not_before() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().unwrap();
        let proxy = Proxy::before(&format!("redis://:secret@{address}/2")).await.unwrap();
        let url = Url::parse(proxy.url()).unwrap();
        assert_eq!((url.password(), url.path()), (Some("secret"), "/2"));
        let mut client = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        client.write_all(b"1").await.unwrap();
        assert_eq!(served.read_u8().await.unwrap(), b'1');
        proxy.cut();
        client.write_all(b"2").await.unwrap();
        assert!(timeout(Duration::from_millis(50), served.read_u8()).await.is_err(), "nothing comes through");
        proxy.mend();
        assert_eq!(served.read_u8().await.unwrap(), b'2');
    }
}
