use std::fmt;
use std::ops::Deref;
use std::str::{self, Utf8Error};

use bytes::Bytes;
use sockless::{CloseCode, Event};

/// A message or a control frame, on memory of its own. A clone costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping of at most 125 bytes; a received one has been answered.
    Ping(Bytes),
    /// A pong of at most 125 bytes.
    Pong(Bytes),
    /// The peer's Close, which has been answered, or ours; `None` if it has no code.
    Close(Option<CloseFrame>),
}

impl Message {
    /// What an event brings, unless it is no matter of the [`Stream`](futures_core::Stream).
    pub(crate) fn new(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Text(text) => Self::Text(text.into_owned().into()),
            Event::Binary(data) => Self::Binary(data.into_owned().into()),
            Event::Ping(data) => Self::Ping(data.into_owned().into()),
            Event::Pong(data) => Self::Pong(data.into_owned().into()),
            Event::Close(close) => Self::Close(close.code.map(|code| CloseFrame {
                code,
                reason: String::from(close.reason).into(),
            })),
            _ => return None,
        })
    }

    /// A text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::Binary(data.into())
    }
}

/// Why a connection is closed (RFC 6455 §5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status code.
    pub code: CloseCode,
    /// The reason, at most 123 bytes.
    pub reason: Utf8Bytes,
}

/// [`Bytes`] that are UTF-8; dereferences to `str`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Utf8Bytes(Bytes);

impl Deref for Utf8Bytes {
    type Target = str;

    #[expect(unsafe_code, reason = "to check long texts again each time is slow")]
    fn deref(&self) -> &str {
        // SAFETY: each way to make one takes a `str`, or checks the bytes.
        unsafe { str::from_utf8_unchecked(&self.0) }
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.0
    }
}
