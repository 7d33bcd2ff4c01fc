//! UTF-8 as it arrives: [RFC 6455 §8.1].
//!
//! [`Validator`] takes text in pieces cut anywhere, refuses it at the first byte that cannot belong
//! to valid UTF-8, and looks at no byte twice, but for the up to three of a code point that a cut
//! went through.
//!
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1

use core::fmt;

use crate::fast;

/// Text that is not, and cannot become, valid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// Reads a whole text.
///
/// # Errors
///
/// [`InvalidUtf8`] where [`core::str::from_utf8`] has an error too; this is only faster, with
/// vector instructions where the machine has them.
#[inline]
pub fn validate(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    if bytes.len() < ASCII_FIRST {
        fast::ascii(bytes).or_else(validate_any)
    } else {
        validate_any(bytes)
    }
}

/// As [`validate`], behind taking off a mask.
#[inline]
pub(crate) fn unmask(key: [u8; 4], bytes: &mut [u8]) -> Result<&str, InvalidUtf8> {
    fast::unmask_text(key, bytes).or_else(validate_any)
}

/// As [`validate`], for what is likely to be more than ASCII.
fn validate_any(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    if bytes.len() < SHORT {
        core::str::from_utf8(bytes).map_err(|_| InvalidUtf8)
    } else {
        simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
    }
}

/// Below this it pays to see first whether it is nothing but ASCII.
const ASCII_FIRST: usize = 256;

/// Below this the call through a function pointer costs more than the vectors win.
const SHORT: usize = 64;

/// Validates one text in pieces.
///
/// ```
/// use sockless::utf8::Validator;
///
/// let mut validator = Validator::new();
/// let (cut, text) = validator.feed(b"5 \xe2\x82")?;
/// assert_eq!((cut, text), (None, "5 "));
/// let (cut, text) = validator.feed(b"\xac, please")?;
/// assert_eq!((cut, text), (Some('€'), ", please"));
/// assert!(validator.is_complete());
/// assert!(validator.feed(b"\xf4\x90").is_err());
/// # Ok::<(), sockless::utf8::InvalidUtf8>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// The start of a code point that the pieces so far end in: `cut[..len]`.
    cut: [u8; 3],
    len: u8,
}

impl Validator {
    /// A validator at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cut: [0; 3],
            len: 0,
        }
    }

    /// Takes the next piece: returns the code point that earlier pieces began and this one
    /// completes, and the text behind it. A code point cut by the end of the piece is kept for later.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if no continuation could make the text valid. What is fed after that has no
    /// meaning.
    pub fn feed<'b>(
        &mut self,
        mut piece: &'b [u8],
    ) -> Result<(Option<char>, &'b str), InvalidUtf8> {
        let completed = match self.len {
            0 => None,
            _ => self.complete(&mut piece)?,
        };
        let (whole, cut) = split_cut(piece)?;
        let text = validate(whole)?;
        for (slot, byte) in self.cut.iter_mut().zip(cut) {
            *slot = *byte;
            self.len += 1;
        }
        Ok((completed, text))
    }

    /// Whether the text so far ends between code points, and so may end here.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.len == 0
    }

    /// How many bytes the code point that the text so far is cut in still lacks; 0 if it is not.
    #[must_use]
    pub const fn missing(&self) -> usize {
        let [lead, ..] = self.cut;
        let width = match lead {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        if self.len == 0 {
            0
        } else {
            width - self.len as usize
        }
    }

    /// What there is of the code point that the text so far is cut in.
    #[cfg(feature = "deflate")]
    pub(crate) fn cut(&self) -> &[u8] {
        self.cut.get(..self.len.into()).unwrap_or_default()
    }

    /// Moves bytes from the front of `piece` to the cut code point until it is complete.
    fn complete(&mut self, piece: &mut &[u8]) -> Result<Option<char>, InvalidUtf8> {
        let mut bytes = [0; 4];
        let mut len = usize::from(self.len);
        for (slot, byte) in bytes.iter_mut().zip(self.cut) {
            *slot = byte;
        }
        while let Some((&next, rest)) = piece.split_first() {
            *piece = rest;
            if let Some(slot) = bytes.get_mut(len) {
                *slot = next;
                len += 1;
            }
            match state(bytes.get(..len).unwrap_or_default()) {
                State::Invalid => return Err(InvalidUtf8),
                State::Whole => {
                    self.len = 0;
                    let text = core::str::from_utf8(bytes.get(..len).unwrap_or_default());
                    return text
                        .map(|text| text.chars().next())
                        .map_err(|_| InvalidUtf8);
                }
                State::Cut => {
                    let [a, b, c, _] = bytes;
                    self.cut = [a, b, c];
                    self.len += 1;
                }
            }
        }
        Ok(None)
    }
}

enum State {
    Whole,
    Cut,
    Invalid,
}

