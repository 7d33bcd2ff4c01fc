//! The client's check of a response: [RFC 6455 §4.1].
//!
//! It serves the text of HTTP/1.1 as well as the fields of a foreign HTTP stack; and the answer to an
//! extended CONNECT, RFC 8441 §5.
//!
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use alloc::borrow::Cow;
use core::fmt;

use super::error::HandshakeError;
use super::key::accept_key;
#[cfg(feature = "deflate")]
use super::list::Extension;
use super::list::{extensions, token, tokens};
use super::syntax::{Hidden, Slot, lines};
use super::upgrade::names_upgrade;
#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Parameters};

/// What a client has asked for, to hold the server's response against (RFC 6455 §4.1).
///
/// ```
/// use sockless::handshake::Offer;
///
/// let offer = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==").subprotocols("chat, superchat");
/// let headers = [
///     ("upgrade", "websocket"),
///     ("connection", "Upgrade"),
///     ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
///     ("sec-websocket-protocol", "superchat"),
/// ];
/// assert_eq!(offer.check(101, headers)?.subprotocol, Some("superchat"));
/// # Ok::<(), sockless::handshake::HandshakeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Offer<'o> {
    /// `None` in an extended CONNECT.
    accept: Option<[u8; 28]>,
    subprotocols: &'o str,
    answer: AnswerTo,
    #[cfg(feature = "deflate")]
    deflate: Option<&'o DeflateConfig>,
}

/// Whether an offer of subprotocols may go unanswered: R042.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerTo {
    Optional,
    Required,
}

/// What client and server have agreed on (RFC 6455 §4.1).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed<'h> {
    /// The subprotocol, one of those that were offered.
    pub subprotocol: Option<&'h str>,
    /// How messages are compressed, if they are (RFC 7692).
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub deflate: Option<Parameters>,
}

/// Without the subprotocol, in whose place pages send tokens: R410.
impl fmt::Debug for Agreed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut agreed = f.debug_struct("Agreed");
        agreed.field(
            "subprotocol",
            &self.subprotocol.map(|name| Hidden(name.len())),
        );
        #[cfg(feature = "deflate")]
        agreed.field("deflate", &self.deflate);
        agreed.finish()
    }
}

impl<'o> Offer<'o> {
    /// An offer with this `Sec-WebSocket-Key`, in the text in which it was sent.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self::with_accept(accept_key(key))
    }

    pub(super) const fn with_accept(accept: [u8; 28]) -> Self {
        Self {
            accept: Some(accept),
            ..Self::extended_connect()
        }
    }

    /// An offer in an extended CONNECT, by which a WebSocket is opened over HTTP/2 (RFC 8441 §5) or
    /// HTTP/3 (RFC 9220 §3): without a key.
    ///
    /// ```
    /// use sockless::ClientRequest;
    /// use sockless::handshake::Offer;
    ///
    /// let request = ClientRequest::new("wss://example.com/chat")?.with_subprotocol("chat")?;
    /// let offer = Offer::extended_connect().subprotocols(request.subprotocols());
    /// // To send: request.pseudo_headers() and
    /// let fields: Vec<_> = offer.headers().collect();
    /// assert_eq!(fields, [
    ///     ("sec-websocket-version", "13".into()),
    ///     ("sec-websocket-protocol", "chat".into()),
    /// ]);
    /// let agreed = offer.check(200, [("sec-websocket-protocol", "chat")])?;
    /// assert_eq!(agreed.subprotocol, Some("chat"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn extended_connect() -> Self {
        Self {
            accept: None,
            subprotocols: "",
            answer: AnswerTo::Optional,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// The value of the `Sec-WebSocket-Protocol` that was sent, if one was.
    #[must_use]
    pub const fn subprotocols(mut self, list: &'o str) -> Self {
        self.subprotocols = list;
        self
    }

    /// The compression that was offered, with [`DeflateConfig::offer`].
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub const fn deflate(mut self, deflate: &'o DeflateConfig) -> Self {
        self.deflate = Some(deflate);
        self
    }

    /// Takes a response without a subprotocol for an error if any was offered, as browsers do.
    #[must_use]
    pub const fn require_subprotocol(mut self) -> Self {
        self.answer = AnswerTo::Required;
        self
    }

    /// The header fields that make this offer, names in lower case: the version, and subprotocols and
    /// extensions if any are offered (§4.1).
    ///
    /// With HTTP/1.1 there are `Host`, `Upgrade`, `Connection` and `Sec-WebSocket-Key` to send as well.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'o, str>)> + use<'o> {
        let subprotocols = Some(self.subprotocols).filter(|list| !list.is_empty());
        #[cfg(feature = "deflate")]
        let extensions = self.deflate.map(|deflate| Cow::Owned(deflate.offer()));
        #[cfg(not(feature = "deflate"))]
        let extensions = None;
        let fields = [
            ("sec-websocket-version", Some(Cow::Borrowed("13"))),
            ("sec-websocket-protocol", subprotocols.map(Cow::Borrowed)),
            ("sec-websocket-extensions", extensions),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Checks the server's response (§4.1). `headers` are its header fields in order, each line a
    /// pair of its own; a `&HeaderMap` of the crate `http` will do. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// The first rule that the response breaks; [`HandshakeError::UnexpectedStatus`] if the server
    /// refuses.
    pub fn check<'h, N, V>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'h N, &'h V)>,
    ) -> Result<Agreed<'h>, HandshakeError>
    where
        N: AsRef<str> + ?Sized + 'h,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        // R030: any other status ends the attempt (§4.1 (1)). R365: in answer to an extended CONNECT
        // each success is one (RFC 8441 §5).
        let is_success = match self.accept {
            Some(_) => status == 101,
            None => (200..=299).contains(&status),
        };
        if !is_success {
            return Err(HandshakeError::UnexpectedStatus(status));
        }
        let fields = ResponseFields::read(headers)?;
        if let Some(accept) = self.accept {
            fields.check_upgrade(accept)?;
        }
        #[cfg(feature = "deflate")]
        let deflate = match (self.deflate, &fields.extension) {
            (Some(deflate), Some(extension)) => Some(deflate.check(extension)?),
            _ => None,
        };
        #[cfg(not(feature = "deflate"))]
        let deflate: Option<()> = None;
        // R037: what was not offered may not be there (§4.1 (5)); R312: nor twice what was.
        if fields.extensions > usize::from(deflate.is_some()) {
            return Err(HandshakeError::UnofferedExtension);
        }
        Ok(Agreed {
            subprotocol: self.check_subprotocol(fields.subprotocol)?,
            #[cfg(feature = "deflate")]
            deflate,
        })
    }

    fn check_subprotocol<'h>(&self, slot: Slot<'h>) -> Result<Option<&'h str>, HandshakeError> {
        let name = match slot {
            // R041: once, one token (§11.3.4).
            Slot::Once(name) => token(name).ok_or(HandshakeError::InvalidSubprotocol)?,
            Slot::Repeated => return Err(HandshakeError::InvalidSubprotocol),
            // R042: the RFC lets a server choose none.
            Slot::Absent if self.answer == AnswerTo::Required && !self.subprotocols.is_empty() => {
                return Err(HandshakeError::MissingSubprotocol);
            }
            Slot::Absent => return Ok(None),
        };
        // R040: one that was offered, in the same case (§4.1 (6), RFC 7936).
        if tokens(self.subprotocols.as_bytes()).any(|offered| offered == Some(name)) {
            Ok(Some(name))
        } else {
            Err(HandshakeError::UnofferedSubprotocol)
        }
    }
}

