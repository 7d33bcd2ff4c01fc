//! [`Admission`]: who may come in, to which room and under which name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;

use percent_encoding::percent_decode_str;
use sockless::handshake::same_origin;
use sockless::{Request, Response};

const MAX_NAME: usize = 32;
const MAX_ROOM: usize = 64;

pub(crate) struct Admission {
    door: Door,
    /// The origins of the pages that may connect.
    origins: Vec<String>,
}

pub(crate) enum Door {
    /// Anybody, under any name.
    Open,
    /// The name for each token.
    Tokens(HashMap<String, String>),
}

/// What a request asks for, and may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) room: String,
    pub(crate) name: String,
}

impl Admission {
    /// Pages may connect from `address`, where the server listens, from this machine, and from `others`.
    pub(crate) fn new(door: Door, address: SocketAddr, others: &[String]) -> Self {
        let port = address.port();
        let local = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}"));
        let hosts = local.into_iter().chain([address.to_string()]);
        // A proxy in front may speak TLS.
        let own = hosts.flat_map(|host| [format!("http://{host}"), format!("https://{host}")]);
        Self {
            door,
            origins: own.chain(others.iter().cloned()).collect(),
        }
    }

    /// The seat for a request to `/room/NAME`, or the HTTP response that refuses it.
    pub(crate) fn admit(&self, request: &Request) -> Result<Seat, Response> {
        if !self.is_origin_allowed(request) {
            let text = "a page of another site may not connect; --origin allows it\n";
            return Err(Response::new(403).with_text(text));
        }
        let Some(room) = request.path().strip_prefix("/room/") else {
            return Err(Response::new(404).with_text("the page is at /, rooms are at /room/NAME\n"));
        };
        let room = percent_decode_str(room).decode_utf8().unwrap_or_default();
        if !is_presentable(&room, MAX_ROOM) {
            let text = "a room's name has 1 to 64 characters, and no control characters\n";
            return Err(Response::new(400).with_text(text));
        }
        Ok(Seat {
            room: room.into_owned(),
            name: self.name_of(request)?,
        })
    }

    fn name_of(&self, request: &Request) -> Result<String, Response> {
        match &self.door {
            Door::Open => match parameter(request, "name") {
                Some(name) if is_presentable(&name, MAX_NAME) => Ok(name.into_owned()),
                _ => Err(Response::new(400).with_text("?name= has 1 to 32 characters\n")),
            },
            Door::Tokens(names) => token(request)
                .and_then(|token| names.get(&*token).cloned())
                .ok_or_else(|| {
                    let response = Response::new(401).with_text("this needs a valid ?token=\n");
                    // RFC 9110 §15.5.2: a 401 names the scheme that is wanted.
                    response
                        .with_header("WWW-Authenticate", "Bearer")
                        .unwrap_or(Response::new(401))
                }),
        }
    }

    /// Programs that are no browsers send no origin; a browser sends that of the page.
    ///
    /// What `Host` says is not asked. A page of evil.example can have its name resolve to this server
    /// (DNS rebinding), and then the two are the same.
    fn is_origin_allowed(&self, request: &Request) -> bool {
        let is_same = |origin| self.origins.iter().any(|own| same_origin(origin, own));
        request.origin().is_none_or(is_same)
    }
}

/// `?token=` or, for programs, `Authorization: Bearer`.
fn token(request: &Request) -> Option<Cow<'_, str>> {
    let header = || {
        let value = core::str::from_utf8(request.header("authorization")?).ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().into())
    };
    parameter(request, "token").or_else(header)
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(request.query()?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// Whether it can be shown as a name: not blank, not long, and nothing that is invisible at its ends or a
/// control character.
pub(crate) fn is_presentable(name: &str, max_characters: usize) -> bool {
    !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= max_characters
        && !name.chars().any(char::is_control)
}

/// `NAME=SECRET`, on the command line or in a line of a file.
pub(crate) fn parse_token(text: &str) -> Result<(String, String), String> {
    let (name, secret) = text.split_once('=').ok_or("not NAME=SECRET")?;
    let (name, secret) = (name.trim(), secret.trim());
    if !is_presentable(name, MAX_NAME) {
        return Err("a name has 1 to 32 characters".into());
    }
    if secret.is_empty() {
        return Err(format!("the secret of {name:?} is empty"));
    }
    Ok((name.to_owned(), secret.to_owned()))
}

/// The tokens of a file: a line for each, but for empty ones and those that start with `#`.
pub(crate) fn parse_tokens(file: &str) -> Result<Vec<(String, String)>, String> {
    let lines = file.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(n, line)| parse_token(line).map_err(|error| format!("line {}: {error}", n + 1)))
        .collect()
}

