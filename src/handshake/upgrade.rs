//! The server's check of a request: [RFC 6455 §4.2.1].
//!
//! One pass over the header fields, which are dispatched by their names, and then the rules in an
//! order of their own. It serves the text of HTTP/1.1 as well as the fields of a foreign HTTP stack.
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

use core::fmt;

use super::authority::Authority;
use super::error::HandshakeError;
use super::key::{accept_key, is_key};
use super::list::{Extension, MAX_ELEMENTS, elements, extensions, tokens};
use super::syntax::{Slot, content_length, is_token, lines, values, version};

/// Checks a request to open a WebSocket whose head a foreign HTTP stack has read (RFC 6455 §4.2.1).
///
/// `headers` are the header fields in order, each line a pair of its own; values need not be trimmed.
/// A `&HeaderMap` of the crate `http` will do as it is, and so will an array of pairs. They are walked
/// through once more for each list in them, which is why they are cloned: give what clones for nothing.
/// Nothing else is allocated. An example stands at the [module](super).
///
/// To accept, answer with status 101, `Upgrade: websocket`, `Connection: Upgrade`,
/// `Sec-WebSocket-Accept` with [`Upgrade::accept`], and `Sec-WebSocket-Protocol` with one of
/// [`Upgrade::subprotocols`] or not at all (§4.2.2).
///
/// # Errors
///
/// The first rule that the request breaks; [`HandshakeError::status`] says how to answer.
pub fn check_request<'h, H, N, V>(
    method: &str,
    http: HttpVersion,
    headers: H,
) -> Result<Upgrade<H>, HandshakeError>
where
    H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    let fields = RequestFields::read(headers.clone());
    fields.check_message(http)?;
    fields.check_upgrade(method, http, headers)
}

/// The version of HTTP that a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.0, which cannot upgrade (RFC 9110 §7.8).
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A request that was found to be right: what is needed to accept it (RFC 6455 §4.2.2).
#[derive(Clone, Debug)]
pub struct Upgrade<H> {
    accept: [u8; 28],
    offers: Offers<H>,
}

impl<'h, H, N, V> Upgrade<H>
where
    H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    /// The value for `Sec-WebSocket-Accept`.
    #[must_use]
    pub const fn accept(&self) -> [u8; 28] {
        self.accept
    }

    /// The subprotocols that the client offers, the one that it likes best first. At most 64, all
    /// different, compared case-sensitively.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'h str> + use<'h, H, N, V> {
        self.offers.subprotocols()
    }

    /// The extensions that the client offers, the one that it likes best first (§9.1). At most 64.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'h>> + use<'h, H, N, V> {
        self.offers.extensions()
    }
}

/// What a request offers, in header fields that were found to be right.
#[derive(Clone)]
pub(super) struct Offers<H> {
    headers: H,
}

/// R410: without the fields, which may be secrets.
impl<H> fmt::Debug for Offers<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offers").finish_non_exhaustive()
    }
}

impl<'h, H, N, V> Offers<H>
where
    H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    pub(super) fn subprotocols(&self) -> impl Iterator<Item = &'h str> + use<'h, H, N, V> {
        values(lines(self.headers.clone()), "sec-websocket-protocol")
            .flat_map(tokens)
            .flatten()
    }

    pub(super) fn extensions(&self) -> impl Iterator<Item = Extension<'h>> + use<'h, H, N, V> {
        values(lines(self.headers.clone()), "sec-websocket-extensions")
            .flat_map(extensions)
            .flatten()
    }
}

/// What the handshake reads of a request's header.
#[derive(Clone, Debug)]
pub(super) struct RequestFields<'h> {
    pub(super) host: Slot<'h>,
    origin: Slot<'h>,
    content_length: Slot<'h>,
    key: Slot<'h>,
    pub(super) version: Slot<'h>,
    has_transfer_encoding: bool,
    has_expectation: bool,
    has_subprotocols: bool,
    has_extensions: bool,
    pub(super) has_upgrade: bool,
    pub(super) has_connection: bool,
    /// `Upgrade` names `websocket`.
    asks_for_websocket: bool,
    upgrade_is_malformed: bool,
    /// `Connection` names `Upgrade`.
    connection: Result<bool, HandshakeError>,
}

