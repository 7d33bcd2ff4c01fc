//! Who compresses how: [RFC 7692 §5, §7.1].
//!
//! [RFC 7692 §5, §7.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.1

use alloc::string::{String, ToString};
use core::fmt;

use super::{ClientBits, Context, DeflateConfig, NAME};
use crate::frame::Role;
use crate::handshake::{Extension, HandshakeError};

const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// What client and server have agreed on (RFC 7692 §7.1): the element of the response's
/// `Sec-WebSocket-Extensions`.
///
/// Written with [`Display`](fmt::Display) it is the value of that field. The default is the extension
/// without parameters: context takeover on both sides, windows of 15 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameters {
    /// The server's messages do not refer to earlier ones (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client's messages do not refer to earlier ones (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// How far back the server's messages refer, if less than 15 bits: from 8 to 15 (§7.1.2.1).
    pub server_max_window_bits: Option<u8>,
    /// How far back the client's messages refer, if less than 15 bits: from 8 to 15 (§7.1.2.2).
    pub client_max_window_bits: Option<u8>,
}

impl Parameters {
    /// The window of the messages that `from` sends.
    pub(super) fn window_bits(&self, from: Role) -> u8 {
        let bits = match from {
            Role::Server => self.server_max_window_bits,
            Role::Client => self.client_max_window_bits,
        };
        bits.unwrap_or(15).clamp(8, 15)
    }

    pub(super) const fn context(&self, from: Role) -> Context {
        match (
            from,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
        ) {
            (Role::Server, true, _) | (Role::Client, _, true) => Context::NoTakeover,
            _ => Context::Takeover,
        }
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_BITS}={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; {CLIENT_BITS}={bits}")?;
        }
        Ok(())
    }
}

impl DeflateConfig {
    /// The server's choice: what it agrees to, of the `offered` extensions in the client's order; or
    /// `None` if of those it can agree to none, and the connection is not compressed (RFC 7692 §5).
    ///
    /// They are what [`Upgrade::extensions`](crate::handshake::Upgrade::extensions) gives, or
    /// [`extensions`](crate::handshake::extensions) for each header value. An offer that is malformed
    /// is no error here: the next one is looked at.
    pub fn choose<'h>(
        &self,
        offered: impl IntoIterator<Item = Extension<'h>>,
    ) -> Option<Parameters> {
        // R291: the first that is acceptable. R292: and no other.
        offered
            .into_iter()
            .filter_map(|extension| Element::read(&extension))
            .find_map(|offer| self.answer(&offer))
    }

    /// The client's offer, as the value of `Sec-WebSocket-Extensions` (RFC 7692 §5).
    #[must_use]
    pub fn offer(&self) -> String {
        let mut offer = self.wanted().to_string();
        // R284: without a value it says that the server may set one.
        if self.client_bits == ClientBits::Offered && self.client_max_window_bits == 15 {
            offer.push_str("; ");
            offer.push_str(CLIENT_BITS);
        }
        offer
    }

    /// The client's check of what the server agreed to, the only extension of its response, against
    /// what [`offer`](Self::offer) said (RFC 7692 §5, §7.1).
    ///
    /// [`Offer::deflate`](crate::handshake::Offer::deflate) has it done with the other checks of a
    /// response.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::UnofferedExtension`] for any other extension, and
    /// [`HandshakeError::UnacceptableExtension`] for parameters that are malformed or do not fit the
    /// offer.
    pub fn check(&self, agreed: &Extension<'_>) -> Result<Parameters, HandshakeError> {
        // R310.
        if agreed.name() != NAME {
            return Err(HandshakeError::UnofferedExtension);
        }
        // R311.
        let element = Element::read(agreed).ok_or(HandshakeError::UnacceptableExtension)?;
        check(&element, &self.wanted(), self.client_bits)
    }

    /// What an endpoint in `role` does by itself.
    pub(super) fn own(&self, role: Role) -> (Context, u8) {
        match role {
            Role::Server => (self.server_context, self.server_max_window_bits.max(9)),
            Role::Client => (self.client_context, self.client_max_window_bits.max(9)),
        }
    }

    fn wanted(&self) -> Parameters {
        let demanded = |bits: u8| Some(bits).filter(|bits| *bits < 15);
        Parameters {
            server_no_context_takeover: self.server_context == Context::NoTakeover,
            client_no_context_takeover: self.client_context == Context::NoTakeover,
            server_max_window_bits: demanded(self.server_max_window_bits),
            client_max_window_bits: match self.client_bits {
                // R397: a window of the client's own may be kept to without a word.
                ClientBits::Unmentioned => None,
                ClientBits::Offered => demanded(self.client_max_window_bits.max(9)),
            },
        }
    }

    fn answer(&self, offer: &Element) -> Option<Parameters> {
        // R302: a window of 8 bits is more than this compressor can promise.
        let offered = offer.server_bits.unwrap_or(15);
        if offered < 9 {
            return None;
        }
        // R297, R298 (§7.1.2.1): not more than was offered; unasked where it is less than 15.
        let (_, own_bits) = self.own(Role::Server);
        let server_bits = offered.min(own_bits);
        // R299, R300 (§7.1.2.2): only where the client knows the parameter, and no more than it hints
        // at. R301: where it does not, no limit is claimed.
        let client_bits = match offer.client_bits {
            Hint::Absent => 15,
            Hint::Any => self.client_max_window_bits,
            Hint::Value(hint) => hint.min(self.client_max_window_bits),
        };
        Some(Parameters {
            // R294, R295 (§7.1.1.1).
            server_no_context_takeover: offer.server_no_takeover
                || self.server_context == Context::NoTakeover,
            // R296 (§7.1.1.2): taken up, for then no window needs to be kept.
            client_no_context_takeover: offer.client_no_takeover
                || self.client_context == Context::NoTakeover,
            server_max_window_bits: Some(server_bits)
                .filter(|bits| *bits < 15 || offer.server_bits.is_some()),
            client_max_window_bits: Some(client_bits).filter(|bits| *bits < 15),
        })
    }
}

