//! The first line, judged as it comes: [RFC 9112 §3] and [§4].
//!
//! Who speaks another protocol may wait for an answer, and never send the empty line that ends a head. So
//! what can become neither a request line nor a status line is refused at the byte that decides it.
//!
//! [RFC 9112 §3]: https://www.rfc-editor.org/rfc/rfc9112#section-3
//! [§4]: https://www.rfc-editor.org/rfc/rfc9112#section-4

use super::error::HandshakeError;
use super::syntax::{is_token_byte, is_value_byte};

/// What the next byte of a first line may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstLine {
    kind: Kind,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a request, where an empty line may be.
    Start,
    Method,
    /// In a method of which something has come.
    MethodRest,
    Target,
    TargetRest,
    /// Behind so many bytes of `HTTP/`.
    Name(usize),
    Major,
    Dot,
    Minor,
    AfterVersion,
    /// Behind so many digits of the status.
    Status(u8),
    Reason,
    /// Behind the CR.
    End,
}

impl FirstLine {
    pub(super) const fn of_request() -> Self {
        Self {
            kind: Kind::Request,
            place: Place::Start,
        }
    }

    pub(super) const fn of_response() -> Self {
        Self {
            kind: Kind::Response,
            place: Place::Name(0),
        }
    }

    /// As it was before any byte came.
    pub(super) const fn restarted(self) -> Self {
        match self.kind {
            Kind::Request => Self::of_request(),
            Kind::Response => Self::of_response(),
        }
    }

    /// Takes bytes up to the CR that ends the line, it included.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), HandshakeError> {
        // Most responses begin like this, and all of it at once.
        if let (Kind::Response, Place::Name(0)) = (self.kind, self.place) {
            if let Some(rest) = bytes.strip_prefix(b"HTTP/1.1 ") {
                (self.place, bytes) = (Place::Status(0), rest);
            }
        }
        let mut bytes = bytes.iter();
        while let Some(byte) = bytes.next() {
            self.place = self.next(*byte)?;
            if self.place == Place::Reason {
                // The longest part of a status line, of which each byte is judged alike.
                let reason = bytes.as_slice();
                let end = reason.iter().position(|byte| !is_value_byte(*byte));
                bytes = reason
                    .get(end.unwrap_or(reason.len())..)
                    .unwrap_or_default()
                    .iter();
            }
        }
        Ok(())
    }

    // R400: at the first byte that no such line has.
    fn next(self, byte: u8) -> Result<Place, HandshakeError> {
        let is_response = self.kind == Kind::Response;
        Ok(match (self.place, byte) {
            // R060: one empty line may come before a request (RFC 9112 §2.2).
            (Place::Start, b'\r') => Place::Method,
            (Place::Start | Place::Method | Place::MethodRest, _) if is_token_byte(byte) => {
                Place::MethodRest
            }
            (Place::MethodRest, b' ') => Place::Target,
            (Place::TargetRest, b' ') => Place::Name(0),
            // R063, R081: the target is visible ASCII, without a fragment (RFC 9112 §3.2).
            (Place::Target | Place::TargetRest, b'#' | 0x80..) => {
                return Err(HandshakeError::InvalidTarget);
            }
            (Place::Target | Place::TargetRest, b'!'..=b'~') => Place::TargetRest,
            (Place::Name(4), b'/') => Place::Major,
            (Place::Name(at), _) if b"HTTP".get(at) == Some(&byte) => Place::Name(at + 1),
            (Place::Major, b'1') => Place::Dot,
            (Place::Dot, b'.') => Place::Minor,
            (Place::Minor, b'0' | b'1') => Place::AfterVersion,
            // R032, R062: HTTP of another version (RFC 9112 §2.3).
            (Place::Major | Place::Minor, b'0'..=b'9') => {
                return Err(HandshakeError::UnsupportedHttpVersion);
            }
            (Place::AfterVersion, b' ') if is_response => Place::Status(0),
            (Place::AfterVersion, b'\r') if !is_response => Place::End,
            // R032: three digits, from 100 on (RFC 9112 §4).
            (Place::Status(0), b'1'..=b'9') => Place::Status(1),
            (Place::Status(digits @ (1 | 2)), b'0'..=b'9') => Place::Status(digits + 1),
            (Place::Status(3), b' ') => Place::Reason,
            (Place::Status(3) | Place::Reason, b'\r') => Place::End,
            (Place::Reason, _) if is_value_byte(byte) => Place::Reason,
            _ => return Err(self.refusal(byte)),
        })
    }

    const fn refusal(self, byte: u8) -> HandshakeError {
        let (is_first, is_before_http) = match (self.kind, self.place) {
            (_, Place::Start | Place::Method) => (true, true),
            (_, Place::MethodRest) => (false, true),
            (Kind::Response, Place::Name(at)) => (at == 0, true),
            _ => (false, false),
        };
        match byte {
            // R401: the first byte of a TLS record, an alert or a handshake (RFC 8446 §5.1).
            0x15 | 0x16 if is_first => HandshakeError::UnexpectedTls,
            b'\r' if is_first => HandshakeError::MalformedHead,
            _ if is_before_http => HandshakeError::NotHttp,
            _ => HandshakeError::MalformedHead,
        }
    }
}
