//! What goes wrong, on the two sides that it can go wrong on.
//!
//! [`Error`] is what the peer did: it is reported once, in [`Event::Fail`](crate::Event::Fail), after
//! the right answer has been queued. [`SendError`] is what the caller did: it is returned, nothing is
//! queued, and nothing has changed.

use core::fmt;

use crate::close::CloseCode;
use crate::handshake::HandshakeError;

/// A rule or a limit that the peer broke.
///
/// Each variant names the rule; [`close_code`](Self::close_code) gives the code that the Close frame
/// carries in answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The opening handshake failed (RFC 6455 §4); a server has answered with the
    /// [status](HandshakeError::status), a client sends nothing more.
    Handshake(HandshakeError),
    /// A reserved bit is set that no negotiated extension defines for this frame (§5.2).
    ReservedBits,
    /// An opcode that RFC 6455 reserves: 3 to 7 or 11 to 15 (§5.2).
    ReservedOpcode(u8),
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (§5.5).
    ControlTooLong,
    /// A client's frame without a mask (§5.1).
    MissingMask,
    /// A server's frame with a mask (§5.1).
    UnexpectedMask,
    /// A length written in more bytes than it needs (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its highest bit set (§5.2).
    LengthOverflow,
    /// A frame longer than [`Config::max_frame_size`](crate::Config::max_frame_size) (§10.4).
    FrameTooLarge,
    /// A continuation frame with no message to continue (§5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    ExpectedContinuation,
    /// A message longer than [`Config::max_message_size`](crate::Config::max_message_size) (§10.4).
    MessageTooLarge,
    /// A message of more frames than [`Config::max_fragments`](crate::Config::max_fragments) (§10.4).
    TooManyFragments,
    /// Text that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that is no deflate stream, or reaches back beyond what was agreed
    /// (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A compressed message that inflates to more than
    /// `DeflateConfig::max_ratio` times its size.
    RatioTooHigh,
    /// A Close frame with a body of one byte (§5.5.1).
    CloseTooShort,
    /// A Close frame with a code that may not be sent (§7.4).
    InvalidCloseCode(u16),
    /// A Close frame with a reason that is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// The peer was silent for longer than [`Config::idle_timeout`](crate::Config::idle_timeout).
    IdleTimeout,
    /// No message came for longer than
    /// [`Config::no_message_timeout`](crate::Config::no_message_timeout).
    NoMessageTimeout,
    /// Nothing came after a ping in the time that [`Config::keepalive`](crate::Config::keepalive) gives (§5.5.2).
    PongTimeout,
    /// A message took longer than [`Config::message_timeout`](crate::Config::message_timeout).
    MessageTimeout,
    /// The peer took none of what waits to be written for longer than
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    WriteTimeout,
    /// The closing took longer than [`Config::close_timeout`](crate::Config::close_timeout) (§7.1.1).
    CloseTimeout,
    /// Not the peer's fault: the source of entropy failed while a reply had to be masked (§5.3).
    Entropy,
    /// Not the peer's fault: a message had begun in one [`Input`](crate::Input), and another was given
    /// for its rest, or the same one to another connection meanwhile.
    WrongInput,
}

impl Error {
    /// The code of the Close frame that answers this error (RFC 6455 §7.4.1), or `None` where no
    /// frame can be sent: before the connection is open, and after a Close.
    #[must_use]
    pub const fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::Handshake(_) | Self::CloseTimeout => None,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::MissingMask
            | Self::UnexpectedMask
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::CloseTooShort
            | Self::InvalidCloseCode(_) => Some(CloseCode::PROTOCOL_ERROR),
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidCloseReason => {
                Some(CloseCode::INVALID_PAYLOAD)
            }
            Self::FrameTooLarge | Self::MessageTooLarge | Self::RatioTooHigh => {
                Some(CloseCode::MESSAGE_TOO_BIG)
            }
            Self::TooManyFragments | Self::MessageTimeout | Self::WriteTimeout => {
                Some(CloseCode::POLICY_VIOLATION)
            }
            Self::IdleTimeout | Self::NoMessageTimeout => Some(CloseCode::GOING_AWAY),
            Self::PongTimeout | Self::Entropy | Self::WrongInput => Some(CloseCode::INTERNAL_ERROR),
        }
    }
}

