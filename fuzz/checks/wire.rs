//! Frames as bytes, by the letter of RFC 6455 §5.2 and with none of the crate's code.

use sockless::{Error, Role};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Not enough to tell.
    Cut,
    /// What can be told is against the rules; of several, the first in the crate's documented order.
    Bad(Error),
    Header(Header),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) len: u64,
    /// Of the header itself.
    pub(crate) size: usize,
}

/// Reads the first two bytes of a header as the end `role` has to: the opcode, if they are there.
pub(crate) fn opcode(role: Role, rsv1_defined: bool, bytes: &[u8]) -> Result<Option<u8>, Error> {
    let Some(first) = bytes.first() else {
        return Ok(None);
    };
    let (fin, rsv1, rsv23) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x30 != 0);
    let opcode = first & 0x0f;
    if rsv23 || (rsv1 && !(rsv1_defined && (opcode == TEXT || opcode == BINARY))) {
        return Err(Error::ReservedBits);
    }
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(Error::ReservedOpcode(opcode));
    }
    let control = opcode >= 8;
    if control && !fin {
        return Err(Error::FragmentedControl);
    }
    let Some(second) = bytes.get(1) else {
        return Ok(None);
    };
    if control && second & 0x7f > 125 {
        return Err(Error::ControlTooLong);
    }
    let masked = second & 0x80 != 0;
    if role == Role::Server && !masked {
        return Err(Error::MissingMask);
    }
    if role == Role::Client && masked {
        return Err(Error::UnexpectedMask);
    }
    Ok(Some(opcode))
}

/// Reads a header as the end `role` has to.
pub(crate) fn header(role: Role, rsv1_defined: bool, max_payload: u64, bytes: &[u8]) -> Start {
    let opcode = match opcode(role, rsv1_defined, bytes) {
        Ok(Some(opcode)) => opcode,
        Ok(None) => return Start::Cut,
        Err(error) => return Start::Bad(error),
    };
    let (first, second) = (bytes[0], bytes[1]);
    let (fin, rsv1, masked) = (first & 0x80 != 0, first & 0x40 != 0, second & 0x80 != 0);
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if extended == 8 && bytes.get(2).is_some_and(|byte| byte & 0x80 != 0) {
        return Start::Bad(Error::LengthOverflow);
    }
    if bytes.len() < 2 + extended {
        return Start::Cut;
    }
    let mut len = u64::from(second & 0x7f);
    if extended > 0 {
        len = 0;
        for byte in &bytes[2..2 + extended] {
            len = len * 256 + u64::from(*byte);
        }
        if len < if extended == 2 { 126 } else { 65536 } {
            return Start::Bad(Error::NonMinimalLength);
        }
    }
    if opcode < 8 && len > max_payload {
        return Start::Bad(Error::FrameTooLarge);
    }
    let size = 2 + extended + if masked { 4 } else { 0 };
    if bytes.len() < size {
        return Start::Cut;
    }
    let key = masked.then(|| [size - 4, size - 3, size - 2, size - 1].map(|at| bytes[at]));
    Start::Header(Header {
        fin,
        rsv1,
        opcode,
        key,
        len,
        size,
    })
}

/// Writes a frame: `first` byte, payload, masked if the end `from` has to.
pub(crate) fn frame(from: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let masked = from == Role::Client;
    let bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    if let Ok(len @ ..=125) = u8::try_from(payload.len()) {
        bytes.push(bit | len);
    } else if let Ok(len) = u16::try_from(payload.len()) {
        bytes.push(bit | 126);
        bytes.extend(len.to_be_bytes());
    } else {
        bytes.push(bit | 127);
        bytes.extend((payload.len() as u64).to_be_bytes());
    }
    if masked {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        bytes.extend(key);
        bytes.extend(unmasked(key, payload));
    } else {
        bytes.extend(payload);
    }
    bytes
}

pub(crate) fn unmasked(key: [u8; 4], payload: &[u8]) -> impl Iterator<Item = u8> {
    payload
        .iter()
        .enumerate()
        .map(move |(i, byte)| byte ^ key[i % 4])
}

