//! The recipes, word for word, over the simulated transport.

pub mod blocking {
    use std::io;
    use std::net::Shutdown;

    use sockless::{Ending, Input, Next, SendError};

    use crate::ends::{Connection, Event, on_event};
    use crate::streams::{Instant, TcpStream};

    include!("../../../src/docs/loops/blocking.rs");

    pub fn run(mut stream: TcpStream, ws: Connection) -> io::Result<Ending> {
        converse(&mut stream, ws, on_event)
    }
}

pub mod tokio_loop {
    use std::io;

    use sockless::{Ending, Input, Next, SendError, Write};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::sync::mpsc;

    use crate::ends::{Connection, Event, on_event};
    use crate::streams::{Instant, TcpStream, sleep};

    /// In the order of the branches: a seed has to mean one life.
    macro_rules! select {
        ($($branches:tt)*) => { tokio::select! { biased; $($branches)* } };
    }

    include!("../../../src/docs/loops/tokio.rs");

    pub async fn run(stream: TcpStream, ws: Connection, outbox: mpsc::Receiver<String>) -> Ending {
        converse(stream, ws, outbox, on_event).await
    }
}

pub mod mio_loop {
    use std::net::Shutdown;
    use std::time::Duration;

    use sockless::{Ending, Input, Next, SendError};

    use crate::ends::{Connection, Event, on_event};
    use crate::streams::{Instant, TcpStream};

    pub struct Peer {
        pub stream: TcpStream,
        pub ws: Connection,
        pub input: Input,
        pub clock: Instant,
    }

    include!("../../../src/docs/loops/mio.rs");

    /// Until when to wait, or how it ended.
    pub fn run(peer: &mut Peer) -> Result<Option<Duration>, Ending> {
        let now = peer.clock.elapsed();
        match turn(
            &mut peer.stream,
            &mut peer.ws,
            &mut peer.input,
            now,
            on_event,
        ) {
            Turn::Wait(until) => Ok(until),
            Turn::Over(ending) => Err(ending),
        }
    }
}

pub mod compio_loop {
    use std::mem;
    use std::pin::pin;

    use compio_buf::{BufResult, IntoInner, IoBuf};
    use compio_io::{AsyncReadExt, AsyncWrite};
    use futures_util::future::{Fuse, FusedFuture, FutureExt};
    use futures_util::select_biased;
    use sockless::{Ending, Input, Next, SendError, Write};

    use crate::ends::{Connection, Event, on_event};
    use crate::streams::{self, Instant, OwningStream as TcpStream, sleep};

    include!("../../../src/docs/loops/compio.rs");

    pub async fn run(stream: streams::TcpStream, ws: Connection) -> Ending {
        converse(&TcpStream(stream), ws, on_event).await
    }
}
