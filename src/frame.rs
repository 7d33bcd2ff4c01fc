//! Frames: [RFC 6455 §5.2].
//!
//! [`Header`] is everything in front of a payload, as a value; [`Header::decode`] reads it from the
//! start of some bytes and [`Header::encode`] writes it. [`Decoder`] does the same for bytes that
//! arrive cut anywhere. Neither keeps a payload, and neither allocates.
//!
//! # Order of the checks
//!
//! A header that breaks several rules is reported for the first of these, each as soon as the byte
//! that decides it is there: reserved bits, opcode, FIN of a control frame; length of a control frame,
//! mask; highest bit of the length, minimal form of the length, size limit. A
//! [`Connection`](crate::Connection) judges the order of fragments (§5.4) in the middle, at the second byte.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use alloc::vec::Vec;

use crate::error::Error;

/// The longest header: two bytes, eight of length, four of mask.
pub const MAX_HEADER_SIZE: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// The two ends of a connection (RFC 6455 §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// The end that sent the request. Its frames are masked.
    Client,
    /// The end that answered it. Its frames are not masked.
    Server,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a frame is for (RFC 6455 §5.2); the reserved values cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new opcode would take a new version of the protocol"
)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The last frame of a side.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping, or says that its sender is alive.
    Pong = 10,
}

impl Opcode {
    /// The opcode of these four bits; `None` if they are reserved.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control frame's: never fragmented, at most 125 bytes (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a frame.
///
/// RSV2 and RSV3 have no field: no extension that uses them exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format is fixed by RFC 6455")]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The bit that permessage-deflate sets on the first frame of a compressed message.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The key, if the payload is masked (§5.3).
    pub mask: Option<[u8; 4]>,
    /// The length of the payload in bytes; below 2^63.
    pub payload_len: u64,
}

/// What a header is checked against, apart from the format itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what a header can be checked against is known"
)]
pub struct Rules {
    /// The end that receives: a server wants masked frames, a client refuses them (§5.1).
    pub role: Role,
    /// Whether RSV1 is defined: on the first frame of a message only (RFC 7692 §6).
    pub rsv1: bool,
    /// The longest payload of a data frame, in bytes.
    pub max_payload: u64,
}

impl Header {
    /// Reads a header from the start of `bytes`: the header and its size, or `None` if it goes on
    /// behind them.
    ///
    /// # Errors
    ///
    /// The rule that the header breaks, even if the rest of it is still to come; see the
    /// [order](self#order-of-the-checks).
    #[inline]
    pub fn decode(bytes: &[u8], rules: &Rules) -> Result<Option<(Self, usize)>, Error> {
        Self::decode_where(bytes, rules, |_, _| Ok(rules.max_payload))
    }

