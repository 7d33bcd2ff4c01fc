//! An echo endpoint, of either role, for a host that feeds bytes in and takes bytes out: a module of
//! WebAssembly that imports nothing but random numbers.
//!
//! `host.mjs` is such a host, in Node. What is here knows no socket, no clock and no operating system.

// Empty elsewhere, where the names of its exports would stand in the way of others.
#![cfg(target_arch = "wasm32")]
#![no_std]

extern crate alloc;

mod exports;

use alloc::vec::Vec;
use core::time::Duration;

use slab::Slab;
use sockless::{
    ClientRequest, Config, Connection, EntropyError, Event, Input, Io, Next, Response, Write,
};
use spin::Mutex;

/// How many bytes the host can feed in at once.
const INPUT_SIZE: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What any connection receives; the host writes to it between two calls.
static INPUT: Mutex<Input> = Mutex::new(Input::shared(INPUT_SIZE));

static ENDPOINTS: Mutex<Slab<Endpoint>> = Mutex::new(Slab::new());

/// A connection, and what the host is doing for it.
struct Endpoint {
    ws: Connection,
    /// What the host is writing.
    output: Vec<u8>,
    /// When to poll again.
    until: Option<Duration>,
}

fn config() -> Config {
    Config::default().entropy(entropy).back_pressure()
}

fn entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    for four in buffer.chunks_mut(4) {
        let random = exports::random().to_le_bytes();
        four.copy_from_slice(&random[..four.len()]);
    }
    Ok(())
}

fn open_server() -> usize {
    open(Connection::server(config()))
}

/// For the host and path in the first bytes of the input buffer, such as `127.0.0.1:80/chat`.
fn open_client(len: usize) -> Option<usize> {
    let mut input = INPUT.lock();
    let place = core::str::from_utf8(input.space().get(..len)?).ok()?;
    let request = ClientRequest::new(&alloc::format!("ws://{place}")).ok()?;
    Connection::client(request, config()).ok().map(open)
}

fn open(ws: Connection) -> usize {
    ENDPOINTS.lock().insert(Endpoint {
        ws,
        output: Vec::new(),
        until: None,
    })
}

/// The protocol: handles all that was received, and answers with what the host is to do next; `None` when
/// the connection is over.
fn poll(endpoint: &mut Endpoint, input: &mut Input, now: Duration) -> Option<Io> {
    let ws = &mut endpoint.ws;
    loop {
        match ws.poll(input, now) {
            Next::Event(event) => echo(ws, event),
            // The host's sockets keep nothing back.
            Next::Io(io) if io.write == Some(Write::Flush) => ws.flushed(),
            Next::Io(io) => return Some(io),
            Next::Over(_) => return None,
        }
    }
}

fn echo(ws: &mut Connection, event: Event<'_>) {
    let done = match event {
        Event::Request(_) => ws.accept(Response::default()),
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if done.is_err() {
        ws.handler_failed();
    }
}

/// Calls on an endpoint that is not there do nothing.
fn with<T>(id: usize, call: impl FnOnce(&mut Endpoint) -> T) -> Option<T> {
    ENDPOINTS.lock().get_mut(id).map(call)
}