/// The name for each secret; two names cannot have the same.
pub(crate) fn door(tokens: Vec<(String, String)>) -> Result<Door, String> {
    let mut names = HashMap::new();
    for (name, secret) in tokens {
        if let Some(other) = names.insert(secret, name.clone()) {
            return Err(format!("{other:?} and {name:?} have the same secret"));
        }
    }
    Ok(Door::Tokens(names))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sockless::{Config, Connection, Event, Input, Next};

    use super::*;

    fn ask(admission: &Admission, target: &str, fields: &str) -> Result<Seat, u16> {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: chat.example:8080\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        let mut ws = Connection::server(Config::default());
        let mut input = Input::default();
        input.extend_from_slice(head.as_bytes());
        match ws.poll(&mut input, Duration::ZERO) {
            Next::Event(Event::Request(request)) => admission
                .admit(&request)
                .map_err(|response| response.status()),
            other => panic!("{other:?}"),
        }
    }

    fn seat(room: &str, name: &str) -> Result<Seat, u16> {
        let (room, name) = (room.to_owned(), name.to_owned());
        Ok(Seat { room, name })
    }

    fn listening() -> SocketAddr {
        ([192, 168, 0, 7], 8080).into()
    }

    fn with_tokens() -> Admission {
        let tokens = parse_tokens("# who\nada=s3cret\n\n bob = a=b&c \n").unwrap();
        let others = ["https://friend.example".to_owned()];
        Admission::new(door(tokens).unwrap(), listening(), &others)
    }

    #[test]
    fn a_token_is_a_name() {
        let admission = with_tokens();
        assert_eq!(
            ask(&admission, "/room/a?token=s3cret", ""),
            seat("a", "ada")
        );
        assert_eq!(
            ask(&admission, "/room/a?x=1&token=a%3Db%26c", ""),
            seat("a", "bob")
        );
        assert_eq!(
            ask(&admission, "/room/a", "Authorization: bearer s3cret\r\n"),
            seat("a", "ada")
        );
        for target in [
            "/room/a",
            "/room/a?token=",
            "/room/a?token=S3CRET",
            "/room/a?name=ada",
        ] {
            assert_eq!(ask(&admission, target, ""), Err(401), "{target}");
        }
    }

    #[test]
    fn the_open_door_lets_names_be_chosen() {
        let admission = Admission::new(Door::Open, listening(), &[]);
        assert_eq!(
            ask(&admission, "/room/r%C3%B6m?name=J%C3%B6rg+K.", ""),
            seat("röm", "Jörg K.")
        );
        let long = format!("/room/a?name={}", "x".repeat(33));
        for target in [
            "/room/a",
            "/room/a?name=",
            "/room/a?name=%20a",
            "/room/a?name=a%0Ab",
            &long,
        ] {
            assert_eq!(ask(&admission, target, ""), Err(400), "{target}");
        }
    }

    #[test]
    fn rooms_are_below_room() {
        let admission = with_tokens();
        assert_eq!(
            ask(&admission, "/room/a%2Fb?token=s3cret", ""),
            seat("a/b", "ada")
        );
        for (target, status) in [
            ("/", 404),
            ("/rooms/a", 404),
            ("/room/", 400),
            ("/room/%FF", 400),
            ("/room/%00", 400),
        ] {
            assert_eq!(
                ask(&admission, &format!("{target}?token=s3cret"), ""),
                Err(status),
                "{target}"
            );
        }
    }

    #[test]
    fn pages_of_other_sites_stay_out() {
        let admission = with_tokens();
        let from = |origin: &str| {
            let fields = format!("Origin: {origin}\r\n");
            ask(&admission, "/room/a?token=s3cret", &fields)
        };
        for origin in [
            "http://192.168.0.7:8080",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://LocalHost:8080",
            "https://friend.example",
        ] {
            assert_eq!(from(origin), seat("a", "ada"), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost",
            "http://localhost:3000",
            "http://192.168.0.7",
            "http://evil.example",
            "http://localhost.evil.example:8080",
            "http://friend.example",
        ] {
            assert_eq!(from(origin), Err(403), "{origin}");
        }
    }

    #[test]
    fn t86_a_page_whose_name_was_made_to_resolve_here_stays_out() {
        // What `ask` sends as Host is the page's own name and port.
        let admission = Admission::new(Door::Open, listening(), &[]);
        for scheme in ["http", "https"] {
            let fields = format!("Origin: {scheme}://chat.example:8080\r\n");
            assert_eq!(ask(&admission, "/room/a?name=ada", &fields), Err(403));
        }
        // A program that is no browser.
        assert_eq!(ask(&admission, "/room/a?name=ada", ""), seat("a", "ada"));
    }

    #[test]
    fn tokens_that_are_wrong_are_named() {
        for (file, error) in [
            ("ada", "line 1: not NAME=SECRET"),
            ("ok=1\n=x", "line 2: a name has 1 to 32 characters"),
            ("ada=", "line 1: the secret of \"ada\" is empty"),
        ] {
            assert_eq!(parse_tokens(file), Err(error.to_owned()));
        }
        let same = vec![("a".into(), "x".into()), ("b".into(), "x".into())];
        assert_eq!(
            door(same).err().as_deref(),
            Some("\"a\" and \"b\" have the same secret")
        );
    }
}
