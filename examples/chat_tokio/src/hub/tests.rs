//! Rooms of one server, and of several that a Redis of a few lines connects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::queue::{TOO_SLOW, Taken};

const LIMITS: Limits = Limits {
    rooms: 2,
    members: 3,
    message: 1000,
};
const MAX_QUEUE: usize = 4000;

/// What a connection is told, until there is no more: messages, the sizes of files, the end.
fn told(mailbox: &Mailbox) -> Vec<Value> {
    let text = |message: &Prepared| serde_json::from_slice(message.payload()).unwrap();
    let mut all = Vec::new();
    while let Some(next) = mailbox.try_next(true) {
        match next {
            Taken::Item(Parcel::Message(message)) => all.push(text(&message)),
            Taken::Item(Parcel::File(announced, file)) => {
                all.push(text(&announced));
                all.push(json!(file.payload()));
            }
            Taken::Closed((code, _)) => all.push(json!({ "closed": code.get() })),
        }
    }
    all
}

fn enter(hub: &mut Hub, room: &str, id: Id, name: &str) -> Result<Mailbox, &'static str> {
    let mailbox = Arc::new(Queue::new(MAX_QUEUE));
    hub.arrive(id, Arc::clone(&mailbox));
    hub.join(room, id, name).map(|()| mailbox)
}

fn alone() -> Hub {
    Hub::new("s0".into(), LIMITS, Sharing::Off)
}

fn text(from: &str, text: &str) -> News {
    News::Text {
        from: from.into(),
        text: text.into(),
    }
}

#[test]
fn a_member_is_greeted_and_the_others_are_told() {
    let mut hub = alone();
    let ada = enter(&mut hub, "red", 1, "ada").unwrap();
    let bob = enter(&mut hub, "red", 2, "bob").unwrap();
    hub.leave("red", 2);
    hub.leave("red", 2);
    assert_eq!(
        told(&ada),
        [
            json!({"type": "welcome", "room": "red", "name": "ada", "members": ["ada"], "sharing": "off", "max_message": 1000}),
            json!({"type": "join", "name": "bob"}),
            json!({"type": "leave", "name": "bob"}),
        ]
    );
    assert_eq!(told(&bob)[0]["members"], json!(["ada", "bob"]));
}

#[test]
fn a_name_is_a_member_until_its_last_connection_leaves() {
    let mut hub = alone();
    let ada = enter(&mut hub, "red", 1, "ada").unwrap();
    enter(&mut hub, "red", 2, "bob").unwrap();
    enter(&mut hub, "red", 3, "bob").unwrap();
    told(&ada);
    hub.leave("red", 2);
    assert_eq!(told(&ada), [] as [Value; 0]);
    hub.leave("red", 3);
    assert_eq!(told(&ada), [json!({"type": "leave", "name": "bob"})]);
}

#[test]
fn what_is_said_stays_in_the_room_and_does_not_come_back() {
    let mut hub = alone();
    let ada = enter(&mut hub, "red", 1, "ada").unwrap();
    let bob = enter(&mut hub, "red", 2, "bob").unwrap();
    let eve = enter(&mut hub, "blue", 3, "eve").unwrap();
    for mailbox in [&ada, &bob, &eve] {
        told(mailbox);
    }
    hub.say("red", 1, text("ada", "hello"), Vec::new());
    let (from, name) = ("ada".to_owned(), Some("x".to_owned()));
    hub.say("red", 1, News::Binary { from, name }, vec![0, 255]);
    assert!(hub.whisper("red", 1, "ada", "bob", "psst"));
    assert!(!hub.whisper("red", 1, "ada", "eve", "psst"));
    assert_eq!(
        told(&bob),
        [
            json!({"type": "text", "from": "ada", "text": "hello"}),
            json!({"type": "binary", "from": "ada", "name": "x", "size": 2}),
            json!([0, 255]),
            json!({"type": "private", "from": "ada", "to": "bob", "text": "psst"}),
        ]
    );
    assert_eq!((told(&ada), told(&eve)), (vec![], vec![]));
}

#[test]
fn limits_are_exact_and_places_become_free() {
    let mut hub = alone();
    for id in 0..3 {
        enter(&mut hub, "red", id, "ada").unwrap();
    }
    assert_eq!(
        enter(&mut hub, "red", 3, "bob").err(),
        Some("the room is full\n")
    );
    enter(&mut hub, "blue", 4, "bob").unwrap();
    let refused = enter(&mut hub, "green", 5, "bob").err();
    assert_eq!(refused, Some("there are too many rooms\n"));
    hub.leave("red", 0);
    hub.leave("blue", 4);
    enter(&mut hub, "red", 6, "bob").unwrap();
    enter(&mut hub, "green", 7, "bob").unwrap();
}