impl<'h> RequestFields<'h> {
    pub(super) fn read<N, V>(headers: impl IntoIterator<Item = (&'h N, &'h V)>) -> Self
    where
        N: AsRef<str> + ?Sized + 'h,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        let mut fields = Self {
            host: Slot::Absent,
            origin: Slot::Absent,
            content_length: Slot::Absent,
            key: Slot::Absent,
            version: Slot::Absent,
            has_transfer_encoding: false,
            has_expectation: false,
            has_subprotocols: false,
            has_extensions: false,
            has_upgrade: false,
            has_connection: false,
            asks_for_websocket: false,
            upgrade_is_malformed: false,
            connection: Ok(false),
        };
        for (name, value) in lines(headers) {
            fields.put(name, value);
        }
        fields
    }

    // R075: whatever has no arm here is ignored.
    fn put(&mut self, name: &str, value: &'h [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => self.host.put(value),
            6 if is("origin") => self.origin.put(value),
            6 if is("expect") => self.has_expectation = true,
            7 if is("upgrade") => {
                self.has_upgrade = true;
                match names_websocket(value) {
                    Some(named) => self.asks_for_websocket |= named,
                    None => self.upgrade_is_malformed = true,
                }
            }
            10 if is("connection") => {
                self.has_connection = true;
                // R034, R066: a list, perhaps over several lines, of tokens in whatever case.
                let named = names_upgrade(value).ok_or(HandshakeError::MissingConnection);
                self.connection = self.connection.and_then(|before| Ok(before | named?));
            }
            14 if is("content-length") => self.content_length.put(value),
            17 if is("transfer-encoding") => self.has_transfer_encoding = true,
            17 if is("sec-websocket-key") => self.key.put(value),
            21 if is("sec-websocket-version") => self.version.put(value),
            22 if is("sec-websocket-protocol") => self.has_subprotocols = true,
            24 if is("sec-websocket-extensions") => self.has_extensions = true,
            _ => {}
        }
    }

    pub(super) const fn asks_for_websocket(&self) -> bool {
        self.asks_for_websocket
    }

    /// The rules for every request, also for one that asks for a page.
    pub(super) fn check_message(&self, http: HttpVersion) -> Result<(), HandshakeError> {
        self.check_body()?;
        // R064: one `Host`, and what it says is a host (§4.2.1 (2), RFC 9112 §3.2).
        match self.host {
            Slot::Once(host) if is_authority(host) => {}
            Slot::Absent if http == HttpVersion::Http10 => {}
            _ => return Err(HandshakeError::InvalidHost),
        }
        self.check_expectation_and_origin()
    }

    pub(super) fn check_body(&self) -> Result<(), HandshakeError> {
        // R079: no body, or its bytes would be read as frames (RFC 9112 §6).
        if self.has_transfer_encoding {
            return Err(HandshakeError::UnexpectedBody);
        }
        match self.content_length {
            Slot::Absent => Ok(()),
            Slot::Once(text) => match content_length(text) {
                Some(0) => Ok(()),
                Some(_) => Err(HandshakeError::UnexpectedBody),
                None => Err(HandshakeError::InvalidContentLength),
            },
            Slot::Repeated => Err(HandshakeError::InvalidContentLength),
        }
    }

    pub(super) fn check_expectation_and_origin(&self) -> Result<(), HandshakeError> {
        // R080: there is no body to wait for, so nothing to expect (RFC 9110 §10.1.1).
        if self.has_expectation {
            return Err(HandshakeError::UnsupportedExpectation);
        }
        // R087: an origin is compared as text, and two of them would leave open which one (§4.2.1
        // (7)).
        match self.origin {
            Slot::Absent => Ok(()),
            Slot::Once(origin) if origin.is_ascii() => Ok(()),
            _ => Err(HandshakeError::InvalidOrigin),
        }
    }

    /// The rules for a request that asks for a WebSocket.
    pub(super) fn check_upgrade<H, N, V>(
        &self,
        method: &str,
        http: HttpVersion,
        headers: H,
    ) -> Result<Upgrade<H>, HandshakeError>
    where
        H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
        N: AsRef<str> + ?Sized + 'h,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        // R062: HTTP/1.0 knows no upgrade (§4.2.1 (1), RFC 9110 §7.8).
        if http == HttpVersion::Http10 {
            return Err(HandshakeError::UnsupportedHttpVersion);
        }
        // R061: GET, in this case (§4.2.1 (1)).
        if method != "GET" {
            return Err(HandshakeError::MethodNotAllowed);
        }
        // R060: every line of `Upgrade` keeps to its grammar (RFC 9110 §7.8).
        if self.upgrade_is_malformed {
            return Err(HandshakeError::MalformedHead);
        }
        // R065: and one of them names `websocket`, in whatever case (§4.2.1 (3)).
        if !self.asks_for_websocket {
            return Err(HandshakeError::MissingUpgrade);
        }
        // R066: `Connection` names `Upgrade` (§4.2.1 (4)).
        if !self.connection? {
            return Err(HandshakeError::MissingConnection);
        }
        // R070, R071: before the key, which another version may have otherwise (§4.2.1 (6), §4.4).
        let Slot::Once(number) = self.version else {
            return Err(HandshakeError::InvalidVersion);
        };
        match version(number) {
            Some(13) => {}
            Some(_) => return Err(HandshakeError::UnsupportedVersion),
            None => return Err(HandshakeError::InvalidVersion),
        }
        // R067, R068: one key, of 16 bytes (§4.2.1 (5), §11.3.1).
        let key = match self.key {
            Slot::Once(key) if is_key(key) => key,
            // A comma is what two keys look like once a proxy has joined their lines.
            Slot::Once(key) if !key.contains(&b',') => return Err(HandshakeError::InvalidKey),
            Slot::Absent => return Err(HandshakeError::InvalidKey),
            Slot::Once(_) | Slot::Repeated => return Err(HandshakeError::RepeatedKey),
        };
        Ok(Upgrade {
            accept: accept_key(key),
            offers: self.check_offers(headers)?,
        })
    }

    /// The rules for the lists, of which there may be none.
    pub(super) fn check_offers<H, N, V>(&self, headers: H) -> Result<Offers<H>, HandshakeError>
    where
        H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
        N: AsRef<str> + ?Sized + 'h,
        V: AsRef<[u8]> + ?Sized + 'h,
    {
        if self.has_subprotocols {
            check_subprotocols(values(lines(headers.clone()), "sec-websocket-protocol"))?;
        }
        if self.has_extensions {
            check_extensions(values(lines(headers.clone()), "sec-websocket-extensions"))?;
        }
        Ok(Offers { headers })
    }
}

