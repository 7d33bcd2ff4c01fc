//! [`Hub`]: who is in which room, and who hears what. No sockets, no Redis, no clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sockless::{CloseCode, Prepared};

use crate::queue::{Queue, Reason};
use crate::wire::{Letter, News, Sharing, ToMember};

/// How many beats a server may be silent before its members count as gone.
const MAX_SILENCE: u32 = 3;

/// A connection.
pub(crate) type Id = u64;
pub(crate) type Mailbox = Arc<Queue<Parcel>>;
pub(crate) type Outbox = Arc<Queue<Post>>;

/// What a connection sends without anything between.
#[derive(Debug)]
pub(crate) enum Parcel {
    Message(Prepared),
    /// What is announced, and the file itself.
    File(Prepared, Prepared),
}

/// What the link to the other servers has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Post {
    Subscribe(String),
    Unsubscribe(String),
    /// To the servers that have this room.
    Publish(String, Vec<u8>),
    /// To all servers.
    Alive(Vec<u8>),
    /// All rooms that there were have been subscribed to.
    Ready,
    /// The server ends.
    Stop,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) rooms: usize,
    /// Connections to one room of this server.
    pub(crate) members: usize,
    pub(crate) message: usize,
}

pub(crate) struct Hub {
    limits: Limits,
    /// Tells this server from the others.
    server: String,
    sharing: Sharing,
    rooms: HashMap<String, Room>,
    /// For how many beats each other server has been silent.
    servers: HashMap<String, u32>,
    outbox: Option<Outbox>,
    /// All connections, in a room or not yet.
    connections: HashMap<Id, Mailbox>,
    /// Why every connection closes, once the server ends.
    ending: Option<Reason>,
}

/// A member is a name, present as long as one connection at any server has it.
#[derive(Default)]
struct Room {
    seats: HashMap<Id, Seat>,
    /// The names at each other server.
    elsewhere: HashMap<String, BTreeSet<String>>,
}

struct Seat {
    name: String,
    mailbox: Mailbox,
}

impl Hub {
    pub(crate) fn new(server: String, limits: Limits, sharing: Sharing) -> Self {
        Self {
            limits,
            server,
            sharing,
            rooms: HashMap::new(),
            servers: HashMap::new(),
            outbox: None,
            connections: HashMap::new(),
            ending: None,
        }
    }

    // What connections do.

    pub(crate) fn arrive(&mut self, id: Id, mailbox: Mailbox) {
        if let Some(reason) = self.ending {
            mailbox.close(reason);
        }
        self.connections.insert(id, mailbox);
    }

    /// Ends what [`arrive`](Self::arrive) began; the connection has left its room before.
    pub(crate) fn depart(&mut self, id: Id) {
        self.connections.remove(&id);
    }

    /// Greets the connection and tells the others; or says which limit is in the way.
    pub(crate) fn join(&mut self, room_name: &str, id: Id, name: &str) -> Result<(), &'static str> {
        let mailbox = self.connections.get(&id).ok_or("the connection is gone")?;
        let mailbox = Arc::clone(mailbox);
        let is_new_room = !self.rooms.contains_key(room_name);
        if is_new_room && self.rooms.len() >= self.limits.rooms {
            return Err("there are too many rooms\n");
        }
        let seats = self.rooms.get(room_name).map_or(0, |room| room.seats.len());
        if seats >= self.limits.members {
            return Err("the room is full\n");
        }
        let room = self.rooms.entry(room_name.to_owned()).or_default();
        let was_here = room.names_here().any(|other| other == name);
        if !room.names().contains(name) {
            room.tell(&ToMember::Join { name });
        }
        let seat = Seat {
            name: name.to_owned(),
            mailbox,
        };
        room.seats.insert(id, seat);
        let welcome = ToMember::Welcome {
            room: room_name,
            name,
            members: room.names().into_iter().collect(),
            sharing: self.sharing,
            max_message: self.limits.message,
        };
        room.tell_one(id, &welcome);
        if is_new_room {
            self.post(Post::Subscribe(room_name.to_owned()));
            self.publish(room_name, &News::Who, &[]);
        }
        if !was_here {
            self.publish_here(room_name, true);
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self, room_name: &str, id: Id) {
        let Some(room) = self.rooms.get_mut(room_name) else {
            return;
        };
        let Some(Seat { name, .. }) = room.seats.remove(&id) else {
            return;
        };
        if room.names_here().any(|other| other == name) {
            return;
        }
        if !room.names().contains(name.as_str()) {
            room.tell(&ToMember::Leave { name: &name });
        }
        let is_empty = room.seats.is_empty();
        self.publish_here(room_name, true);
        if is_empty {
            self.rooms.remove(room_name);
            self.post(Post::Unsubscribe(room_name.to_owned()));
        }
    }

