//! The origin of a request: [RFC 6455 §10.2] and [RFC 6454].
//!
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2
//! [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454

use super::authority::Authority;

/// Whether two origins are the same: scheme, host and port (RFC 6454 §5).
///
/// Compares whole and without regard to ASCII case; a port that is the scheme's default need not be
/// written. `null`, and whatever is not of the form `scheme://host` or `scheme://host:port`, is the
/// same as nothing, not even as itself. A server that knows users by their cookies should answer
/// requests of foreign origins with 403 (RFC 6455 §10.2).
///
/// `allowed` is the origin that browsers see. Behind a proxy that ends TLS that is `https://` and the
/// public name, though this server is spoken to in plain HTTP: write it down in the configuration. Do not
/// put it together from `Host` and the scheme of this hop, nor from a header such as
/// `X-Forwarded-Proto`, unless the proxy overwrites it.
///
/// ```
/// use sockless::handshake::same_origin;
///
/// assert!(same_origin("https://example.com", "https://EXAMPLE.com:443"));
/// assert!(!same_origin("https://example.com.evil.org", "https://example.com"));
/// assert!(!same_origin("http://example.com", "https://example.com"));
/// assert!(!same_origin("null", "null"));
/// ```
#[must_use]
pub fn same_origin(origin: &str, allowed: &str) -> bool {
    // R076: scheme, host and port, never a part of the text.
    let (Some(origin), Some(allowed)) = (Origin::parse(origin), Origin::parse(allowed)) else {
        return false;
    };
    origin.scheme.eq_ignore_ascii_case(allowed.scheme)
        && origin.host.eq_ignore_ascii_case(allowed.host)
        && origin.port == allowed.port
}

pub(super) struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let rest = scheme.strip_prefix(|first: char| first.is_ascii_alphabetic())?;
        if !rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        {
            return None;
        }
        let Authority { host, port } = Authority::parse(authority).ok()?;
        Some(Self {
            scheme,
            host,
            port: port.or_else(|| default_port(scheme)),
        })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |known| scheme.eq_ignore_ascii_case(known);
    if is("https") || is("wss") {
        Some(443)
    } else if is("http") || is("ws") {
        Some(80)
    } else {
        None
    }
}
