//! A sentinel that lies: whoever asks is told another server, elected later than any.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

/// Where it listens; it ends with the test.
pub struct Liar(u16);

impl Liar {
    /// One that names the server at `port`.
    pub fn naming(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                thread::spawn(move || lie(&caller, port));
            }
        });
        Self(own)
    }

    pub fn port(&self) -> u16 {
        self.0
    }
}

/// Answers until the caller goes.
fn lie(mut caller: &TcpStream, port: u16) -> io::Result<()> {
    let mut read = BufReader::new(caller);
    loop {
        let command = command(&mut read)?.join(" ").to_uppercase();
        let answer = if command.starts_with("SENTINEL GET-MASTER-ADDR-BY-NAME") {
            list(&["127.0.0.1", &port.to_string()])
        } else if command.starts_with("SENTINEL MASTER") {
            list(&["config-epoch", "999999", "quorum", "2", "num-other-sentinels", "2"])
        } else {
            "+OK\r\n".to_owned()
        };
        caller.write_all(answer.as_bytes())?;
    }
}

fn list(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("${}\r\n{part}\r\n", part.len())).collect();
    let many = parts.matches('$').count();
    format!("*{many}\r\n{parts}")
}

/// One command as clients send it.
fn command(read: &mut impl BufRead) -> io::Result<Vec<String>> {
    let many = number(read)?;
    (0..many)
        .map(|_| {
            let mut part = vec![0; number(read)? + 2];
            read.read_exact(&mut part)?;
            Ok(String::from_utf8_lossy(&part).trim_end().to_owned())
        })
        .collect()
}

/// The number behind the mark of a line.
fn number(read: &mut impl BufRead) -> io::Result<usize> {
    let mut line = String::new();
    read.read_line(&mut line)?;
    let digits = line.trim_end().get(1..).unwrap_or_default();
    digits.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
