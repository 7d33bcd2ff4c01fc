//! The same loop, awaited.

use sockless::{Config, Connection, Event, Response, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

pub(super) async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let mut ws = Connection::server(Config::default());
    let mut buf = [0; 16 * 1024];
    let mut is_broken = false;
    loop {
        while !ws.output().is_empty() && !is_broken {
            match stream.write(ws.output()).await {
                Ok(n) => ws.sent(n),
                Err(_) => is_broken = true, // what the peer sent before is still to be read
            }
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown().await),
            Transport::Drop => return Ok(()),
        }
        let n = match stream.read(&mut buf).await {
            Ok(0) if !is_broken => return Ok(std::io::Result::from(ws.end_of_stream())?),
            Ok(0) | Err(_) => return Ok(std::io::Result::from(ws.transport_reset())?),
            Ok(n) => n,
        };
        let mut input = &mut buf[..n];
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Request(_) => ws.accept(Response::default())?,
                Event::Text(text) => ws.send_text(&text)?,
                Event::Binary(data) => ws.send_binary(&data)?,
                _ => {} // pings, closes and violations are answered already
            }
        }
    }
}
