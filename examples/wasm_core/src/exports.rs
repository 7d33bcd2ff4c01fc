//! What the host calls, and what it is asked for.
//!
//! A function that a host can find by its name has to be marked `unsafe`, for no compiler sees whether
//! two have the same. That and the import are all that is unsafe here: addresses are handed out and none
//! is taken, so only the host can misuse them.

#![expect(unsafe_code, reason = "names for the host")]

use core::ptr;
use core::time::Duration;

use sockless::{CloseCode, Write};

use crate::{ENDPOINTS, INPUT, INPUT_SIZE, open_client, open_server, with};

/// Bits of the answer of [`poll`].
const WRITE: u32 = 1;
const SHUT_WRITE: u32 = 2;
const READ: u32 = 4;
const OVER: u32 = 8;

#[link(wasm_import_module = "host")]
// SAFETY: the function takes nothing, returns a number and touches no memory.
unsafe extern "C" {
    /// Thirty-two bits that nobody can predict.
    pub(crate) safe fn random() -> u32;
}

/// Where the host writes what a socket has delivered.
#[unsafe(no_mangle)]
extern "C" fn input() -> *mut u8 {
    INPUT.lock().space().as_mut_ptr()
}

/// How much it can write there.
#[unsafe(no_mangle)]
extern "C" fn input_size() -> usize {
    INPUT_SIZE
}

/// A server's end of a connection: its number.
#[unsafe(no_mangle)]
extern "C" fn server() -> i32 {
    number(Some(open_server()))
}

/// A client's end, for the place that stands in the first `len` bytes of the input; or -1.
#[unsafe(no_mangle)]
extern "C" fn client(len: usize) -> i32 {
    number(open_client(len))
}

fn number(id: Option<usize>) -> i32 {
    id.and_then(|id| i32::try_from(id).ok()).unwrap_or(-1)
}

/// What to do next, at `now` in milliseconds, after the socket has written the first `len` bytes of the
/// input for it, or none. Everything that came is handled by then. The bits of the answer, each for as long
/// as it is not done and reported:
///
/// * 1: write the [`output`], and report it with [`sent`] or [`write_failed`]. One write at a time;
/// * 2: shut the write side, and report it with [`shut`];
/// * 4: read; without it, leave what comes in the socket;
/// * 8: drop the socket, the connection is over. All that is left to call is [`ended`].
///
/// Then call it again when one of them is done, and at the time that [`until`] says.
#[unsafe(no_mangle)]
extern "C" fn poll(id: usize, len: usize, now: u64) -> u32 {
    let mut input = INPUT.lock();
    input.filled(len);
    let bits = with(id, |endpoint| {
        let io = crate::poll(endpoint, &mut input, Duration::from_millis(now))?;
        endpoint.until = io.until;
        let write = match io.write {
            // What the host has taken is on its way.
            Some(Write::Output) if endpoint.output.is_empty() => WRITE,
            Some(Write::Shutdown) => SHUT_WRITE,
            Some(Write::Output | Write::Flush) | None => 0,
        };
        Some(write | if io.read { READ } else { 0 })
    });
    bits.flatten().unwrap_or(OVER)
}

/// The time in milliseconds at which to poll again at the latest; or -1.
#[unsafe(no_mangle)]
extern "C" fn until(id: usize) -> i64 {
    let until = with(id, |endpoint| endpoint.until).flatten();
    // Rounded up: before the time there would be nothing to do.
    let millis = until.map(|until| until.as_nanos().div_ceil(1_000_000));
    millis
        .and_then(|millis| i64::try_from(millis).ok())
        .unwrap_or(-1)
}

/// Takes the bytes that are to be written to the socket: where they are, until the next call.
#[unsafe(no_mangle)]
extern "C" fn output(id: usize) -> *const u8 {
    let output = with(id, |endpoint| {
        endpoint.ws.take_output(&mut endpoint.output);
        endpoint.output.as_ptr()
    });
    output.unwrap_or_else(ptr::null)
}

/// How many there are.
#[unsafe(no_mangle)]
extern "C" fn output_size(id: usize) -> usize {
    with(id, |endpoint| endpoint.output.len()).unwrap_or(0)
}

/// All of them have been written.
#[unsafe(no_mangle)]
extern "C" fn sent(id: usize) {
    with(id, |endpoint| {
        endpoint.ws.sent(endpoint.output.len());
        endpoint.output.clear();
    });
}

/// They cannot be written.
#[unsafe(no_mangle)]
extern "C" fn write_failed(id: usize) {
    with(id, |endpoint| {
        endpoint.ws.write_failed();
        endpoint.output.clear();
    });
}

/// The write side has been shut.
#[unsafe(no_mangle)]
extern "C" fn shut(id: usize) {
    with(id, |endpoint| endpoint.ws.shut());
}

/// The peer has ended its side of the socket.
#[unsafe(no_mangle)]
extern "C" fn read_ended(id: usize) {
    with(id, |endpoint| endpoint.ws.read_ended());
}

/// The socket was reset, or failed in another way.
#[unsafe(no_mangle)]
extern "C" fn transport_reset(id: usize) {
    with(id, |endpoint| endpoint.ws.transport_reset());
}

/// Begins to close, with code 1000.
#[unsafe(no_mangle)]
extern "C" fn close(id: usize) {
    with(id, |endpoint| {
        if endpoint.ws.close(CloseCode::NORMAL, "").is_err() {
            endpoint.ws.end_of_stream(); // it is not open yet, and has nothing to lose
        }
    });
}

/// The socket is gone, and the number means nothing any more: the code it was closed with, negative if that
/// was not clean.
#[unsafe(no_mangle)]
extern "C" fn ended(id: usize) -> i32 {
    let Some(mut endpoint) = ENDPOINTS.lock().try_remove(id) else {
        return 0;
    };
    let ending = endpoint.ws.end_of_stream();
    let code = i32::from(ending.code);
    if ending.clean { code } else { -code }
}