    /// As [`decode`](Self::decode); what the first two bytes decide beyond the format is for `judge` to
    /// say, from the opcode and RSV1, and so is the longest payload.
    #[inline]
    fn decode_where(
        bytes: &[u8],
        rules: &Rules,
        judge: impl FnOnce(Opcode, bool) -> Result<u64, Error>,
    ) -> Result<Option<(Self, usize)>, Error> {
        let Some((&first, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        let opcode = check_first(first, rules)?;
        let Some((&second, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        check_second(second, opcode, rules)?;
        let rsv1 = first & RSV1 != 0;
        let max_payload = judge(opcode, rsv1)?;
        let (payload_len, length_size, bytes) = match second & LENGTH {
            126 => match bytes.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), 2, rest),
                None => return Ok(None),
            },
            127 => match bytes.split_first_chunk() {
                Some((length, rest)) => (check_64_bit(u64::from_be_bytes(*length))?, 8, rest),
                // R126: the first byte of the length tells.
                None if bytes.first().is_some_and(|byte| byte & 0x80 != 0) => {
                    return Err(Error::LengthOverflow);
                }
                None => return Ok(None),
            },
            length => (u64::from(length), 0, bytes),
        };
        // R124 (§5.2): the 16-bit form is for lengths that need it.
        if length_size == 2 && payload_len < 126 {
            return Err(Error::NonMinimalLength);
        }
        // R127 (§10.4): refused before a byte of the payload is there. R160: a limit below 125 is not
        // meant for control frames.
        if payload_len > max_payload && !opcode.is_control() {
            return Err(Error::FrameTooLarge);
        }
        let (mask, mask_size) = match (second & MASK, bytes.first_chunk()) {
            (0, _) => (None, 0),
            (_, Some(mask)) => (Some(*mask), 4),
            (_, None) => return Ok(None),
        };
        let header = Self {
            fin: first & FIN != 0,
            rsv1,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((header, 2 + length_size + mask_size)))
    }

    /// Writes the header to the start of `buffer` and returns it, its length in the shortest form;
    /// `None` if the payload's length is not below 2^63.
    #[inline]
    #[must_use]
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_HEADER_SIZE]) -> Option<&'b [u8]> {
        let mask_bit = if self.mask.is_some() { MASK } else { 0 };
        let first = self.first_byte();
        let mut size = match (
            u8::try_from(self.payload_len),
            u16::try_from(self.payload_len),
        ) {
            (Ok(length @ ..126), _) => {
                put(buffer, 0, [first, mask_bit | length]);
                2
            }
            (_, Ok(length)) => {
                let [high, low] = length.to_be_bytes();
                put(buffer, 0, [first, mask_bit | 126, high, low]);
                4
            }
            _ if self.payload_len >> 63 == 0 => {
                put(buffer, 0, [first, mask_bit | 127]);
                put(buffer, 2, self.payload_len.to_be_bytes());
                10
            }
            _ => return None,
        };
        if let Some(mask) = self.mask {
            put(buffer, size, mask);
            size += mask.len();
        }
        buffer.get(..size)
    }

    /// As [`encode`](Self::encode), behind what `out` holds.
    #[inline]
    pub(crate) fn append(&self, out: &mut Vec<u8>) {
        // Short frames are the most frequent ones, and each of these is one store. (Measured: a seventh
        // of the instructions of sending 20 bytes.)
        match (u8::try_from(self.payload_len), self.mask) {
            (Ok(length @ ..126), None) => out.extend_from_slice(&[self.first_byte(), length]),
            (Ok(length @ ..126), Some([a, b, c, d])) => {
                out.extend_from_slice(&[self.first_byte(), MASK | length, a, b, c, d]);
            }
            _ => {
                let mut buffer = [0; MAX_HEADER_SIZE];
                out.extend_from_slice(self.encode(&mut buffer).unwrap_or_default());
            }
        }
    }

    const fn first_byte(&self) -> u8 {
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.rsv1 { RSV1 } else { 0 };
        fin | rsv1 | self.opcode as u8
    }
}

#[inline]
fn put<const N: usize>(buffer: &mut [u8; MAX_HEADER_SIZE], at: usize, bytes: [u8; N]) {
    if let Some(slot) = buffer.get_mut(at..at + N) {
        slot.copy_from_slice(&bytes);
    }
}

#[inline]
fn check_first(first: u8, rules: &Rules) -> Result<Opcode, Error> {
    // R120 (§5.2): a reserved bit is zero unless an extension defines it. RFC 7692 defines RSV1 for
    // the first frame of a message: R332 and R333 keep it off control and continuation frames.
    let starts_message = matches!(first & OPCODE, 1 | 2);
    if first & (RSV2 | RSV3) != 0 || first & RSV1 != 0 && !(rules.rsv1 && starts_message) {
        return Err(Error::ReservedBits);
    }
    // R121 (§5.2): whatever the rest of the frame says.
    let opcode = Opcode::new(first & OPCODE).ok_or(Error::ReservedOpcode(first & OPCODE))?;
    // R131 (§5.5): a control frame is whole.
    if opcode.is_control() && first & FIN == 0 {
        return Err(Error::FragmentedControl);
    }
    Ok(opcode)
}

