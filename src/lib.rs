//! A complete WebSocket endpoint ([RFC 6455], both roles) with no sockets in it: bytes in, events out,
//! bytes out.
//!
//! Nothing here reads a socket, a clock or a thread, so it embeds in any runtime. Everything that is the
//! protocol's is done: the handshake, masking, fragments, UTF-8, pings, the closing handshake, deadlines,
//! and the right answer to every violation.
//!
//! # The loop
//!
//! A loop asks one question, [`Connection::poll`], and does what it is told: handle an event, do I/O, or
//! stop. This one is complete, for a blocking socket; it has deadlines, back-pressure, and an end that
//! loses nothing, because all of that is in the answers.
//!
#![cfg_attr(feature = "std", doc = "```no_run")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io;
//! use std::net::{Shutdown, TcpStream};
//! use std::time::Instant;
//!
//! use sockless::{Config, Connection, Ending, Event, Input, Next, Response, SendError};
//!
#![doc = include_str!("docs/loops/blocking.rs")]
//!
//! /// An echo server: `echo(&mut stream)` for each connection that a listener accepts.
//! fn echo(stream: &mut TcpStream) -> io::Result<Ending> {
//!     let ws = Connection::server(Config::default().back_pressure());
//!     converse(stream, ws, |ws, event| match event {
//!         Event::Request(_) => ws.accept(Response::default()),
//!         Event::Text(text) => ws.send_text(text),
//!         Event::Binary(data) => ws.send_binary(data),
//!         _ => Ok(()), // pings, closes and violations have been answered
//!     })
//! }
//! ```
//!
//! It reads nothing while output waits, as one blocking thread has to, so it is for an end that answers; where both
//! ends may send much at once there are [two threads](_cookbook#two-threads), or loops that do not block.
//!
//! A client begins with [`Connection::client`] and otherwise does the same. The [cookbook](_cookbook) has the
//! loop for tokio, mio and io_uring, and `examples/` a whole program for each.
//!
//! # Three concepts
//!
//! **Input** is memory that you own: an [`Input`]. Your transport reads into it, and
//! [`poll`](Connection::poll) takes events out of it. A message that lies in it whole is lent from it, without a
//! copy, and a short one that a read cut stays there until it does; any other is gathered and handed over by value. An `Input` belongs
//! to one connection, or serves all connections of a thread ([`Input::shared`]).
//!
//! **Events** say what the peer did, after it has been answered. They borrow the `Input` and not the
//! connection, so you can send while you handle them. A violation is an event too, [`Event::Fail`]. Errors
//! ([`SendError`]) are for what you do wrong; then nothing has changed. What you send too late, after a Close
//! or a failure, is dropped and is no error.
//!
//! **Output** is kept in the connection until you report how much of it was written, or that writing failed. So
//! partial writes, batching and cancelled futures need no care. Back-pressure is
//! [`Config::back_pressure`] for what answers the peer, and [`Io::send`] for what sends of its own accord.
//!
//! # The life of a connection
//!
//! ```text
//!    Connection::server          Connection::client           Connection::upgraded
//!            │                           │                              │
//!            ▼                           ▼                              │
//!   ┌────────────────── State::Connecting ─────────────────┐            │
//!   │ Event::Request,                 Event::Open          │            │
//!   │ then accept or respond          or Event::Rejected   │            │
//!   └────────┬────────────────────────────────────┬────────┘            │
//!            │ accepted                           │ refused, rejected,  │
//!            ▼                                    │ failed              │
//!   ┌───────────────────── State::Open ───────────┼────────┐            │
//!   │ Event::Text, Binary, Ping, Pong             │        │ ◀──────────┘
//!   │ send_text, send_binary, send_ping, ...      │        │
//!   └────────┬───────────────────────────┬────────┼────────┘
//!            │ close, or Event::Close    │ Event::Fail
//!            ▼                           ▼        ▼
//!   ┌──────────────────── State::Closing ──────────────────┐
//!   │ The last bytes are written. Behind a Close of ours   │
//!   │ the peer's messages still come, until Event::Close.  │
//!   └────────┬─────────────────────────────────────────────┘
//!            │ by the first of these that applies:
//!            │ * failed or refused: the last byte is written
//!            │ * a server: it has written and received a Close
//!            ▼ * a client: the server has ended the transport
//!   ┌──────────────────── State::Closed ───────────────────┐
//!   │ Write::Shutdown, and read on to the end; then        │
//!   │ Next::Over                                           │
//!   └──────────────────────────────────────────────────────┘
//! ```
//!
//! The end of the transport leads from every state to Closed. [`Next::Over`] says how it ended: [`Ending`].
//!
//! `Event::Request` is the only event that waits for an answer of yours. `Event::Close`, `Event::Fail` and
//! `Event::Rejected` are each the last one.
//!
//! # A byte's way
//!
//! ```text
//!  read ─▶ Input ─▶ poll
//!    connecting ────────────────▶ head, checks ───▶ Request, Open, Rejected
//!    a message in one frame ────▶ unmask, UTF-8 ──▶ Text, Binary (lent from it)
//!    anything else ─▶ frame ─┬──▶ message ────────▶ Text, Binary (gathered)
//!                            └──▶ control frame ──▶ Ping, Pong, Close
//!                                   │ the answer
//!                                   ▼
//!  send_text ─▶ deflate, if agreed ─▶ frame, mask ─▶ queue ─▶ output ─▶ write
//!                                                      ▲                  │
//!                                                      └──── on_write ────┘
//! ```
//!
//! [The design](_design) has the same with file names, and the reasons.
//!
//! # Pages
//!
//! * [Cookbook](_cookbook): servers, clients, TLS, hyper and axum, HTTP/2, asynchronous loops, streaming,
//!   broadcast, deadlines, back-pressure, `no_std`, tests without sockets.
//! * [Migration](_migration) from tungstenite, tokio-tungstenite and fastwebsockets, call by call.
//! * [Design](_design): decisions, what was refused, rooms, invariants, how to add things.
//! * [`handshake`] for HTTP stacks and HTTP/2, [`deflate`] for compression, [`frame`], [`mask`], [`utf8`] and
//!   [`close`](mod@close) for layers that are usable alone.
//!
//! # Features
//!
//! | Feature | Default | Effect |
//! |---|---|---|
//! | `std` | yes | [`Ending`] converts to `std::io::Result`; vector instructions are chosen at run time for UTF-8 and searching. Without it the crate is `no_std` with `alloc` |
//! | `getrandom` | yes | the operating system is the source of a client's masks; without it [`Config::entropy`] has to be set |
//! | `deflate` | no | compressed messages, RFC 7692, where `Config::deflate` configures them; needs `std`, for its codec does |
//!
//! Features add API and change no behaviour. With `--cfg sockless_no_unsafe` in `RUSTFLAGS` the crate
//! forbids unsafe code; without it there are three calls, in one file, `src/fast.rs`.
//!
//! # Limits
//!
//! All are set in [`Config`] and exact: what is at the limit passes. Sizes and counts are finite by default. `SECURITY.md` names
//! the tests on both sides of each.
//!
//! | Limit | Default | Why this much | Above it |
//! |---|---|---|---|
//! | [`max_frame_size`](Config::max_frame_size) | that of the message | judged at the header, and memory follows what has arrived | 1009 |
//! | [`max_message_size`](Config::max_message_size) | 16 MiB | what a peer can make this end gather, and hold while it does; inflated size if compressed | 1009 |
//! | [`max_fragments`](Config::max_fragments) | 131,072 | fragments cost no memory, so this ends only messages that never end | 1008 |
//! | [`high_water_mark`](Config::high_water_mark) | 64 KiB | a peer that pings and does not read: above it only its latest ping is answered, and with [`back_pressure`](Config::back_pressure) nothing is read | fewer pongs |
//! | [`max_head_size`](Config::max_head_size) | 16 KiB | cookies and tokens have room; what the handshake may gather | 431, or failure |
//! | [`max_headers`](Config::max_headers) | 100 | more than browsers and proxies send | 431, or failure |
//! | [`max_interim_responses`](Config::max_interim_responses) | 8 | a client skips 100, 102 and 103, but not without end | failure |
//! | [`max_response_body`](Config::max_response_body) | 16 KiB | the text of a refusal, for people | cut |
//! | [`max_early_data`](Config::max_early_data) | 64 KiB | what a client sends before its request is answered | failure |
//! | [`handshake_timeout`](Config::handshake_timeout) | 30 s | a slow network, not a peer that sends a byte a minute | 408, or failure |
//! | [`write_timeout`](Config::write_timeout) | 60 s | a peer that does not read | 1008 |
//! | [`close_timeout`](Config::close_timeout) | 10 s | the Close is behind what is queued | the transport is dropped |
//! | [`keepalive`](Config::keepalive) | off | whether pings are wanted depends on who pays for them | 1011 |
//! | [`idle_timeout`](Config::idle_timeout) | off | silence is normal for some protocols | 1001 |
//! | [`no_message_timeout`](Config::no_message_timeout) | off | whether an unused connection is wanted | 1001 |
//! | [`message_timeout`](Config::message_timeout) | off | depends on the size of messages | 1008 |
//! | `DeflateConfig::max_ratio` | off | `max_message_size` bounds inflating already | 1009 |
//!
//! Times are counted by what you tell [`Connection::poll`]. What you send has no limit: heed [`Io::send`], or watch
//! [`Connection::buffered_amount`].
//!
//! # What it does not do
//!
//! * No I/O, no TLS, no DNS, no proxies: that is the loop's surroundings.
//! * No `Stream`, `Sink`, `AsyncRead` or connection type of a runtime: `sockless-tokio`, in `examples/stream_sink`, has
//!   them for tokio.
//! * No text of HTTP/2 or HTTP/3: their stack makes the stream, [`handshake`] has the checks.
//! * No redirects, cookies or routing, and of authentication only Basic: a client hands you the response, a server the request.
//! * No decoding of `%` escapes in paths and queries.
//! * No extensions but permessage-deflate, and no version but 13.
//! * No connection limits and no rate limits: those are of a server, not of a connection.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
#![cfg_attr(feature = "deflate", doc = "[`deflate`]: crate::deflate")]
#![cfg_attr(not(feature = "deflate"), doc = "[`deflate`]: crate#features")]
#![no_std]
#![cfg_attr(sockless_no_unsafe, forbid(unsafe_code))]
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
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub mod deflate;
mod error;
mod event;
#[cfg_attr(sockless_no_unsafe, path = "fast/safe.rs")]
mod fast;
pub mod frame;
pub mod handshake;
mod input;
pub mod mask;
mod message;
mod prepared;
pub mod utf8;

