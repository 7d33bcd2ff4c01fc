//! One connection: the protocol's loop, and what a visitor asks for and says.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockless::close::truncate_reason;
use sockless::{
    CloseCode, Connection, Ending, Event, Request, Response, SendError, State, Transport,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink, split};
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use crate::admission::Seat;
use crate::hub::{Id, Mailbox, Parcel};
use crate::memory::{NO_ROOM, turn_away};
use crate::pace::{Pace, Verdict};
use crate::queue::{Next, Queue};
use crate::wire::{FromMember, News, ToMember};
use crate::{ANSWER_TIMEOUT, Server, log};

/// The pending output from which on messages wait in the mailbox, where they are shared and counted.
const BACKLOG: usize = 64 << 10;
const MAX_FILE_NAME: usize = 128;

type Outcome = Result<Ending, Box<dyn Error + Send + Sync>>;

/// The protocol: everything else in this package is the chat.
///
/// Each future of the `select!` may be dropped half way and nothing is lost: bytes are read and written or
/// they are not, what is written leaves the output only when `sent` says so, and a parcel leaves the
/// mailbox only when it is returned.
async fn converse(stream: impl AsyncRead + AsyncWrite, visit: &mut Visit) -> Outcome {
    let (mut reader, mut writer) = split(stream);
    let mut ws = Connection::server(visit.server.config.clone());
    let mut share = visit.server.budget.share();
    let mut buf = vec![0; 16 * 1024];
    let mut is_broken = false;
    loop {
        let due = ws.tick(visit.now()).unwrap_or(Duration::MAX);
        if !share.has_room_for(&ws) {
            visit.leave();
            linger(reader, writer, &turn_away(ws, share)).await?;
            return Err(NO_ROOM.into());
        }
        let wait = due.saturating_sub(visit.now());
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(timeout(wait, writer.shutdown()).await),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        let can_write = !ws.output().is_empty() && !is_broken;
        let mut read = 0;
        select! {
            n = reader.read(&mut buf) => match n {
                Ok(0) if !is_broken => return Ok(ws.end_of_stream()),
                Ok(0) | Err(_) => return Ok(ws.transport_reset()),
                Ok(n) => read = n,
            },
            written = writer.write(ws.output()), if can_write => match written {
                Ok(n) => ws.sent(n),
                Err(_) => is_broken = true, // what the peer sent before is still to be read
            },
            next = visit.mailbox.next(ws.buffered_amount() < BACKLOG) => visit.send(&mut ws, next)?,
            () = sleep(wait) => {}
        }
        let mut input = &mut buf[..read];
        while let Some(event) = ws.receive(&mut input) {
            visit.hear(&mut ws, event)?;
        }
    }
}

/// Writes the last bytes, and reads on for a while.
async fn linger(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    last: &[u8],
) -> io::Result<()> {
    if last.is_empty() {
        return Ok(());
    }
    let say = async {
        writer.write_all(last).await?;
        writer.shutdown().await?;
        copy(&mut reader, &mut sink()).await
    };
    timeout(ANSWER_TIMEOUT, say).await.map(drop).or(Ok(()))
}

/// Serves one connection, from its first byte to its last.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, id: Id, server: Arc<Server>) {
    let _ = stream.set_nodelay(true);
    let mut visit = Visit::new(peer, id, server);
    let ending = converse(stream, &mut visit).await;
    let Some(seat) = visit.told.take() else {
        return; // a page, a refusal, which is logged already, or a browser that only wanted to be ready
    };
    match ending {
        Ok(ending) => log(format_args!("{peer} {seat} {ending}")),
        Err(error) => log(format_args!("{peer} {seat} broken off: {error}")),
    }
}

/// What the server knows of a peer beside the protocol.
struct Visit {
    server: Arc<Server>,
    peer: SocketAddr,
    id: Id,
    mailbox: Mailbox,
    since: Instant,
    pace: Pace,
    /// Whether the last message came too soon after those before it.
    refusing: bool,
    /// From joining to leaving.
    seat: Option<Seat>,
    /// The seat as the log has it; stays when the member has left.
    told: Option<String>,
    /// For the next binary message.
    file_name: Option<String>,
}

impl Visit {
    fn new(peer: SocketAddr, id: Id, server: Arc<Server>) -> Self {
        let mailbox = Arc::new(Queue::new(server.max_queue).within(server.budget.share()));
        server.hub().arrive(id, Arc::clone(&mailbox));
        Self {
            peer,
            id,
            mailbox,
            since: Instant::now(),
            pace: Pace::new(server.rate),
            refusing: false,
            seat: None,
            told: None,
            file_name: None,
            server,
        }
    }

