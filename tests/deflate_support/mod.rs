//! What the tests of permessage-deflate share: connections that have agreed on it, and an inflater
//! that is slow and simple, to hold what is sent against (RFC 1951).
#![allow(dead_code, reason = "each test file uses its part")]

use sockless::deflate::Parameters;
use sockless::{Config, Connection, DeflateConfig, Role};

use crate::common::*;

/// RFC 7692 §7.2.3: "Hello" in each form that the RFC shows.
pub(crate) const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
pub(crate) const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
pub(crate) const HELLO_STORED: &[u8] = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
pub(crate) const HELLO_FINAL: &[u8] = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
pub(crate) const HELLO_TWO_BLOCKS: &[u8] = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";

/// `permessage-deflate` without parameters: context takeover on both sides, windows of 15 bits.
pub(crate) fn plain() -> Parameters {
    Parameters::default()
}

pub(crate) fn no_takeover() -> Parameters {
    let mut agreed = Parameters::default();
    agreed.server_no_context_takeover = true;
    agreed.client_no_context_takeover = true;
    agreed
}

pub(crate) fn windows(bits: u8) -> Parameters {
    let mut agreed = Parameters::default();
    agreed.server_max_window_bits = Some(bits);
    agreed.client_max_window_bits = Some(bits);
    agreed
}

/// Takes over what it may, and compresses messages of any length.
pub(crate) fn eager() -> DeflateConfig {
    DeflateConfig::new()
        .server_context_takeover()
        .client_context_takeover()
        .threshold(0)
}

pub(crate) fn open_with(role: Role, agreed: Parameters, config: Config) -> Connection {
    Connection::upgraded_with(role, Some(agreed), config.entropy(entropy))
}

pub(crate) fn open_eager(role: Role, agreed: Parameters) -> Connection {
    open_with(role, agreed, Config::default().deflate(eager()))
}

/// Text that compresses, and differs with the seed.
pub(crate) fn prose(seed: u64, len: usize) -> String {
    const WORDS: [&str; 12] = [
        "stream ", "of ", "bytes ", "window ", "ä ", "block ", "final ", "\"id\":", "1234, ", "€ ",
        "é", "message ",
    ];
    let mut random = Random(seed + 1);
    let mut text = String::new();
    while text.len() < len {
        text.push_str(WORDS[random.below(WORDS.len())]);
    }
    while text.len() > len || !text.is_char_boundary(text.len()) {
        text.pop();
    }
    text
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed * 2 + 0x9e37_79b9);
    (0..len)
        .map(|_| low_byte(random.below(256) as u64))
        .collect()
}

/// Inflates bit by bit, by the letter of RFC 1951: what was written, and how far back a match ever
/// reached. Goes on behind final blocks.
#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) out: Vec<u8>,
    pub(crate) furthest: usize,
}

impl Oracle {
    /// Inflates a message without its tail; returns it. What came before stays the window.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let start = self.out.len();
        let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut bits = Bits {
            bytes: &bytes,
            at: 0,
        };
        while !bits.is_done() {
            self.block(&mut bits);
        }
        self.out[start..].to_vec()
    }

    fn block(&mut self, bits: &mut Bits<'_>) {
        let is_final = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.align();
                let len = bits.take(16);
                assert_eq!(bits.take(16), len ^ 0xffff);
                for _ in 0..len {
                    self.out.push(u8::try_from(bits.take(8)).unwrap());
                }
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                self.symbols(bits, &lengths, &[5; 30]);
            }
            2 => {
                const ORDER: [usize; 19] = [
                    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
                ];
                let literals = bits.take(5) + 257;
                let distances = bits.take(5) + 1;
                let codes = bits.take(4) + 4;
                let mut lengths = [0; 19];
                for index in ORDER.iter().take(codes) {
                    lengths[*index] = bits.take(3);
                }
                let lengths = Code::new(&lengths);
                let mut all = Vec::new();
                while all.len() < literals + distances {
                    let (value, times) = match bits.symbol(&lengths) {
                        16 => (*all.last().unwrap(), 3 + bits.take(2)),
                        17 => (0, 3 + bits.take(3)),
                        18 => (0, 11 + bits.take(7)),
                        length => (length, 1),
                    };
                    all.extend(std::iter::repeat_n(value, times));
                }
                let (literals, distances) = all.split_at(literals);
                self.symbols(bits, literals, distances);
            }
            _ => panic!("a type of block that is reserved"),
        }
        if is_final {
            bits.align();
        }
    }

    fn symbols(&mut self, bits: &mut Bits<'_>, literals: &[usize], distances: &[usize]) {
        let (literals, distances) = (&Code::new(literals), &Code::new(distances));
        loop {
            let symbol = bits.symbol(literals);
            if symbol < 256 {
                self.out.push(u8::try_from(symbol).unwrap());
                continue;
            }
            let len = match symbol {
                256 => return,
                257..265 => symbol - 254,
                265..285 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 261) % 4) << extra) + 3 + bits.take(extra)
                }
                _ => 258,
            };
            let symbol = bits.symbol(distances);
            let distance = if symbol < 4 {
                symbol + 1
            } else {
                let extra = symbol / 2 - 1;
                ((2 + symbol % 2) << extra) + 1 + bits.take(extra)
            };
            self.furthest = self.furthest.max(distance);
            for _ in 0..len {
                self.out.push(self.out[self.out.len() - distance]);
            }
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, place| value | (self.bit() << place))
    }

    fn bit(&mut self) -> usize {
        let bit = usize::from(self.bytes[self.at / 8] >> (self.at % 8) & 1);
        self.at += 1;
        bit
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    fn is_done(&self) -> bool {
        self.at >= self.bytes.len() * 8
    }

    /// The next symbol of a code.
    fn symbol(&mut self, code: &Code) -> usize {
        let (mut bits, mut first) = (0, 0);
        for symbols in &code.by_length {
            bits = bits << 1 | self.bit();
            first <<= 1;
            if bits - first < symbols.len() {
                return symbols[bits - first];
            }
            first += symbols.len();
        }
        panic!("no such code");
    }
}

/// A canonical code: the symbols of each length from 1 to 15.
struct Code {
    by_length: Vec<Vec<usize>>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let of = |length| (0..lengths.len()).filter(move |symbol| lengths[*symbol] == length);
        Self {
            by_length: (1..=15).map(|length| of(length).collect()).collect(),
        }
    }
}

/// What `from` sent in compressed and in plain messages, opened by the oracle; each with whether it
/// was compressed.
pub(crate) fn messages(oracle: &mut Oracle, frames: &[Frame]) -> Vec<(bool, Vec<u8>)> {
    let mut messages = Vec::new();
    let (mut payload, mut compressed) = (Vec::new(), false);
    for frame in frames.iter().filter(|frame| frame.first & 0x08 == 0) {
        if frame.first & 0x0f != CONTINUATION {
            payload.clear();
            compressed = frame.first & RSV1 != 0;
        } else {
            assert_eq!(frame.first & RSV1, 0, "only on the first frame");
        }
        payload.extend(&frame.payload);
        if frame.first & FIN != 0 {
            messages.push(match compressed {
                true => (true, oracle.message(&payload)),
                false => (false, payload.clone()),
            });
        }
    }
    messages
}
