//! What the host calls, and what it is asked for.
//!
//! A function that a host can find by its name has to be marked `unsafe`, for no compiler sees whether
//! two have the same. That and the import are all that is unsafe here: addresses are handed out and none
//! is taken, so only the host can misuse them.

#![expect(unsafe_code, reason = "names for the host")]

use core::ptr;

use sockless::CloseCode;

use crate::{
    CONNECTIONS, INPUT, INPUT_SIZE, open_client, open_server, receive, tick, what_to_do, with,
};

#[link(wasm_import_module = "host")]
// SAFETY: the function takes nothing, returns a number and touches no memory.
unsafe extern "C" {
    /// Thirty-two bits that nobody can predict.
    pub(crate) safe fn random() -> u32;
}

/// Where the host writes what a socket has delivered.
#[unsafe(no_mangle)]
extern "C" fn input() -> *mut u8 {
    INPUT.lock().as_mut_ptr()
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

/// Takes the first `len` bytes of the input; whether that was all right.
#[unsafe(no_mangle)]
extern "C" fn received(id: usize, len: usize) -> bool {
    let mut input = INPUT.lock();
    let input = input.get_mut(..len).unwrap_or_default();
    with(id, |ws| receive(ws, input).is_ok()).unwrap_or(false)
}

/// Where the bytes are that are to be written to the socket, until the next call.
#[unsafe(no_mangle)]
extern "C" fn output(id: usize) -> *const u8 {
    with(id, |ws| ws.output().as_ptr()).unwrap_or_else(ptr::null)
}

/// How many there are.
#[unsafe(no_mangle)]
extern "C" fn output_size(id: usize) -> usize {
    with(id, |ws| ws.output().len()).unwrap_or(0)
}

/// So many of them have been written.
#[unsafe(no_mangle)]
extern "C" fn sent(id: usize, len: usize) {
    with(id, |ws| ws.sent(len));
}

/// What to do with the socket: 0 nothing, 1 shut the write side and read on, 2 drop it.
#[unsafe(no_mangle)]
extern "C" fn transport(id: usize) -> u32 {
    with(id, |ws| what_to_do(ws.transport())).unwrap_or(2)
}

/// Tells the time in milliseconds, and answers at what time to call again; or -1.
#[unsafe(no_mangle)]
extern "C" fn told_time(id: usize, now: u64) -> i64 {
    let due = with(id, |ws| tick(ws, now)).flatten();
    due.and_then(|due| i64::try_from(due).ok()).unwrap_or(-1)
}

/// Begins to close, with code 1000.
#[unsafe(no_mangle)]
extern "C" fn close(id: usize) {
    with(id, |ws| ws.close(CloseCode::NORMAL, "").is_ok());
}

/// The socket has ended, and the number means nothing any more: the code it was closed with, negative if
/// that was not clean.
#[unsafe(no_mangle)]
extern "C" fn ended(id: usize) -> i32 {
    let Some(mut ws) = CONNECTIONS.lock().try_remove(id) else {
        return 0;
    };
    let ending = ws.end_of_stream();
    let code = i32::from(ending.code);
    if ending.clean { code } else { -code }
}
