//! What the fuzz targets run; each file in `fuzz_targets/` only names one of these.

#[path = "../checks/mod.rs"]
mod checks;
mod differential;

use std::alloc::{GlobalAlloc, Layout, System};

use checks::heap;

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            /// The target of this name, on any bytes.
            pub fn $name(data: &[u8]) {
                let (_, check) = checks::TARGETS
                    .iter()
                    .find(|target| target.0 == stringify!($name))
                    .expect("a target");
                check(data);
            }
        )*
    };
}

targets! { head decoder server client server_handshake client_handshake pair header_list parts proxy
negotiation inflating round_trip }

/// Ours and other implementations, on the same traffic.
pub fn differential(data: &[u8]) {
    differential::check(data);
}

/// Counts what is in use, for the bounds on memory.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        heap::on_allocate(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        heap::on_free(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    /// While it moves, both places are in use.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        heap::on_allocate(size);
        // SAFETY: the caller's promise.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        heap::on_free(layout.size());
        moved
    }
}
