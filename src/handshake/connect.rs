//! The server's check of an extended CONNECT: [RFC 8441 §4, §5] for HTTP/2, [RFC 9220 §3] for HTTP/3.
//!
//! The same fields as in HTTP/1.1, but for those that change a connection of HTTP/1.1 into something
//! else: here a stream is opened for nothing but this.
//!
//! [RFC 8441 §4, §5]: https://www.rfc-editor.org/rfc/rfc8441#section-4
//! [RFC 9220 §3]: https://www.rfc-editor.org/rfc/rfc9220#section-3

use core::fmt;

use super::error::HandshakeError;
use super::list::Extension;
use super::request::is_path;
use super::syntax::{Slot, WithoutQuery};
use super::upgrade::{Offers, RequestFields, is_authority};

/// The setting with which a server lets its clients use extended CONNECT, by its value 1: of HTTP/2
/// (RFC 8441 §3) and, by the same number, of HTTP/3 (RFC 9220 §3).
///
/// A client waits for it before it sends such a request. A server that has sent it cannot take it
/// back, and a value other than 0 and 1 is an error of the HTTP connection.
pub const SETTINGS_ENABLE_CONNECT_PROTOCOL: u16 = 0x8;

/// Checks an extended CONNECT that asks for a WebSocket over HTTP/2 (RFC 8441 §5) or HTTP/3 (RFC 9220
/// §3).
///
/// `headers` are the header fields, as for [`check_request`](super::check_request), and with the same
/// rules for version, subprotocols, extensions and origin. There is no key: if one was sent, it means
/// nothing.
///
/// To accept, answer with status 200, without `Sec-WebSocket-Accept`, and with `Sec-WebSocket-Protocol`
/// and `Sec-WebSocket-Extensions` as to [`check_request`](super::check_request). Then the stream's data
/// are frames: go on with [`Connection::upgraded`](crate::Connection::upgraded). The
/// [module](super#http2-and-http3) says what becomes of the stream's end.
///
/// Nobody is connected to the authority, whatever it names: it says for which host the server is asked,
/// like `Host` (RFC 8441 §4).
///
/// ```
/// use sockless::handshake::{PseudoHeaders, check_extended_connect};
///
/// let pseudo = PseudoHeaders {
///     method: "CONNECT",
///     protocol: Some("websocket"),
///     scheme: Some("https"),
///     authority: Some("example.com"),
///     path: Some("/chat"),
/// };
/// let headers = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "superchat, chat")];
/// let request = check_extended_connect(pseudo, headers)?;
/// assert!(request.subprotocols().any(|name| name == "chat"));
/// # Ok::<(), sockless::handshake::HandshakeError>(())
/// ```
///
/// # Errors
///
/// The first rule that the request breaks; [`HandshakeError::status`] and
/// [`HandshakeError::headers`] say how to answer.
pub fn check_extended_connect<'h, H, N, V>(
    pseudo: PseudoHeaders<'_>,
    headers: H,
) -> Result<ExtendedConnect<H>, HandshakeError>
where
    H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    let authority = pseudo.check()?;
    let fields = RequestFields::read(headers.clone());
    // R362: what belongs to a connection of HTTP/1.1 (RFC 8441 §5, RFC 9113 §8.2.2).
    if fields.has_upgrade || fields.has_connection {
        return Err(HandshakeError::ConnectionSpecificField);
    }
    fields.check_body()?;
    // R362: `Host` says the same as `:authority`, or is not there (RFC 9113 §8.3.1).
    match fields.host {
        Slot::Absent => {}
        Slot::Once(host) if host.eq_ignore_ascii_case(authority.as_bytes()) => {}
        _ => return Err(HandshakeError::InvalidHost),
    }
    fields.check_expectation_and_origin()?;
    // R364: one error for whatever is not 13, for the status 426 would need `Upgrade`.
    if !matches!(fields.version, Slot::Once(b"13")) {
        return Err(HandshakeError::InvalidVersion);
    }
    // R363: and no key.
    Ok(ExtendedConnect {
        offers: fields.check_offers(headers)?,
    })
}

/// What stands in the place of a request line in HTTP/2 and HTTP/3 (RFC 9113 §8.3.1, RFC 8441 §4).
///
/// A server fills it from what its HTTP stack has read; from a request of the crate `http`:
///
/// | | |
/// |---|---|
/// | `method` | `request.method().as_str()` |
/// | `protocol` | the stack's `Protocol` in `request.extensions()` |
/// | `scheme` | `uri().scheme_str()` |
/// | `authority` | `uri().authority()`, then `as_str` |
/// | `path` | `uri().path_and_query()`, then `as_str` |
///
/// A client gets it from
/// [`ClientRequest::pseudo_headers`](crate::ClientRequest::pseudo_headers).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PseudoHeaders<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:protocol`, which makes a CONNECT an extended one.
    pub protocol: Option<&'a str>,
    /// `:scheme`.
    pub scheme: Option<&'a str>,
    /// `:authority`: the host, and the port if it is not the scheme's own.
    pub authority: Option<&'a str>,
    /// `:path`, with the query.
    pub path: Option<&'a str>,
}

impl<'a> PseudoHeaders<'a> {
    /// Answers the authority.
    fn check(&self) -> Result<&'a str, HandshakeError> {
        // R361, R368: without `:protocol` it is a tunnel that is asked for, or a page (RFC 8441 §4).
        let Some(protocol) = self.protocol.filter(|_| self.method == "CONNECT") else {
            return Err(HandshakeError::NotExtendedConnect);
        };
        // R369: in whatever case, as in `Upgrade` (RFC 9110 §7.8).
        if !protocol.eq_ignore_ascii_case("websocket") {
            return Err(HandshakeError::UnsupportedProtocol);
        }
        // R361: that of the HTTP connection, not `ws` or `wss` (RFC 8441 §5).
        let is_http = |s: &str| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https");
        // R361: all of them are there.
        if !self.scheme.is_some_and(is_http) || !self.path.is_some_and(is_path) {
            return Err(HandshakeError::InvalidTarget);
        }
        self.authority
            .filter(|authority| is_authority(authority.as_bytes()))
            .ok_or(HandshakeError::InvalidHost)
    }
}

/// Without the query, which may be secret.
impl fmt::Debug for PseudoHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PseudoHeaders")
            .field("method", &self.method)
            .field("protocol", &self.protocol)
            .field("scheme", &self.scheme)
            .field("authority", &self.authority)
            .field("path", &self.path.map(WithoutQuery))
            .finish()
    }
}

/// An extended CONNECT that was found to be right: what is needed to accept it (RFC 8441 §5).
#[derive(Clone, Debug)]
pub struct ExtendedConnect<H> {
    offers: Offers<H>,
}

impl<'h, H, N, V> ExtendedConnect<H>
where
    H: IntoIterator<Item = (&'h N, &'h V)> + Clone,
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    /// The subprotocols that the client offers, as [`Upgrade::subprotocols`](super::Upgrade::subprotocols).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'h str> + use<'h, H, N, V> {
        self.offers.subprotocols()
    }

    /// The extensions that the client offers, as [`Upgrade::extensions`](super::Upgrade::extensions).
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'h>> + use<'h, H, N, V> {
        self.offers.extensions()
    }
}
