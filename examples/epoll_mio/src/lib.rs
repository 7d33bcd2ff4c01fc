//! What the server and the load driver share beside the protocol.

use std::io::{self, ErrorKind, Write};

use sockless::Connection;

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

/// Writes what there is to write, as far as the socket takes it. A write that failed is the last one: what
/// the peer sent before is still to be read.
pub fn write_output(stream: &mut impl Write, ws: &mut Connection, is_broken: &mut bool) {
    while !ws.output().is_empty() && !*is_broken {
        match if_ready(|| stream.write(ws.output())) {
            Ok(Some(n)) => ws.sent(n),
            Ok(None) => return,
            Err(_) => *is_broken = true,
        }
    }
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
pub fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
