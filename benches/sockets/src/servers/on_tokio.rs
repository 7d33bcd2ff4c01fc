//! The same loop, awaited.

use std::future::pending;
use std::io;
use std::time::Instant;

use sockless::{Config, Connection, Input, Next, Write};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::sleep;

use super::answer;
use crate::Failure;

pub(super) async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let (mut reader, mut writer) = stream.split();
    let mut ws = Connection::server(Config::default().back_pressure());
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        let io = match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => {
                answer(&mut ws, event)?;
                continue;
            }
            Next::Io(io) => io,
            Next::Over(ending) => return Ok(io::Result::from(*ending)?),
        };
        select! {
            (write, done) = write(&mut writer, io.write, &ws) => ws.on_write(write, done),
            done = reader.read(input.space()), if io.read => ws.on_read(done, &mut input),
            () = sleep(io.wait(clock.elapsed())) => {}
        }
    }
}

/// Does what there is to do with the write side; waits forever if there is nothing.
async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    write: Option<Write>,
    ws: &Connection,
) -> (Write, io::Result<usize>) {
    let Some(write) = write else {
        return pending().await;
    };
    let done = match write {
        Write::Output => to.write_vectored(&ws.output_slices()).await,
        Write::Flush => to.flush().await.map(|()| 0),
        Write::Shutdown => to.shutdown().await.map(|()| 0),
    };
    (write, done)
}
