//! The body of a response that refuses the connection: [RFC 9112 §6 and §7].
//!
//! However the bytes arrive, the same body comes out: it ends where the message says, at the limit,
//! or at the first byte that breaks the chunked coding, whichever comes first. Only in the first case is
//! it complete (§8).
//!
//! [RFC 9112 §6 and §7]: https://www.rfc-editor.org/rfc/rfc9112#section-6

use alloc::vec::Vec;
use core::mem::take;

use httparse::{Status, parse_chunk_size};
use memchr::memchr;

use super::error::HandshakeError;
use super::list::tokens;
use super::syntax::{Slot, content_length, values};

/// The longest line before a chunk, with its extensions and its line end.
const MAX_CHUNK_LINE: usize = 256;

/// Gathers a body up to its end or the limit.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    body: Vec<u8>,
    /// The bytes that the limit leaves.
    room: usize,
    framing: Framing,
}

/// How the end of the body is found.
#[derive(Clone, Debug)]
enum Framing {
    /// The body lasts to the end of the transport.
    ToTheEnd,
    /// So many bytes are missing.
    Length(u64),
    /// In the line before a chunk, of which this has come.
    ChunkLine(Vec<u8>),
    /// So many bytes of the chunk are missing.
    Chunk(u64),
    /// So much of the line end behind the chunk is missing.
    ChunkEnd(&'static [u8]),
}

/// How far the reading of a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is to be read.
    Partial,
    /// All of the body is there.
    Complete,
    /// No more of the body is read, and not all of it is there.
    Cut,
}

impl BodyReader {
    /// How the body of a response is framed (RFC 9112 §6.3).
    pub(super) fn new<'h>(
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
        limit: usize,
    ) -> Result<Self, HandshakeError> {
        let mut length = Slot::Absent;
        for value in values(headers.clone(), "content-length") {
            length.put(value);
        }
        let mut codings = values(headers, "transfer-encoding")
            .flat_map(tokens)
            .peekable();
        let framing = if matches!(status, 204 | 304) {
            Framing::Length(0)
        } else if codings.peek().is_some() {
            // Chunked only if it is the last coding; then it overrides a length (RFC 9112 §6.3).
            match codings.last() {
                Some(Some(name)) if name.eq_ignore_ascii_case("chunked") => {
                    Framing::ChunkLine(Vec::new())
                }
                _ => Framing::ToTheEnd,
            }
        } else {
            match length {
                Slot::Absent => Framing::ToTheEnd,
                Slot::Once(text) => Framing::Length(
                    content_length(text).ok_or(HandshakeError::InvalidContentLength)?,
                ),
                // A body of two lengths has none that can be trusted (RFC 9112 §6.3).
                Slot::Repeated => return Err(HandshakeError::InvalidContentLength),
            }
        };
        Ok(Self {
            body: Vec::new(),
            room: limit,
            framing,
        })
    }

    /// Takes from the front of `input`.
    pub(super) fn read(&mut self, input: &mut &mut [u8]) -> Progress {
        // R030: the body is for the caller to see, as far as the limit allows.
        loop {
            let left = match &self.framing {
                Framing::Length(0) => return Progress::Complete,
                Framing::Length(left) | Framing::Chunk(left) => Some(*left),
                Framing::ToTheEnd => Some(u64::MAX),
                Framing::ChunkLine(_) | Framing::ChunkEnd(_) => None,
            };
            // R403: what there is no room for is missing (RFC 9112 §8).
            if left.is_some() && self.room == 0 {
                return Progress::Cut;
            }
            if input.is_empty() {
                return Progress::Partial;
            }
            let taken = match left {
                Some(left) => {
                    let bytes = take_front(input, self.room, left);
                    self.body.extend_from_slice(bytes);
                    self.room -= bytes.len();
                    bytes.len() as u64
                }
                None => 0,
            };
            self.framing = match &mut self.framing {
                Framing::ToTheEnd => Framing::ToTheEnd,
                Framing::Length(left) => Framing::Length(*left - taken),
                Framing::Chunk(left) if *left == taken => Framing::ChunkEnd(b"\r\n"),
                Framing::Chunk(left) => Framing::Chunk(*left - taken),
                Framing::ChunkEnd(missing) => match (take_front(input, 1, 1), *missing) {
                    ([byte], [wanted, rest @ ..]) if byte == wanted => match rest {
                        [] => Framing::ChunkLine(Vec::new()),
                        _ => Framing::ChunkEnd(rest),
                    },
                    _ => return Progress::Cut,
                },
                Framing::ChunkLine(line) => {
                    let window = input.get(..MAX_CHUNK_LINE - line.len()).unwrap_or(input);
                    let end = memchr(b'\n', window).map(|end| end + 1);
                    let taken = end.unwrap_or(window.len());
                    line.extend_from_slice(take_front(input, taken, u64::MAX));
                    if end.is_none() && line.len() < MAX_CHUNK_LINE {
                        continue;
                    }
                    match parse_chunk_size(line) {
                        // R403: the last chunk is the empty one (RFC 9112 §8); the trailers behind it are
                        // not read.
                        Ok(Status::Complete((_, 0))) => return Progress::Complete,
                        Ok(Status::Complete((_, size))) => Framing::Chunk(size),
                        _ => return Progress::Cut,
                    }
                }
            };
        }
    }

    /// What an end of the transport in its order makes of a body that is still being read.
    pub(super) const fn at_end_of_stream(&self) -> Progress {
        match self.framing {
            // R403: this is where such a body ends (RFC 9112 §6.3, §8).
            Framing::ToTheEnd => Progress::Complete,
            _ => Progress::Cut,
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.body
    }
}

/// Takes the front of `input`, as much of it as both limits allow.
fn take_front<'b>(input: &mut &'b mut [u8], limit: usize, left: u64) -> &'b [u8] {
    let size = limit
        .min(usize::try_from(left).unwrap_or(usize::MAX))
        .min(input.len());
    let (front, rest) = take(input).split_at_mut_checked(size).unwrap_or_default();
    *input = rest;
    front
}
