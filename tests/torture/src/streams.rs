//! The end of the transport, as each runtime has it.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use compio_buf::{BufResult, IoBuf, IoBufMut};
use tokio::io::ReadBuf;

use crate::world::{dice, world};

/// `Instant` on the simulated clock.
#[derive(Clone, Copy)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(world(|world| world.now))
    }

    pub fn elapsed(&self) -> Duration {
        world(|world| world.now) - self.0
    }
}

thread_local! {
    /// Whose turn it is.
    pub static TURN: Cell<usize> = const { Cell::new(0) };
}

/// Sleeps on the simulated clock.
pub async fn sleep(wait: Duration) {
    let at = world(|world| world.now + wait);
    poll_fn(|_| {
        world(|world| {
            if world.now >= at {
                return Poll::Ready(());
            }
            world.alarm(at, TURN.get());
            Poll::Pending
        })
    })
    .await;
}

type Actor = Rc<RefCell<dyn FnMut() -> bool>>;

thread_local! {
    pub static ACTORS: RefCell<[Option<Actor>; 3]> = const { RefCell::new([None, None, None]) };
}

/// Lets another end make a move, or time pass; false if nothing can happen any more.
pub fn advance() -> bool {
    let ready: Vec<usize> = (0..3)
        .filter(|&end| ACTORS.with_borrow(|actors| actors[end].is_some()))
        .filter(|&end| {
            world(|world| {
                world.woken[end]
                    .0
                    .load(std::sync::atomic::Ordering::Relaxed)
            })
        })
        .collect();
    // Time can pass before those who could move do.
    let hurry = ready.is_empty() || dice(16) == 0 && world(|world| world.is_soon());
    if hurry && world(|world| world.pass_time()) {
        return true;
    }
    let Some(&end) = ready.get(dice(ready.len() as u64) as usize) else {
        return false;
    };
    world(|world| {
        world.step();
        world.woken[end]
            .0
            .store(false, std::sync::atomic::Ordering::Relaxed);
    });
    let turn = TURN.replace(end);
    let actor = ACTORS.with_borrow(|actors| actors[end].clone());
    if actor.is_some_and(|actor| (actor.borrow_mut())()) {
        let done = ACTORS.with_borrow_mut(|actors| actors[end].take());
        drop(done);
    }
    TURN.set(turn);
    true
}

/// One end of the transport; hangs up when dropped.
pub struct TcpStream {
    pub end: usize,
    /// `None`: does not block.
    pub timeouts: Option<[Option<Duration>; 2]>,
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        world(|world| world.hang_up(self.end));
    }
}

impl TcpStream {
    pub fn set_read_timeout(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.timeouts.get_or_insert_default()[0] = wait;
        Ok(())
    }

    pub fn set_write_timeout(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.timeouts.get_or_insert_default()[1] = wait;
        Ok(())
    }

    pub fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        world(|world| world.shutdown(self.end)).map(|_| ())
    }

    /// Does it now, or as soon as the others let it.
    fn wait(
        &self,
        which: usize,
        mut f: impl FnMut() -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        let nothing = || match dice(3) {
            0 => ErrorKind::WouldBlock,
            1 => ErrorKind::TimedOut,
            _ => ErrorKind::Interrupted,
        };
        let balks = world(|world| world.balks(self.end));
        let Some(timeouts) = self.timeouts else {
            let done = if balks { None } else { f() };
            return done.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()));
        };
        if balks {
            return Err(nothing().into());
        }
        let until = timeouts[which].map(|wait| world(|world| world.now + wait));
        loop {
            if let Some(done) = f() {
                return done;
            }
            if until.is_some_and(|until| until <= world(|world| world.now)) {
                return Err(nothing().into());
            }
            if let Some(until) = until {
                world(|world| world.alarm(until, self.end));
            }
            assert!(advance(), "blocked for ever");
        }
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(0, || world(|world| world.read(self.end, buf)))
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wait(1, || world(|world| world.write(self.end, bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(1, || Some(world(|world| world.flush(self.end))))
            .map(|_| ())
    }
}

/// Asynchronously: pending where the other would block. What wakes is the world.
fn later(end: usize, f: impl FnOnce() -> Option<io::Result<usize>>) -> Poll<io::Result<usize>> {
    if world(|world| world.balks(end)) {
        return Poll::Pending;
    }
    f().map_or(Poll::Pending, Poll::Ready)
}

impl tokio::io::AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = self.end;
        later(end, || {
            world(|world| world.read(end, buf.initialize_unfilled()))
        })
        .map_ok(|n| buf.advance(n))
    }
}

impl tokio::io::AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        later(self.end, || world(|world| world.write(self.end, bytes)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        later(self.end, || Some(world(|world| world.flush(self.end)))).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        later(self.end, || Some(world(|world| world.shutdown(self.end)))).map_ok(|_| ())
    }
}

/// The kernel has the buffer; an interruption is all that can come in place of a result.
async fn complete(
    end: usize,
    mut f: impl FnMut() -> Option<io::Result<usize>>,
) -> io::Result<usize> {
    if world(|world| world.blocks > 0 && world.dice(40) == 0) {
        world(|world| world.idle[end] += 1);
        return Err(ErrorKind::Interrupted.into());
    }
    poll_fn(|_| later(end, &mut f)).await
}

/// Whose reads and writes own their buffers.
pub struct OwningStream(pub TcpStream);

impl compio_io::AsyncRead for &OwningStream {
    async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        let mut bytes = vec![0; buf.buf_capacity()];
        match complete(self.0.end, || {
            world(|world| world.read(self.0.end, &mut bytes))
        })
        .await
        {
            Ok(n) => compio_io::AsyncRead::read(&mut &bytes[..n], buf).await,
            Err(error) => BufResult(Err(error), buf),
        }
    }
}

impl compio_io::AsyncWrite for &OwningStream {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        let bytes = buf.as_init().to_vec();
        let done = complete(self.0.end, || {
            world(|world| world.write(self.0.end, &[IoSlice::new(&bytes)]))
        })
        .await;
        BufResult(done, buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        complete(self.0.end, || Some(world(|world| world.flush(self.0.end))))
            .await
            .map(|_| ())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        complete(self.0.end, || {
            Some(world(|world| world.shutdown(self.0.end)))
        })
        .await
        .map(|_| ())
    }
}
