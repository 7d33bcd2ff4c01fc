//! The only room with unsafe code: three calls that a benchmark pays for.
//!
//! * [`xor`] runs the safe loop of [`mask::xor`], compiled for AVX2 where the machine has it.
//! * [`ascii`] and [`unmask_text`] take bytes that were just seen to be ASCII for text, where the standard
//!   library would look at each of them again.
//!
//! With `--cfg sockless_no_unsafe` in `RUSTFLAGS`, `fast/safe.rs` stands in for it, and the crate
//! forbids unsafe code altogether.

#![allow(unsafe_code)]

use crate::mask;

/// The highest bit of each byte of a word: none of them is set in ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// From this length on it pays to ask what the machine has.
const WIDE: usize = 128;

/// As [`mask::xor`].
#[inline]
pub(crate) fn xor(key: [u8; 4], data: &mut [u8]) -> u64 {
    if data.len() < WIDE {
        mask::xor(key, data)
    } else {
        xor_wide(key, data)
    }
}

fn xor_wide(key: [u8; 4], data: &mut [u8]) -> u64 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        unsafe fn avx2(key: [u8; 4], data: &mut [u8]) -> u64 {
            mask::xor(key, data)
        }
        // SAFETY: the machine has AVX2.
        return unsafe { avx2(key, data) };
    }
    mask::xor(key, data)
}

/// Takes the mask off; the text if all of it is ASCII, else the bytes.
#[inline]
pub(crate) fn unmask_text(key: [u8; 4], data: &mut [u8]) -> Result<&str, &[u8]> {
    if xor(key, data) & HIGH_BITS == 0 {
        // SAFETY: no byte has its highest bit set, so it is ASCII, which is UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked(data) })
    } else {
        Err(data)
    }
}

/// The text if all of it is ASCII, else the bytes.
#[inline]
pub(crate) fn ascii(data: &[u8]) -> Result<&str, &[u8]> {
    if or(data) & HIGH_BITS == 0 {
        // SAFETY: no byte has its highest bit set, so it is ASCII, which is UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked(data) })
    } else {
        Err(data)
    }
}

/// The bitwise OR of all bytes, eight at a time.
#[inline]
fn or(data: &[u8]) -> u64 {
    let word = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map_or(0, |word| u64::from_ne_bytes(*word))
    };
    match data.last_chunk::<8>() {
        // Where the length is no multiple of eight, the last word overlaps the one before.
        Some(last) => data
            .chunks_exact(8)
            .fold(word(last), |or, bytes| or | word(bytes)),
        None => data.iter().fold(0, |or, byte| or | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Every length below a few vectors, with nothing but ASCII and with one other byte at every place:
    /// the same answer as the standard library's, in place and through a mask.
    #[test]
    fn ascii_is_what_the_standard_library_says() {
        let key = [0x80, 0x00, 0xff, 0x7f];
        for len in 0..=2 * WIDE {
            let ascii_only: Vec<u8> = (0..=127).cycle().take(len).collect();
            for other in (0..len).map(Some).chain([None]) {
                let mut bytes = ascii_only.clone();
                if let Some(at) = other {
                    bytes[at] |= 0x80;
                }
                assert_eq!(ascii(&bytes).is_ok(), bytes.is_ascii());
                let mut masked = bytes.clone();
                for (i, byte) in masked.iter_mut().enumerate() {
                    *byte ^= key[i % 4];
                }
                match unmask_text(key, &mut masked) {
                    Ok(text) => assert_eq!(Ok(text), core::str::from_utf8(&bytes)),
                    Err(unmasked) => {
                        assert_eq!(unmasked, bytes);
                        assert!(!bytes.is_ascii());
                    }
                }
            }
        }
    }
}
