//! The server's side of the opening handshake: [RFC 6455 §4.2].
//!
//! [`ServerHandshake`] takes bytes until it has a request, and writes the answer to it.
//!
//! [RFC 6455 §4.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2

use alloc::boxed::Box;
use alloc::string::String;
#[cfg(feature = "deflate")]
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem::take;

use super::error::{HandshakeError, UPGRADE_REQUIRED};
use super::first_line::FirstLine;
use super::head::{HeadReader, header_slots, parse_request};
use super::list::tokens;
use super::request::{Kind, Request, check_target};
use super::response::{Response, push_status_line};
#[cfg(feature = "deflate")]
use super::syntax::push_field;
use super::syntax::{decimal, push_all};
use super::upgrade::{HttpVersion, RequestFields};
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Parameters};
use crate::error::SendError;

#[derive(Clone, Debug)]
pub(crate) struct ServerHandshake {
    reader: HeadReader,
    plain_http: bool,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
    pending: Option<Pending>,
}

/// What the answer to a request depends on.
#[derive(Clone, Debug)]
enum Pending {
    Upgrade {
        accept: [u8; 28],
        /// The names that the client offers, joined by commas; allocates only if there are any.
        subprotocols: String,
        /// What is agreed to.
        #[cfg(feature = "deflate")]
        deflate: Option<Parameters>,
    },
    /// A request for something else, with the method HEAD or another one.
    Head,
    Plain,
}

