//! A server's end of a connection behind a C interface, without the standard library.
//!
//! If anything below linked `std`, its panic handler would clash with the one here (E0152), and this
//! would not build.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use sockless::{Config, Connection, Event, Response};

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

/// Feeds one connection that echoes, and returns how many bytes it has to write.
///
/// # Safety
///
/// `input` points to `len` bytes that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn echo(input: *mut u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    let mut input = unsafe { core::slice::from_raw_parts_mut(input, len) };
    let mut ws = Connection::server(Config::default());
    while let Some(event) = ws.receive(&mut input) {
        let done = match event {
            Event::Request(_) => ws.accept(Response::default()),
            Event::Text(text) => ws.send_text(&text),
            Event::Binary(data) => ws.send_binary(&data),
            _ => Ok(()),
        };
        if done.is_err() {
            break;
        }
    }
    ws.output().len()
}
