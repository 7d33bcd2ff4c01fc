//! What is said: JSON objects in text messages, told apart by `type`, and files in binary messages.
//!
//! A client sends
//!
//! ```json
//! {"type":"text","text":"hello"}                   to everyone else in the room
//! {"type":"private","to":"bob","text":"psst"}      to all connections of that name in the room
//! {"type":"file","name":"cat.png"}                 the name of the binary message that follows (optional)
//! ```
//!
//! and binary messages, which go to everyone else as they are. A server sends
//!
//! ```json
//! {"type":"welcome","room":"lobby","name":"ada","members":["ada","bob"],"sharing":"off","max_message":1048576}
//! {"type":"join","name":"bob"}                     a first connection of that name
//! {"type":"leave","name":"bob"}                    its last one
//! {"type":"members","members":["ada","bob"]}       the whole list, when nobody has just come or gone
//! {"type":"text","from":"ada","text":"hello"}
//! {"type":"private","from":"ada","to":"bob","text":"psst"}
//! {"type":"binary","from":"ada","name":"cat.png","size":4711}    the binary message itself comes next
//! {"type":"sharing","sharing":"lost"}              the other servers cannot be reached, or ("on") again
//! {"type":"error","code":"rate","text":"too fast, …"}          codes: invalid, nobody, rate
//! ```
//!
//! and closes with 1001 (the server ends), 1008 (far too many messages), 1009 (too large a message), 1011
//! (no answer to pings) or 1013 (read too slowly). Connecting again helps after all but 1008 and 1009.

use serde::{Deserialize, Serialize};
use sockless::Prepared;

/// What a member sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromMember {
    Text { text: String },
    Private { to: String, text: String },
    File { name: String },
}

/// What a member is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ToMember<'a> {
    Welcome {
        room: &'a str,
        name: &'a str,
        members: Vec<&'a str>,
        sharing: Sharing,
        max_message: usize,
    },
    Join {
        name: &'a str,
    },
    Leave {
        name: &'a str,
    },
    Members {
        members: Vec<&'a str>,
    },
    Text {
        from: &'a str,
        text: &'a str,
    },
    Private {
        from: &'a str,
        to: &'a str,
        text: &'a str,
    },
    Binary {
        from: &'a str,
        name: Option<&'a str>,
        size: usize,
    },
    Sharing {
        sharing: Sharing,
    },
    Error {
        code: &'static str,
        text: &'a str,
    },
}

impl ToMember<'_> {
    /// Encoded once, for any number of members.
    pub(crate) fn prepare(&self) -> Prepared {
        Prepared::text(json(self))
    }
}

/// Whether rooms are shared with other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sharing {
    /// There is no Redis: this server is the only one.
    Off,
    /// Redis cannot be reached: only this server's members hear each other.
    Lost,
    On,
}

/// What servers tell each other through Redis: a line of JSON, and behind it what is binary.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// The server that sends it.
    pub(crate) server: String,
    pub(crate) news: News,
    pub(crate) body: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Line<S, N> {
    server: S,
    #[serde(flatten)]
    news: N,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "lowercase")]
pub(crate) enum News {
    Text {
        from: String,
        text: String,
    },
    Private {
        from: String,
        to: String,
        text: String,
    },
    /// The data is the body.
    Binary {
        from: String,
        name: Option<String>,
    },
    /// All members of the room at this server; `changed` if one has just come or gone.
    Here {
        names: Vec<String>,
        changed: bool,
    },
    /// Asks every server for its [`News::Here`].
    Who,
    /// The server is still there.
    Alive,
}

impl<'a> Letter<'a> {
    pub(crate) fn encode(server: &str, news: &News, body: &[u8]) -> Vec<u8> {
        let mut bytes = json(&Line { server, news }).into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        bytes
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let (line, body) = bytes.split_at_checked(end)?;
        let Line { server, news } = serde_json::from_slice(line).ok()?;
        let body = body.get(1..)?;
        Some(Self { server, news, body })
    }
}

/// Strings, numbers and lists of them always have a JSON form, so this is never the empty text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrive_as_they_were_sent() {
        let news = [
            News::Text {
                from: "ada".into(),
                text: "two\nlines \"quoted\"".into(),
            },
            News::Binary {
                from: "ada".into(),
                name: None,
            },
            News::Here {
                names: vec!["ada".into()],
                changed: true,
            },
            News::Who,
            News::Alive,
        ];
        for news in news {
            let body = b"\n\xff\0\n";
            let bytes = Letter::encode("s1", &news, body);
            let letter = Letter::decode(&bytes).unwrap();
            assert_eq!((letter.server.as_str(), letter.news), ("s1", news));
            assert_eq!(letter.body, body);
        }
    }

    #[test]
    fn what_is_no_letter_is_none() {
        for bytes in [
            &b""[..],
            b"\n",
            b"{}\n",
            b"no line end",
            b"{\"server\":\"a\"}\n",
        ] {
            assert!(Letter::decode(bytes).is_none(), "{}", bytes.escape_ascii());
        }
    }
}
