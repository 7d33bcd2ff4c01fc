//! [`ClientRequest`]: what a client asks for, [RFC 6455 §3] and [§4.1].
//!
//! [RFC 6455 §3]: https://www.rfc-editor.org/rfc/rfc6455#section-3
//! [§4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::authority::{Authority, InvalidAuthority, unescaped};
use super::connect::PseudoHeaders;
use super::key::encode_text;
use super::origin::Origin;
use super::syntax::{
    Hidden, InvalidHeader, WithoutQuery, add_field, check_field, is_token, push_all, push_field,
    set_field,
};

/// The request that a client opens a connection with (RFC 6455 §4.1).
///
/// Made from a URI, it also says where to connect to: [`host`](Self::host), [`port`](Self::port) and
/// [`is_secure`](Self::is_secure). Three duties of a client are the caller's, for they concern the
/// transport:
///
/// - of several connections to the same address, only one at a time may be in its handshake (§4.1);
/// - for `wss`, TLS with the host's name (SNI) comes before the first byte of the request (§4.1);
/// - to connect again after an abnormal ending, wait first: a random time of up to five seconds, and
///   longer each time it fails (§7.2.3). Each attempt is a new connection with a new key.
///
/// ```
/// use sockless::ClientRequest;
///
/// let request = ClientRequest::new("wss://example.com/chat?room=1")?
///     .with_subprotocol("chat")?
///     .with_header("Authorization", "Bearer secret")?;
/// assert_eq!((request.host(), request.port()), ("example.com", 443));
/// assert!(request.is_secure());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientRequest {
    scheme: Scheme,
    /// The host, and the port if it is not the scheme's own.
    authority: String,
    /// How much of it is the host; an address of IPv6 is in its brackets.
    host_size: usize,
    port: u16,
    /// What is written instead of the authority.
    virtual_host: Option<String>,
    target: String,
    /// The names, joined as they are sent.
    subprotocols: String,
    origin: Option<String>,
    /// The caller's header lines.
    fields: Vec<u8>,
}

