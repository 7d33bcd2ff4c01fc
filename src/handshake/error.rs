//! [`HandshakeError`]: the rule of the opening handshake that the peer broke, and the HTTP response
//! that says so ([RFC 6455 §4.2.2], [§4.4]).
//!
//! [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//! [§4.4]: https://www.rfc-editor.org/rfc/rfc6455#section-4.4

use alloc::vec::Vec;
use core::fmt;

use super::response::{push_status_line, reason_phrase};
use super::syntax::{decimal, push_all};

/// A rule of the opening handshake that the peer broke (RFC 6455 §4).
///
/// [`status`](Self::status) is the HTTP status that a server answers it with. A client answers
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    // The head, on both sides.
    /// TLS where plain HTTP is spoken: the client of a server asked for `wss` or `https` on a port without
    /// TLS, or the server of a client answered `ws` with a TLS alert. Told by the first byte (RFC 8446 §5.1).
    ///
    /// A server answers it in plain text all the same: whoever looks at the bytes reads what is wrong.
    UnexpectedTls,
    /// Neither a request line nor a status line begins so, and another protocol is spoken: HTTP/2 without
    /// an upgrade, SSH, SMTP, SOCKS, or the frames of a WebSocket that is not open yet (RFC 9112 §3, §4).
    NotHttp,
    /// A line of the head that does not end with CR LF, or one of these elsewhere (RFC 9112 §2.2).
    InvalidLineEnd,
    /// A first line or a header line that breaks HTTP's grammar (RFC 9112 §3, §4, §5).
    MalformedHead,
    /// A head longer than [`Config::max_head_size`](crate::Config::max_head_size) (§10.4).
    HeadTooLarge,
    /// More header lines than [`Config::max_headers`](crate::Config::max_headers) (§10.4).
    TooManyHeaders,
    /// Another version than HTTP/1.1 (§4.2.1).
    UnsupportedHttpVersion,
    /// A `Content-Length` that is not one number (RFC 9110 §8.6).
    InvalidContentLength,
    /// A request with a body (RFC 9112 §6).
    UnexpectedBody,
    /// `Upgrade` is missing or does not name `websocket` (§4.1, §4.2.1).
    MissingUpgrade,
    /// `Connection` is missing, malformed, or does not name `Upgrade` (§4.1, §4.2.1).
    MissingConnection,
    /// `Sec-WebSocket-Extensions` breaks its grammar (§9.1).
    InvalidExtensions,

    // What a server refuses.
    /// The request line alone is longer than the limit for the head (RFC 9110 §15.5.15).
    TargetTooLong,
    /// The request target is not one that a GET request may have (RFC 9112 §3.2); or `:scheme` or
    /// `:path` of an extended CONNECT is missing or invalid (RFC 8441 §4).
    InvalidTarget,
    /// The method is not GET (§4.2.1); with
    /// [`Config::serve_plain_http`](crate::Config::serve_plain_http) only if a WebSocket was asked for, or
    /// a tunnel, by CONNECT.
    MethodNotAllowed,
    /// `Host` is missing, repeated or malformed (§4.2.1); or `:authority` is, or `Host` says something
    /// else (RFC 8441 §4, RFC 9113 §8.3.1).
    InvalidHost,
    /// The request expects an interim response (RFC 9110 §10.1.1).
    UnsupportedExpectation,
    /// `Sec-WebSocket-Version` is a number other than 13 (§4.4).
    UnsupportedVersion,
    /// `Sec-WebSocket-Version` is missing, repeated or not a number up to 255 (§4.2.1). In an extended
    /// CONNECT also a number other than 13: there is no 426 where there is no `Upgrade`.
    InvalidVersion,
    /// `Sec-WebSocket-Key` is missing or not base64 of 16 bytes (§4.2.1).
    InvalidKey,
    /// `Sec-WebSocket-Key` stands there twice (§11.3.1).
    RepeatedKey,
    /// `Sec-WebSocket-Protocol` is not a list of tokens (§4.2.1).
    InvalidSubprotocols,
    /// A subprotocol is offered twice (§4.1).
    RepeatedSubprotocol,
    /// More than 64 subprotocols or more than 64 extensions are offered (§10.4).
    TooManyOffers,
    /// `Origin` is repeated or not ASCII (§4.2.1).
    InvalidOrigin,
    /// More bytes behind the request, before it was answered, than
    /// [`Config::max_early_data`](crate::Config::max_early_data) (§4.1).
    TooMuchEarlyData,
    /// The method is not CONNECT, or there is no `:protocol` (RFC 8441 §4).
    NotExtendedConnect,
    /// `:protocol` names something other than `websocket` (RFC 9220 §3).
    UnsupportedProtocol,
    /// `Upgrade` or `Connection` in an extended CONNECT (RFC 8441 §5).
    ConnectionSpecificField,

    // What either side waits for in vain.
    /// The head was not complete in [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    Timeout,
    /// The transport ended before the handshake was complete (§7.1.4).
    EndOfStream,

    // What a client refuses.
    /// More interim responses than
    /// [`Config::max_interim_responses`](crate::Config::max_interim_responses) (§10.4).
    TooManyInterimResponses,
    /// The status is not 101 (§4.1), or not from 200 to 299 in answer to an extended CONNECT (RFC 8441
    /// §5, RFC 9110 §9.3.6). A connection reports it in
    /// [`Event::Rejected`](crate::Event::Rejected), and only its [`Ending`](crate::Ending) so.
    UnexpectedStatus(u16),
    /// `Sec-WebSocket-Accept` is missing or does not fit the key (§4.1).
    InvalidAccept,
    /// `Sec-WebSocket-Accept` stands there twice (§11.3.3).
    RepeatedAccept,
    /// The server wants an extension that was not offered (§4.1).
    UnofferedExtension,
    /// The server agreed to an extension with parameters that are malformed or do not fit the offer
    /// (§9.1, RFC 7692 §7.1).
    UnacceptableExtension,
    /// The server chose a subprotocol that was not offered (§4.1).
    UnofferedSubprotocol,
    /// `Sec-WebSocket-Protocol` is repeated or not one token (§11.3.4). Nor may it be empty, not even where no
    /// subprotocol was asked for: a server that chooses none leaves the field out (§4.2.2). Some send it so
    /// all the same; Chromium fails them as well, Firefox does not.
    InvalidSubprotocol,
    /// The server chose none of the subprotocols, and
    /// [`Config::require_subprotocol`](crate::Config::require_subprotocol) is set.
    MissingSubprotocol,
}

