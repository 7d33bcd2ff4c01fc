//! Prepared messages: shared payloads between other output, under partial writes of every size.

mod common;

use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use sockless::{Config, Connection, Event, Fin, Prepared, Role, SendError, State};

fn from_peer(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    frame(peer(role), first, payload)
}

#[test]
fn a_prepared_message_is_the_message() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 255, 256, 65535, 65536, 100_000] {
            let data = vec![0xa5; len];
            let text = "x".repeat(len);
            let mut ws = open(role, Config::default());
            ws.send_prepared(&Prepared::binary(data.clone())).unwrap();
            ws.send_prepared(&Prepared::text(text.clone())).unwrap();
            assert_eq!(
                ws.outputs().map(<[u8]>::len).sum::<usize>(),
                ws.buffered_amount()
            );
            let written = parse(role, &drain(&mut ws));
            assert_eq!(
                written,
                [wrote(FIN | BINARY, &data), wrote(FIN | TEXT, &text)]
            );
        }
    }
}

/// A server hands out the shared bytes themselves; a client, which has to mask, a masked copy.
#[test]
fn a_server_copies_nothing_and_a_client_masks_a_copy() {
    let payload: Arc<[u8]> = vec![7; 4096].into();
    let message = Prepared::binary(Arc::clone(&payload));
    let mut server = open(Role::Server, Config::default());
    server.send_prepared(&message).unwrap();
    let slices: Vec<&[u8]> = server.outputs().collect();
    assert_eq!(slices.len(), 2);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());
    let mut client = open(Role::Client, Config::default());
    client.send_prepared(&message).unwrap();
    assert!(
        client
            .outputs()
            .all(|slice| slice.as_ptr() != payload.as_ptr())
    );
    assert_eq!(
        parse(Role::Client, &drain(&mut client)),
        [wrote(FIN | BINARY, &payload)]
    );
    assert_eq!(payload[..], [7; 4096], "untouched");
}

#[test]
fn a_payload_is_given_back_when_it_is_written_or_given_up() {
    let payload: Arc<[u8]> = vec![7; 4096].into();
    let message = Prepared::binary(Arc::clone(&payload));
    let mut ends: Vec<_> = (0..3)
        .map(|_| open(Role::Server, Config::default()))
        .collect();
    for ws in &mut ends {
        ws.send_prepared(&message).unwrap();
    }
    drop(message);
    assert_eq!(
        Arc::strong_count(&payload),
        2,
        "one for all the connections"
    );
    drain(&mut ends[0]);
    ends[1].end_of_stream();
    ends[2].sent(4000);
    assert_eq!(Arc::strong_count(&payload), 2);
    drain(&mut ends[2]);
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn prepared_messages_keep_the_rules_of_sending() {
    let message = Prepared::text("prepared".repeat(100));
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.send_text_part("begun", Fin::More).unwrap();
        assert_eq!(
            ws.send_prepared(&message),
            Err(SendError::MessageInProgress)
        );
        ws.send_text_part("", Fin::Last).unwrap();
        ws.send_prepared(&message).unwrap();
        ws.close_without_code().unwrap();
        let pending = ws.buffered_amount();
        assert_eq!(ws.send_prepared(&message), Ok(()));
        assert_eq!(
            (ws.buffered_amount(), ws.state()),
            (pending, State::Closing)
        );
        assert_eq!(drain(&mut ws).len(), pending);

        // In fragments, if that is what the connection sends.
        let mut ws = open(role, Config::default().fragment_size(300));
        ws.send_prepared(&message).unwrap();
        let written = parse(role, &drain(&mut ws));
        let sizes: Vec<_> = written.iter().map(|f| (f.first, f.payload.len())).collect();
        assert_eq!(
            sizes,
            [(TEXT, 300), (CONTINUATION, 300), (FIN | CONTINUATION, 200)]
        );
    }
    let mut connecting = Connection::server(Config::default());
    assert_eq!(
        connecting.send_prepared(&message),
        Err(SendError::Connecting)
    );
}

/// A pong goes in behind the shared payload that is being written, before the next frame.
#[test]
fn r177_pong_behind_the_shared_payload_in_progress() {
    let message = Prepared::binary(vec![1; 1000]);
    for sent in 0..=1004 {
        let mut ws = open(Role::Server, Config::default().high_water_mark(0));
        ws.send_prepared(&message).unwrap();
        ws.send_prepared(&message).unwrap();
        let mut wire: Vec<u8> = ws.outputs().flatten().take(sent).copied().collect();
        ws.sent(sent);
        feed(&mut ws, &from_peer(Role::Server, FIN | PING, b"now"));
        wire.extend(drain(&mut ws));
        let at = usize::from(sent > 0);
        let mut expected = vec![wrote(FIN | BINARY, [1; 1000]); 2];
        expected.insert(at, wrote(FIN | PONG, b"now"));
        assert_eq!(parse(Role::Server, &wire), expected, "after {sent} bytes");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Prepared(usize),
    Ping(u8),
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..700usize).prop_map(Step::Send),
        (0..2000usize).prop_map(Step::Prepared),
        any::<u8>().prop_map(Step::Ping),
        (0..900usize).prop_map(Step::Write),
        (0..5usize).prop_map(Step::Write),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever is queued between whatever is written: whole frames come out, the messages in their
    /// order, the pongs a subsequence of the pings that ends with the last.
    #[test]
    fn any_mixture_comes_out_whole(steps in steps(), mark in 0..3000usize) {
        for role in ROLES {
            let mut ws = open(role, Config::default().high_water_mark(mark));
            let (mut wire, mut messages, mut pings) = (Vec::new(), Vec::new(), Vec::new());
            for (number, step) in steps.iter().enumerate() {
                let fill = number as u8;
                match *step {
                    Step::Send(len) => {
                        ws.send_binary(vec![fill; len]).unwrap();
                        messages.push(vec![fill; len]);
                    }
                    Step::Prepared(len) => {
                        ws.send_prepared(&Prepared::binary(vec![fill; len])).unwrap();
                        messages.push(vec![fill; len]);
                    }
                    Step::Ping(len) => {
                        let payload = vec![fill; usize::from(len) % 126];
                        let event = feed(&mut ws, &from_peer(role, FIN | PING, &payload));
                        prop_assert_eq!(event, [Event::Ping(payload.clone().into())]);
                        pings.push(payload);
                    }
                    Step::Write(n) => {
                        prop_assert_eq!(ws.outputs().next().unwrap_or_default(), ws.output());
                        wire.extend(ws.outputs().flatten().take(n));
                        ws.sent(n);
                    }
                }
                let pending: usize = ws.outputs().map(<[u8]>::len).sum();
                prop_assert_eq!(pending, ws.buffered_amount());
                prop_assert!(ws.outputs().all(|run| !run.is_empty()));
            }
            wire.extend(drain(&mut ws));
            let frames = parse(role, &wire);
            let data = frames.iter().filter(|f| f.first == FIN | BINARY).map(|f| &f.payload);
            prop_assert!(data.eq(&messages));
            let pongs: Vec<_> = frames.iter().filter(|f| f.first == FIN | PONG).collect();
            prop_assert_eq!(frames.len(), messages.len() + pongs.len());
            prop_assert!(pongs.iter().all(|pong| pings.contains(&pong.payload)));
            if let Some(last) = pings.last() {
                prop_assert!(pongs.iter().any(|pong| pong.payload == *last));
            }
        }
    }
}
