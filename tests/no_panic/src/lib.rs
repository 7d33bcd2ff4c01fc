//! Frames, masks, UTF-8 and close bodies behind a C interface: if any path through them could panic, the
//! function that the panic handler calls would be missing at the link.
//!
//! What is proven is the release build for this machine, where arithmetic wraps; that nothing overflows is
//! for the tests, which run with checks.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::slice;

use sockless::frame::{Decoder, Header, MAX_HEADER_SIZE, Opcode, Rules};
use sockless::utf8::{self, Validator};
use sockless::{Error, close, mask};

/// Nothing here allocates.
struct NoMemory;

// SAFETY: no memory is ever handed out.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NO_MEMORY: NoMemory = NoMemory;

unsafe extern "C" {
    safe fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    a_panic_is_reachable()
}

/// What a caller sees of a header.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Seen(u64, u8, bool, bool, [u8; 4], bool, usize);

fn seen(decoded: Result<Option<(Header, usize)>, Error>) -> Option<Seen> {
    let (header, size) = decoded.ok()??;
    Some(Seen(
        header.payload_len,
        header.opcode as u8,
        header.fin,
        header.rsv1,
        header.mask.unwrap_or_default(),
        header.mask.is_some(),
        size,
    ))
}

macro_rules! cannot_panic {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block)*) => {
        $(
            /// Never called: the linker looks at what it could do.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $type),*) -> $result $body
        )*
    };
}

fn bytes<'b>(at: *const u8, len: usize) -> &'b [u8] {
    // SAFETY: nothing calls these functions; whoever did would pass a slice.
    unsafe { slice::from_raw_parts(at, len) }
}

fn bytes_mut<'b>(at: *mut u8, len: usize) -> &'b mut [u8] {
    // SAFETY: as above.
    unsafe { slice::from_raw_parts_mut(at, len) }
}

cannot_panic! {
    decode_header(at: *const u8, len: usize, rules: &Rules, into: &mut Option<Seen>) -> () {
        *into = seen(Header::decode(bytes(at, len), rules));
    }

    encode_header(header: &Header, buffer: &mut [u8; MAX_HEADER_SIZE]) -> usize {
        header.encode(buffer).map_or(0, <[u8]>::len)
    }

    opcode(bits: u8) -> bool {
        Opcode::new(bits).is_some_and(Opcode::is_control)
    }

    decode_cut(decoder: &mut Decoder, at: *const u8, len: usize, into: &mut Option<Seen>) -> usize {
        let mut input = bytes(at, len);
        let decoded = decoder.decode(&mut input);
        *into = seen(decoded.map(|header| Some((header?, 0))));
        input.len() + usize::from(decoder.is_mid_header())
    }

    unmask(key: &[u8; 4], phase: usize, at: *mut u8, len: usize) -> () {
        mask::apply(mask::rotate(*key, phase), bytes_mut(at, len));
    }

    validate(at: *const u8, len: usize) -> bool {
        utf8::validate(bytes(at, len)).is_ok()
    }

    validate_piece(validator: &mut Validator, at: *const u8, len: usize) -> usize {
        let fed = validator.feed(bytes(at, len));
        let seen = fed.map_or(0, |(completed, text)| completed.map_or(0, char::len_utf8) + text.len());
        seen + usize::from(validator.is_complete()) + validator.missing()
    }

    parse_close(at: *const u8, len: usize) -> usize {
        match close::parse(bytes(at, len)) {
            Ok(Some((code, reason))) => usize::from(code.get()) + reason.len(),
            Ok(None) => 0,
            Err(error) => error.close_code().map_or(0, |code| usize::from(code.get())),
        }
    }

    truncate_reason(at: *const u8, len: usize) -> usize {
        core::str::from_utf8(bytes(at, len)).map_or(0, |reason| close::truncate_reason(reason).len())
    }
}

#[cfg(feature = "control")]
cannot_panic! {
    can_panic(at: *const u8, len: usize) -> u8 {
        bytes(at, len)[1]
    }
}