#[inline]
fn check_second(second: u8, opcode: Opcode, rules: &Rules) -> Result<(), Error> {
    // R130 (§5.5): 126 and 127 stand for longer lengths, whatever follows.
    if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD {
        return Err(Error::ControlTooLong);
    }
    // R122, R123 (§5.1): a client masks every frame, a server none.
    match (rules.role, second & MASK != 0) {
        (Role::Server, false) => Err(Error::MissingMask),
        (Role::Client, true) => Err(Error::UnexpectedMask),
        _ => Ok(()),
    }
}

#[inline]
const fn check_64_bit(length: u64) -> Result<u64, Error> {
    // R126 (§5.2): the most significant bit is 0.
    if length >> 63 != 0 {
        return Err(Error::LengthOverflow);
    }
    // R125 (§5.2): the 64-bit form is for lengths that need it.
    if length < 1 << 16 {
        return Err(Error::NonMinimalLength);
    }
    Ok(length)
}

/// Reads headers from bytes that arrive in pieces.
///
/// ```
/// use sockless::Role;
/// use sockless::frame::{Decoder, Opcode, Rules};
///
/// let rules = Rules { role: Role::Client, rsv1: false, max_payload: 1 << 20 };
/// let mut decoder = Decoder::new(rules);
/// // RFC 6455 §5.7: a binary frame of 256 bytes, its header cut in two.
/// let mut input: &[u8] = &[0x82, 0x7e, 0x01];
/// assert_eq!(decoder.decode(&mut input)?, None);
/// let mut input: &[u8] = &[0x00, 0xca, 0xfe];
/// let header = decoder.decode(&mut input)?.expect("the header is complete");
/// assert_eq!((header.opcode, header.payload_len), (Opcode::Binary, 256));
/// assert_eq!(input, [0xca, 0xfe]);
/// # Ok::<(), sockless::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    rules: Rules,
    /// What has arrived of a header that was cut: `bytes[..len]`.
    bytes: [u8; MAX_HEADER_SIZE],
    len: u8,
}

impl Decoder {
    /// A decoder at the start of a frame.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            bytes: [0; MAX_HEADER_SIZE],
            len: 0,
        }
    }

    /// Takes header bytes from the front of `input`: the header once it is complete, with `input` at
    /// the payload; `None` if all of `input` is used and it is not.
    ///
    /// # Errors
    ///
    /// As [`Header::decode`]. What is decoded after that has no meaning.
    #[inline]
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Error> {
        let max_payload = self.rules.max_payload;
        self.decode_where(input, |_, _| Ok(max_payload))
    }

    /// As [`decode`](Self::decode), with `judge` as in [`Header::decode_where`].
    #[inline]
    pub(crate) fn decode_where(
        &mut self,
        input: &mut &[u8],
        judge: impl Fn(Opcode, bool) -> Result<u64, Error>,
    ) -> Result<Option<Header>, Error> {
        if self.len == 0 {
            if let Some((header, size)) = Header::decode_where(input, &self.rules, &judge)? {
                *input = input.get(size..).unwrap_or_default();
                return Ok(Some(header));
            }
        }
        self.decode_cut(input, judge)
    }

    /// RSV1 is defined from here on.
    #[cfg(feature = "deflate")]
    pub(crate) const fn define_rsv1(&mut self) {
        self.rules.rsv1 = true;
    }

    pub(crate) const fn max_payload(&self) -> u64 {
        self.rules.max_payload
    }

    /// Whether a part of a header has arrived.
    #[must_use]
    pub const fn is_mid_header(&self) -> bool {
        self.len > 0
    }

    fn decode_cut(
        &mut self,
        input: &mut &[u8],
        judge: impl Fn(Opcode, bool) -> Result<u64, Error>,
    ) -> Result<Option<Header>, Error> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
                *slot = byte;
                self.len += 1;
            }
            let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
            if let Some((header, _)) = Header::decode_where(bytes, &self.rules, &judge)? {
                self.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}