#[test]
fn who_does_not_read_is_closed_and_the_others_go_on() {
    let mut hub = alone();
    let slow = enter(&mut hub, "red", 1, "slow").unwrap();
    let reader = enter(&mut hub, "red", 2, "reader").unwrap();
    told(&reader);
    for _ in 0..100 {
        hub.say("red", 3, text("ada", &"x".repeat(900)), Vec::new());
        assert_eq!(told(&reader).len(), 1);
    }
    assert_eq!(told(&slow), [json!({ "closed": TOO_SLOW.0.get() })]);
}

#[test]
fn when_the_server_ends_every_connection_closes() {
    let mut hub = alone();
    let ada = enter(&mut hub, "red", 1, "ada").unwrap();
    let early = Arc::new(Queue::new(MAX_QUEUE));
    hub.arrive(2, Arc::clone(&early));
    hub.close_all();
    let late = Arc::new(Queue::new(MAX_QUEUE));
    hub.arrive(3, Arc::clone(&late));
    for mailbox in [ada, early, late] {
        assert_eq!(told(&mailbox), [json!({ "closed": 1001 })]);
    }
}

/// Servers, and what Redis does for them.
struct Cluster {
    hubs: Vec<Hub>,
    outboxes: Vec<Option<Outbox>>,
    rooms: Vec<BTreeSet<String>>,
}

impl Cluster {
    fn new(servers: usize) -> Self {
        let hubs = (0..servers)
            .map(|n| Hub::new(format!("s{n}"), LIMITS, Sharing::Lost))
            .collect();
        let mut cluster = Self {
            hubs,
            outboxes: vec![None; servers],
            rooms: vec![BTreeSet::new(); servers],
        };
        (0..servers).for_each(|server| cluster.connect(server));
        cluster
    }

    fn connect(&mut self, server: usize) {
        let outbox = Arc::new(Queue::new(1 << 20));
        self.outboxes[server] = Some(Arc::clone(&outbox));
        self.hubs[server].link(outbox);
        self.settle();
    }

    fn disconnect(&mut self, server: usize) {
        self.outboxes[server] = None;
        self.rooms[server].clear();
        self.hubs[server].unlink();
    }

    fn enter(&mut self, server: usize, room: &str, id: Id, name: &str) -> Mailbox {
        let mailbox = enter(&mut self.hubs[server], room, id, name).unwrap();
        self.settle();
        mailbox
    }

    /// Delivers what is posted, and what is posted in answer, until nothing more is.
    fn settle(&mut self) {
        while let Some((server, post)) = self.next_post() {
            match post {
                Post::Subscribe(room) => drop(self.rooms[server].insert(room)),
                Post::Unsubscribe(room) => drop(self.rooms[server].remove(&room)),
                Post::Publish(room, letter) => self.deliver(server, Some(&room), &letter),
                Post::Alive(letter) => self.deliver(server, None, &letter),
                Post::Ready => self.hubs[server].link_ready(),
                Post::Stop => {}
            }
        }
    }

    fn next_post(&self) -> Option<(usize, Post)> {
        let outboxes = self.outboxes.iter().enumerate();
        let mut ready =
            outboxes.filter_map(|(n, outbox)| Some((n, outbox.as_ref()?.try_next(true)?)));
        match ready.next()? {
            (server, Taken::Item(post)) => Some((server, post)),
            (_, Taken::Closed(reason)) => panic!("{reason:?}"),
        }
    }

    fn deliver(&mut self, sender: usize, room: Option<&str>, letter: &[u8]) {
        for (n, hub) in self.hubs.iter_mut().enumerate() {
            let hears = room.is_none_or(|room| self.rooms[n].contains(room));
            if n != sender && self.outboxes[n].is_some() && hears {
                hub.receive(room, Letter::decode(letter).unwrap());
            }
        }
    }

    fn members(&self, server: usize, room: &str) -> Vec<&str> {
        self.hubs[server].rooms[room].names().into_iter().collect()
    }
}

