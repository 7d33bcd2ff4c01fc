//! Header fields that are lists: [RFC 9110 §5.6.1] and [RFC 6455 §9.1].
//!
//! Read from left to right in one pass: no recursion, no way back, and nothing allocated but for the
//! value of a parameter with a backslash in it.
//!
//! [RFC 9110 §5.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1
//! [RFC 6455 §9.1]: https://www.rfc-editor.org/rfc/rfc6455#section-9.1

use alloc::borrow::Cow;
use alloc::string::String;

use super::error::HandshakeError;
use super::syntax::{is_token, is_token_byte, trim};

/// The most names in all `Sec-WebSocket-Protocol` lines of a request, and the most offers in its
/// `Sec-WebSocket-Extensions` lines: R107.
pub(super) const MAX_ELEMENTS: usize = 64;

/// The most parameters of one extension: R107.
const MAX_PARAMETERS: usize = 16;

/// The extensions in the value of one `Sec-WebSocket-Extensions` line (RFC 6455 §9.1).
///
/// In order, which in a request is the order of preference. Several lines are one list: their
/// elements simply follow each other. The first error is the last item; it is always
/// [`HandshakeError::InvalidExtensions`], also for more than 16 parameters of one extension.
///
/// ```
/// use sockless::handshake::extensions;
///
/// let mut list = extensions(b"foo; bits=\"1\\0\"; flag, bar");
/// let foo = list.next().unwrap()?;
/// assert_eq!(foo.name(), "foo");
/// let parameters: Vec<_> = foo.parameters().collect();
/// assert_eq!(parameters, [("bits", Some("10".into())), ("flag", None)]);
/// assert_eq!(list.next().unwrap()?.name(), "bar");
/// # Ok::<(), sockless::handshake::HandshakeError>(())
/// ```
#[must_use]
pub const fn extensions(value: &[u8]) -> Extensions<'_> {
    Extensions {
        cursor: Cursor { rest: value },
    }
}

/// The iterator that [`extensions`] returns.
#[derive(Clone, Debug)]
pub struct Extensions<'h> {
    cursor: Cursor<'h>,
}

impl<'h> Iterator for Extensions<'h> {
    type Item = Result<Extension<'h>, HandshakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        // R100: empty elements are skipped.
        while self.cursor.skip(b',') {}
        if self.cursor.rest.is_empty() {
            return None;
        }
        let extension = self.cursor.extension();
        if extension.is_none() {
            self.cursor.rest = &[];
        }
        Some(extension.ok_or(HandshakeError::InvalidExtensions))
    }
}

/// One extension with its parameters, as a header offers or agrees it (RFC 6455 §9.1).
#[derive(Clone, Debug)]
pub struct Extension<'h> {
    name: &'h str,
    parameters: Cursor<'h>,
}

impl<'h> Extension<'h> {
    /// The name as sent. Names are compared exactly, case included.
    #[must_use]
    pub const fn name(&self) -> &'h str {
        self.name
    }

    /// The parameters in order: a name, and a value if there is one.
    #[must_use]
    pub fn parameters(&self) -> Parameters<'h> {
        Parameters {
            cursor: self.parameters.clone(),
        }
    }
}

/// The iterator that [`Extension::parameters`] returns; values in quotes come without the quotes and
/// backslashes.
#[derive(Clone, Debug)]
pub struct Parameters<'h> {
    cursor: Cursor<'h>,
}

impl<'h> Iterator for Parameters<'h> {
    type Item = (&'h str, Option<Cow<'h, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.cursor.skip(b';') {
            return None;
        }
        let (name, value) = self.cursor.parameter()?;
        Some((name, value.map(unescape)))
    }
}

/// The tokens of a `#token` list; `None` stands for an element that is not a token.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = Option<&str>> + Clone {
    elements(value).map(token)
}

/// A value that is one token.
pub(super) fn token(value: &[u8]) -> Option<&str> {
    if is_token(value) {
        core::str::from_utf8(value).ok()
    } else {
        None
    }
}

/// The elements of a list whose elements have no commas in them, without the empty ones: R100.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// What is left to read of a value.
#[derive(Clone, Debug)]
struct Cursor<'h> {
    rest: &'h [u8],
}

impl<'h> Cursor<'h> {
    /// `extension-token *( ";" extension-param )`, up to the comma or the end behind it.
    fn extension(&mut self) -> Option<Extension<'h>> {
        // R104: there is a name.
        let name = self.token()?;
        let start = self.rest;
        let mut count = 0;
        while self.skip(b';') {
            self.parameter()?;
            // R107: the count is bounded.
            count += 1;
            if count > MAX_PARAMETERS {
                return None;
            }
        }
        if !matches!(self.rest, [] | [b',', ..]) {
            return None;
        }
        let parameters = start.get(..start.len() - self.rest.len())?;
        Some(Extension {
            name,
            parameters: Self { rest: parameters },
        })
    }

    /// `token [ "=" (token | quoted-string) ]`; the value as it stands.
    fn parameter(&mut self) -> Option<(&'h str, Option<&'h str>)> {
        // R104: a name after `;`, a value after `=`.
        let name = self.token()?;
        if !self.skip(b'=') {
            return Some((name, None));
        }
        let value = if self.rest.first() == Some(&b'"') {
            self.quoted()?
        } else {
            self.token()?
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'h str> {
        let end = self.rest.iter().position(|byte| !is_token_byte(*byte));
        let (token, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        if token.is_empty() {
            return None;
        }
        self.rest = trim(rest);
        core::str::from_utf8(token).ok()
    }

    /// A quoted string, with its quotes.
    fn quoted(&mut self) -> Option<&'h str> {
        let mut end = 1;
        loop {
            // R102: what is in the quotes is itself a token, so a comma, a semicolon, a quote or a
            // backslash is an error there, escaped or not. R103: so is the end of the value.
            match self.rest.get(end..)? {
                [b'"', ..] if end > 1 => break,
                [b'\\', byte, ..] if is_token_byte(*byte) => end += 2,
                [byte, ..] if is_token_byte(*byte) => end += 1,
                _ => return None,
            }
        }
        let (quoted, rest) = self.rest.split_at_checked(end + 1)?;
        self.rest = trim(rest);
        core::str::from_utf8(quoted).ok()
    }

    /// Whether `separator` comes next; skips it and the whitespace on both sides (R101).
    fn skip(&mut self, separator: u8) -> bool {
        self.rest = trim(self.rest);
        match self.rest {
            [first, rest @ ..] if *first == separator => {
                self.rest = trim(rest);
                true
            }
            _ => false,
        }
    }
}

/// The value behind a quoted string or a token that was found to be right.
fn unescape(value: &str) -> Cow<'_, str> {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    if inner.contains('\\') {
        // No escaped backslash gets here: it is not in a token.
        Cow::Owned(inner.chars().filter(|c| *c != '\\').collect::<String>())
    } else {
        Cow::Borrowed(inner)
    }
}
