//! Lists in header fields against a second reading of RFC 9110 §5.6.1 and RFC 6455 §9.1: cut at the
//! commas and semicolons, for what may stand in quotes has none.

use sockless::handshake::{
    HandshakeError, HttpVersion, PseudoHeaders, check_extended_connect, check_request, extensions,
};

type Extension = (String, Vec<(String, Option<String>)>);

pub(crate) fn check(data: &[u8]) {
    let (mut found, mut count) = (Vec::new(), 0);
    for item in extensions(data) {
        count += 1;
        assert!(count <= data.len(), "no progress");
        found.push(item.map(|extension| {
            let parameters = extension.parameters();
            let parameters = parameters.map(|(name, value)| (name.into(), value.map(Into::into)));
            (extension.name().to_owned(), parameters.collect())
        }));
    }
    let wrong = HandshakeError::InvalidExtensions;
    let expected = naive_extensions(data).into_iter().map(|e| e.ok_or(wrong));
    assert_eq!(found, expected.collect::<Vec<_>>());
    check_fields(data);
}

/// The first error is the last item.
fn naive_extensions(value: &[u8]) -> Vec<Option<Extension>> {
    let mut all = Vec::new();
    for item in elements(value) {
        let extension = naive_extension(item);
        let failed = extension.is_none();
        all.push(extension);
        if failed {
            break;
        }
    }
    all
}

fn naive_extension(item: &[u8]) -> Option<Extension> {
    let mut pieces = item.split(|byte| *byte == b';').map(trim);
    let name = token(pieces.next()?)?;
    let mut parameters = Vec::new();
    for piece in pieces {
        let mut sides = piece.splitn(2, |byte| *byte == b'=').map(trim);
        let name = token(sides.next()?)?;
        let value = match sides.next() {
            None => None,
            Some([b'"', inner @ .., b'"']) => {
                // A backslash and what it stands before are that.
                let (mut plain, mut bytes) = (Vec::new(), inner.iter());
                while let Some(&byte) = bytes.next() {
                    plain.push(if byte == b'\\' { *bytes.next()? } else { byte });
                }
                Some(token(&plain)?)
            }
            Some(value) => Some(token(value)?),
        };
        parameters.push((name, value));
    }
    (parameters.len() <= 16).then_some((name, parameters))
}

/// The same value in each of the fields that are lists.
fn check_fields(value: &[u8]) {
    let base: [(&str, &[u8]); 5] = [
        ("host", b"a"),
        ("upgrade", b"websocket"),
        ("connection", b"upgrade"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", b"13"),
    ];
    let with = |name| {
        let fields = base.into_iter().filter(move |field| field.0 != name);
        check_request("GET", HttpVersion::Http11, fields.chain([(name, value)]))
    };
    // A list means the same in HTTP/2 and HTTP/3.
    let pseudo = PseudoHeaders {
        method: "CONNECT",
        protocol: Some("websocket"),
        scheme: Some("https"),
        authority: Some("a"),
        path: Some("/"),
    };
    for name in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        let fields: [(&str, &[u8]); 2] = [("sec-websocket-version", b"13"), (name, value)];
        match (with(name), check_extended_connect(pseudo, fields)) {
            (Ok(one), Ok(other)) => {
                assert!(one.subprotocols().eq(other.subprotocols()));
                let names =
                    |extension: sockless::handshake::Extension<'_>| extension.name().to_owned();
                assert!(
                    one.extensions()
                        .map(names)
                        .eq(other.extensions().map(names))
                );
            }
            (one, other) => assert_eq!(one.err(), other.err()),
        }
    }

    let names: Vec<_> = elements(value).map(token).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    let right = !names.is_empty() && names.len() <= 64;
    let right = right && sorted.len() == names.len() && names.iter().all(Option::is_some);
    match with("sec-websocket-protocol") {
        Ok(upgrade) => {
            assert!(right);
            let seen: Vec<_> = upgrade.subprotocols().map(Into::into).map(Some).collect();
            assert_eq!(seen, names);
        }
        Err(error) => assert!(!right, "{error}"),
    }

    let offers = naive_extensions(value);
    let right = (1..=64).contains(&offers.len()) && offers.iter().all(Option::is_some);
    match with("sec-websocket-extensions") {
        Ok(upgrade) => {
            assert!(right);
            assert_eq!(upgrade.extensions().count(), offers.len());
        }
        Err(error) => assert!(!right, "{error}"),
    }

    let says = |text| {
        elements(value).map(token).try_fold(false, |found, item| {
            Some(found | item?.eq_ignore_ascii_case(text))
        })
    };
    assert_eq!(with("connection").is_ok(), says("upgrade") == Some(true));
    // An element of `Upgrade` may have a version, which `websocket` does not.
    let protocols = elements(value).all(|item| {
        let mut sides = item.splitn(2, |byte| *byte == b'/');
        sides.all(|side| token(side).is_some())
    });
    let websocket = elements(value).any(|item| item.eq_ignore_ascii_case(b"websocket"));
    assert_eq!(with("upgrade").is_ok(), protocols && websocket);
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let items = value.split(|byte| *byte == b',').map(trim);
    items.filter(|item| !item.is_empty())
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 §5.6.2.
fn token(text: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(text).ok()?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    (!text.is_empty() && text.chars().all(is_token)).then(|| text.to_owned())
}
