//! What the server and the load driver share beside the protocol.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::Shutdown;

use mio::net::TcpStream;
use sockless::{Connection, Input, Io, Write};

mod timers;

pub use timers::Timers;

/// What a call on a socket did, or `None` if it would have to wait.
///
/// # Errors
///
/// Those of the socket, but for the one that says so.
pub fn if_ready<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match call() {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            // No event announces the next try.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Does with the write side what the connection asks for, and says so; `false` if there is nothing to do, or
/// if it would have to wait.
pub fn write(stream: &mut TcpStream, ws: &mut Connection, io: Io) -> bool {
    let Some(write) = io.write else { return false };
    let done = if_ready(|| match write {
        Write::Output => stream.write_vectored(&ws.output_slices()),
        Write::Flush => stream.flush().map(|()| 0),
        Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
    });
    let Some(done) = done.transpose() else {
        return false;
    };
    ws.on_write(write, done);
    true
}

/// Reads, and says so; `false` if it would have to wait.
pub fn read(stream: &mut TcpStream, ws: &mut Connection, input: &mut Input) -> bool {
    let Some(done) = if_ready(|| stream.read(input.space())).transpose() else {
        return false;
    };
    ws.on_read(done, input);
    true
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
pub fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
