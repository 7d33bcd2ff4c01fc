//! A server's end of a connection behind a C interface, without the standard library.
//!
//! If anything below linked `std`, its panic handler would clash with the one here (E0152), and this
//! would not build.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use sockless::{Config, Connection, Event, Input, Io, Next, Response, Write};

/// Hands out memory from one block and takes none back.
struct Arena;

const SIZE: usize = 1 << 20;

#[repr(align(64))]
struct Block(core::cell::UnsafeCell<[u8; SIZE]>);

// SAFETY: each byte of the block is handed out once, by an atomic counter.
unsafe impl Sync for Block {}

static BLOCK: Block = Block(core::cell::UnsafeCell::new([0; SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: what is returned lies in the block, is aligned, and is returned to nobody else.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() + layout.align();
        let start = USED.fetch_add(size, Ordering::Relaxed);
        if layout.align() > 64 || start + size > SIZE {
            return core::ptr::null_mut();
        }
        let offset = start.next_multiple_of(layout.align());
        // SAFETY: `offset + layout.size()` is at most `start + size`, inside the block.
        unsafe { BLOCK.0.get().cast::<u8>().add(offset) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// A transport and a clock, as firmware has them.
#[repr(C)]
pub struct Port {
    /// Waits for bytes for some milliseconds at most: how many were read, 0 at the end, [`NOTHING`] if none
    /// have come, or else another negative number.
    read: extern "C" fn(at: *mut u8, len: usize, wait: u64) -> isize,
    /// Writes some bytes, and takes some milliseconds at most: how many were written, [`NOTHING`], or
    /// another negative number.
    write: extern "C" fn(at: *const u8, len: usize, wait: u64) -> isize,
    /// Sends what it has kept back: 0, [`NOTHING`], or another negative number.
    flush: extern "C" fn() -> isize,
    /// Ends the write side.
    shut_write: extern "C" fn(),
    /// Milliseconds since some time before.
    now: extern "C" fn() -> u64,
}

/// It is not done yet, and no failure.
const NOTHING: isize = -1;

/// Serves one connection that echoes, to its end: the code that it was closed with.
#[unsafe(no_mangle)]
pub extern "C" fn serve(port: &Port) -> u16 {
    let mut ws = Connection::server(Config::default().back_pressure());
    let mut input = Input::new(4096);
    loop {
        let io = match ws.poll(&mut input, now(port)) {
            Next::Event(event) => {
                echo(&mut ws, event);
                continue;
            }
            Next::Io(io) => io,
            Next::Over(ending) => return ending.code,
        };
        match io.write {
            Some(step) => write(port, &mut ws, step, io),
            None => read(port, &mut ws, &mut input, io),
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

fn write(port: &Port, ws: &mut Connection, step: Write, io: Io) {
    let output = ws.output();
    let done = match step {
        Write::Output => (port.write)(output.as_ptr(), output.len(), wait(port, io)),
        Write::Flush => (port.flush)(),
        Write::Shutdown => {
            (port.shut_write)();
            0
        }
    };
    match (step, usize::try_from(done)) {
        (Write::Output, Ok(n)) => ws.sent(n),
        (Write::Flush, Ok(_)) => ws.flushed(),
        (Write::Shutdown, _) => ws.shut(),
        (_, Err(_)) if done == NOTHING => {}
        (_, Err(_)) => ws.write_failed(),
    }
}

fn read(port: &Port, ws: &mut Connection, input: &mut Input, io: Io) {
    let space = input.space();
    let done = (port.read)(space.as_mut_ptr(), space.len(), wait(port, io));
    match usize::try_from(done) {
        Ok(0) => ws.read_ended(),
        Ok(n) => input.filled(n),
        Err(_) if done == NOTHING => {}
        Err(_) => drop(ws.transport_reset()),
    }
}

fn now(port: &Port) -> Duration {
    Duration::from_millis((port.now)())
}

fn wait(port: &Port, io: Io) -> u64 {
    u64::try_from(io.wait(now(port)).as_millis()).unwrap_or(u64::MAX)
}
