//! A complete WebSocket endpoint with no sockets in it: bytes in, events out, bytes out.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::alloc_instead_of_core, clippy::std_instead_of_core)]
#![deny(clippy::cast_possible_truncation)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backoff;
pub mod close;
mod config;
mod connection;
mod error;
mod event;
pub mod frame;
pub mod handshake;
pub mod mask;
mod message;
mod prepared;
pub mod utf8;

pub use backoff::Backoff;
pub use close::{Close, CloseCode};
pub use config::{Config, Delivery, Entropy, PongMode};
pub use connection::receiver::{Obligation, Receiver};
pub use connection::sender::{Fin, Sender};
pub use connection::{Connection, State, Transport};
pub use error::{EntropyError, Error, SendError};
pub use event::{Ending, Event};
pub use frame::Role;
pub use handshake::{ClientRequest, Request, Response};
pub use prepared::Prepared;