    /// To everyone in the room but the sender.
    pub(crate) fn say(&self, room: &str, id: Id, news: News, body: Vec<u8>) {
        self.publish(room, &news, &body);
        if let Some(room) = self.rooms.get(room) {
            room.deliver(Some(id), &news, body);
        }
    }

    /// To all connections of one name; whether there are any.
    pub(crate) fn whisper(
        &self,
        room_name: &str,
        id: Id,
        from: &str,
        to: &str,
        text: &str,
    ) -> bool {
        let Some(room) = self.rooms.get(room_name) else {
            return false;
        };
        let news = News::Private {
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
        };
        room.deliver(Some(id), &news, Vec::new());
        if room.elsewhere.values().any(|names| names.contains(to)) {
            self.publish(room_name, &news, &[]);
        }
        room.names().contains(to)
    }

    /// To one connection, behind what it is to be told already.
    pub(crate) fn answer(&self, id: Id, message: &ToMember<'_>) {
        if let Some(mailbox) = self.connections.get(&id) {
            Parcel::Message(message.prepare()).put_in(mailbox);
        }
    }

    /// The server ends: every connection closes.
    pub(crate) fn close_all(&mut self) {
        let reason = (CloseCode::GOING_AWAY, "the server is shutting down");
        self.ending = Some(reason);
        for mailbox in self.connections.values() {
            mailbox.close(reason);
        }
    }

    /// The link ends behind what it still has to do.
    pub(crate) fn close_link(&self) {
        self.post(Post::Stop);
    }

    // What the link to the other servers does.

    /// The link is there, and subscribes to the rooms; [`Post::Ready`] follows.
    pub(crate) fn link(&mut self, outbox: Outbox) {
        self.outbox = Some(outbox);
        for name in self.rooms.keys() {
            self.post(Post::Subscribe(name.clone()));
        }
        self.post(Post::Ready);
    }

    /// From here on nothing that is published is missed.
    pub(crate) fn link_ready(&mut self) {
        self.set_sharing(Sharing::On);
        self.meet();
    }

    /// The link is lost: rooms are this server's alone.
    pub(crate) fn unlink(&mut self) {
        self.outbox = None;
        self.servers.clear();
        self.set_sharing(Sharing::Lost);
        for room in self.rooms.values_mut() {
            if !room.elsewhere.is_empty() {
                room.elsewhere.clear();
                room.tell_members();
            }
        }
    }

    /// Something came from a server that is not this one.
    pub(crate) fn receive(&mut self, room_name: Option<&str>, letter: Letter<'_>) {
        let is_new = self.servers.insert(letter.server.clone(), 0).is_none();
        if is_new {
            // What it said before is not known here, nor may it know what was said here.
            self.meet();
        }
        let Some((room_name, room)) =
            room_name.and_then(|name| Some((name, self.rooms.get_mut(name)?)))
        else {
            return;
        };
        match letter.news {
            News::Here { names, changed } => room.update(&letter.server, names, changed),
            News::Who => self.publish_here(room_name, false),
            News::Alive => {}
            news => room.deliver(None, &news, letter.body.to_owned()),
        }
    }

    /// Forgets the servers that have been silent for too long, and says that their members left.
    pub(crate) fn beat(&mut self) {
        self.servers.values_mut().for_each(|silence| *silence += 1);
        let rooms = &mut self.rooms;
        self.servers.retain(|server, silence| {
            let is_there = *silence <= MAX_SILENCE;
            if !is_there {
                for room in rooms.values_mut() {
                    room.update(server, Vec::new(), true);
                }
            }
            is_there
        });
    }

    /// Asks all servers who is in the rooms that are here, and tells them.
    fn meet(&self) {
        for name in self.rooms.keys() {
            self.publish(name, &News::Who, &[]);
            self.publish_here(name, false);
        }
    }