/// An element of the header that keeps to the grammar of §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Hint,
}

/// What is said of `client_max_window_bits`, which alone may have no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    Absent,
    Any,
    Value(u8),
}

impl Element {
    /// `None` if it is another extension, or malformed.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        if extension.name() != NAME {
            return None;
        }
        let mut element = Self {
            server_no_takeover: false,
            client_no_takeover: false,
            server_bits: None,
            client_bits: Hint::Absent,
        };
        for (name, value) in extension.parameters() {
            let value = value.as_deref();
            // R285: each parameter once. R286: and no other.
            match (name, value) {
                // R280: never with a value.
                (SERVER_NO_TAKEOVER, None) if !element.server_no_takeover => {
                    element.server_no_takeover = true;
                }
                (CLIENT_NO_TAKEOVER, None) if !element.client_no_takeover => {
                    element.client_no_takeover = true;
                }
                // R283: always with a value.
                (SERVER_BITS, Some(value)) if element.server_bits.is_none() => {
                    element.server_bits = Some(window_bits(value)?);
                }
                // R284: with or without one.
                (CLIENT_BITS, value) if element.client_bits == Hint::Absent => {
                    element.client_bits = match value {
                        Some(value) => Hint::Value(window_bits(value)?),
                        None => Hint::Any,
                    };
                }
                _ => return None,
            }
        }
        Some(element)
    }
}

/// R281: a decimal number from 8 to 15, written as such.
fn window_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Holds a response against the offer: `wanted`, and whether it let the server set the client's window.
fn check(
    response: &Element,
    wanted: &Parameters,
    client_bits: ClientBits,
) -> Result<Parameters, HandshakeError> {
    // R313 (§7.1.1.1).
    let server_takes_over = wanted.server_no_context_takeover && !response.server_no_takeover;
    // R314 (§7.1.2.1).
    let server_reaches_too_far = wanted
        .server_max_window_bits
        .is_some_and(|bits| response.server_bits.is_none_or(|agreed| agreed > bits));
    let client_max_window_bits = match response.client_bits {
        Hint::Absent => None,
        // R315 (§7.1.2.2): where the offer had it. R316: its value may be above the hint.
        Hint::Value(bits) if client_bits == ClientBits::Offered => Some(bits),
        // R284: in a response it has a value.
        _ => return Err(HandshakeError::UnacceptableExtension),
    };
    if server_takes_over || server_reaches_too_far {
        return Err(HandshakeError::UnacceptableExtension);
    }
    // R317, R318: what was not asked for is accepted.
    Ok(Parameters {
        server_no_context_takeover: response.server_no_takeover,
        client_no_context_takeover: response.client_no_takeover,
        server_max_window_bits: response.server_bits,
        client_max_window_bits,
    })
}
