//! The opening handshake: [RFC 6455 §4].
//!
//! A [`Connection`](crate::Connection) does all of it by itself. What is public here is for those
//! whose HTTP stack has read the head already (hyper, axum, ...): the same checks over header
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
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

mod authority;
mod body;
mod client;
mod client_request;
mod error;
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