#[test]
fn servers_share_members_and_messages() {
    let mut cluster = Cluster::new(2);
    let ada = cluster.enter(0, "red", 1, "ada");
    let bob = cluster.enter(1, "red", 1, "bob");
    let eve = cluster.enter(1, "blue", 2, "eve");
    assert_eq!(told(&ada)[1..], [json!({"type": "join", "name": "bob"})]);
    // Who was there before did not just join.
    assert_eq!(
        told(&bob)[1..],
        [json!({"type": "members", "members": ["ada", "bob"]})]
    );
    assert_eq!(told(&eve).len(), 1);
    cluster.hubs[0].say("red", 1, text("ada", "hello"), Vec::new());
    assert!(cluster.hubs[0].whisper("red", 1, "ada", "bob", "psst"));
    let (from, name) = ("ada".to_owned(), None);
    cluster.hubs[0].say("red", 1, News::Binary { from, name }, b"\n\xff".to_vec());
    cluster.settle();
    assert_eq!(
        told(&bob),
        [
            json!({"type": "text", "from": "ada", "text": "hello"}),
            json!({"type": "private", "from": "ada", "to": "bob", "text": "psst"}),
            json!({"type": "binary", "from": "ada", "name": null, "size": 2}),
            json!([10, 255]),
        ]
    );
    cluster.hubs[1].leave("red", 1);
    cluster.settle();
    assert_eq!(told(&ada), [json!({"type": "leave", "name": "bob"})]);
    assert_eq!(told(&eve), [] as [Value; 0]);
    assert!(!cluster.rooms[1].contains("red"));
}

#[test]
fn a_name_at_two_servers_is_one_member() {
    let mut cluster = Cluster::new(2);
    let ada = cluster.enter(0, "red", 1, "ada");
    cluster.enter(0, "red", 2, "bob");
    cluster.enter(1, "red", 1, "bob");
    told(&ada);
    cluster.hubs[0].leave("red", 2);
    cluster.settle();
    assert_eq!(told(&ada), [] as [Value; 0]);
    cluster.hubs[1].leave("red", 1);
    cluster.settle();
    assert_eq!(told(&ada), [json!({"type": "leave", "name": "bob"})]);
}

#[test]
fn without_redis_rooms_are_local_and_with_it_whole_again() {
    let mut cluster = Cluster::new(2);
    let ada = cluster.enter(0, "red", 1, "ada");
    cluster.enter(1, "red", 1, "bob");
    told(&ada);
    cluster.disconnect(0);
    cluster.disconnect(0);
    cluster.disconnect(1);
    assert_eq!(
        told(&ada),
        [
            json!({"type": "sharing", "sharing": "lost"}),
            json!({"type": "members", "members": ["ada"]}),
        ]
    );
    let eve = cluster.enter(0, "red", 2, "eve");
    assert_eq!(told(&eve)[0]["sharing"], "lost");
    cluster.hubs[1].leave("red", 1);
    cluster.enter(1, "red", 2, "dan");
    told(&ada);
    cluster.connect(1);
    cluster.connect(0);
    for server in 0..2 {
        assert_eq!(cluster.members(server, "red"), ["ada", "dan", "eve"]);
    }
    assert_eq!(
        told(&ada),
        [
            json!({"type": "sharing", "sharing": "on"}),
            json!({"type": "members", "members": ["ada", "dan", "eve"]}),
        ]
    );
}

#[test]
fn a_silent_server_is_forgotten_and_found_again() {
    let mut cluster = Cluster::new(2);
    let ada = cluster.enter(0, "red", 1, "ada");
    cluster.enter(1, "red", 1, "bob");
    told(&ada);
    let alive = Letter::encode("s1", &News::Alive, &[]);
    for _ in 0..10 * MAX_SILENCE {
        cluster.hubs[0].beat();
        cluster.deliver(1, None, &alive);
    }
    for _ in 0..MAX_SILENCE {
        cluster.hubs[0].beat();
    }
    cluster.settle();
    assert_eq!(told(&ada), [] as [Value; 0]);
    cluster.hubs[0].beat();
    assert_eq!(told(&ada), [json!({"type": "leave", "name": "bob"})]);
    cluster.deliver(1, None, &alive);
    cluster.settle();
    assert_eq!(cluster.members(0, "red"), ["ada", "bob"]);
    assert_eq!(
        told(&ada),
        [json!({"type": "members", "members": ["ada", "bob"]})]
    );
}

#[test]
fn what_is_published_is_bounded() {
    let mut hub = Hub::new("s0".into(), LIMITS, Sharing::Lost);
    let outbox = Arc::new(Queue::new(MAX_QUEUE));
    hub.link(Arc::clone(&outbox));
    for _ in 0..100 {
        hub.say("red", 1, text("ada", &"x".repeat(900)), Vec::new());
    }
    assert_eq!(outbox.try_next(true), Some(Taken::Closed(TOO_SLOW)));
}
