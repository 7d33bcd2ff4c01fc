//! Close frames and status codes: [RFC 6455 §5.5.1] and [§7.4].
//!
//! [`CloseCode`] can only hold a code that may stand in a frame; [`parse`] judges the body of a received one. Needs no
//! allocation, but for the owned [`Close`] of an event.
//!
//! [RFC 6455 §5.5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//! [§7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4

use alloc::boxed::Box;
use core::fmt;

use crate::error::Error;

/// The code of an ending that no Close frame explains: the peer's Close had no code (RFC 6455 §7.4.1).
///
/// Never on the wire; see [`Ending::code`](crate::Ending::code).
pub const NO_STATUS: u16 = 1005;

/// The code of an ending without a Close frame of the peer (RFC 6455 §7.4.1).
///
/// Never on the wire; see [`Ending::code`](crate::Ending::code).
pub const ABNORMAL: u16 = 1006;

/// The longest reason, in bytes of UTF-8: a control frame's 125 bytes less the code (RFC 6455 §5.5).
pub const MAX_REASON: usize = 123;

/// A status code that may be sent and received in a Close frame (RFC 6455 §7.4).
///
/// The codes that only ever describe an ending locally (1005, 1006, 1015), the reserved 1004, and everything that no
/// registry assigns (0–999, 1016–2999, 5000 and above) cannot be represented, so no such code can be sent.
///
/// ```
/// use sockless::CloseCode;
///
/// assert_eq!(CloseCode::new(1001), Some(CloseCode::GOING_AWAY));
/// assert_eq!(CloseCode::new(4000).map(u16::from), Some(4000));
/// assert_eq!(CloseCode::new(1005), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The registered meaning of the code, if it has one.
            #[must_use]
            pub const fn description(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The purpose of the connection is fulfilled.
    NORMAL = 1000, "normal closure";
    /// The server shuts down, or the page is left.
    GOING_AWAY = 1001, "going away";
    /// The peer broke a rule of the protocol.
    PROTOCOL_ERROR = 1002, "protocol error";
    /// Data of a type that this endpoint cannot take.
    UNSUPPORTED_DATA = 1003, "unsupported data";
    /// Data that does not fit its type: text that is not UTF-8.
    INVALID_PAYLOAD = 1007, "invalid payload data";
    /// A message that breaks this endpoint's policy.
    POLICY_VIOLATION = 1008, "policy violation";
    /// A message too big to process.
    MESSAGE_TOO_BIG = 1009, "message too big";
    /// The client misses an extension in the server's answer. Only a client sends it.
    MANDATORY_EXTENSION = 1010, "mandatory extension";
    /// This endpoint met a condition that keeps it from going on.
    INTERNAL_ERROR = 1011, "internal error";
    /// The service restarts (registered after the RFC).
    SERVICE_RESTART = 1012, "service restart";
    /// The service is overloaded: try again later (registered after the RFC).
    TRY_AGAIN_LATER = 1013, "try again later";
    /// A gateway got a bad answer from upstream (registered after the RFC).
    BAD_GATEWAY = 1014, "bad gateway";
}

impl CloseCode {
    /// The code, if it may stand in a Close frame: 1000–1003, 1007–1014 and 3000–4999.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = InvalidCloseCode;

    fn try_from(code: u16) -> Result<Self, InvalidCloseCode> {
        Self::new(code).ok_or(InvalidCloseCode(code))
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description() {
            Some(text) => write!(f, "{} ({text})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// A number that may not stand in a Close frame (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCloseCode(pub u16);

impl fmt::Display for InvalidCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be the code of a Close frame", self.0)
    }
}

impl core::error::Error for InvalidCloseCode {}

/// The Close frame that a peer sent (RFC 6455 §5.5.1).
///
/// The reason comes from the peer: escape it in logs, do not show it to people (§7.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// The status code; `None` if the frame had an empty body. A type that holds only codes of frames; how the
    /// connection ended may need 1005 or 1006, so [`Ending::code`](crate::Ending::code) is a number, and what this
    /// endpoint sent is [`Ending::sent_code`](crate::Ending::sent_code).
    pub code: Option<CloseCode>,
    /// The reason, at most [`MAX_REASON`] bytes; often empty.
    pub reason: Box<str>,
}

impl Close {
    /// A Close as a peer might send it, to compare an event with.
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> Self {
        Self {
            code: Some(code),
            reason: reason.into(),
        }
    }

    /// As [`parse`], on memory of its own.
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, Error> {
        Ok(
            parse(body)?.map_or_else(Self::default, |(code, reason)| Self {
                code: Some(code),
                reason: reason.into(),
            }),
        )
    }
}

/// Reads the body of a Close frame: its code and reason, or `None` for an empty body.
///
/// # Errors
///
/// [`Error::CloseTooShort`] for a body of one byte, [`Error::InvalidCloseCode`] for a code that may not be sent,
/// [`Error::InvalidCloseReason`] for a reason that is not UTF-8. That the body fits a control frame is the frame
/// header's matter.
pub fn parse(body: &[u8]) -> Result<Option<(CloseCode, &str)>, Error> {
    // R210: a body is empty or holds a code.
    let Some((code, reason)) = body.split_first_chunk() else {
        return if body.is_empty() {
            Ok(None)
        } else {
            Err(Error::CloseTooShort)
        };
    };
    // R213, R214, R217, R219: only codes that may be sent, as unsigned numbers.
    let code = u16::from_be_bytes(*code);
    let code = CloseCode::new(code).ok_or(Error::InvalidCloseCode(code))?;
    // R212: the reason is UTF-8, whole code points.
    let reason = core::str::from_utf8(reason).map_err(|_| Error::InvalidCloseReason)?;
    Ok(Some((code, reason)))
}

/// The longest start of `reason` that fits a Close frame and ends between code points.
///
/// For reasons of unknown length: [`Connection::close`](crate::Connection::close) refuses one that is too long rather
/// than cut it unasked.
///
/// ```
/// let long = "€".repeat(100);
/// assert_eq!(sockless::close::truncate_reason(&long).len(), 123);
/// assert_eq!(sockless::close::truncate_reason("bye"), "bye");
/// ```
#[must_use]
pub fn truncate_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}
