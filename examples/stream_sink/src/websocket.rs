use std::future::{Future as _, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use std::{fmt, mem};

use futures_core::Stream;
use futures_sink::Sink;
use sockless::{
    CloseCode, Connection, Ending, Event, Input, Io, Next, Prepared, Response, SendError, State,
    Write,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::tasks::{Side, Tasks};
use crate::{Error, Message};

/// A WebSocket over a transport: a [`Stream`] of what the peer sends, and a [`Sink`] for what you send.
///
/// Pings and Closes are answered, output is written and deadlines are kept while either side is polled.
/// `split` of `futures_util::StreamExt` makes two halves for two tasks. All futures may be dropped at any
/// time, and nothing is lost by it.
///
/// The stream ends with `None` after a closing handshake, and with one error before that otherwise. The
/// sink drops the first message after a Close, so that an echo goes on to read it, and refuses all others.
/// To close the sink discards messages until the peer has closed too; to receive them, send
/// [`Message::Close`] and read on to the end.
///
/// At most one message waits in here. While it does nothing is read, so somebody has to poll the stream.
pub struct WebSocket<S> {
    stream: S,
    connection: Connection,
    input: Input,
    /// Stands in for `input` while a message waits, for then no other may come.
    no_input: Input,
    start: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    tasks: Arc<Tasks>,
    waiting: Option<Message>,
    opening: Option<Event<'static>>,
    over: Option<Box<Ending>>,
    fault: Option<io::Error>,
    /// The stream has told of an ending that was not clean.
    is_told: bool,
    /// A message after the Close has been dropped.
    has_dropped: bool,
}

impl<S> WebSocket<S> {
    /// A connection in whatever state, with the default [`Delivery`](sockless::Delivery), over its
    /// transport. `read` is what another HTTP stack has read beyond its part.
    pub fn new(stream: S, connection: Connection, read: &[u8]) -> Self {
        let mut input = Input::default();
        input.extend_from_slice(read);
        Self {
            stream,
            connection,
            input,
            no_input: Input::new(0),
            start: Instant::now(),
            timer: None,
            tasks: Arc::default(),
            waiting: None,
            opening: None,
            over: None,
            fault: None,
            is_told: false,
            has_dropped: false,
        }
    }

    /// The connection: its state, what it has buffered, what was agreed on compression.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn outcome(&mut self) -> Result<(), Error> {
        match &self.over {
            Some(ending) if !ending.clean => Err(self.failure()),
            _ => Ok(()),
        }
    }

    fn failure(&mut self) -> Error {
        let Some(mut ending) = self.over.clone() else {
            return SendError::Connecting.into();
        };
        match (self.fault.take(), ending.response.take()) {
            (_, Some(response)) => Error::Rejected(response),
            (Some(error), _) if ending.error.is_none() => Error::Io(error),
            _ => Error::Ended(ending),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Closes with a code and a reason of at most 123 bytes, and waits until the peer has closed too and
    /// the transport has ended. Messages that still come are discarded.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a reason or a code that cannot be sent; how it ended, if that was not clean.
    pub async fn close_with(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.connection.close(code, reason)?;
        poll_fn(|cx| self.poll_over(cx)).await
    }

    /// Waits for the first event of the opening handshake.
    pub(crate) async fn opening(&mut self) -> Result<Event<'static>, Error> {
        poll_fn(|cx| self.poll_drive(Side::Sink, cx, |ws, _| ws.opening.is_some())).await;
        self.opening.take().ok_or_else(|| self.failure())
    }

    /// Answers the request, and waits until that is written.
    pub(crate) async fn respond(&mut self, response: Response) -> Result<(), Error> {
        let told = self.connection.respond(response);
        if told.is_err() {
            self.connection.handler_failed();
        }
        let mut done = poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await;
        if self.connection.state() != State::Open {
            done = poll_fn(|cx| self.poll_over(cx)).await;
        }
        told?;
        done
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.over.is_none() {
            ready!(self.poll_drive(Side::Sink, cx, |ws, _| ws.is_held_up()));
            if self.is_held_up() {
                self.waiting = None;
            }
        }
        Poll::Ready(self.outcome())
    }

    /// Runs the connection until that is done, or it is over, or there is nothing to do but wait.
    fn poll_drive(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        is_done: impl Fn(&Self, Option<Io>) -> bool,
    ) -> Poll<()> {
        self.tasks.register(side, cx.waker());
        let waker = Waker::from(Arc::clone(&self.tasks));
        let cx = &mut Context::from_waker(&waker);
        while self.over.is_none() && !is_done(self, None) {
            let input = match self.is_held_up() {
                true => &mut self.no_input,
                false => &mut self.input,
            };
            let now = self.start.elapsed();
            let io = match self.connection.poll(input, now) {
                Next::Io(io) => io,
                Next::Event(event @ (Event::Request(_) | Event::Open(_) | Event::Rejected(_))) => {
                    self.opening = Some(event.into_owned());
                    continue;
                }
                Next::Event(event) => {
                    self.waiting = Message::new(event).or_else(|| self.waiting.take());
                    self.wake_other(side, Side::Stream);
                    if self.connection.state() != State::Open {
                        self.wake_other(side, Side::Sink);
                    }
                    continue;
                }
                Next::Over(ending) => {
                    self.over = Some(ending);
                    // So that the peer need not wait until this is dropped.
                    let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                    self.wake_other(side, Side::Stream);
                    self.wake_other(side, Side::Sink);
                    break;
                }
            };
            if is_done(self, Some(io)) {
                break;
            }
            let mut progress = self.poll_timer(io, now, cx);
            if let Some(write) = io.write {
                let stream = Pin::new(&mut self.stream);
                let done = match write {
                    Write::Output => {
                        stream.poll_write_vectored(cx, &self.connection.output_slices())
                    }
                    Write::Flush => stream.poll_flush(cx).map_ok(|()| 0),
                    Write::Shutdown => stream.poll_shutdown(cx).map_ok(|()| 0),
                };
                if let Poll::Ready(done) = done {
                    let done = self.note(done);
                    self.connection.on_write(write, done);
                    self.wake_other(side, Side::Sink);
                    progress = true;
                }
            }
            if io.read && !self.is_held_up() {
                let mut space = ReadBuf::new(self.input.space());
                if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(cx, &mut space) {
                    let n = space.filled().len();
                    let done = self.note(done.map(|()| n));
                    self.connection.on_read(done, &mut self.input);
                    progress = true;
                }
            }
            if !progress {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Whether the time has come to look again.
    fn poll_timer(&mut self, io: Io, now: Duration, cx: &mut Context<'_>) -> bool {
        if io.until.is_none() {
            return false;
        }
        let due = self.start + now + io.wait(now);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // A deadline that moved away is looked at when the old one has come.
        if timer.is_elapsed() || timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx).is_ready()
    }

    /// A message waits that somebody has to take before another one can come; none comes after a Close.
    fn is_held_up(&self) -> bool {
        !matches!(self.waiting, None | Some(Message::Close(_)))
    }

    /// Keeps an error of the transport for those who want to know.
    fn note(&mut self, done: io::Result<usize>) -> io::Result<usize> {
        done.map_err(|error| {
            // Where nothing blocks, it is the network that timed out.
            let kind = match error.kind() {
                ErrorKind::TimedOut => ErrorKind::ConnectionAborted,
                kind => kind,
            };
            self.fault.get_or_insert(error);
            kind.into()
        })
    }

    fn wake_other(&self, this: Side, other: Side) {
        if this != other {
            self.tasks.wake_side(other);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Behind a ping and a Close the answer is written first.
        let _ = self.poll_drive(Side::Stream, cx, |ws, _| {
            ws.is_held_up() && !matches!(ws.waiting, Some(Message::Ping(_)))
        });
        if let Some(message) = self.waiting.take() {
            return Poll::Ready(Some(Ok(message)));
        }
        if self.over.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(match mem::replace(&mut self.is_told, true) {
            false => self.outcome().err().map(Err),
            true => None,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_drive(Side::Sink, cx, |ws, io| {
            let drops = ws.connection.state() != State::Open && !ws.has_dropped;
            io.is_some_and(|io| io.send || drops)
        })
        .map(Ok)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let is_data = !matches!(message, Message::Close(_));
        if is_data && self.connection.state() != State::Open {
            if mem::replace(&mut self.has_dropped, true) {
                return Err(self.failure());
            }
            return Ok(());
        }
        let ws = &mut self.connection;
        Ok(match message {
            // What is short, or has to be masked, is copied anyway.
            Message::Text(text) if text.len() < 4096 => ws.send_text(&*text),
            Message::Binary(data) if data.len() < 4096 => ws.send_binary(&*data),
            Message::Text(text) => ws.send_prepared(&Prepared::text(text)),
            Message::Binary(data) => ws.send_prepared(&Prepared::binary(data)),
            Message::Ping(data) => ws.send_ping(&data),
            Message::Pong(data) => ws.send_pong(&data),
            Message::Close(Some(frame)) => ws.close(frame.code, &frame.reason),
            Message::Close(None) => ws.close_without_code(),
        }?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_drive(Side::Sink, cx, |_, io| {
            io.is_some_and(|io| !matches!(io.write, Some(Write::Output | Write::Flush)))
        }));
        Poll::Ready(self.outcome())
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.connection.state() == State::Open {
            self.connection.close(CloseCode::NORMAL, "")?;
        }
        self.poll_over(cx)
    }
}

/// Without what is sent and received, which may be secret.
impl<S: fmt::Debug> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("WebSocket");
        f.field("stream", &self.stream)
            .field("connection", &self.connection);
        f.finish_non_exhaustive()
    }
}