/// R072, R073: tokens, at least one, all different (§4.2.1 (8), §4.1 (10)).
fn check_subprotocols<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<(), HandshakeError> {
    let mut seen = [""; MAX_ELEMENTS];
    let mut count = 0;
    for name in lines.flat_map(tokens) {
        let name = name.ok_or(HandshakeError::InvalidSubprotocols)?;
        // RFC 7936: names that differ in case are different.
        if seen.iter().take(count).any(|other| *other == name) {
            return Err(HandshakeError::RepeatedSubprotocol);
        }
        // R107: so many that comparing them stays cheap.
        *seen.get_mut(count).ok_or(HandshakeError::TooManyOffers)? = name;
        count += 1;
    }
    if count == 0 {
        Err(HandshakeError::InvalidSubprotocols)
    } else {
        Ok(())
    }
}

/// R074: the grammar alone decides here; an offer that is not wanted is no error (§9.1).
fn check_extensions<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<(), HandshakeError> {
    let mut count = 0;
    for offer in lines.flat_map(extensions) {
        offer?;
        // R107: so many and no more.
        count += 1;
        if count > MAX_ELEMENTS {
            return Err(HandshakeError::TooManyOffers);
        }
    }
    // R100: an empty list is none (RFC 9110 §5.6.1).
    if count == 0 {
        Err(HandshakeError::InvalidExtensions)
    } else {
        Ok(())
    }
}

/// Whether the list of an `Upgrade` field has `websocket` in it; `None` if it is malformed (RFC 9110
/// §7.8).
pub(super) fn names_websocket(value: &[u8]) -> Option<bool> {
    elements(value).try_fold(false, |named, name| {
        let is_protocol = name.splitn(2, |byte| *byte == b'/').all(is_token);
        is_protocol.then_some(named | name.eq_ignore_ascii_case(b"websocket"))
    })
}

/// Whether the list of a `Connection` field has `upgrade` in it; `None` if it is malformed.
pub(super) fn names_upgrade(value: &[u8]) -> Option<bool> {
    tokens(value).try_fold(false, |named, token| {
        Some(named | token?.eq_ignore_ascii_case("upgrade"))
    })
}

pub(super) fn is_authority(host: &[u8]) -> bool {
    core::str::from_utf8(host).is_ok_and(|host| Authority::parse(host).is_ok())
}
