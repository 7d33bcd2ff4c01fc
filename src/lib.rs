//! A complete WebSocket endpoint ([RFC 6455], both roles) with no sockets in it: bytes in, events out,
//! bytes out.
//!
//! Nothing here reads a socket, a clock or a thread, so it embeds in any runtime. Everything that is the
//! protocol's is done: the handshake, masking, fragments, UTF-8, pings, the closing handshake, deadlines,
//! and the right answer to every violation.
//!
//! # The loop
//!
//! Every adapter is this loop; here on a blocking socket, and the same with `.await` on an
//! asynchronous one.
//!
#![cfg_attr(feature = "std", doc = "```no_run")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpStream};
//!
//! use sockless::{Config, Connection, Event, Response, Transport};
//!
//! fn echo(mut stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut ws = Connection::server(Config::default());
//!     let mut buf = [0; 16 * 1024];
//!     loop {
//!         while !ws.output().is_empty() {
//!             let n = stream.write(ws.output())?;
//!             ws.sent(n);
//!         }
//!         match ws.transport() {
//!             Transport::Keep => {}
//!             Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
//!             Transport::Drop => return Ok(()),
//!         }
//!         let n = stream.read(&mut buf)?;
//!         if n == 0 {
//!             let how: std::io::Result<()> = ws.end_of_stream().into(); // clean or not, and why
//!             return Ok(how?);
//!         }
//!         let mut input = &mut buf[..n];
//!         while let Some(event) = ws.receive(&mut input) {
//!             match event {
//!                 Event::Request(_) => ws.accept(Response::default())?,
//!                 Event::Text(text) => ws.send_text(&text)?,
//!                 Event::Binary(data) => ws.send_binary(&data)?,
//!                 _ => {} // pings, closes and violations are answered already
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! A client begins with [`Connection::client`] and otherwise does the same.
//!
//! # Three concepts
//!
//! **Input is the caller's.** [`Connection::receive`] advances a slice of yours past what it used, and
//! unmasks in it. A message that lies in it whole is lent from it; any other is gathered and handed over
//! by value. One buffer can serve every connection of a thread, and an idle connection holds none.
//!
//! **Events** say what the peer did, after it has been answered. They do not borrow the connection, so
//! it can be used while they are looked at. A violation is an event too, [`Event::Fail`], and never an
//! error that could leave the loop before its Close is written. Errors ([`SendError`]) are for what the
//! caller does wrong; then nothing has changed.
//!
//! **Output** is kept in the connection until [`Connection::sent`] says how much of it was written, for
//! receiving can cause output. So partial writes, batching and cancelled futures need no care, and
//! back-pressure is a number: [`Connection::buffered_amount`]. A caller that stops reading while that is
//! high stops its peer as well; what the connection queues by itself is bounded.
//!
//! # Back-pressure
//!
//! * What you send is kept until it is written: [`Connection::buffered_amount`] says how much that is. A
//!   producer stops, or drops the peer, above a mark of its own.
//! * What the peer makes the connection send, pongs above all, is bounded by
//!   [`Config::high_water_mark`]: above it only the latest ping is answered, ahead of what waits.
//! * To hold back a peer whose messages cause your output (an echo, a relay), do not read while more
//!   than your mark is pending: the transport's own flow control does the rest. The loop above does so
//!   with a mark of nothing. For what you send of your own accord stop producing instead, and read on:
//!   two ends that both stop reading wait for each other for ever.
//! * One call of [`Connection::receive`] returns one event, so how many are handled in a turn is the
//!   caller's choice.
//!
//! # Testing without sockets
//!
//! Two connections are a test: what one writes the other receives.
//!
//! ```
//! use sockless::{Config, Connection, Event, Role};
//!
//! fn pump(from: &mut Connection, to: &mut Connection) -> Vec<Event<'static>> {
//!     let mut bytes = from.take_output();
//!     let mut input = &mut bytes[..];
//!     core::iter::from_fn(|| to.receive(&mut input).map(Event::into_owned)).collect()
//! }
//!
//! # #[cfg(feature = "getrandom")] {
//! let mut client = Connection::upgraded(Role::Client, Config::default());
//! let mut server = Connection::upgraded(Role::Server, Config::default());
//! client.send_text("hello").unwrap();
//! assert_eq!(pump(&mut client, &mut server), [Event::Text("hello".into())]);
//! # }
//! ```
//!
//! # More
//!
//! Two more methods, for those who want them: [`Connection::tick`] for deadlines, and [`Connection::transport`]
//! for an end that loses nothing.
//!
//! # Features
//!
//! * `std` (default): [`Ending`] converts to `std::io::Result`; vector instructions are chosen at run
//!   time for UTF-8 and searching. Without it the crate is `no_std` with `alloc`.
//! * `getrandom` (default): the operating system as the source of a client's masks; without it
//!   [`Config::entropy`] has to be set.
//! * `deflate`: compressed messages, RFC 7692, where `Config::deflate` configures them. It needs `std`,
//!   for the sake of its codec.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

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
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use deflate::{Compression, DeflateConfig};
pub use error::{EntropyError, Error, SendError};
pub use event::{Ending, Event};
pub use frame::Role;
pub use handshake::{ClientRequest, Request, Response};
pub use prepared::Prepared;

/// The code in README is compiled.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
