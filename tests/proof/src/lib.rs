//! The shipped codecs behind a C interface, for `prove.py` to execute on symbols instead of numbers.
//!
//! The wrappers judge nothing: they turn values of the crate into numbers at fixed places.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use sockless::frame::{Header, MAX_HEADER_SIZE, Opcode, Rules};
use sockless::{Error, Role, close, mask};

/// Nothing that is proven allocates.
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

/// A path that ends here never returns, and so is not among the paths that have to cover all inputs.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// A header as numbers.
#[repr(C)]
pub struct Fields {
    payload_len: u64,
    /// Of the header; 0 where there is none.
    size: u64,
    mask: [u8; 4],
    masked: u8,
    fin: u8,
    rsv1: u8,
    opcode: u8,
}

const INCOMPLETE: u32 = 0;
const COMPLETE: u32 = 1;
const REFUSED_BY_ENCODER: u32 = 2;

/// Numbers as in `prove.py`; the low byte of a reserved opcode and a close code come with them.
fn number(error: Error) -> u32 {
    match error {
        Error::ReservedBits => 0x1_0000,
        Error::ReservedOpcode(opcode) => 0x2_0000 | u32::from(opcode),
        Error::FragmentedControl => 0x3_0000,
        Error::ControlTooLong => 0x4_0000,
        Error::MissingMask => 0x5_0000,
        Error::UnexpectedMask => 0x6_0000,
        Error::NonMinimalLength => 0x7_0000,
        Error::LengthOverflow => 0x8_0000,
        Error::FrameTooLarge => 0x9_0000,
        Error::CloseTooShort => 0xa_0000,
        Error::InvalidCloseCode(code) => 0xb_0000 | u32::from(code),
        Error::InvalidCloseReason => 0xc_0000,
        _ => 0xff_0000,
    }
}

fn rules(server: u8, rsv1: u8, max_payload: u64) -> Rules {
    let role = match server {
        0 => Role::Client,
        _ => Role::Server,
    };
    Rules {
        role,
        rsv1: rsv1 != 0,
        max_payload,
    }
}

fn report(decoded: Result<Option<(Header, usize)>, Error>, into: &mut Fields) -> u32 {
    match decoded {
        Ok(Some((header, size))) => {
            *into = Fields {
                payload_len: header.payload_len,
                size: size as u64,
                mask: header.mask.unwrap_or_default(),
                masked: header.mask.is_some().into(),
                fin: header.fin.into(),
                rsv1: header.rsv1.into(),
                opcode: header.opcode as u8,
            };
            COMPLETE
        }
        Ok(None) => INCOMPLETE,
        Err(error) => number(error),
    }
}

/// `Header::decode`.
///
/// # Safety
///
/// `bytes` points to `len` bytes, `into` to `Fields`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn decode(
    bytes: *const u8,
    len: usize,
    server: u8,
    rsv1: u8,
    max_payload: u64,
    into: *mut Fields,
) -> u32 {
    // SAFETY: the caller's promise.
    let (bytes, into) = unsafe { (core::slice::from_raw_parts(bytes, len), &mut *into) };
    report(
        Header::decode(bytes, &rules(server, rsv1, max_payload)),
        into,
    )
}

/// As `decode`, with the comparison with the limit off by one: the proof has to notice.
///
/// # Safety
///
/// As `decode`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn decode_wrongly(
    bytes: *const u8,
    len: usize,
    server: u8,
    rsv1: u8,
    max_payload: u64,
    into: *mut Fields,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        decode(
            bytes,
            len,
            server,
            rsv1,
            max_payload.saturating_sub(1),
            into,
        )
    }
}

fn header(from: &Fields) -> Option<Header> {
    Some(Header {
        fin: from.fin != 0,
        rsv1: from.rsv1 != 0,
        opcode: Opcode::new(from.opcode)?,
        mask: (from.masked != 0).then_some(from.mask),
        payload_len: from.payload_len,
    })
}

/// `Header::encode`: the size, or 0 if it refuses.
///
/// # Safety
///
/// `from` points to `Fields`, `buffer` to 14 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn encode(from: *const Fields, buffer: *mut [u8; MAX_HEADER_SIZE]) -> usize {
    // SAFETY: the caller's promise.
    let (from, buffer) = unsafe { (&*from, &mut *buffer) };
    header(from)
        .and_then(|header| Some(header.encode(buffer)?.len()))
        .unwrap_or(0)
}

/// `Header::decode` of what `Header::encode` wrote.
///
/// # Safety
///
/// `from` and `into` point to `Fields`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn round_trip(from: *const Fields, rsv1: u8, into: *mut Fields) -> u32 {
    // SAFETY: the caller's promise.
    let (from, into) = unsafe { (&*from, &mut *into) };
    let mut buffer = [0; MAX_HEADER_SIZE];
    let Some(bytes) = header(from).and_then(|header| header.encode(&mut buffer)) else {
        return REFUSED_BY_ENCODER;
    };
    report(
        Header::decode(bytes, &rules(from.masked, rsv1, u64::MAX)),
        into,
    )
}

/// `mask::apply` behind `phase` bytes of the payload.
///
/// # Safety
///
/// `key` points to 4 bytes, `data` to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unmask(key: *const [u8; 4], phase: usize, data: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    let (key, data) = unsafe { (*key, core::slice::from_raw_parts_mut(data, len)) };
    mask::apply(mask::rotate(key, phase), data);
}

/// `close::parse`: 0 for an empty body, 1 with the code in the upper half, or the error.
///
/// # Safety
///
/// `body` points to `len` bytes, `reason_len` to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parse_close(body: *const u8, len: usize, reason_len: *mut u64) -> u32 {
    // SAFETY: the caller's promise.
    let body = unsafe { core::slice::from_raw_parts(body, len) };
    match close::parse(body) {
        Ok(Some((code, reason))) => {
            // SAFETY: the caller's promise.
            unsafe { *reason_len = reason.len() as u64 };
            u32::from(code.get()) << 16 | COMPLETE
        }
        Ok(None) => INCOMPLETE,
        Err(error) => number(error),
    }
}