    fn publish_here(&self, room_name: &str, changed: bool) {
        if let Some(room) = self.rooms.get(room_name) {
            let names: BTreeSet<_> = room.names_here().collect();
            let names = names.into_iter().map(str::to_owned).collect();
            self.publish(room_name, &News::Here { names, changed }, &[]);
        }
    }

    fn publish(&self, room_name: &str, news: &News, body: &[u8]) {
        if self.outbox.is_some() {
            let letter = Letter::encode(&self.server, news, body);
            self.post(Post::Publish(room_name.to_owned(), letter));
        }
    }

    fn post(&self, post: Post) {
        if let Some(outbox) = &self.outbox {
            let bytes = match &post {
                Post::Publish(_, letter) => letter.len(),
                _ => 0,
            };
            outbox.push(post, bytes);
        }
    }

    fn set_sharing(&mut self, sharing: Sharing) {
        if self.sharing != sharing {
            self.sharing = sharing;
            for room in self.rooms.values() {
                room.tell(&ToMember::Sharing { sharing });
            }
        }
    }
}

impl Room {
    fn names_here(&self) -> impl Iterator<Item = &str> {
        self.seats.values().map(|seat| seat.name.as_str())
    }

    fn names(&self) -> BTreeSet<&str> {
        let elsewhere = self.elsewhere.values().flatten().map(String::as_str);
        self.names_here().chain(elsewhere).collect()
    }

    /// The members at `server` are these now.
    fn update(&mut self, server: &str, names: Vec<String>, changed: bool) {
        let owned = |names: BTreeSet<&str>| -> BTreeSet<String> {
            names.into_iter().map(str::to_owned).collect()
        };
        let before = owned(self.names());
        if names.is_empty() {
            self.elsewhere.remove(server);
        } else {
            let names = names.into_iter().collect();
            self.elsewhere.insert(server.to_owned(), names);
        }
        let after = owned(self.names());
        if changed {
            for name in after.difference(&before) {
                self.tell(&ToMember::Join { name });
            }
            for name in before.difference(&after) {
                self.tell(&ToMember::Leave { name });
            }
        } else if before != after {
            self.tell_members();
        }
    }

    /// Hands on what a member said, to all whom it is for but the connection that it came from.
    fn deliver(&self, sender: Option<Id>, news: &News, body: Vec<u8>) {
        let (to, parcel) = match news {
            News::Text { from, text } => (None, Parcel::message(&ToMember::Text { from, text })),
            News::Private { from, to, text } => {
                let message = ToMember::Private { from, to, text };
                (Some(to), Parcel::message(&message))
            }
            News::Binary { from, name } => {
                let message = ToMember::Binary {
                    from,
                    name: name.as_deref(),
                    size: body.len(),
                };
                (
                    None,
                    Parcel::File(message.prepare(), Prepared::binary(body)),
                )
            }
            News::Here { .. } | News::Who | News::Alive => return,
        };
        for (id, seat) in &self.seats {
            if sender != Some(*id) && to.is_none_or(|to| *to == seat.name) {
                parcel.put_in(&seat.mailbox);
            }
        }
    }

    fn tell_members(&self) {
        self.tell(&ToMember::Members {
            members: self.names().into_iter().collect(),
        });
    }

    fn tell(&self, message: &ToMember<'_>) {
        let parcel = Parcel::message(message);
        for seat in self.seats.values() {
            parcel.put_in(&seat.mailbox);
        }
    }

    fn tell_one(&self, id: Id, message: &ToMember<'_>) {
        if let Some(seat) = self.seats.get(&id) {
            Parcel::message(message).put_in(&seat.mailbox);
        }
    }
}

impl Parcel {
    fn message(message: &ToMember<'_>) -> Self {
        Self::Message(message.prepare())
    }

    /// Shares what is in it; no payload is copied.
    fn put_in(&self, mailbox: &Queue<Self>) {
        let (copy, bytes) = match self {
            Self::Message(message) => (Self::Message(message.clone()), message.payload().len()),
            Self::File(announced, file) => (
                Self::File(announced.clone(), file.clone()),
                announced.payload().len() + file.payload().len(),
            ),
        };
        mailbox.push(copy, bytes);
    }
}

#[cfg(test)]
mod tests;
