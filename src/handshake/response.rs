//! [`Response`]: how a request was answered, [RFC 6455 §4.2.2].
//!
//! One type for both directions: what a server answers, and what a client was answered.
//!
//! [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::Request;
use super::list::tokens;
use super::syntax::{
    Headers, Hidden, InvalidHeader, add_field, ascii, decimal, is_reserved, push_all, push_field,
    set_field, values, version,
};

/// The answer to the request that opens a connection (RFC 6455 §4.2.2).
///
/// A server makes one: [`Response::default`] accepts, [`Response::new`] refuses. A client gets one, in
/// [`Event::Open`](crate::Event::Open) or [`Event::Rejected`](crate::Event::Rejected); its head is
/// at most [`Config::max_head_size`](crate::Config::max_head_size) long and its body
/// [`Config::max_response_body`](crate::Config::max_response_body). What a client got may be passed on
/// by a server: the fields that the handshake writes itself are then left out.
///
/// ```
/// use sockless::Response;
///
/// let accepted = Response::default().with_header("Set-Cookie", "id=1")?;
/// assert_eq!((accepted.status(), accepted.subprotocol()), (101, None));
///
/// let refused = Response::new(401).with_header("WWW-Authenticate", "Basic")?.with_text("who are you?");
/// assert_eq!(refused.body(), b"who are you?");
/// # Ok::<(), sockless::handshake::InvalidHeader>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    /// Whole header lines.
    fields: Vec<u8>,
    /// What a server chose; in a received response it is in the fields.
    subprotocol: Option<Box<str>>,
    body: Vec<u8>,
    /// Whether the body is all of the body.
    is_complete: bool,
    #[cfg(feature = "deflate")]
    compression: CompressionChoice,
}

/// Whether compression is agreed to where it can be.
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CompressionChoice {
    Agreed,
    Declined,
}

impl Default for Response {
    /// The plain acceptance: status 101, no subprotocol, nothing allocated.
    fn default() -> Self {
        Self::new(101)
    }
}

