//! What the server and the load driver share beside the protocol.

use std::io::{self, ErrorKind, Write};

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

/// How much was written of the bytes that are to be; `None` if there are none, or it would have to wait.
///
/// # Errors
///
/// Those of the socket.
pub fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<Option<usize>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if_ready(|| stream.write(bytes))
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
pub fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
