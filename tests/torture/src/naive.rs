//! A peer that speaks frames by hand, and the check of all that was written.

use sockless::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ends::{Digest, digest};
use crate::streams::{TcpStream, sleep};
use crate::world::dice;
use std::time::Duration;

/// What the frames of one direction come to.
#[derive(Debug, Default)]
pub struct Heard {
    pub messages: Vec<Digest>,
    pub has_close: bool,
    pub is_cut: bool,
    partial: Option<(bool, Vec<u8>)>,
    at: usize,
}

impl Heard {
    /// Goes on through `bytes`, which only grow.
    pub fn read(&mut self, bytes: &[u8]) {
        loop {
            let rest = &bytes[self.at..];
            // The pong behind a Close is nobody's loss.
            self.is_cut = !rest.is_empty() && !self.has_close;
            let [first, second, ..] = *rest else { return };
            // Pings are answered until the peer's Close has come (RFC 6455 §5.5.2).
            assert!(!self.has_close || first == 0x8a, "a frame behind the Close");
            let (mut at, mut len) = (2, u64::from(second & 127));
            let long = match len {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if long > 0 {
                let Some(bytes) = rest.get(2..2 + long) else {
                    return;
                };
                len = bytes
                    .iter()
                    .fold(0, |len, &byte| len << 8 | u64::from(byte));
                at += long;
            }
            let mut key = [0; 4];
            if second & 128 != 0 {
                let Some(bytes) = rest.get(at..at + 4) else {
                    return;
                };
                key.copy_from_slice(bytes);
                at += 4;
            }
            let Some(payload) = rest.get(at..at + len as usize) else {
                return;
            };
            self.at += at + payload.len();
            let mut payload = payload.to_vec();
            payload
                .iter_mut()
                .enumerate()
                .for_each(|(i, byte)| *byte ^= key[i % 4]);
            self.frame(first, payload);
        }
    }

    fn frame(&mut self, first: u8, payload: Vec<u8>) {
        match first & 15 {
            8 => {
                assert!(payload.len() != 1, "a Close of one byte");
                self.has_close = true;
                return;
            }
            9 | 10 => return,
            0 => match &mut self.partial {
                Some((_, whole)) => whole.extend_from_slice(&payload),
                None => panic!("a continuation of nothing"),
            },
            opcode => {
                assert!(self.partial.is_none(), "a message within a message");
                self.partial = Some((opcode == 1, payload));
            }
        }
        if first & 128 != 0
            && let Some((is_text, whole)) = self.partial.take()
        {
            self.messages.push(digest(is_text, &whole));
        }
    }
}

pub fn frame(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if role == Role::Client { 128 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        len @ ..126 => out.push(mask | len as u8),
        len @ ..65_536 => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let key = if mask == 0 {
        [0; 4]
    } else {
        (dice(1 << 32) as u32).to_be_bytes()
    };
    if mask != 0 {
        out.extend_from_slice(&key);
    }
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ key[i % 4]),
    );
    out
}

/// Sends what the dice say, and its Close; reads beside that. If it is not calm it may stop anywhere.
pub async fn run(stream: TcpStream, role: Role, is_calm: bool, largest: usize) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let close_seen = std::cell::Cell::new(false);
    let reading = async {
        let (mut bytes, mut heard, mut buf) = (Vec::new(), Heard::default(), vec![0; 16 << 10]);
        loop {
            if !is_calm && dice(200) == 0 {
                sleep(Duration::from_millis(dice(30_000))).await;
            }
            if !is_calm && dice(400) == 0 {
                return std::future::pending().await; // it reads no more
            }
            match reader.read(&mut buf).await {
                Ok(n @ 1..) => bytes.extend_from_slice(&buf[..n]),
                _ => return,
            }
            heard.read(&bytes);
            close_seen.set(heard.has_close);
        }
    };
    let writing = async {
        for _ in 0..dice(12) {
            if close_seen.get() {
                break;
            }
            let size = if dice(4) == 0 {
                dice(largest as u64)
            } else {
                dice(200)
            } as usize;
            let payload = vec![b'a' + dice(26) as u8; size];
            let bytes = match dice(4) {
                0 => frame(role, 0x89, &payload[..size.min(125)]),
                1 => {
                    let (head, tail) = payload.split_at(dice(size as u64 + 1) as usize);
                    let mut bytes = frame(role, 0x01, head);
                    bytes.extend(frame(role, 0x8a, b"unasked"));
                    bytes.extend(frame(role, 0x80, tail));
                    bytes
                }
                n => frame(role, 0x7f + n as u8, &payload),
            };
            if !is_calm {
                match dice(30) {
                    0 => return std::future::pending().await, // silent for ever
                    1 => sleep(Duration::from_millis(dice(20_000))).await, // for a while
                    2 => return drop(writer.shutdown().await), // half closed
                    3 => {
                        // It breaks off in mid-frame.
                        let _ = writer
                            .write_all(&bytes[..dice(bytes.len() as u64) as usize])
                            .await;
                        return drop(writer.shutdown().await);
                    }
                    _ => {}
                }
            }
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
            sleep(Duration::from_millis(dice(20))).await;
        }
        let close = frame(role, 0x88, &[&1000u16.to_be_bytes()[..], b"bye"].concat());
        if writer.write_all(&close).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        if !is_calm && dice(4) == 0 {
            return;
        }
        while !close_seen.get() {
            sleep(Duration::from_millis(20)).await;
        }
        let _ = writer.shutdown().await;
    };
    futures_util::future::join(reading, writing).await;
}