pub use backoff::Backoff;
pub use close::{Close, CloseCode};
pub use config::{Config, Delivery, Entropy, PongMode};
#[cfg(feature = "std")]
pub use connection::poll::OutputSlices;
pub use connection::poll::{Io, Next, Write};
pub use connection::sender::Fin;
pub use connection::{Connection, State};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use deflate::{Compression, DeflateConfig};
pub use error::{EntropyError, Error, SendError};
pub use event::{Ending, Event};
pub use frame::Role;
pub use handshake::{ClientRequest, Request, Response};
pub use input::Input;
pub use prepared::Prepared;

// Pages, of which users compile nothing.

#[cfg(doc)]
#[doc = include_str!("docs/cookbook.md")]
#[doc = include_str!("docs/cookbook/asynchronous.md")]
#[doc = include_str!("docs/cookbook/messages.md")]
#[cfg_attr(feature = "deflate", doc = "\n[`deflate`]: crate::deflate")]
#[cfg_attr(not(feature = "deflate"), doc = "\n[`deflate`]: crate#features")]
pub mod _cookbook {}

#[cfg(doc)]
#[doc = include_str!("docs/migration.md")]
pub mod _migration {}

#[cfg(doc)]
#[doc = include_str!("../DESIGN.md")]
pub mod _design {}

/// The code in README is compiled.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
