//! Echo clients, for `tests/strictness`: each reads ports from its input, and connects to one after the
//! other on 127.0.0.1.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use clap::ValueEnum;
use sockless::{ClientRequest, Config, Connection, Event, Transport};
use tokio_tungstenite::tungstenite;

use crate::Failure;

/// The clients of this program.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// sockless, blocking
    Std,
    /// tungstenite, blocking
    Tungstenite,
}

impl Client {
    /// Connects to each port that is read, until the standard input ends.
    pub(crate) fn connect(self) -> Result<(), Failure> {
        for port in io::stdin().lock().lines() {
            let port: u16 = port?.trim().parse()?;
            let conversed = match self {
                Self::Std => on_std(port),
                Self::Tungstenite => on_tungstenite(port),
            };
            if let Err(error) = conversed {
                eprintln!("connection: {error}");
            }
        }
        Ok(())
    }
}

fn on_std(port: u16) -> Result<(), Failure> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let request = ClientRequest::new(&format!("ws://127.0.0.1:{port}/"))?;
    let mut ws = Connection::client(request, Config::default())?;
    let mut buf = [0; 16 * 1024];
    loop {
        while !ws.output().is_empty() {
            let n = stream.write(ws.output())?;
            ws.sent(n);
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => stream.shutdown(Shutdown::Write)?,
            Transport::Drop => return Ok(()),
        }
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(io::Result::from(ws.end_of_stream())?);
        }
        let mut input = &mut buf[..n];
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Text(text) => ws.send_text(&text)?,
                Event::Binary(data) => ws.send_binary(&data)?,
                _ => {} // pings, closes and violations are answered already
            }
        }
    }
}

fn on_tungstenite(port: u16) -> Result<(), Failure> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut ws, _) = tungstenite::client(format!("ws://127.0.0.1:{port}/"), stream)?;
    loop {
        let message = ws.read()?;
        if message.is_text() || message.is_binary() {
            ws.send(message)?;
        }
    }
}
