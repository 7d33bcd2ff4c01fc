//! Header fields: [RFC 9110 §5].
//!
//! What may stand in a name and in a value, the iterator over lines that are known to be right, and
//! the writing of lines.
//!
//! [RFC 9110 §5]: https://www.rfc-editor.org/rfc/rfc9110#section-5

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr;

/// The header fields of a [`Request`](super::Request) or a [`Response`](super::Response) in the
/// order in which they stand there: names as sent, values without surrounding whitespace.
#[derive(Clone)]
pub struct Headers<'h> {
    /// Whole lines, each with its line end; known to be well-formed.
    lines: &'h [u8],
}

impl<'h> Headers<'h> {
    pub(super) const fn new(lines: &'h [u8]) -> Self {
        Self { lines }
    }

    /// The value of the first field with this name, in whatever case.
    pub(super) fn first(mut self, name: &str) -> Option<&'h [u8]> {
        self.find(|field| field.0.eq_ignore_ascii_case(name))
            .map(|field| field.1)
    }
}

impl<'h> Iterator for Headers<'h> {
    type Item = (&'h str, &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr(b'\r', self.lines)?;
        let (line, rest) = self.lines.split_at_checked(end)?;
        self.lines = rest.get(2..).unwrap_or_default();
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((core::str::from_utf8(name).ok()?, trim(value.get(1..)?)))
    }
}

/// With the values of fields that have nothing secret in them, and the lengths of all other values: a
/// cookie or a token must not get into a log by `{:?}`.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = |(name, value)| (name, Printed { name, value });
        f.debug_map().entries(self.clone().map(printed)).finish()
    }
}

/// The value of a field, as it is printed.
struct Printed<'h> {
    name: &'h str,
    value: &'h [u8],
}

impl fmt::Debug for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // R410: those that the handshake reads, or that say what spoke; not `Sec-WebSocket-Protocol`, in
        // which pages send tokens, for they have no other field.
        const PUBLIC: [&str; 15] = [
            "connection",
            "content-length",
            "content-type",
            "date",
            "host",
            "origin",
            "retry-after",
            "sec-websocket-accept",
            "sec-websocket-extensions",
            "sec-websocket-version",
            "server",
            "transfer-encoding",
            "upgrade",
            "user-agent",
            "www-authenticate",
        ];
        if PUBLIC
            .iter()
            .any(|public| self.name.eq_ignore_ascii_case(public))
        {
            write!(f, "\"{}\"", self.value.escape_ascii())
        } else {
            Hidden(self.value.len()).fmt(f)
        }
    }
}

/// Stands for so many bytes that may be secret.
pub(super) struct Hidden(pub(super) usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

/// A request target, printed without its query, where tokens stand: R410.
pub(super) struct WithoutQuery<'a>(pub(super) &'a str);

impl fmt::Debug for WithoutQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(target) = self;
        match target.split_once('?') {
            Some((path, query)) => write!(f, "\"{path}?\"{:?}", Hidden(query.len())),
            None => write!(f, "\"{target}\""),
        }
    }
}

/// The header fields of a foreign HTTP stack, in whatever types it has them.
pub(super) fn lines<'h, N, V>(
    headers: impl IntoIterator<Item = (&'h N, &'h V)>,
) -> impl Iterator<Item = (&'h str, &'h [u8])>
where
    N: AsRef<str> + ?Sized + 'h,
    V: AsRef<[u8]> + ?Sized + 'h,
{
    let text = |(name, value): (&'h N, &'h V)| (name.as_ref(), value.as_ref());
    headers.into_iter().map(text)
}

/// The values of all fields with this name, in order.
pub(super) const fn values<I>(headers: I, name: &'static str) -> Values<I> {
    Values { headers, name }
}

#[derive(Clone, Debug)]
pub(super) struct Values<I> {
    headers: I,
    name: &'static str,
}

impl<'h, I> Iterator for Values<I>
where
    I: Iterator<Item = (&'h str, &'h [u8])>,
{
    type Item = &'h [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let is_it = |field: &(&str, _)| field.0.eq_ignore_ascii_case(self.name);
        self.headers.find(is_it).map(|field| field.1)
    }
}

/// A field of which there may be one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Slot<'h> {
    #[default]
    Absent,
    Once(&'h [u8]),
    Repeated,
}

impl<'h> Slot<'h> {
    pub(super) fn put(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Absent => Self::Once(trim(value)),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

/// The number in a `Content-Length`, if it is one (RFC 9110 §8.6). What does not fit saturates: it
/// is above every limit anyway.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    let add = |sum: u64, digit: &u8| {
        digit
            .is_ascii_digit()
            .then(|| sum.saturating_mul(10).saturating_add((digit - b'0').into()))
    };
    if value.is_empty() {
        None
    } else {
        value.iter().try_fold(0, add)
    }
}