/// How far one code point has come (Unicode table 3-7: the ranges of well-formed sequences).
fn state(bytes: &[u8]) -> State {
    let Some((&lead, rest)) = bytes.split_first() else {
        return State::Cut;
    };
    let (width, second) = match lead {
        0x00..=0x7f => return State::Whole,
        0xc2..=0xdf => (1, 0x80..=0xbf),
        0xe0 => (2, 0xa0..=0xbf),
        0xed => (2, 0x80..=0x9f),
        0xe1..=0xef => (2, 0x80..=0xbf),
        0xf0 => (3, 0x90..=0xbf),
        0xf1..=0xf3 => (3, 0x80..=0xbf),
        0xf4 => (3, 0x80..=0x8f),
        _ => return State::Invalid,
    };
    let fits = rest.iter().enumerate().all(|(i, byte)| match i {
        0 => second.contains(byte),
        _ => matches!(byte, 0x80..=0xbf),
    });
    match fits {
        false => State::Invalid,
        true if rest.len() < width => State::Cut,
        true => State::Whole,
    }
}

/// Splits off the start of a code point that the end of `piece` cuts: at most three bytes.
fn split_cut(piece: &[u8]) -> Result<(&[u8], &[u8]), InvalidUtf8> {
    for back in 1..=piece.len().min(3) {
        let (whole, cut) = piece.split_at(piece.len() - back);
        // Continuation bytes: the code point began further back.
        if matches!(cut.first(), Some(0x80..=0xbf)) {
            continue;
        }
        return match state(cut) {
            State::Cut => Ok((whole, cut)),
            // A hopeless start is refused here; what is whole, or too long, is for the validation.
            State::Invalid => Err(InvalidUtf8),
            State::Whole => Ok((piece, &[])),
        };
    }
    Ok((piece, &[]))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    /// Feeds the pieces; the text, or the number of the piece that was refused.
    fn feed<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<(String, bool), usize> {
        let mut validator = Validator::new();
        let mut all = String::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            let (completed, text) = validator.feed(piece).map_err(|_| number)?;
            all.extend(completed);
            all.push_str(text);
        }
        Ok((all, validator.is_complete()))
    }

    /// Whether `bytes` can still become valid, by the standard library.
    fn viable(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    /// R230 to R235: every sequence of up to two bytes, of three that begin as more than ASCII could,
    /// and many of four, agrees with the standard library, whole and byte by byte, at the very byte that
    /// decides.
    #[test]
    fn r233_every_short_string_is_judged_at_the_deciding_byte() {
        let check = |bytes: &[u8]| {
            let deciding = (1..=bytes.len()).find(|&end| !viable(&bytes[..end]));
            let expected = core::str::from_utf8(bytes).is_ok();
            let whole = feed([bytes]);
            let single = feed(bytes.chunks(1));
            match deciding {
                Some(end) => {
                    assert_eq!(whole, Err(0), "{bytes:x?}");
                    assert_eq!(single, Err(end - 1), "{bytes:x?}");
                }
                None => {
                    let (text, complete) = whole.expect("viable");
                    assert_eq!(complete, expected, "{bytes:x?}");
                    assert!(bytes.starts_with(text.as_bytes()));
                    assert_eq!(single, Ok((text, complete)), "{bytes:x?}");
                }
            }
        };
        for a in 0..=255 {
            check(&[a]);
            for b in 0..=255 {
                check(&[a, b]);
                for c in (0..=255).step_by(if a >= 0xc0 { 1 } else { 13 }) {
                    check(&[a, b, c]);
                    if a >= 0xef && b % 7 == 0 {
                        check(&[a, b, c, 0x80]);
                        check(&[a, b, c, 0xc0]);
                    }
                }
            }
        }
    }

    /// Only what earlier pieces began comes by itself, and what is missing of it is told.
    #[test]
    fn a_completed_code_point_comes_by_itself() {
        let mut validator = Validator::new();
        for (piece, expected, missing) in [
            ("a€".as_bytes(), (None, "a€"), 0),
            (b"\xc3", (None, ""), 1),
            (b"\xa9b", (Some('é'), "b"), 0),
            (b"\xe2", (None, ""), 2),
            (b"\x82", (None, ""), 1),
            (b"\xac\xed", (Some('€'), ""), 2),
            (b"\x9f\xbf\xf0\x9f", (Some('\u{d7ff}'), ""), 2),
            (b"\x98", (None, ""), 1),
            (b"\x80\xf4", (Some('😀'), ""), 3),
            (b"", (None, ""), 3),
        ] {
            assert_eq!(validator.feed(piece), Ok(expected));
            assert_eq!(validator.missing(), missing);
            assert_eq!(validator.is_complete(), missing == 0);
        }
    }

    /// R231, T17: valid text in two cuts at every pair of places, across the vector widths.
    #[test]
    fn r231_every_pair_of_cuts() {
        let text: String = "aé€😀\u{0}\u{feff}\u{10ffff}ü".repeat(8);
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces: [&[u8]; 4] = [
                    &bytes[..first],
                    &[],
                    &bytes[first..second],
                    &bytes[second..],
                ];
                assert_eq!(feed(pieces), Ok((text.clone(), true)));
            }
        }
    }

    /// R233, T16: one bad byte at every place of a long text is found in its own piece.
    #[test]
    fn r234_a_bad_byte_anywhere_is_found_in_its_piece() {
        let text: Vec<u8> = "grün €uro 😀 ".bytes().cycle().take(16 * 12).collect();
        for at in 0..text.len() {
            let mut bytes = text.clone();
            bytes[at] = 0xff;
            let piece = feed(bytes.chunks(16)).expect_err("0xff is nowhere valid");
            assert_eq!(piece, at / 16, "bad byte at {at}");
        }
    }
}
