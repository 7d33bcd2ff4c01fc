//! The opening handshake: [RFC 6455 §4].
//!
//! A [`Connection`](crate::Connection) does all of it by itself. What is public here is for those
//! whose HTTP stack has read the head already (hyper, axum, h2, ...): the same checks over header
//! fields, [`check_request`] for a server and [`Offer::check`] for a client, and the
//! [`HandshakeError`] that both sides name a broken rule with.
//!
//! ```
//! use sockless::handshake::{HttpVersion, check_request};
//!
//! let headers = [
//!     ("host", "example.com"),
//!     ("upgrade", "websocket"),
//!     ("connection", "keep-alive, Upgrade"),
//!     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
//!     ("sec-websocket-version", "13"),
//!     ("sec-websocket-protocol", "superchat, chat"),
//! ];
//! let upgrade = check_request("GET", HttpVersion::Http11, headers)?;
//! assert_eq!(&upgrade.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! assert!(upgrade.subprotocols().any(|name| name == "chat"));
//! # Ok::<(), sockless::handshake::HandshakeError>(())
//! ```
//!
//! # HTTP/2 and HTTP/3
//!
//! A WebSocket is one stream of an HTTP connection, which can have many, opened by an extended CONNECT
//! ([RFC 8441], [RFC 9220]). [`check_extended_connect`] is a server's check of it; a client sends what
//! [`ClientRequest::pseudo_headers`] and [`Offer::headers`] give, and holds the response against the
//! same offer, [`Offer::extended_connect`]. From the success on, which is status 200, the stream's data
//! are frames, masked as ever, and [`Connection::upgraded`](crate::Connection::upgraded) is what they go
//! through.
//!
//! The stream takes the place of the transport (RFC 8441 §5, RFC 9220 §3):
//!
//! | HTTP/2 | HTTP/3 | [`Connection`](crate::Connection) |
//! |---|---|---|
//! | `END_STREAM` came | FIN came | [`read_ended`](crate::Connection::read_ended) |
//! | `RST_STREAM` came, or the HTTP connection is lost | `RESET_STREAM` came, or that | [`transport_reset`](crate::Connection::transport_reset) |
//! | send `END_STREAM`, read on | send FIN, read on | [`Write::Shutdown`](crate::Write::Shutdown) |
//! | `RST_STREAM` with `CANCEL`, unless both have ended | `H3_REQUEST_CANCELLED`, unless that | [`Next::Over`](crate::Next::Over), or to give up |
//!
//! So an end without a closing handshake is 1006 here as well. After a clean one either side ends its own side of the
//! stream too. Flow control is the transport's
//! as ever: give back the window of what [`poll`](crate::Connection::poll) has used, and take from
//! [`output`](crate::Connection::output) no more than the peer's window has room for.
//!
//! [RFC 8441]: https://www.rfc-editor.org/rfc/rfc8441
//! [RFC 9220]: https://www.rfc-editor.org/rfc/rfc9220
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

mod authority;
mod body;
mod client;
mod client_request;
mod connect;
mod error;
mod first_line;
mod head;
mod key;
mod list;
mod offer;
mod origin;
mod request;
mod response;
mod server;
mod syntax;
mod upgrade;

pub(crate) use client::{Answer, ClientHandshake};
pub use client_request::{ClientRequest, InvalidUri};
pub use connect::{
    ExtendedConnect, PseudoHeaders, SETTINGS_ENABLE_CONNECT_PROTOCOL, check_extended_connect,
};
pub use error::HandshakeError;
pub use key::accept_key;
pub use list::{Extension, Extensions, Parameters, extensions};
pub use offer::{Agreed, Offer};
pub use origin::same_origin;
pub use request::Request;
pub use response::Response;
pub(crate) use server::ServerHandshake;
pub use syntax::{Headers, InvalidHeader};
pub use upgrade::{HttpVersion, Upgrade, check_request};
