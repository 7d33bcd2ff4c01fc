//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept`: [RFC 6455 §4.2.2] (5.4) and [§11.3.1].
//!
//! [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//! [§11.3.1]: https://www.rfc-editor.org/rfc/rfc6455#section-11.3.1

use alloc::vec;
use alloc::vec::Vec;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha1_smol::Sha1;

/// The value of `Sec-WebSocket-Accept` that answers a key (RFC 6455 §4.2.2).
///
/// `key` is the text of `Sec-WebSocket-Key` without surrounding whitespace. It is hashed as it
/// stands; whether it is a valid key is the matter of [`check_request`](super::check_request).
///
/// ```
/// let accept = sockless::handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    encode(&hash.digest().bytes())
}

/// The value of `Sec-WebSocket-Key` for 16 random bytes: R013, §4.1 (7).
pub(super) fn encode_key(nonce: &[u8; 16]) -> [u8; 24] {
    encode(nonce)
}

/// Whether `key` is base64 of 16 bytes: R067, §4.2.1 (5).
pub(super) fn is_key(key: &[u8]) -> bool {
    // R069: the pad bits of the last character may be anything, as in the RFC's own first example
    // (erratum 3150).
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    key.len() == 24 && LENIENT.decode_slice(key, &mut [0; 18]) == Ok(16)
}

/// Base64 with padding, for a text of any length: RFC 7617 §2.
pub(super) fn encode_text(bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    let written = PADDED.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(text.len()));
    text
}

const PADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());

/// Base64 with padding, for an array whose encoding has `N` characters.
fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let written = PADDED.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(N));
    text
}