impl Error {
    /// The rule in words that do not depend on what the peer sent; the reason of the Close frame.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Handshake(_) => "opening handshake",
            Self::ReservedBits => "reserved bit set without an extension that defines it",
            Self::ReservedOpcode(_) => "reserved opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::ControlTooLong => "control frame longer than 125 bytes",
            Self::MissingMask => "frame from a client without a mask",
            Self::UnexpectedMask => "frame from a server with a mask",
            Self::NonMinimalLength => "payload length not in its shortest form",
            Self::LengthOverflow => "payload length above 2^63 - 1",
            Self::FrameTooLarge => "frame above the size limit",
            Self::UnexpectedContinuation => "continuation without a message to continue",
            Self::ExpectedContinuation => "new message inside a fragmented one",
            Self::MessageTooLarge => "message above the size limit",
            Self::TooManyFragments => "message of too many fragments",
            Self::InvalidUtf8 => "text is not valid UTF-8",
            Self::InvalidDeflate => "message is not a valid deflate stream",
            Self::RatioTooHigh => "message compressed above the ratio limit",
            Self::CloseTooShort => "close frame with a body of one byte",
            Self::InvalidCloseCode(_) => "invalid close code",
            Self::InvalidCloseReason => "close reason is not valid UTF-8",
            Self::IdleTimeout => "nothing received for too long",
            Self::NoMessageTimeout => "no message for too long",
            Self::PongTimeout => "nothing received after a ping",
            Self::MessageTimeout => "message not complete in time",
            Self::WriteTimeout => "nothing read for too long",
            Self::CloseTimeout => "not closed in time",
            Self::WrongInput => "message continued in another buffer",
            Self::Entropy => "no entropy for a mask",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())?;
        match self {
            Self::Handshake(error) => write!(f, ": {error}"),
            Self::ReservedOpcode(opcode) => write!(f, " {opcode}"),
            Self::InvalidCloseCode(code) => write!(f, " {code}"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// A call that the connection refused: nothing was queued and its state did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The opening handshake is not complete (RFC 6455 §4.1).
    Connecting,
    /// A ping or pong with more than 125 bytes of payload (§5.5).
    ControlTooLong,
    /// A close reason of more than 123 bytes (§5.5); see
    /// [`truncate_reason`](crate::close::truncate_reason).
    ReasonTooLong,
    /// Code 1010 from a server: it is the client's to send (§7.4.1).
    ClientCloseCode,
    /// A new message, or a part of the other type, inside a message that is sent in parts (§5.4).
    MessageInProgress,
    /// A continuation frame with no message to continue (§5.4).
    NoMessage,
    /// Anything but its payload inside a frame whose payload is sent in pieces (§5.4).
    FrameInProgress,
    /// More payload than the frame's header announced, or payload without a frame (§5.2).
    FrameOverrun,
    /// A control frame that is fragmented or has a reserved bit set (§5.5).
    InvalidControl,
    /// RSV1 on a continuation frame, or where no extension that defines it was agreed on (§5.2).
    ReservedBits,
    /// The source of entropy failed, so that no mask can be drawn (§5.3).
    Entropy,
    /// There is no request that waits for an answer.
    NoRequest,
    /// The request that waits is not one for a WebSocket, so it cannot be accepted.
    NotUpgrade,
    /// The response's subprotocol was chosen for another request, and this one does not offer it (§4.2.2).
    SubprotocolNotOffered,
    /// The status does not fit the answer: an acceptance is 101, a refusal 300 to 599, the answer to
    /// a plain request 200 to 599.
    InvalidStatus,
    /// An acceptance has no body.
    UnexpectedBody,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "the opening handshake is not complete",
            Self::ControlTooLong => "payload of a control frame above 125 bytes",
            Self::ReasonTooLong => "close reason above 123 bytes",
            Self::ClientCloseCode => "close code 1010 is for clients only",
            Self::MessageInProgress => "another message is being sent in parts",
            Self::NoMessage => "no message to continue",
            Self::FrameInProgress => "a frame's payload is being sent in pieces",
            Self::FrameOverrun => "more payload than the frame has",
            Self::InvalidControl => "control frame fragmented or with a reserved bit",
            Self::ReservedBits => "reserved bit that no extension defines here",
            Self::Entropy => "no entropy for a mask",
            Self::NoRequest => "no request waits for an answer",
            Self::NotUpgrade => "the request is not for a WebSocket",
            Self::SubprotocolNotOffered => "subprotocol that the request does not offer",
            Self::InvalidStatus => "status that does not fit the answer",
            Self::UnexpectedBody => "an acceptance has no body",
        })
    }
}

impl core::error::Error for SendError {}

/// The source of entropy could not fill the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of entropy failed")
    }
}

impl core::error::Error for EntropyError {}

impl From<EntropyError> for SendError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}