/// A frame that an endpoint wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// Judges all that the end `from` has written behind its handshake, to the last byte or, if it was
/// not `complete`, to the last whole frame.
pub(crate) fn written(from: Role, mut bytes: &[u8], complete: bool) -> Vec<Frame> {
    let reader = if from == Role::Client {
        Role::Server
    } else {
        Role::Client
    };
    let mut frames = Vec::new();
    let (mut message, mut closed): (Option<(u8, Vec<u8>)>, bool) = (None, false);
    loop {
        let header = match header(reader, false, u64::MAX, bytes) {
            Start::Header(header) => header,
            Start::Bad(error) => panic!("{from:?} wrote a bad header: {error}: {bytes:?}"),
            Start::Cut => break,
        };
        let Some(end) = usize::try_from(header.len)
            .ok()
            .and_then(|len| len.checked_add(header.size))
            .filter(|end| *end <= bytes.len())
        else {
            break;
        };
        let raw = &bytes[header.size..end];
        let payload: Vec<u8> = match header.key {
            Some(key) => unmasked(key, raw).collect(),
            None => raw.to_vec(),
        };
        bytes = &bytes[end..];
        assert!(
            !closed || header.opcode == PONG,
            "only pongs may follow a Close (§5.5.1)"
        );
        match (header.opcode, &mut message) {
            (CONTINUATION, Some((_, begun))) => begun.extend(&payload),
            (TEXT | BINARY, None) => message = Some((header.opcode, payload.clone())),
            (CONTINUATION | TEXT | BINARY, _) => panic!("fragments out of order (§5.4)"),
            (CLOSE, _) => {
                closed = true;
                close_body(&payload);
            }
            _ => {}
        }
        if header.fin && header.opcode < 8 {
            let (opcode, whole) = message.take().expect("a message has begun");
            assert!(
                opcode == BINARY || core::str::from_utf8(&whole).is_ok(),
                "wrote text that is none (§5.6)"
            );
        }
        frames.push(Frame {
            fin: header.fin,
            opcode: header.opcode,
            payload,
        });
    }
    assert!(!complete || bytes.is_empty(), "part of a frame: {bytes:?}");
    frames
}

/// What a Close frame says (§5.5.1, §7.4).
pub(crate) fn close_body(body: &[u8]) -> (Option<u16>, String) {
    match body {
        [] => (None, String::new()),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            assert!(is_close_code(code), "wrote close code {code}");
            let reason = core::str::from_utf8(reason).expect("a reason is text");
            (Some(code), reason.to_owned())
        }
        [_] => panic!("wrote a Close of one byte"),
    }
}

pub(crate) fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The head that `bytes` start with, line by line without the empty one, and what is behind it;
/// `None` if it is not complete.
pub(crate) fn head(bytes: &[u8]) -> Option<(Vec<&str>, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = core::str::from_utf8(&bytes[..end]).expect("we write heads in ASCII");
    for line in text.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').expect("a field has a colon");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert!(
            value.bytes().all(|b| matches!(b, b' '..=b'~')),
            "a control character in {line:?}"
        );
    }
    Some((text.split("\r\n").collect(), &bytes[end + 4..]))
}

/// Judges all that a server has written, its answer to the request first: the status, and the
/// frames behind a 101.
pub(crate) fn answer(bytes: &[u8]) -> Option<(u16, Vec<Frame>)> {
    if bytes.is_empty() {
        return None;
    }
    let (lines, rest) = head(bytes).expect("an answer is written whole");
    let status = lines[0].strip_prefix("HTTP/1.1 ").expect("a status line");
    let status: u16 = status[..3].parse().expect("a status");
    if status == 101 {
        return Some((status, written(Role::Server, rest, true)));
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |text| text.parse().expect("a length"));
    assert!(
        rest.len() == length || rest.is_empty(), // the answer to HEAD
        "the body is as long as it says"
    );
    Some((status, Vec::new()))
}