impl HandshakeError {
    /// The HTTP status with which a server answers a request that breaks this rule; `None` for the
    /// rules that only a response can break.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::UnexpectedTls
            | Self::NotHttp
            | Self::InvalidLineEnd
            | Self::MalformedHead
            | Self::InvalidContentLength
            | Self::UnexpectedBody
            | Self::MissingConnection
            | Self::InvalidExtensions
            | Self::InvalidTarget
            | Self::InvalidHost
            | Self::InvalidVersion
            | Self::InvalidKey
            | Self::RepeatedKey
            | Self::InvalidSubprotocols
            | Self::RepeatedSubprotocol
            | Self::TooManyOffers
            | Self::InvalidOrigin
            | Self::TooMuchEarlyData
            | Self::NotExtendedConnect
            | Self::ConnectionSpecificField => Some(400),
            Self::MethodNotAllowed => Some(405),
            Self::Timeout => Some(408),
            Self::TargetTooLong => Some(414),
            Self::UnsupportedExpectation => Some(417),
            Self::MissingUpgrade | Self::UnsupportedVersion => Some(426),
            Self::HeadTooLarge | Self::TooManyHeaders => Some(431),
            Self::UnsupportedProtocol => Some(501),
            Self::UnsupportedHttpVersion => Some(505),
            Self::EndOfStream
            | Self::TooManyInterimResponses
            | Self::UnexpectedStatus(_)
            | Self::InvalidAccept
            | Self::RepeatedAccept
            | Self::UnofferedExtension
            | Self::UnacceptableExtension
            | Self::UnofferedSubprotocol
            | Self::InvalidSubprotocol
            | Self::MissingSubprotocol => None,
        }
    }

    /// The header fields that an answer with this [status](Self::status) must have, apart from those
    /// about its body (RFC 9110 §15.5.6, §15.5.22; RFC 6455 §4.4). For foreign HTTP stacks.
    ///
    /// Of the errors of an extended CONNECT none has a field that HTTP/2 and HTTP/3 forbid.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::MethodNotAllowed => &[("allow", "GET")],
            Self::MissingUpgrade | Self::UnsupportedVersion => &[
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
            ],
            Self::InvalidVersion => &[("sec-websocket-version", "13")],
            _ => &[],
        }
    }

    /// Appends the complete response that refuses the request (R060 to R082); nothing for the rules
    /// that have no status.
    pub(crate) fn write_response(self, out: &mut Vec<u8>) {
        let Some(status) = self.status() else { return };
        let fields: &[u8] = match self {
            // R061: says what is allowed (RFC 9110 §15.5.6).
            Self::MethodNotAllowed => b"Allow: GET\r\nConnection: close\r\n",
            // R065: names the protocol to change to (RFC 9110 §15.5.22). R070: and its version.
            Self::MissingUpgrade | Self::UnsupportedVersion => UPGRADE_REQUIRED,
            // R071: says which version is meant (RFC 6455 §4.2.2).
            Self::InvalidVersion => b"Sec-WebSocket-Version: 13\r\nConnection: close\r\n",
            _ => b"Connection: close\r\n",
        };
        push_status_line(out, status);
        // R061: no body, for the method may have been HEAD.
        if self == Self::MethodNotAllowed {
            push_all(out, &[fields, b"Content-Length: 0\r\n\r\n"]);
            return;
        }
        let text = self.text();
        push_all(
            out,
            &[
                fields,
                b"Content-Type: text/plain\r\nContent-Length: ",
                decimal(text.len() + 1, &mut [0; 20]),
                b"\r\n\r\n",
                text.as_bytes(),
                b"\n",
            ],
        );
    }

    const fn text(self) -> &'static str {
        match self {
            Self::UnexpectedTls => "TLS where plain HTTP was expected",
            Self::NotHttp => "another protocol than HTTP/1.1",
            Self::InvalidLineEnd => "line of the head does not end with CR LF",
            Self::MalformedHead => "malformed HTTP head",
            Self::HeadTooLarge => "HTTP head above the size limit",
            Self::TooManyHeaders => "too many header lines",
            Self::UnsupportedHttpVersion => "not HTTP/1.1",
            Self::InvalidContentLength => "invalid content-length",
            Self::UnexpectedBody => "body where none may be",
            Self::MissingUpgrade => "no upgrade to websocket",
            Self::MissingConnection => "connection header without upgrade",
            Self::InvalidExtensions => "malformed sec-websocket-extensions",
            Self::TargetTooLong => "request target too long",
            Self::InvalidTarget => "invalid request target",
            Self::MethodNotAllowed => "method is not GET",
            Self::InvalidHost => "missing, repeated or invalid host",
            Self::UnsupportedExpectation => "unsupported expectation",
            Self::UnsupportedVersion => "websocket version is not 13",
            Self::InvalidVersion => "missing or malformed sec-websocket-version",
            Self::InvalidKey => "missing or invalid sec-websocket-key",
            Self::RepeatedKey => "repeated sec-websocket-key",
            Self::InvalidSubprotocols => "malformed sec-websocket-protocol",
            Self::RepeatedSubprotocol => "subprotocol offered twice",
            Self::TooManyOffers => "too many subprotocols or extensions",
            Self::InvalidOrigin => "repeated or invalid origin",
            Self::TooMuchEarlyData => "too many bytes before the answer",
            Self::NotExtendedConnect => "not an extended CONNECT",
            Self::UnsupportedProtocol => "protocol is not websocket",
            Self::ConnectionSpecificField => "upgrade or connection in an extended CONNECT",
            Self::Timeout => "not complete in time",
            Self::EndOfStream => "transport ended before it was complete",
            Self::TooManyInterimResponses => "too many interim responses",
            Self::UnexpectedStatus(_) => "unexpected status",
            Self::InvalidAccept => "missing or wrong sec-websocket-accept",
            Self::RepeatedAccept => "repeated sec-websocket-accept",
            Self::UnofferedExtension => "extension that was not offered",
            Self::UnacceptableExtension => "extension with parameters that do not fit",
            Self::UnofferedSubprotocol => "subprotocol that was not offered",
            Self::InvalidSubprotocol => "sec-websocket-protocol is not one name",
            Self::MissingSubprotocol => "none of the subprotocols was chosen",
        }
    }
}

/// What a 426 response must have (RFC 9110 §15.5.22, §7.8; RFC 6455 §4.4).
pub(super) const UPGRADE_REQUIRED: &[u8] =
    b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n";

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedStatus(status) => match reason_phrase(*status) {
                "" => write!(f, "unexpected status {status}"),
                reason => write!(f, "unexpected status {status} ({reason})"),
            },
            _ => f.write_str(self.text()),
        }
    }
}

impl core::error::Error for HandshakeError {}