impl Response {
    /// A response with this status and nothing else.
    ///
    /// 101 accepts; 300 to 599 refuse; for a plain HTTP request
    /// ([`Config::serve_plain_http`](crate::Config::serve_plain_http)) 200 to 299 are right as well.
    /// What does not fit is refused when it is sent, with
    /// [`SendError::InvalidStatus`](crate::SendError::InvalidStatus).
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            subprotocol: None,
            body: Vec::new(),
            is_complete: true,
            #[cfg(feature = "deflate")]
            compression: CompressionChoice::Agreed,
        }
    }

    /// Chooses a subprotocol: the first of those that `request` offers for which `is_wanted` says yes, or
    /// none (§4.2.2). A second call replaces it.
    ///
    /// The client's order is its order of preference. To go by your own, call it for each name until
    /// [`subprotocol`](Self::subprotocol) has one. In a response that does not accept it means nothing.
    #[must_use]
    pub fn with_subprotocol(
        mut self,
        request: &Request,
        mut is_wanted: impl FnMut(&str) -> bool,
    ) -> Self {
        let chosen = request.subprotocols().find(|name| is_wanted(name));
        self.subprotocol = chosen.map(Into::into);
        self
    }

    /// Declines compression, though [`Config::deflate`](crate::Config::deflate) is set and the client offers
    /// it (RFC 7692 §5.1): the 101 agrees to no extension, and
    /// [`Connection::deflate`](crate::Connection::deflate) is `None`.
    ///
    /// For one client among others whose inflater is broken; its `User-Agent` may tell. Whoever answers
    /// with an HTTP stack of its own declines by leaving `Sec-WebSocket-Extensions` out, and opens the
    /// connection with [`Connection::upgraded`](crate::Connection::upgraded).
    ///
    /// ```
    /// use sockless::{Request, Response};
    ///
    /// fn answer(request: &Request) -> Response {
    ///     let is_broken = |agent: &[u8]| agent.windows(11).any(|part| part == b"Version/15.");
    ///     match request.header("user-agent") {
    ///         Some(agent) if is_broken(agent) => Response::default().without_compression(),
    ///         _ => Response::default(),
    ///     }
    /// }
    /// ```
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub const fn without_compression(mut self) -> Self {
        self.compression = CompressionChoice::Declined;
        self
    }

    /// Adds a header field, such as `Set-Cookie`, `Location` or `WWW-Authenticate`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`]: a name that is not a token, a value with a control character, or a field
    /// that is written by itself: the body's length, and those of the handshake.
    pub fn with_header(
        mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidHeader> {
        add_field(&mut self.fields, name, value.as_ref())?;
        Ok(self)
    }

    /// Sets the body; its length is sent with it.
    #[must_use]
    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        (self.body, self.is_complete) = (bytes.into(), true);
        self
    }

    /// Sets a body of plain text, and the `Content-Type` that says so.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.set_content_type(b"text/plain; charset=utf-8");
        self.with_body(text)
    }

    /// Sets a page as the body, and the `Content-Type` that says so.
    #[must_use]
    pub fn with_html(mut self, page: &str) -> Self {
        self.set_content_type(b"text/html; charset=utf-8");
        self.with_body(page)
    }

    /// The status code (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The subprotocol that the server chose (§4.2.2).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        let received = || self.header("sec-websocket-protocol").and_then(ascii);
        self.subprotocol.as_deref().or_else(received)
    }

    /// The versions of the protocol that a refusing server speaks, if it says so (§4.4): what several
    /// `Sec-WebSocket-Version` lines list, without what is not a version.
    pub fn supported_versions(&self) -> impl Iterator<Item = u8> + Clone {
        // R052: a list, over one or several lines.
        let names = values(self.headers(), "sec-websocket-version")
            .flat_map(tokens)
            .flatten();
        names.filter_map(|name| version(name.as_bytes()))
    }

    /// The value of the first header field with this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().first(name)
    }

    /// All header fields in order; in a response that is to be sent, those that were added.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(&self.fields)
    }

    /// The body. Of a received one, what came of it up to the limit; [`is_complete`](Self::is_complete)
    /// says whether that is all of it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether [`body`](Self::body) is the whole body (RFC 9112 §8). Always, but for a response that a
    /// client received and whose body
    ///
    /// - is longer than [`Config::max_response_body`](crate::Config::max_response_body), or reaches it
    ///   without a stated length, so that nobody waits to see whether more comes;
    /// - breaks the chunked coding, or has no last chunk;
    /// - is shorter than its `Content-Length` says, because the transport ended;
    /// - came over a transport that was [reset](crate::Connection::transport_reset), or was not all there
    ///   when [`Config::handshake_timeout`](crate::Config::handshake_timeout) had passed.
    ///
    /// A body without a stated length ends with the transport, and is complete if that
    /// [ended in order](crate::Connection::end_of_stream). Where there is no TLS, nobody can tell such an
    /// end from one that somebody else brought about.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// A response that a client received; `fields` are well-formed header lines.
    pub(super) fn received(status: u16, fields: &[u8]) -> Self {
        Self {
            fields: fields.into(),
            ..Self::new(status)
        }
    }

    fn set_content_type(&mut self, value: &[u8]) {
        set_field(&mut self.fields, "Content-Type", value);
    }

    pub(super) fn set_received_body(&mut self, body: Vec<u8>, is_complete: bool) {
        (self.body, self.is_complete) = (body, is_complete);
    }

    #[cfg(feature = "deflate")]
    pub(super) const fn declines_compression(&self) -> bool {
        matches!(self.compression, CompressionChoice::Declined)
    }

    /// Appends the header lines that are the caller's.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        // R093: a response that was received, and is passed on, has fields of its own handshake and
        // of its own body's length.
        for (name, value) in self.headers().filter(|field| !is_reserved(field.0)) {
            push_field(out, name, value);
        }
    }
}

/// Without the values of most fields, which may be secrets; see [`Headers`]. The body is printed.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field(
                "subprotocol",
                &self.subprotocol().map(|name| Hidden(name.len())),
            )
            .field("headers", &self.headers())
            .field("body", &format_args!("{}", self.body.escape_ascii()))
            .field("is_complete", &self.is_complete)
            .finish()
    }
}

/// Appends the first line of a response (RFC 9112 §4).
pub(super) fn push_status_line(out: &mut Vec<u8>, status: u16) {
    let digits = &mut [0; 20];
    let reason = reason_phrase(status).as_bytes();
    push_all(
        out,
        &[
            b"HTTP/1.1 ",
            decimal(status.into(), digits),
            b" ",
            reason,
            b"\r\n",
        ],
    );
}

/// The phrase for the statuses that answer a request to open a WebSocket or to fetch a page, and
/// nothing for the others (RFC 9110 §15; RFC 6585 §3 to §5).
pub(super) const fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