    /// The time, as the connection is told it.
    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    fn send(&mut self, ws: &mut Connection, next: Next<Parcel>) -> Result<(), SendError> {
        match next {
            _ if matches!(ws.state(), State::Closing | State::Closed) => Ok(()),
            Next::Item(Parcel::Message(message)) => ws.send_prepared(&message),
            Next::Item(Parcel::File(announced, file)) => {
                ws.send_prepared(&announced)?;
                ws.send_prepared(&file)
            }
            Next::Closed((code, reason)) => {
                self.leave();
                ws.close(code, reason)
            }
        }
    }

    fn hear(&mut self, ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
        match event {
            Event::Request(request) => self.answer(ws, &request),
            Event::Text(text) => self.step(ws, |visit, seat| visit.on_text(seat, &text)),
            Event::Binary(data) => self.step(ws, |visit, seat| {
                let (from, name) = (seat.name.clone(), visit.file_name.take());
                let news = News::Binary { from, name };
                visit
                    .server
                    .hub()
                    .say(&seat.room, visit.id, news, data.into_owned());
            }),
            Event::Close(_) | Event::Fail(_) => {
                self.leave();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, ws: &mut Connection, request: &Request) -> Result<(), SendError> {
        let response = self.judge(request);
        if !matches!(response.status(), 101 | 200) {
            // The path is the peer's: escaped, so that it cannot forge a line. The query has the token.
            log(format_args!(
                "{} {:?} {}",
                self.peer,
                request.path(),
                response.status()
            ));
        }
        ws.respond(response)
    }

    fn judge(&mut self, request: &Request) -> Response {
        if !request.is_upgrade() {
            if !matches!(request.method(), "GET" | "HEAD") {
                let allowed = Response::new(405).with_header("Allow", "GET, HEAD");
                return allowed.unwrap_or(Response::new(405));
            }
            if request.path() == "/" {
                return self.server.page.clone();
            }
        }
        let seat = match self.server.admission.admit(request) {
            Ok(seat) => seat,
            Err(response) => return response,
        };
        if !request.is_upgrade() {
            return Response::new(426).with_text("this is for a WebSocket\n");
        }
        if let Err(limit) = self.server.hub().join(&seat.room, self.id, &seat.name) {
            return Response::new(503).with_text(limit);
        }
        let told = format!("{:?} in {:?}", seat.name, seat.room);
        log(format_args!("{} {told} open", self.peer));
        (self.seat, self.told) = (Some(seat), Some(told));
        Response::default()
    }

    /// A message has come: does what it asks for, unless there have been too many.
    fn step(
        &mut self,
        ws: &mut Connection,
        act: impl FnOnce(&mut Self, &Seat),
    ) -> Result<(), SendError> {
        let Some(seat) = self.seat.take() else {
            return Ok(()); // it has left
        };
        let verdict = self.pace.step(self.now());
        if verdict == Verdict::Pass {
            self.refusing = false;
            act(self, &seat);
        } else if !self.refusing {
            // Once is enough: answering each would help a flood.
            self.refusing = true;
            let text = format!(
                "too fast, not sent: at most {} messages a second",
                self.server.rate
            );
            self.refuse("rate", &text);
        }
        self.seat = Some(seat);
        if verdict == Verdict::Close {
            self.leave();
            return ws.close(CloseCode::POLICY_VIOLATION, "far too many messages");
        }
        Ok(())
    }

    fn on_text(&mut self, seat: &Seat, text: &str) {
        match serde_json::from_str(text) {
            Ok(FromMember::Text { text }) => {
                let from = seat.name.clone();
                let news = News::Text { from, text };
                self.server.hub().say(&seat.room, self.id, news, Vec::new());
            }
            Ok(FromMember::Private { to, text }) => {
                let found = self
                    .server
                    .hub()
                    .whisper(&seat.room, self.id, &seat.name, &to, &text);
                if !found {
                    self.refuse("nobody", &format!("{to} is not in this room"));
                }
            }
            Ok(FromMember::File { name }) => {
                let visible = name.chars().filter(|c| !c.is_control());
                self.file_name = Some(visible.take(MAX_FILE_NAME).collect());
            }
            Err(error) => self.refuse("invalid", &error.to_string()),
        }
    }

    fn refuse(&self, code: &'static str, text: &str) {
        // It may quote what was sent.
        let text = truncate_reason(text);
        let message = ToMember::Error { code, text };
        self.server.hub().answer(self.id, &message);
    }

    fn leave(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.server.hub().leave(&seat.room, self.id);
        }
    }
}

/// However a visit ends, by a panic even, its place is free.
impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
        self.server.hub().depart(self.id);
    }
}

#[cfg(test)]
mod tests;
