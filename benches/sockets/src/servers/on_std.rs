//! The loop of the crate's documentation, a thread for each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use sockless::{Config, Connection, Event, Response, Transport};

use super::{LISTEN, announce};
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
    let mut ws = Connection::server(Config::default());
    let mut buf = [0; 16 * 1024];
    loop {
        while !ws.output().is_empty() {
            let n = stream.write(ws.output())?;
            ws.sent(n);
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(()),
        }
        let n = stream.read(&mut buf)?;
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
