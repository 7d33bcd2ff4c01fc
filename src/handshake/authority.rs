//! `host:port`, as in a URI, in `Host` and in an origin: [RFC 3986 §3.2].
//!
//! [RFC 3986 §3.2]: https://www.rfc-editor.org/rfc/rfc3986#section-3.2

use core::net::Ipv6Addr;

use memchr::memchr;

/// A host and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name or an address; one of IPv6 still in its brackets.
    pub(super) host: &'a str,
    /// `None` also for a colon with nothing after it.
    pub(super) port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidAuthority {
    UserInfo,
    Host,
    Port,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidAuthority> {
        // R011: nobody logs in by a URI here, and what stands before an `@` is a classic disguise.
        if memchr(b'@', text.as_bytes()).is_some() {
            return Err(InvalidAuthority::UserInfo);
        }
        let end = if text.starts_with('[') {
            memchr(b']', text.as_bytes()).map_or(text.len(), |bracket| bracket + 1)
        } else {
            memchr(b':', text.as_bytes()).unwrap_or(text.len())
        };
        let (host, rest) = text.split_at_checked(end).ok_or(InvalidAuthority::Host)?;
        // R004, R064: only what a host may consist of.
        if !is_host(host) {
            return Err(InvalidAuthority::Host);
        }
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return Err(InvalidAuthority::Host),
            Some("") => None,
            Some(digits) => Some(port(digits).ok_or(InvalidAuthority::Port)?),
        };
        Ok(Self { host, port })
    }
}

fn port(digits: &str) -> Option<u16> {
    // `parse` alone would take a `+`.
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

/// RFC 3986 §3.2.2; of the IP literals those of IPv6, without a zone.
fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    let mut rest = host.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (byte, _) if is_host_byte(*byte) => after,
            // R404: an escape stands for what is not ASCII, or for what could stand there without it. A
            // control character, a space or a `/` is no part of a host, however it is written.
            (b'%', [high, low, after @ ..]) => match unescaped(*high, *low) {
                Some(byte) if is_host_byte(byte) || !byte.is_ascii() => after,
                _ => return false,
            },
            _ => return false,
        };
    }
    !host.is_empty()
}

/// RFC 3986 §2.2, §2.3: unreserved characters and the delimiters that a name may have.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$')
        || matches!(byte, b'&'..=b',' | b';' | b'=')
}

/// The byte that `%` and two hexadecimal digits stand for (RFC 3986 §2.1).
pub(super) fn unescaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
