//! An echo endpoint, of either role, for a host that feeds bytes in and takes bytes out: a module of
//! WebAssembly that imports nothing but random numbers.
//!
//! `host.mjs` is such a host, in Node. What is here knows no socket, no clock and no operating system.

// Empty elsewhere, where the names of its exports would stand in the way of others.
#![cfg(target_arch = "wasm32")]
#![no_std]

extern crate alloc;

mod exports;

use core::time::Duration;

use slab::Slab;
use sockless::{
    ClientRequest, Config, Connection, EntropyError, Event, Response, SendError, State, Transport,
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

/// One buffer for what any connection receives; the host writes to it between two calls.
static INPUT: Mutex<[u8; INPUT_SIZE]> = Mutex::new([0; INPUT_SIZE]);

static CONNECTIONS: Mutex<Slab<Connection>> = Mutex::new(Slab::new());

fn config() -> Config {
    Config::default().entropy(entropy)
}

fn entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    for four in buffer.chunks_mut(4) {
        let random = exports::random().to_le_bytes();
        four.copy_from_slice(&random[..four.len()]);
    }
    Ok(())
}

fn open_server() -> usize {
    CONNECTIONS.lock().insert(Connection::server(config()))
}

/// For the host and path in the first bytes of the input buffer, such as `127.0.0.1:80/chat`.
fn open_client(len: usize) -> Option<usize> {
    let input = INPUT.lock();
    let place = core::str::from_utf8(input.get(..len)?).ok()?;
    let request = ClientRequest::new(&alloc::format!("ws://{place}")).ok()?;
    let connection = Connection::client(request, config()).ok()?;
    Some(CONNECTIONS.lock().insert(connection))
}

/// The protocol: the rest of the usual loop is the host's.
fn receive(ws: &mut Connection, mut input: &mut [u8]) -> Result<(), SendError> {
    while let Some(event) = ws.receive(&mut input) {
        match event {
            Event::Text(_) | Event::Binary(_) if ws.state() == State::Closing => {} // too late
            Event::Request(_) => ws.accept(Response::default())?,
            Event::Text(text) => ws.send_text(&text)?,
            Event::Binary(data) => ws.send_binary(&data)?,
            _ => {} // pings, closes and violations are already answered
        }
    }
    Ok(())
}

/// The time at which to call again, in milliseconds.
fn tick(ws: &mut Connection, now: u64) -> Option<u64> {
    let due = ws.tick(Duration::from_millis(now))?;
    // Rounded up: called before the time, it would only answer the same.
    u64::try_from(due.as_nanos().div_ceil(1_000_000)).ok()
}

fn what_to_do(transport: Transport) -> u32 {
    match transport {
        Transport::Keep => 0,
        Transport::ShutWrite => 1,
        Transport::Drop => 2,
    }
}

/// Calls on a connection that is not there do nothing.
fn with<T>(id: usize, call: impl FnOnce(&mut Connection) -> T) -> Option<T> {
    CONNECTIONS.lock().get_mut(id).map(call)
}