/// Without the subprotocols, in which there may be secrets.
impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("is_extended_connect", &self.accept.is_none())
            .field("subprotocols", &Hidden(self.subprotocols.len()))
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// What the handshake reads of a response's header.
#[derive(Clone, Debug, Default)]
struct ResponseFields<'h> {
    upgrade: Slot<'h>,
    accept: Slot<'h>,
    subprotocol: Slot<'h>,
    extensions: usize,
    /// The first of them.
    #[cfg(feature = "deflate")]
    extension: Option<Extension<'h>>,
    names_upgrade: bool,
    connection_is_malformed: bool,
}

impl<'h> ResponseFields<'h> {
    fn read<N, V>(headers: impl IntoIterator<Item = (&'h N, &'h V)>) -> Result<Self, HandshakeError>
    where
        N: AsRef<str> + ?Sized + 'h,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        let mut fields = Self::default();
        for (name, value) in lines(headers) {
            fields.put(name, value)?;
        }
        Ok(fields)
    }

    /// The rules of HTTP/1.1.
    fn check_upgrade(&self, accept: [u8; 28]) -> Result<(), HandshakeError> {
        // R033: one protocol and no other (§4.1 (2)).
        match self.upgrade {
            Slot::Once(name) if name.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(HandshakeError::MissingUpgrade),
        }
        // R034: a list with `Upgrade` in it (§4.1 (3)).
        if !self.names_upgrade || self.connection_is_malformed {
            return Err(HandshakeError::MissingConnection);
        }
        // R035, R036: once, and the answer to our key (§4.1 (4), §11.3.3).
        match self.accept {
            Slot::Once(text) if text == accept => Ok(()),
            Slot::Repeated => Err(HandshakeError::RepeatedAccept),
            _ => Err(HandshakeError::InvalidAccept),
        }
    }

    // R044: names in whatever case; whatever has no arm here is ignored. R046: so is what speaks of a body,
    // which a 101 does not have, whatever its fields say (RFC 9112 §6.3). R365: nor has the answer to a
    // CONNECT (RFC 9110 §9.3.6).
    fn put(&mut self, name: &str, value: &'h [u8]) -> Result<(), HandshakeError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            7 if is("upgrade") => self.upgrade.put(value),
            10 if is("connection") => match names_upgrade(value) {
                Some(named) => self.names_upgrade |= named,
                None => self.connection_is_malformed = true,
            },
            20 if is("sec-websocket-accept") => self.accept.put(value),
            22 if is("sec-websocket-protocol") => self.subprotocol.put(value),
            24 if is("sec-websocket-extensions") => {
                // R038, R039: every line counts, and each keeps to the grammar (§9.1, erratum 3433).
                let before = self.extensions;
                for extension in extensions(value) {
                    #[cfg(feature = "deflate")]
                    self.extension.get_or_insert(extension?);
                    #[cfg(not(feature = "deflate"))]
                    extension?;
                    self.extensions += 1;
                }
                // R038, R100: a list has at least one element (RFC 9110 §5.6.1).
                if self.extensions == before {
                    return Err(HandshakeError::InvalidExtensions);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
