//! A second opinion on a stream of frames: RFC 6455 §5 and §7 for bytes that are all there, with no
//! thought of speed.

use sockless::{Config, Ending, Error, Event, Role};

use super::source::Source;
use super::wire::{self, Start};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) frame: usize,
    pub(crate) message: usize,
    pub(crate) fragments: u32,
}

impl Limits {
    pub(crate) fn pick(source: &mut Source<'_>) -> Self {
        let (frame, message, fragments) = *source.pick(&[
            (1 << 16, 1 << 16, 1 << 10),
            (16, 40, 3),
            (125, 300, 8),
            (300, 130, 2),
            (0, 0, 1),
            (1 << 16, 1 << 16, 0),
        ]);
        Self {
            frame,
            message,
            fragments,
        }
    }

    pub(crate) fn config(self) -> Config {
        Config::default()
            .max_frame_size(self.frame)
            .max_message_size(self.message)
            .max_fragments(self.fragments)
            .entropy(super::watch::entropy)
    }
}

/// An event, as far as frames cause it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Fail(Error),
}

impl Seen {
    /// `None` for what is not caused by frames.
    pub(crate) fn new(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Text(text) => Self::Text(text.to_string()),
            Event::Binary(data) => Self::Binary(data.to_vec()),
            Event::Ping(data) => Self::Ping(data.to_vec()),
            Event::Pong(data) => Self::Pong(data.to_vec()),
            Event::Close(close) => Self::Close(close.code.map(u16::from), close.reason.to_string()),
            Event::Fail(error) => Self::Fail(*error),
            _ => return None,
        })
    }

    pub(crate) fn all(events: &[Event<'static>]) -> Vec<Self> {
        events.iter().filter_map(Self::new).collect()
    }
}

/// What must come of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) events: Vec<Seen>,
    /// The bytes end inside a frame or a message, or the Close cut a message off.
    pub(crate) truncated: bool,
}

/// Reads what the peer of `role` sent.
pub(crate) fn read(role: Role, limits: Limits, mut bytes: &[u8]) -> Expected {
    let mut events = Vec::new();
    // Type, payload and frames of the message in progress.
    let mut message: Option<(u8, Vec<u8>, u32)> = None;
    // What the frames of the message have announced.
    let mut announced = 0;
    let truncated = loop {
        // §5.4: at the second byte, before the rest of the header is judged.
        let order = match (wire::opcode(role, false, bytes), &message) {
            (Ok(Some(0)), None) => Some(Error::UnexpectedContinuation),
            (Ok(Some(1 | 2)), Some(_)) => Some(Error::ExpectedContinuation),
            _ => None,
        };
        if let Some(error) = order {
            events.push(Seen::Fail(error));
            break false;
        }
        let header = match wire::header(role, false, limits.frame as u64, bytes) {
            Start::Cut => break !bytes.is_empty() || message.is_some(),
            Start::Bad(error) => {
                events.push(Seen::Fail(error));
                break false;
            }
            Start::Header(header) => header,
        };
        let there = &bytes[header.size..];
        let whole = usize::try_from(header.len).is_ok_and(|len| len <= there.len());
        let len = if whole {
            usize::try_from(header.len).expect("just tried")
        } else {
            there.len()
        };
        let payload: Vec<u8> = match header.key {
            Some(key) => wire::unmasked(key, &there[..len]).collect(),
            None => there[..len].to_vec(),
        };
        bytes = &there[len..];
        let error = match (header.opcode, &message) {
            (8.., _) => None,
            (_, begun) => {
                let frames = begun.as_ref().map_or(0, |begun| begun.2);
                let size = if begun.is_some() { announced } else { 0 };
                if frames + 1 > limits.fragments {
                    Some(Error::TooManyFragments)
                } else if header.len > (limits.message - size) as u64 {
                    Some(Error::MessageTooLarge)
                } else {
                    announced = size + usize::try_from(header.len).expect("below a limit");
                    None
                }
            }
        };
        if let Some(error) = error {
            events.push(Seen::Fail(error));
            break false;
        }
        if header.opcode >= 8 {
            if !whole {
                break true;
            }
            match header.opcode {
                wire::PING => events.push(Seen::Ping(payload)),
                wire::PONG => events.push(Seen::Pong(payload)),
                _ => {
                    events.push(close(&payload));
                    break message.is_some() && matches!(events.last(), Some(Seen::Close(..)));
                }
            }
            continue;
        }
        let (opcode, gathered, frames) = message.get_or_insert((header.opcode, Vec::new(), 0));
        gathered.extend(payload);
        *frames += 1;
        let is_last = header.fin && whole;
        // §8.1, as soon as it can be known.
        let invalid = core::str::from_utf8(gathered).err();
        let hopeless = |error: core::str::Utf8Error| error.error_len().is_some() || is_last;
        if *opcode == wire::TEXT && invalid.is_some_and(hopeless) {
            events.push(Seen::Fail(Error::InvalidUtf8));
            break false;
        }
        if !whole {
            break true;
        }
        if is_last {
            let (opcode, gathered, _) = message.take().expect("just there");
            events.push(if opcode == wire::TEXT {
                Seen::Text(String::from_utf8(gathered).expect("just checked"))
            } else {
                Seen::Binary(gathered)
            });
        }
    };
    Expected { events, truncated }
}

/// §5.5.1, §7.4.
fn close(body: &[u8]) -> Seen {
    match body {
        [] => Seen::Close(None, String::new()),
        [_] => Seen::Fail(Error::CloseTooShort),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            match core::str::from_utf8(reason) {
                _ if !wire::is_close_code(code) => Seen::Fail(Error::InvalidCloseCode(code)),
                Err(_) => Seen::Fail(Error::InvalidCloseReason),
                Ok(reason) => Seen::Close(Some(code), reason.to_owned()),
            }
        }
    }
}

impl Expected {
    /// Compares with what an endpoint that sends nothing by itself has written and how it ended.
    pub(crate) fn check_answers(&self, frames: &[wire::Frame], ending: &Ending) {
        let mut frames = frames.iter();
        let (mut close, mut error) = (None, None);
        for event in &self.events {
            match event {
                Seen::Ping(payload) => {
                    let pong = frames.next().expect("a pong");
                    assert_eq!((pong.opcode, &pong.payload), (wire::PONG, payload));
                }
                Seen::Close(code, reason) => {
                    let frame = frames.next().expect("a Close");
                    assert_eq!(frame.opcode, wire::CLOSE);
                    assert_eq!(
                        wire::close_body(&frame.payload),
                        (*code, String::new()),
                        "R190"
                    );
                    close = Some((*code, reason.as_str()));
                }
                Seen::Fail(fault) => {
                    let frame = frames.next().expect("a Close");
                    assert_eq!(frame.opcode, wire::CLOSE);
                    let code = wire::close_body(&frame.payload).0;
                    assert_eq!(code, fault.close_code().map(u16::from));
                    error = Some(*fault);
                }
                _ => {}
            }
        }
        assert_eq!(frames.next(), None, "nobody asked for this");
        assert_eq!(
            ending.code,
            close.map_or(1006, |(code, _)| code.unwrap_or(1005))
        );
        assert_eq!(&*ending.reason, close.map_or("", |(_, reason)| reason));
        assert_eq!(ending.clean, close.is_some());
        assert_eq!(ending.error, error);
        assert_eq!(ending.truncated, self.truncated);
    }
}
