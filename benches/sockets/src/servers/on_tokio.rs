//! The same loop, awaited.

use sockless::{Config, Connection, Event, Response, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

pub(super) async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let mut ws = Connection::server(Config::default());
    let mut buf = [0; 16 * 1024];
    loop {
        while !ws.output().is_empty() {
            let n = stream.write(ws.output()).await?;
            ws.sent(n);
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown().await),
            Transport::Drop => return Ok(()),
        }
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(std::io::Result::from(ws.end_of_stream())?);
        }
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
