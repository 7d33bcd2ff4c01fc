//! [`Screen`]: what the user sees, as lines for people or as JSON for programs.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sockless::{Request, Response};

use crate::websocket::SocketEvent;

pub(crate) struct Screen {
    pub(crate) json: bool,
    /// Where binary messages go, each in a file of its own.
    pub(crate) binary_out: Option<PathBuf>,
    /// The number of the next such file.
    pub(crate) next_file: u32,
}

impl Screen {
    /// Shows anything but a pong, whose meaning is another's to know.
    pub(crate) fn show(&mut self, event: &SocketEvent<'_>) -> io::Result<()> {
        match event {
            SocketEvent::Request(request) => self.show_request(request),
            SocketEvent::Open(response) => self.show_open(response.subprotocol().unwrap_or("")),
            SocketEvent::Text(text) if self.json => {
                print(&json!({"type": "message", "text": text}))
            }
            SocketEvent::Text(text) => {
                writeln!(io::stdout().lock(), "{}", escape(text))
            }
            SocketEvent::Binary(data) => self.show_binary(data),
            SocketEvent::Ping(data) if self.json => {
                print(&json!({"type": "ping", "payload": data.escape_ascii().to_string()}))
            }
            SocketEvent::Ping(data) => say(format_args!("ping \"{}\"", data.escape_ascii())),
            SocketEvent::Pong(_) => Ok(()),
            SocketEvent::Rejected(response) => self.show_rejected(response),
            SocketEvent::Error(error) if self.json => {
                print(&json!({"type": "error", "error": error}))
            }
            SocketEvent::Error(error) => say(format_args!("error: {}", escape(error))),
            SocketEvent::Close {
                code,
                reason,
                was_clean,
            } => self.show_close(*code, reason, *was_clean),
        }
    }

    pub(crate) fn show_address(&self, address: SocketAddr) -> io::Result<()> {
        if self.json {
            return print(&json!({"type": "listening", "address": address.to_string()}));
        }
        say(format_args!("listening on ws://{address}/"))
    }

    pub(crate) fn show_agreed(&self, extensions: &str) -> io::Result<()> {
        if extensions.is_empty() {
            Ok(())
        } else if self.json {
            print(&json!({"type": "extensions", "extensions": extensions}))
        } else {
            say(format_args!("agreed on {extensions}"))
        }
    }

    pub(crate) fn show_pong(&self, payload: &[u8], round_trip: Option<Duration>) -> io::Result<()> {
        let millis = round_trip.map(|time| time.as_secs_f64() * 1000.0);
        let payload = payload.escape_ascii().to_string();
        if self.json {
            return print(&json!({"type": "pong", "payload": payload, "milliseconds": millis}));
        }
        match millis {
            Some(millis) => say(format_args!("pong after {millis:.3} ms")),
            None => say(format_args!("pong \"{payload}\"")),
        }
    }

    fn show_request(&self, request: &Request) -> io::Result<()> {
        let offered: Vec<&str> = request.subprotocols().collect();
        if self.json {
            return print(&json!({
                "type": "request", "target": request.target(), "origin": request.origin(),
                "subprotocols": offered,
            }));
        }
        let target = escape(request.target());
        let origin = request
            .origin()
            .map(|origin| format!(", origin {}", escape(origin)));
        let offered = match offered.is_empty() {
            true => String::new(),
            false => format!(", subprotocols {}", offered.join(", ")),
        };
        note(format_args!(
            "open: {target}{}{offered}",
            origin.unwrap_or_default()
        ));
        Ok(())
    }

    fn show_open(&self, subprotocol: &str) -> io::Result<()> {
        if self.json {
            return print(&json!({"type": "open", "protocol": subprotocol}));
        }
        match subprotocol {
            "" => say(format_args!("open")),
            name => say(format_args!("open, subprotocol {name}")),
        }
    }

    fn show_binary(&mut self, data: &[u8]) -> io::Result<()> {
        if self.binary_out.is_some() {
            let file = self.save(data)?;
            return match self.json {
                true => print(&json!({"type": "message", "bytes": data.len(), "file": file})),
                false => say(format_args!("binary, {} bytes: {file}", data.len())),
            };
        }
        if self.json {
            return print(&json!({"type": "message", "base64": BASE64_STANDARD.encode(data)}));
        }
        let (shown, more) = match data.get(..16) {
            Some(shown) if data.len() > 16 => (shown, "…"),
            _ => (data, ""),
        };
        note(format_args!(
            "binary, {} bytes: {shown:02x?}{more}",
            data.len()
        ));
        Ok(())
    }

    /// In the next file that does not exist yet.
    fn save(&mut self, data: &[u8]) -> io::Result<String> {
        let folder = self.binary_out.clone().unwrap_or_default();
        loop {
            self.next_file += 1;
            let path = folder.join(format!("{:06}.bin", self.next_file));
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(named(error)),
                Ok(mut file) => {
                    file.write_all(data).map_err(named)?;
                    return Ok(path.display().to_string());
                }
            }
        }
    }

    fn show_rejected(&self, response: &Response) -> io::Result<()> {
        let header = |name| {
            let value = response.header(name).map(String::from_utf8_lossy);
            value.unwrap_or_default().into_owned()
        };
        let (location, wanted) = (header("location"), header("www-authenticate"));
        let body = String::from_utf8_lossy(response.body());
        if self.json {
            return print(&json!({
                "type": "rejected", "status": response.status(), "location": location,
                "authenticate": wanted, "body": body,
            }));
        }
        note(format_args!("refused: HTTP status {}", response.status()));
        if !location.is_empty() {
            note(format_args!("  it is elsewhere: {}", escape(&location)));
        }
        if !wanted.is_empty() {
            note(format_args!(
                "  it wants to know who you are: {}",
                escape(&wanted)
            ));
        }
        for line in body.lines().take(10) {
            let line: String = line.chars().take(200).collect();
            note(format_args!("  {}", escape(&line)));
        }
        Ok(())
    }

    fn show_close(&self, code: u16, reason: &str, was_clean: bool) -> io::Result<()> {
        if self.json {
            return print(&json!({
                "type": "close", "code": code, "reason": reason, "wasClean": was_clean,
            }));
        }
        let clean = if was_clean { "clean" } else { "not clean" };
        let reason = match reason {
            "" => String::new(),
            reason => format!(" {reason:?}"),
        };
        note(format_args!("close: {code}{reason}, {clean}"));
        Ok(())
    }
}

fn print(value: &Value) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{value}")
}

fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    note(line);
    Ok(())
}

/// A line beside the messages; unlike `eprintln!`, does not panic when nobody takes it.
pub(crate) fn note(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text of a peer as one line that cannot control the terminal: without control characters, and
/// without those that turn the direction of writing.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let controls = |c: char| {
        c.is_control() && c != '\t'
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(controls) {
        return text.into();
    }
    let escaped = text.chars().flat_map(|c| match controls(c) {
        true => c.escape_default().collect::<Vec<_>>(),
        false => vec![c],
    });
    escaped.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_controls_a_terminal_is_escaped_and_nothing_else() {
        assert_eq!(escape("发送\t\"数据\" \\ 🦀"), "发送\t\"数据\" \\ 🦀");
        assert_eq!(
            escape("a\nb\u{1b}[2J\u{9b}\u{7f}"),
            "a\\nb\\u{1b}[2J\\u{9b}\\u{7f}"
        );
        assert_eq!(escape("\u{202e}abc\u{2066}"), "\\u{202e}abc\\u{2066}");
    }
}
