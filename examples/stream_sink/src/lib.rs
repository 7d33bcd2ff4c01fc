#![cfg_attr(feature = "axum", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "axum"),
    doc = "WebSockets for tokio as a `Stream` and a `Sink` of messages."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod message;
mod open;
mod tasks;
#[cfg(feature = "hyper")]
mod upgrade;
mod websocket;

pub use error::Error;
pub use message::{CloseFrame, Message, Utf8Bytes};
pub use open::{IntoRequest, accept, accept_with, client, connect};
pub use sockless;
#[cfg(feature = "hyper")]
pub use upgrade::{Rejection, Upgraded, WebSocketUpgrade, upgrade};
pub use websocket::WebSocket;
