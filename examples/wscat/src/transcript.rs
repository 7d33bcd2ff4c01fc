//! [`Transcript`]: the bytes of a connection in both directions, made readable as they pass.

use std::mem;

use sockless::frame::{Decoder, Header, Opcode, Role, Rules};
use sockless::{close, mask};

use crate::screen::{escape, note};

/// How much of a payload is shown.
const SHOWN: usize = 64;
/// A head longer than this is not one.
const LONGEST_HEAD: usize = 64 * 1024;

pub(crate) struct Transcript {
    sent: Direction,
    received: Direction,
}

impl Transcript {
    /// Of the end with this role.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            sent: Direction::new('>', role.peer()),
            received: Direction::new('<', role),
        }
    }

    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        self.sent.pass(bytes);
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.received.pass(bytes);
    }
}

struct Direction {
    arrow: char,
    decoder: Decoder,
    part: Part,
}

/// What comes next.
enum Part {
    /// A request or response, as far as it has passed.
    Head(Vec<u8>),
    Header,
    Payload {
        header: Header,
        left: u64,
        shown: Vec<u8>,
    },
    /// The body of a refusal, or what is no frame.
    Rest,
}

impl Direction {
    fn new(arrow: char, receiver: Role) -> Self {
        let rules = Rules {
            role: receiver,
            rsv1: true,
            max_payload: u64::MAX,
        };
        Self {
            arrow,
            decoder: Decoder::new(rules),
            part: Part::Head(Vec::new()),
        }
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.part = match mem::replace(&mut self.part, Part::Rest) {
                Part::Head(head) => self.pass_head(head, &mut bytes),
                Part::Header => self.pass_header(&mut bytes),
                Part::Payload {
                    header,
                    left,
                    shown,
                } => self.pass_payload(header, left, shown, &mut bytes),
                Part::Rest => {
                    note(format_args!("{} ({} bytes)", self.arrow, bytes.len()));
                    return;
                }
            };
        }
    }

    fn pass_head(&self, mut head: Vec<u8>, bytes: &mut &[u8]) -> Part {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            head.push(*byte);
            if head.ends_with(b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&head);
                for line in text.trim_end().split("\r\n") {
                    note(format_args!("{} {}", self.arrow, escape(line)));
                }
                return match head.starts_with(b"GET ") || head.starts_with(b"HTTP/1.1 101") {
                    true => Part::Header,
                    // An interim response, or one that takes the place of the connection.
                    false if head.starts_with(b"HTTP/1.1 1") => Part::Head(Vec::new()),
                    false => Part::Rest,
                };
            }
            if head.len() > LONGEST_HEAD {
                return Part::Rest;
            }
        }
        Part::Head(head)
    }

    fn pass_header(&mut self, bytes: &mut &[u8]) -> Part {
        match self.decoder.decode(bytes) {
            Ok(None) => Part::Header,
            Ok(Some(header)) if header.payload_len == 0 => {
                self.print(&header, &[]);
                Part::Header
            }
            Ok(Some(header)) => Part::Payload {
                header,
                left: header.payload_len,
                shown: Vec::new(),
            },
            Err(error) => {
                note(format_args!("{} no frame: {error}", self.arrow));
                Part::Rest
            }
        }
    }

    fn pass_payload(
        &self,
        header: Header,
        left: u64,
        mut shown: Vec<u8>,
        bytes: &mut &[u8],
    ) -> Part {
        let there = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (payload, rest) = bytes.split_at(there);
        *bytes = rest;
        // A control frame's 125 bytes are kept whole: a Close is more than its beginning.
        let room = 125_usize.saturating_sub(shown.len()).min(there);
        shown.extend_from_slice(&payload[..room]);
        // A usize is no more than 64 bits.
        let left = left - there as u64;
        if left > 0 {
            return Part::Payload {
                header,
                left,
                shown,
            };
        }
        if let Some(key) = header.mask {
            mask::apply(key, &mut shown);
        }
        self.print(&header, &shown);
        Part::Header
    }

    fn print(&self, header: &Header, payload: &[u8]) {
        let name = match header.opcode {
            Opcode::Continuation => "continuation",
            Opcode::Text => "text",
            Opcode::Binary => "binary",
            Opcode::Close => "close",
            Opcode::Ping => "ping",
            Opcode::Pong => "pong",
        };
        let more = if header.fin { "" } else { ", more follows" };
        let compressed = if header.rsv1 { ", compressed" } else { "" };
        let mask = header
            .mask
            .map(|[a, b, c, d]| format!(", mask {a:02x}{b:02x}{c:02x}{d:02x}"));
        note(format_args!(
            "{} {name}, {} bytes{more}{compressed}{}{}",
            self.arrow,
            header.payload_len,
            mask.unwrap_or_default(),
            describe(header, payload)
        ));
    }
}

fn describe(header: &Header, payload: &[u8]) -> String {
    match (header.opcode, close::parse(payload)) {
        (_, _) if payload.is_empty() => String::new(),
        (Opcode::Close, Ok(Some((code, reason)))) => format!(": {code} {reason:?}"),
        _ => {
            let shown = &payload[..payload.len().min(SHOWN)];
            let text = match header.opcode {
                Opcode::Text if !header.rsv1 => format!("{:?}", String::from_utf8_lossy(shown)),
                _ => format!("\"{}\"", shown.escape_ascii()),
            };
            let more = header.payload_len > SHOWN as u64;
            format!(": {text}{}", if more { "…" } else { "" })
        }
    }
}