impl ServerHandshake {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            reader: HeadReader::new(FirstLine::of_request(), config),
            plain_http: config.plain_http,
            #[cfg(feature = "deflate")]
            deflate: config.deflate.clone(),
            pending: None,
        }
    }

    /// Takes from the front of `input`. `None`: all of it is used and the request is not complete.
    /// Behind a request, `input` stands at the first byte after its head.
    pub(crate) fn receive(
        &mut self,
        input: &mut &mut [u8],
    ) -> Option<Result<Box<Request>, HandshakeError>> {
        let slots = &mut header_slots();
        if let Some((size, parsed)) = self.reader.parse_at_once(input, slots) {
            let request = self.check(input.get(..size).unwrap_or_default(), &parsed);
            *input = take(input).get_mut(size..).unwrap_or_default();
            return Some(request);
        }
        let request = match self.reader.read(input)? {
            Ok(head) => {
                // One empty line may come before the request (RFC 9112 §2.2).
                let head = head.strip_prefix(b"\r\n").unwrap_or(&head);
                let slots = &mut header_slots();
                parse_request(head, slots).and_then(|parsed| self.check(head, &parsed))
            }
            // R082: a target that is too long has a status of its own (RFC 9110 §15.5.15).
            Err(HandshakeError::HeadTooLarge) if self.reader.is_in_first_line() => {
                Err(HandshakeError::TargetTooLong)
            }
            Err(error) => Err(error),
        };
        Some(request)
    }

    fn check(
        &mut self,
        head: &[u8],
        parsed: &httparse::Request<'_, '_>,
    ) -> Result<Box<Request>, HandshakeError> {
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(HandshakeError::MalformedHead);
        };
        check_target(method, target)?;
        let http = if minor == 0 {
            HttpVersion::Http10
        } else {
            HttpVersion::Http11
        };
        let headers = parsed
            .headers
            .iter()
            .map(|header| (header.name, header.value));
        let fields = RequestFields::read(headers.clone());
        fields.check_message(http)?;
        let kind = if self.plain_http && !fields.asks_for_websocket() {
            self.pending = Some(match method {
                "HEAD" => Pending::Head,
                // R407: but no tunnel, which a status 2xx would open (RFC 9110 §9.3.6).
                "CONNECT" => return Err(HandshakeError::MethodNotAllowed),
                // R065, R407: the other methods are the caller's to know (RFC 9110 §9.1).
                _ => Pending::Plain,
            });
            Kind::Plain
        } else {
            let upgrade = fields.check_upgrade(method, http, headers)?;
            let mut subprotocols = String::new();
            for name in upgrade.subprotocols() {
                subprotocols.push_str(name);
                subprotocols.push(',');
            }
            self.pending = Some(Pending::Upgrade {
                accept: upgrade.accept(),
                subprotocols,
                #[cfg(feature = "deflate")]
                deflate: self
                    .deflate
                    .as_ref()
                    .and_then(|deflate| deflate.choose(upgrade.extensions())),
            });
            Kind::Upgrade
        };
        Ok(Box::new(Request::new(head, method, target, kind)))
    }

    /// Whether the request that waits is one for a WebSocket.
    pub(crate) const fn is_upgrade(&self) -> bool {
        matches!(self.pending, Some(Pending::Upgrade { .. }))
    }

    /// Appends the 101 that opens the connection; on an error, nothing.
    pub(crate) fn accept(&self, response: &Response, out: &mut Vec<u8>) -> Result<(), SendError> {
        let (accept, offered) = match &self.pending {
            Some(Pending::Upgrade {
                accept,
                subprotocols,
                ..
            }) => (accept, subprotocols),
            Some(Pending::Head | Pending::Plain) => return Err(SendError::NotUpgrade),
            None => return Err(SendError::NoRequest),
        };
        // R090: the status that accepts (§4.2.2 (5)).
        if response.status() != 101 {
            return Err(SendError::InvalidStatus);
        }
        // R093: what follows the head are frames.
        if !response.body().is_empty() {
            return Err(SendError::UnexpectedBody);
        }
        // R091: one of those that the client offers, or no header at all (§4.2.2 (4)).
        let chosen = match response.subprotocol() {
            Some(name) => {
                if !tokens(offered.as_bytes()).any(|offered| offered == Some(name)) {
                    return Err(SendError::SubprotocolNotOffered);
                }
                [b"Sec-WebSocket-Protocol: ", name.as_bytes(), b"\r\n"]
            }
            None => [b"".as_slice(); 3],
        };
        // Enough for all but long cookies.
        out.reserve(256);
        let [name, value, end] = chosen;
        push_all(
            out,
            &[
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Accept: ",
                accept,
                b"\r\n",
                name,
                value,
                end,
            ],
        );
        #[cfg(feature = "deflate")]
        if let Some((parameters, _)) = self.agreed(response) {
            // R293: the header only if there is something to say.
            let element = parameters.to_string();
            push_field(out, "Sec-WebSocket-Extensions", element.as_bytes());
        }
        response.write_fields(out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// How messages are compressed behind this answer, if they are.
    #[cfg(feature = "deflate")]
    pub(crate) fn agreed(&self, response: &Response) -> Option<(Parameters, &DeflateConfig)> {
        // R411: the answer decides, for this request alone (RFC 7692 §5.1).
        if response.declines_compression() {
            return None;
        }
        match (&self.pending, &self.deflate) {
            (
                Some(Pending::Upgrade {
                    deflate: Some(parameters),
                    ..
                }),
                Some(deflate),
            ) => Some((*parameters, deflate)),
            _ => None,
        }
    }

    /// Appends a complete response other than 101; on an error, nothing.
    pub(crate) fn respond(&self, response: &Response, out: &mut Vec<u8>) -> Result<(), SendError> {
        let pending = self.pending.as_ref().ok_or(SendError::NoRequest)?;
        let status = response.status();
        // R095: a refusal is a final status and no success (§4.2.2 (4)).
        let least = if matches!(pending, Pending::Upgrade { .. }) {
            300
        } else {
            200
        };
        if !(least..=599).contains(&status) {
            return Err(SendError::InvalidStatus);
        }
        // Statuses that have no body have none (RFC 9110 §15.3.5, §15.3.6, §15.4.5).
        if matches!(status, 204 | 205 | 304) && !response.body().is_empty() {
            return Err(SendError::UnexpectedBody);
        }
        push_status_line(out, status);
        // R070: what a 426 must say (§4.4, RFC 9110 §15.5.22).
        let close = b"Connection: close\r\n";
        out.extend_from_slice(if status == 426 {
            UPGRADE_REQUIRED
        } else {
            close
        });
        response.write_fields(out);
        // R095: the length is stated, but not where there can be no body (RFC 9110 §8.6).
        if !matches!(status, 204 | 304) {
            let size = &mut [0; 20];
            push_all(
                out,
                &[
                    b"Content-Length: ",
                    decimal(response.body().len(), size),
                    b"\r\n",
                ],
            );
        }
        // A HEAD request gets the length of the body, but not the body (RFC 9110 §9.3.2).
        let body = if matches!(pending, Pending::Head) {
            b""
        } else {
            response.body()
        };
        push_all(out, &[b"\r\n", body]);
        Ok(())
    }
}