impl ClientRequest {
    /// A request for the resource that a `ws` or `wss` URI names (§3).
    ///
    /// An empty path becomes `/`. What a URI cannot hold as it is must be in its encoded form already: in
    /// the host `xn--` for characters outside ASCII, in path and query `%` and two hexadecimal digits for
    /// each byte of them, and of spaces, control characters, ``" # < > [ \ ] ^ ` { | }`` and a `%` that
    /// begins no such escape (RFC 3986 §3.3, §3.4). A token goes into a query like this:
    ///
    /// ```
    /// use sockless::ClientRequest;
    ///
    /// /// The text with everything escaped that could mean something in a URI (RFC 3986 §2.3).
    /// fn escaped(text: &str) -> String {
    ///     let escape = |byte: u8| match byte {
    ///         b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).into(),
    ///         _ => format!("%{byte:02X}"),
    ///     };
    ///     text.bytes().map(escape).collect()
    /// }
    ///
    /// let uri = format!("wss://example.com/feed?token={}", escaped("Bearer 50%|é"));
    /// let request = ClientRequest::new(&uri)?;
    /// assert_eq!(request.target(), "/feed?token=Bearer%2050%25%7C%C3%A9");
    /// # Ok::<(), sockless::handshake::InvalidUri>(())
    /// ```
    ///
    /// What people type is not a URI yet. Browsers make one of it by the rules of the WHATWG, and so does
    /// the crate `url`: parse the text with `Url::parse`, and give its `as_str()` to this function, after
    /// `set_fragment(None)`. These rules leave ``[ \ ] ^ ` { | }`` and a stray `%` in a query as they are, for
    /// servers take them; RFC 3986 does not, nor does this function. So build queries with
    /// `query_pairs_mut`, which escapes all of them.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`]: another scheme; a user name, which a WebSocket URI has no place for; no host,
    /// or one that cannot be; a port that is no port; a fragment (write `#` as `%23`); a character that
    /// has to be escaped, which the error names with its place.
    pub fn new(uri: &str) -> Result<Self, InvalidUri> {
        // R001: `ws` or `wss`, in whatever case (§3).
        let (scheme, rest) = uri.split_once("://").ok_or(InvalidUri::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(InvalidUri::Scheme)?;
        // R002: a fragment means nothing here (§3).
        if rest.contains('#') {
            return Err(InvalidUri::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).ok_or(InvalidUri::Host)?;
        // R011: no user-info (§3, §4.1).
        let authority = Authority::parse(authority).map_err(|error| match error {
            InvalidAuthority::UserInfo => InvalidUri::UserInfo,
            InvalidAuthority::Host => InvalidUri::Host,
            InvalidAuthority::Port => InvalidUri::Port,
        })?;
        if let Some((at, character)) = first_unescaped(target) {
            let before = uri.len() - target.len();
            return Err(InvalidUri::Target {
                at: before + at,
                character,
            });
        }
        // R003: an empty path is written as `/` (§3).
        let slash = if target.starts_with('/') { "" } else { "/" };
        // R001: the scheme's port, unless another is given (§3).
        let Authority { host, port } = authority;
        let port = port.unwrap_or_else(|| scheme.default_port());
        let mut authority = String::from(host);
        // R011: the port only when it is not the scheme's own (§4.1 (4)).
        if port != scheme.default_port() {
            let _ = write!(authority, ":{port}");
        }
        Ok(Self {
            scheme,
            authority,
            host_size: host.len(),
            port,
            virtual_host: None,
            target: [slash, target].concat(),
            subprotocols: String::new(),
            origin: None,
            fields: Vec::new(),
        })
    }

    /// Offers a subprotocol; the first one offered is the one that the client likes best (§1.9).
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Subprotocol`] if it is not a token,
    /// [`InvalidHeader::RepeatedSubprotocol`] if it was offered before.
    pub fn with_subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        // R015: tokens, all different (§4.1).
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Subprotocol);
        }
        if self.subprotocols.split(", ").any(|offered| offered == name) {
            return Err(InvalidHeader::RepeatedSubprotocol);
        }
        if !self.subprotocols.is_empty() {
            self.subprotocols.push_str(", ");
        }
        self.subprotocols.push_str(name);
        Ok(self)
    }

    /// Sends the origin of the page that opens the connection, as browsers must (§4.1). A second
    /// call replaces it.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Origin`] if it is neither `null` nor of the form `scheme://host:port`.
    pub fn with_origin(mut self, origin: &str) -> Result<Self, InvalidHeader> {
        // R017: a serialised origin (RFC 6454 §7).
        if origin != "null" && Origin::parse(origin).is_none() {
            return Err(InvalidHeader::Origin);
        }
        self.origin = Some(origin.into());
        Ok(self)
    }

    /// Sends this `Host` instead of the URI's: a host, and a port behind a colon if it is to be named. A
    /// second call replaces it.
    ///
    /// For a server that is reached under another address than its own: by an IP address, through a tunnel
    /// or behind a proxy that took a port away. [`host`](Self::host) and [`port`](Self::port) still say
    /// where to connect to; over HTTP/2 it is the authority in
    /// [`pseudo_headers`](Self::pseudo_headers). The name for TLS is yours to choose: as a rule it is this
    /// one.
    ///
    /// ```
    /// use sockless::ClientRequest;
    ///
    /// let request = ClientRequest::new("ws://127.0.0.1:8080/chat")?.with_host("chat.example.com")?;
    /// assert_eq!((request.host(), request.port()), ("127.0.0.1", 8080));
    /// assert_eq!(request.pseudo_headers().authority, Some("chat.example.com"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Host`] if it is not of the form `host` or `host:port` (RFC 9110 §7.2).
    pub fn with_host(mut self, host: &str) -> Result<Self, InvalidHeader> {
        // R405: what a server would take (RFC 9112 §3.2).
        if Authority::parse(host).is_err() {
            return Err(InvalidHeader::Host);
        }
        self.virtual_host = Some(host.into());
        Ok(self)
    }

    /// Sends a user name and a password: the `Authorization` field of the scheme `Basic` (RFC 7617). It
    /// replaces an `Authorization` that is there.
    ///
    /// They are encoded, not encrypted: send them over `wss` only.
    ///
    /// ```
    /// use sockless::ClientRequest;
    ///
    /// // Not wss://Aladdin:open%20sesame@example.com/
    /// let request = ClientRequest::new("wss://example.com/")?.with_basic_auth("Aladdin", "open sesame")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Credentials`] for a colon in the user name, or a control character in either
    /// (RFC 7617 §2).
    pub fn with_basic_auth(mut self, user: &str, password: &str) -> Result<Self, InvalidHeader> {
        // R406: the first colon ends the name, and there are no control characters (RFC 7617 §2).
        let has_control = |text: &str| text.bytes().any(|byte| byte.is_ascii_control());
        if user.contains(':') || has_control(user) || has_control(password) {
            return Err(InvalidHeader::Credentials);
        }
        let credentials = encode_text([user, ":", password].concat().as_bytes());
        let value = [b"Basic ", &credentials[..]].concat();
        set_field(&mut self.fields, "Authorization", &value);
        Ok(self)
    }

    /// Adds a header field, such as `Authorization` or `Cookie` (§4.1). The field `Origin` is the
    /// same as [`with_origin`](Self::with_origin); a second `Authorization` replaces the first.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`]: a name that is not a token, a value with a control character, or a field
    /// that the handshake writes itself. For `Host` there is [`with_host`](Self::with_host), for
    /// `Sec-WebSocket-Protocol` [`with_subprotocol`](Self::with_subprotocol).
    pub fn with_header(
        mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidHeader> {
        if name.eq_ignore_ascii_case("origin") {
            let origin = core::str::from_utf8(value.as_ref()).map_err(|_| InvalidHeader::Origin)?;
            return self.with_origin(origin);
        }
        // R406: one set of credentials (RFC 9110 §11.6.2).
        if name.eq_ignore_ascii_case("authorization") {
            check_field(name, value.as_ref())?;
            set_field(&mut self.fields, name, value.as_ref());
            return Ok(self);
        }
        add_field(&mut self.fields, name, value.as_ref())?;
        Ok(self)
    }

    /// The URI's host, to connect to and, unless there is [another](Self::with_host), to name in TLS; an
    /// IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.get(..self.host_size).unwrap_or_default();
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inner.unwrap_or(host)
    }

    /// The port to connect to: the URI's, else 80 for `ws` and 443 for `wss` (§3).
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the scheme is `wss`, so that TLS comes first (§4.1).
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Wss)
    }

    /// The request target: the path and, after a `?`, the query (§3).
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The offered subprotocols, joined as they are sent; empty if there are none.
    #[must_use]
    pub fn subprotocols(&self) -> &str {
        &self.subprotocols
    }

    /// What asks for the same over HTTP/2 or HTTP/3, by an extended CONNECT (RFC 8441 §5, RFC 9220 §3).
    ///
    /// It is sent with the fields that [`Offer::headers`](super::Offer::headers) gives, once the server
    /// has [allowed](super::SETTINGS_ENABLE_CONNECT_PROTOCOL) it.
    #[must_use]
    pub fn pseudo_headers(&self) -> PseudoHeaders<'_> {
        // R361: the scheme is HTTP's.
        PseudoHeaders {
            method: "CONNECT",
            protocol: Some("websocket"),
            scheme: Some(if self.is_secure() { "https" } else { "http" }),
            authority: Some(self.authority()),
            path: Some(&self.target),
        }
    }

    /// What `Host` says.
    fn authority(&self) -> &str {
        self.virtual_host.as_deref().unwrap_or(&self.authority)
    }

    /// Appends the request: R010 to R018, §4.1.
    pub(super) fn write(&self, key: &[u8; 24], extensions: Option<&str>, out: &mut Vec<u8>) {
        push_all(
            out,
            &[
                b"GET ",
                self.target.as_bytes(),
                b" HTTP/1.1\r\nHost: ",
                self.authority().as_bytes(),
                b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
                key,
                b"\r\nSec-WebSocket-Version: 13\r\n",
            ],
        );
        // R015: the header only with a name in it (§4.1 (10)).
        if !self.subprotocols.is_empty() {
            let names = self.subprotocols.as_bytes();
            push_all(out, &[b"Sec-WebSocket-Protocol: ", names, b"\r\n"]);
        }
        if let Some(extensions) = extensions {
            push_field(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        if let Some(origin) = &self.origin {
            push_all(out, &[b"Origin: ", origin.as_bytes(), b"\r\n"]);
        }
        push_all(out, &[&self.fields, b"\r\n"]);
    }
}

/// Without the query, the subprotocols and the caller's header fields, which may be secrets.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("scheme", &self.scheme)
            .field("host", &self.host())
            .field("port", &self.port)
            .field("virtual_host", &self.virtual_host)
            .field("target", &WithoutQuery(&self.target))
            .field("subprotocols", &Hidden(self.subprotocols.len()))
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// R004, R404: the first character that a path and a query cannot have as it is (RFC 3986 §2.1, §3.3, §3.4):
/// neither it nor what it could do to the request line (RFC 9112 §3.2) gets any further.
fn first_unescaped(target: &str) -> Option<(usize, char)> {
    target
        .char_indices()
        .find(|(at, character)| match character {
            '%' => {
                let digits = target.as_bytes().get(at + 1..at + 3);
                !matches!(digits, Some([high, low]) if unescaped(*high, *low).is_some())
            }
            '"' | '#' | '<' | '>' | '[' | '\\' | ']' | '^' | '`' | '{' | '|' | '}' => true,
            _ => !character.is_ascii_graphic(),
        })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Ws,
    Wss,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        let is = |scheme| text.eq_ignore_ascii_case(scheme);
        if is("ws") {
            Some(Self::Ws)
        } else if is("wss") {
            Some(Self::Wss)
        } else {
            None
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// Why a text is not a URI that a WebSocket client can ask for (RFC 6455 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUri {
    /// The scheme is not `ws` or `wss`.
    Scheme,
    /// There is a user name or password in the URI, which has no place for them; take them out, and give
    /// them to [`ClientRequest::with_basic_auth`].
    UserInfo,
    /// The host is missing, or not a name or an address.
    Host,
    /// The port is not a number up to 65,535.
    Port,
    /// There is a fragment; a `#` that belongs to the path or query is written `%23`.
    Fragment,
    /// The path or query has a character that a URI cannot hold as it is, or a `%` without two hexadecimal
    /// digits behind it; [`ClientRequest::new`] says how to escape them.
    Target {
        /// Where in the text of the URI it stands, in bytes.
        at: usize,
        /// The character.
        character: char,
    },
}

impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "scheme is not ws or wss",
            Self::UserInfo => "user name in a websocket uri; with_basic_auth sends it",
            Self::Host => "missing or invalid host",
            Self::Port => "invalid port",
            Self::Fragment => "fragment in a websocket uri; write a # of the path or query as %23",
            Self::Target { at, character } => {
                write!(f, "{character:?} at byte {at} of the uri is to be written ")?;
                let mut utf8 = [0; 4];
                let mut bytes = character.encode_utf8(&mut utf8).bytes();
                return bytes.try_for_each(|byte| write!(f, "%{byte:02X}"));
            }
        })
    }
}

impl core::error::Error for InvalidUri {}
