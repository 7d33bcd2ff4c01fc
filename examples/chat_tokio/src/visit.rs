//! One connection: the protocol's loop, and what a visitor asks for and says.

use std::error::Error;
use std::future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockless::close::truncate_reason;
use sockless::{
    CloseCode, Connection, Ending, Event, Input, Next, Request, Response, SendError, Write,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink, split};
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use crate::admission::Seat;
use crate::hub::{Id, Mailbox, Parcel};
use crate::memory::{NO_ROOM, Share, turn_away};
use crate::pace::{Pace, Verdict};
use crate::queue::{Queue, Taken};
use crate::wire::{FromMember, News, ToMember};
use crate::{ANSWER_TIMEOUT, Server, log};

const MAX_FILE_NAME: usize = 128;

type Outcome = Result<Ending, Box<dyn Error + Send + Sync>>;

/// The protocol: everything else in this package is the chat.
///
/// Each future of the `select!` may be dropped half way and nothing is lost: bytes are read and written or
/// they are not, what is written leaves the output only when `on_write` says so, and a parcel leaves the
/// mailbox only when it is returned. Parcels wait in the mailbox, where they are shared and counted, while
/// the connection has output enough.
async fn converse(stream: impl AsyncRead + AsyncWrite, visit: &mut Visit) -> Outcome {
    let (mut reader, mut writer) = split(stream);
    let mut ws = Connection::server(visit.server.config.clone());
    let (mut input, mut share) = (Input::default(), visit.server.budget.share());
    loop {
        match ws.poll(&mut input, visit.now()) {
            Next::Event(event) => visit.hear(&mut ws, event),
            Next::Over(ending) => return Ok(*ending),
            Next::Io(_) if !share.has_room_for(&ws) => {
                return visit.turn_away(reader, writer, ws, share).await;
            }
            Next::Io(io) => select! {
                (write, done) = write(&mut writer, io.write, &ws) => ws.on_write(write, done),
                done = reader.read(input.space()), if io.read => ws.on_read(done, &mut input),
                taken = visit.mailbox.next(io.send) => visit.send(&mut ws, taken),
                () = sleep(io.wait(visit.now())) => {}
            },
        }
    }
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    write: Option<Write>,
    ws: &Connection,
) -> (Write, io::Result<usize>) {
    let Some(write) = write else {
        return future::pending().await;
    };
    let done = match write {
        Write::Output => to.write_vectored(&ws.output_slices()).await,
        Write::Flush => to.flush().await.map(|()| 0),
        Write::Shutdown => to.shutdown().await.map(|()| 0),
    };
    (write, done)
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

    /// There is no room for what the connection holds: writes the last bytes, and reads on for a while.
    async fn turn_away(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        ws: Connection,
        share: Share,
    ) -> Outcome {
        self.leave();
        let last = turn_away(ws, share);
        if !last.is_empty() {
            let say = async {
                writer.write_all(&last).await?;
                writer.shutdown().await?;
                copy(&mut reader, &mut sink()).await
            };
            let _ = timeout(ANSWER_TIMEOUT, say).await;
        }
        Err(NO_ROOM.into())
    }

    fn send(&mut self, ws: &mut Connection, taken: Taken<Parcel>) {
        let sent = match taken {
            Taken::Item(Parcel::Message(message)) => ws.send_prepared(&message),
            Taken::Item(Parcel::File(announced, file)) => ws
                .send_prepared(&announced)
                .and_then(|()| ws.send_prepared(&file)),
            Taken::Closed((code, reason)) => {
                self.leave();
                ws.close(code, reason)
            }
        };
        match sent {
            Ok(()) => {}
            // Nobody is in yet, so there is nobody to tell.
            Err(SendError::Connecting) => drop(ws.end_of_stream()),
            Err(_) => ws.handler_failed(),
        }
    }

    fn hear(&mut self, ws: &mut Connection, event: Event<'_>) {
        let answered = match event {
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
        };
        if answered.is_err() {
            ws.handler_failed();
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