/// Why a header field cannot be added to a [`ClientRequest`](super::ClientRequest) or a
/// [`Response`](super::Response). Nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 §5.1).
    Name,
    /// The value has a control character, such as a line end (RFC 9110 §5.5).
    Value,
    /// The field belongs to the handshake, which writes it itself: `Host`, `Upgrade`, `Connection`,
    /// `Content-Length`, `Transfer-Encoding`, `Expect` and whatever starts with `Sec-WebSocket-`.
    ///
    /// Some have setters of their own: [`with_host`](super::ClientRequest::with_host), `with_subprotocol` of
    /// either, [`with_body`](super::Response::with_body), and `Config::deflate` for extensions.
    Reserved,
    /// The name of the subprotocol is not a token (RFC 6455 §4.1).
    Subprotocol,
    /// The subprotocol was offered before (RFC 6455 §4.1).
    RepeatedSubprotocol,
    /// The origin is neither `null` nor of the form `scheme://host:port` (RFC 6454 §7).
    Origin,
    /// The host is not of the form `host` or `host:port` (RFC 9110 §7.2).
    Host,
    /// The user name has a colon, or one of user name and password a control character (RFC 7617 §2).
    Credentials,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "header name is not a token",
            Self::Value => "control character in a header value",
            Self::Reserved => {
                "header that the handshake writes itself; \
                 with_host sets Host, with_subprotocol Sec-WebSocket-Protocol"
            }
            Self::Subprotocol => "name of a subprotocol is not a token",
            Self::RepeatedSubprotocol => "subprotocol offered twice",
            Self::Origin => "origin is not of the form scheme://host:port",
            Self::Host => "host is not of the form host or host:port",
            Self::Credentials => "colon in a user name, or control character in a credential",
        })
    }
}

impl core::error::Error for InvalidHeader {}

/// Appends a field that the caller wants to send: R018, R093.
pub(super) fn add_field(
    fields: &mut Vec<u8>,
    name: &str,
    value: &[u8],
) -> Result<(), InvalidHeader> {
    check_field(name, value)?;
    push_field(fields, name, value);
    Ok(())
}

/// Whether the caller may send such a field.
pub(super) fn check_field(name: &str, value: &[u8]) -> Result<(), InvalidHeader> {
    // R018: a name is a token, and a value cannot start another line or another message (RFC 9110
    // §5.1, §5.5).
    if !is_token(name.as_bytes()) {
        return Err(InvalidHeader::Name);
    }
    if !value.iter().all(|byte| is_value_byte(*byte)) {
        return Err(InvalidHeader::Value);
    }
    if is_reserved(name) {
        return Err(InvalidHeader::Reserved);
    }
    Ok(())
}

/// Appends a field that is known to be right, in the place of all others with its name.
pub(super) fn set_field(fields: &mut Vec<u8>, name: &str, value: &[u8]) {
    let mut set = Vec::new();
    let others = Headers::new(fields).filter(|field| !field.0.eq_ignore_ascii_case(name));
    for (name, value) in others {
        push_field(&mut set, name, value);
    }
    push_field(&mut set, name, value);
    *fields = set;
}

/// R018, R093: what decides over the handshake and over the bytes behind the head is ours to write.
pub(super) fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 6] = [
        "host",
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
        "expect",
    ];
    let websocket = name
        .get(..14)
        .is_some_and(|p| p.eq_ignore_ascii_case("sec-websocket-"));
    websocket
        || RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
}

pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_all(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
}

/// Appends the parts with one reserve.
pub(super) fn push_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.reserve(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The decimal digits of a number, in the end of `buffer`.
pub(super) fn decimal(mut number: usize, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for digit in buffer.iter_mut().rev() {
        *digit = u8::try_from(number % 10).map_or(b'0', |n| b'0' + n);
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^'..=b'`' | b'|' | b'~')
}

/// RFC 9110 §5.5: visible characters, space, tab, and bytes above ASCII.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// Without the spaces and tabs on both ends (RFC 9110 §5.6.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The text of a field that the handshake reads, which is ASCII: R050, R087.
pub(super) fn ascii(value: &[u8]) -> Option<&str> {
    if value.is_ascii() {
        core::str::from_utf8(value).ok()
    } else {
        None
    }
}

/// A number from 0 to 255 without leading zeros, as `Sec-WebSocket-Version` has it (RFC 6455 §4.3).
pub(super) fn version(text: &[u8]) -> Option<u8> {
    let minimal = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 3;
    if minimal {
        content_length(text).and_then(|number| number.try_into().ok())
    } else {
        None
    }
}
