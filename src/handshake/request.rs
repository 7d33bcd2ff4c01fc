//! [`Request`]: what a server was asked for, [RFC 6455 §4.2.1].
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

use alloc::boxed::Box;
use core::fmt;

use super::authority::Authority;
use super::error::HandshakeError;
use super::list::tokens;
use super::syntax::{Headers, WithoutQuery, ascii, values};

/// A request that a server received, found to be right (RFC 6455 §4.2.1); comes in
/// [`Event::Request`](crate::Event::Request).
///
/// What is *in* the request is the peer's word: the path, the origin and the cookies are for the
/// caller to judge before it accepts (§10.1, §10.2). Its size is at most
/// [`Config::max_head_size`](crate::Config::max_head_size).
///
/// ```
/// use sockless::handshake::same_origin;
/// use sockless::{Request, Response};
///
/// fn answer(request: &Request) -> Response {
///     if request.path() != "/chat" {
///         return Response::new(404).with_text("there is only /chat");
///     }
///     // No origin: not a browser.
///     if request.origin().is_some_and(|origin| !same_origin(origin, "https://example.com")) {
///         return Response::new(403);
///     }
///     Response::default().with_subprotocol(request, |name| name == "chat.v2")
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The whole head: `method SP target SP HTTP/1.x CR LF`, the header lines, the empty line.
    head: Box<[u8]>,
    method_size: usize,
    target_size: usize,
    kind: Kind,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Upgrade,
    Plain,
}

impl Request {
    pub(super) fn new(head: &[u8], method: &str, target: &str, kind: Kind) -> Self {
        Self {
            head: head.into(),
            method_size: method.len(),
            target_size: target.len(),
            kind,
        }
    }

    /// The method: `GET`, or any but `CONNECT` if [`is_upgrade`](Self::is_upgrade) is false (§4.2.1). In the
    /// case in which it was sent, for methods that differ in case are different (RFC 9110 §9.1).
    ///
    /// A request with a body does not get here, whatever its method. To a method that the path does not
    /// have, answer 405 and with an `Allow` that lists those that it has (RFC 9110 §15.5.6).
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(0, self.method_size)
    }

    /// The request target as sent: a path with an optional query, or a whole URI of scheme `http` or
    /// `https` (§4.2.1); with [`Config::serve_plain_http`](crate::Config::serve_plain_http) also `*`, of
    /// OPTIONS. ASCII without spaces and control characters, and otherwise as it came: browsers leave some
    /// characters as they are that RFC 3986 wants escaped, such as `|` in a query, and a stray `%` too.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.method_size + 1, self.target_size)
    }

    /// The path of the target as sent; starts with `/` (§4.2.1). Only of `OPTIONS *`, which asks about the
    /// server as a whole, it is `*` (RFC 9112 §3.2.4).
    ///
    /// Escapes such as `%20` are in it as they came: to decode them is the caller's part, and to do so
    /// after splitting the path, for `%2F` is no separator.
    #[must_use]
    pub fn path(&self) -> &str {
        Target::split(self.target()).path
    }

    /// What follows the `?` of the target, as sent (§3): `%` escapes, and `+` for a space in a form, are
    /// the caller's to decode.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        Target::split(self.target()).query
    }

    /// The host with its port if it was sent: of the target if that is a whole URI, else of the
    /// `Host` header (RFC 9112 §3.3). Empty only for a plain HTTP/1.0 request without either.
    #[must_use]
    pub fn host(&self) -> &str {
        Target::split(self.target())
            .authority
            .or_else(|| self.header("host").and_then(ascii))
            .unwrap_or_default()
    }

    /// The origin of the page whose script opens the connection; only browsers send it, and all of
    /// them do (§10.2). Compare it with [`same_origin`](super::same_origin).
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header("origin").and_then(ascii)
    }

    /// The subprotocols that the client offers, the one that it likes best first (§4.2.1). At most
    /// 64, all different, compared case-sensitively.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> + Clone {
        values(self.headers(), "sec-websocket-protocol")
            .flat_map(tokens)
            .flatten()
    }

    /// The value of the first header field with this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().first(name)
    }

    /// All header fields in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        // Behind the method, the target, two spaces, the version and the line end.
        let start = self.method_size + self.target_size + 2 + "HTTP/1.1\r\n".len();
        Headers::new(self.head.get(start..).unwrap_or_default())
    }

    /// Whether the request is one for a WebSocket. Always, unless
    /// [`Config::serve_plain_http`](crate::Config::serve_plain_http) is set.
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        matches!(self.kind, Kind::Upgrade)
    }

    fn text(&self, start: usize, size: usize) -> &str {
        let text = self.head.get(start..start + size).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

/// Without the query and the values of most fields, which may be secrets; see [`Headers`].
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &WithoutQuery(self.target()))
            .field("headers", &self.headers())
            .finish()
    }
}

/// The parts of a request target (RFC 9112 §3.2).
struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn split(target: &'a str) -> Self {
        let (target, query) = match target.split_once('?') {
            Some((target, query)) => (target, Some(query)),
            None => (target, None),
        };
        // R063: a path, or a whole URI with the path in it. R402: or `*`, the server as a whole.
        if target.starts_with('/') || target == "*" {
            return Self {
                authority: None,
                path: target,
                query,
            };
        }
        let rest = target.split_once("://").map_or("", |(_, rest)| rest);
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash).unwrap_or_default();
        Self {
            authority: Some(authority),
            path: if path.is_empty() { "/" } else { path },
            query,
        }
    }
}

/// R063, R361: an absolute path, perhaps with a query.
pub(super) fn is_path(target: &str) -> bool {
    target.starts_with('/') && is_visible(target)
}

/// R004, R081: visible ASCII only; and no fragment, which is not part of a target.
///
/// R408: but not what RFC 3986 asks of it, which [`ClientRequest`](super::ClientRequest) holds to: browsers
/// leave ``[ \ ] ^ ` { | }`` and a stray `%` in a query as they are, and such requests are to be served.
fn is_visible(target: &str) -> bool {
    target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// R063, R081: the target of a request, a path or a whole URI (RFC 9112 §3.2); and what OPTIONS and
/// CONNECT may have instead.
pub(super) fn check_target(method: &str, target: &str) -> Result<(), HandshakeError> {
    if is_path(target) {
        return Ok(());
    }
    let is_right = match method {
        // R402: these are right for their methods, which are refused for what they are (RFC 9112 §3.2.3,
        // §3.2.4).
        "OPTIONS" if target == "*" => true,
        "CONNECT" => Authority::parse(target).is_ok_and(|authority| authority.port.is_some()),
        _ => is_whole_uri(target),
    };
    if is_right {
        Ok(())
    } else {
        Err(HandshakeError::InvalidTarget)
    }
}

fn is_whole_uri(target: &str) -> bool {
    let scheme = target.split_once("://").map(|(scheme, _)| scheme);
    let is_http = |s: &str| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https");
    let authority = Target::split(target).authority.unwrap_or_default();
    is_visible(target) && scheme.is_some_and(is_http) && Authority::parse(authority).is_ok()
}
