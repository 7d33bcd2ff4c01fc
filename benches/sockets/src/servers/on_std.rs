//! The loop of the crate's documentation, a thread for each connection.

use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use sockless::{Config, Connection, Input, Next, Write};

use super::{LISTEN, announce, answer};
use crate::Failure;

pub(super) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind(LISTEN)?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().spawn(move || {
            if let Err(error) = echo(stream) {
                eprintln!("connection: {error}");
            }
        })?;
    }
}

fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let mut ws = Connection::server(Config::default().back_pressure());
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        let io = match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => {
                answer(&mut ws, event)?;
                continue;
            }
            Next::Io(io) => io,
            Next::Over(ending) => return Ok(std::io::Result::from(*ending)?),
        };
        let wait = Some(io.wait(clock.elapsed()));
        if let Some(write) = io.write {
            stream.set_write_timeout(wait)?;
            let done = match write {
                Write::Output => stream.write_vectored(&ws.output_slices()),
                Write::Flush => stream.flush().map(|()| 0),
                Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
            };
            ws.on_write(write, done);
        } else {
            stream.set_read_timeout(wait)?;
            ws.on_read(stream.read(input.space()), &mut input);
        }
    }
}
