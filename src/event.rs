//! [`Event`]: what came in. [`Ending`]: how it ended.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;

use crate::close::{self, Close, CloseCode};
use crate::connection::sender::Fin;
use crate::error::Error;
use crate::frame::{Header, Role};
use crate::handshake::{Request, Response};

/// What the peer did, as [`Connection::poll`](crate::Connection::poll) reports it.
///
/// Everything that RFC 6455 wants answered has been answered by the time the event is seen, except
/// [`Request`](Self::Request). `'b` is the life of the [`Input`](crate::Input): payloads are lent from
/// it where they lie in it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// Server: a request to answer with [`accept`](crate::Connection::accept) or
    /// [`respond`](crate::Connection::respond) (§4.2).
    Request(Box<Request>),
    /// Client: the server agreed, the connection is open (§4.1).
    Open(Box<Response>),
    /// Client: the server answered with another status than 101. The last event.
    Rejected(Box<Response>),
    /// A text message (§5.6).
    Text(Cow<'b, str>),
    /// A binary message (§5.6).
    Binary(Cow<'b, [u8]>),
    /// A part of a text message, with [`Delivery::Parts`](crate::Delivery::Parts): valid UTF-8 by
    /// itself, for a code point that a read cuts is in the next part (§5.6, §8.1).
    TextPart {
        /// What has arrived; empty only if it is the last part.
        text: Cow<'b, str>,
        /// Whether the message begins here.
        first: bool,
        /// Whether it ends here.
        fin: Fin,
    },
    /// A part of a binary message, with [`Delivery::Parts`](crate::Delivery::Parts) (§5.6).
    BinaryPart {
        /// What has arrived; empty only if it is the last part.
        data: Cow<'b, [u8]>,
        /// Whether the message begins here.
        first: bool,
        /// Whether it ends here.
        fin: Fin,
    },
    /// A frame begins, with [`Delivery::Frames`](crate::Delivery::Frames) (§5.2).
    FrameHeader(Header),
    /// A piece of the payload of the frame that has begun; not masked, and never empty. The frame ends
    /// with the last byte that its header announced.
    FramePayload(Cow<'b, [u8]>),
    /// A ping, at most 125 bytes, answered unless [`PongMode`](crate::PongMode) says otherwise
    /// (§5.5.2).
    Ping(Cow<'b, [u8]>),
    /// A pong, at most 125 bytes, asked for or not (§5.5.3).
    Pong(Cow<'b, [u8]>),
    /// The peer's Close, already answered with its code (§5.5.1); to answer otherwise, call
    /// [`close`](crate::Connection::close) now. The last event, but not the end of the loop: the
    /// answer is lost if it does not go on until [`Next::Over`](crate::Next::Over).
    Close(Close),
    /// The peer broke a rule or a limit; the Close frame or HTTP response that says so is queued
    /// (§7.1.7). The last event, after which the loop goes on as after [`Close`](Self::Close), or the
    /// peer never learns why.
    Fail(Error),
}

impl Event<'_> {
    /// The same event on memory of its own; free for messages that were gathered.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        fn own<T: ?Sized + alloc::borrow::ToOwned>(data: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(data.into_owned())
        }
        match self {
            Self::Request(request) => Event::Request(request),
            Self::Open(response) => Event::Open(response),
            Self::Rejected(response) => Event::Rejected(response),
            Self::Text(text) => Event::Text(own(text)),
            Self::Binary(data) => Event::Binary(own(data)),
            Self::TextPart { text, first, fin } => Event::TextPart {
                text: own(text),
                first,
                fin,
            },
            Self::BinaryPart { data, first, fin } => Event::BinaryPart {
                data: own(data),
                first,
                fin,
            },
            Self::FrameHeader(header) => Event::FrameHeader(header),
            Self::FramePayload(data) => Event::FramePayload(own(data)),
            Self::Ping(data) => Event::Ping(own(data)),
            Self::Pong(data) => Event::Pong(own(data)),
            Self::Close(close) => Event::Close(close),
            Self::Fail(error) => Event::Fail(error),
        }
    }
}

/// How a connection ended (RFC 6455 §7.1.4 to §7.1.6); what
/// [`end_of_stream`](crate::Connection::end_of_stream) answers.
///
/// As an error it says what was wrong with an ending that was not clean.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// The code of the peer's Close; [`NO_STATUS`](close::NO_STATUS) (1005) if that had none,
    /// [`ABNORMAL`](close::ABNORMAL) (1006) if there was no such frame. A number, as in the API of
    /// browsers, for those two are no [`CloseCode`]; in [`Close::code`] the frame itself has one, and
    /// [`sent_code`](Self::sent_code) is this endpoint's own.
    pub code: u16,
    /// The reason of the peer's Close.
    pub reason: Box<str>,
    /// Whether the connection was ever open.
    pub opened: bool,
    /// Whether both Close frames were exchanged before the transport ended. Never after
    /// [`Event::Fail`], behind which nothing is read.
    pub clean: bool,
    /// Whether the transport ended inside a frame, a message, a request or a response, so that bytes are
    /// missing. Not if a client went before it sent a byte, as load balancers do to see whether somebody
    /// listens: then [`error`](Self::error) is `None` too.
    pub truncated: bool,
    /// Whether the transport was reset rather than ended.
    pub reset: bool,
    /// The end whose Close was the first that this endpoint saw, if there was one.
    pub closed_first: Option<Role>,
    /// The code of the Close that this endpoint queued, if it queued one with a code: an `Option`, for
    /// 1005 and 1006 can describe an ending, but cannot be sent. What the peer sent is
    /// [`code`](Self::code), and [`Close::code`] in the event.
    pub sent_code: Option<CloseCode>,
    /// Why this endpoint failed the connection, if it did.
    pub error: Option<Error>,
    /// The status of the HTTP response that took the place of the connection, sent or received.
    pub status: Option<u16>,
    /// Client: that response, if its body lasted until the end of the transport or was cut off by it,
    /// so that no [`Event::Rejected`] could report it.
    pub response: Option<Box<Response>>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.error {
            return write!(f, "connection failed: {error}");
        }
        if let Some(status) = self.status {
            return write!(f, "not opened: HTTP status {status}");
        }
        let how = match (self.clean, self.reset, self.truncated) {
            (true, ..) => "closed",
            (_, true, _) => "transport was reset",
            (_, _, true) => "transport ended in mid-message",
            _ if !self.opened => "transport ended before a request",
            _ => "transport ended without a closing handshake",
        };
        match CloseCode::new(self.code) {
            Some(code) => write!(f, "{how}: {code}"),
            None if self.code == close::NO_STATUS => write!(f, "{how}: 1005 (no status)"),
            None => write!(f, "{how}: {} (abnormal)", self.code),
        }?;
        if self.reason.is_empty() {
            Ok(())
        } else {
            // The reason is the peer's: escaped, so that it cannot forge a line of a log.
            write!(f, " {:?}", self.reason)
        }
    }
}

impl core::error::Error for Ending {}

/// `Ok` after a closing handshake, whatever the codes; where an HTTP response took the place of the
/// connection without a fault (a refusal, or the answer to a plain request: [`Ending::status`]); and
/// where a client went before it sent a byte. Everything else is an error of kind `UnexpectedEof` that holds the [`Ending`].
///
/// It says whether anything was cut off, not whether to connect again: a server that restarts closes
/// cleanly, with 1001.
#[cfg(feature = "std")]
impl From<Ending> for std::io::Result<()> {
    fn from(ending: Ending) -> Self {
        if ending.clean || ending.error.is_none() && !ending.opened {
            Ok(())
        } else {
            Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                ending,
            ))
        }
    }
}
