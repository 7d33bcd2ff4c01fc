//! Frames for the benchmarks, as a peer would write them.

use sockless::frame::{Header, MAX_HEADER_SIZE, Opcode};
use sockless::{Role, mask};

/// A frame as `from` writes it.
pub fn frame(from: Role, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = match from {
        Role::Client => Some([0x37, 0xfa, 0x21, 0x3d]),
        Role::Server => None,
    };
    let header = Header {
        fin,
        rsv1: false,
        opcode,
        mask: key,
        payload_len: payload.len() as u64,
    };
    let mut bytes = header
        .encode(&mut [0; MAX_HEADER_SIZE])
        .expect("below 2^63")
        .to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        mask::apply(key, &mut bytes[start..]);
    }
    bytes
}

/// Text of `len` bytes: ASCII, or three bytes a character.
pub fn text(len: usize, sample: &str) -> String {
    let mut text: String = sample.chars().cycle().take(len).collect();
    while text.len() > len {
        text.pop();
    }
    text
}

/// A usual request of a browser.
pub const REQUEST: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com:8080\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
    Upgrade: websocket\r\n\
    Origin: http://server.example.com:8080\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
