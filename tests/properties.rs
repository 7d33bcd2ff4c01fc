//! What holds of every input: random frames, conversations, cuts and partial writes.

mod common;

use common::*;
use proptest::prelude::*;
use sockless::frame::{Decoder, Header, MAX_HEADER_SIZE, Opcode, Rules};
use sockless::utf8::Validator;
use sockless::{CloseCode, Config, Connection, Error, Event, Fin, Role, mask};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn opcode() -> impl Strategy<Value = Opcode> {
    prop::sample::select(vec![
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ])
}

/// Every size of number, and both sides of each boundary.
fn length() -> impl Strategy<Value = u64> {
    let boundaries: Vec<u64> = [
        0,
        125,
        126,
        127,
        65535,
        65536,
        1 << 31,
        1 << 32,
        (1 << 63) - 1,
    ]
    .into_iter()
    .flat_map(|at: u64| [at.saturating_sub(1), at, (at + 1).min((1 << 63) - 1)])
    .collect();
    prop_oneof![
        prop::sample::select(boundaries),
        (0_u32..63, any::<u64>()).prop_map(|(bits, number)| number >> 1 >> bits),
    ]
}

proptest! {
    #![proptest_config(config(2000))]

    /// R128, R129, R261: what is written is read again, whole and in any two pieces, in the shortest
    /// form.
    #[test]
    fn r261_header_round_trip(
        fin: bool,
        rsv1: bool,
        opcode in opcode(),
        key: Option<[u8; 4]>,
        payload_len in length(),
        cut in 0_usize..MAX_HEADER_SIZE,
    ) {
        let control = opcode.is_control();
        let header = Header {
            fin: fin || control,
            rsv1: rsv1 && matches!(opcode, Opcode::Text | Opcode::Binary),
            opcode,
            mask: key,
            payload_len: if control { payload_len % 126 } else { payload_len },
        };
        let role = if key.is_some() { Role::Server } else { Role::Client };
        let rules = Rules { role, rsv1: true, max_payload: u64::MAX };
        let mut buffer = [0; MAX_HEADER_SIZE];
        let bytes = header.encode(&mut buffer).expect("below 2^63");
        let form = match header.payload_len {
            0..=125 => 0,
            126..=65535 => 2,
            _ => 8,
        };
        prop_assert_eq!(bytes.len(), 2 + form + key.map_or(0, |_| 4));
        prop_assert_eq!(Header::decode(bytes, &rules), Ok(Some((header, bytes.len()))));
        // What follows is not touched, and what is missing is waited for.
        let mut more = bytes.to_vec();
        more.extend([0xa5; 20]);
        prop_assert_eq!(Header::decode(&more, &rules), Ok(Some((header, bytes.len()))));
        for end in 0..bytes.len() {
            prop_assert_eq!(Header::decode(&bytes[..end], &rules), Ok(None));
        }
        let mut decoder = Decoder::new(rules);
        let (first, _) = bytes.split_at(cut.min(bytes.len() - 1));
        let mut input = first;
        prop_assert_eq!(decoder.decode(&mut input), Ok(None));
        prop_assert!(input.is_empty());
        prop_assert_eq!(decoder.is_mid_header(), !first.is_empty());
        let mut input = &more[first.len()..];
        prop_assert_eq!(decoder.decode(&mut input), Ok(Some(header)));
        prop_assert_eq!(input, &[0xa5; 20][..]);
        prop_assert!(!decoder.is_mid_header());
        // At the limit and one below it.
        let at = Rules { max_payload: header.payload_len, ..rules };
        prop_assert_eq!(Header::decode(bytes, &at), Ok(Some((header, bytes.len()))));
        if let (Some(below), false) = (header.payload_len.checked_sub(1), control) {
            let below = Rules { max_payload: below, ..rules };
            prop_assert_eq!(Header::decode(bytes, &below), Err(Error::FrameTooLarge));
        }
        prop_assert_eq!(Header { payload_len: header.payload_len | 1 << 63, ..header }.encode(&mut buffer), None);
    }

    /// R140: twice is not at all, in any pieces.
    #[test]
    fn r140_mask_twice(key: [u8; 4], data: Vec<u8>, cut: prop::sample::Index) {
        let mut masked = data.clone();
        mask::apply(key, &mut masked);
        let (first, second) = masked.split_at_mut(cut.index(data.len() + 1));
        mask::apply(key, first);
        mask::apply(mask::rotate(key, first.len()), second);
        prop_assert_eq!(masked, data);
    }

    /// R230 to R235, T17: against the standard library, at random cuts.
    #[test]
    fn r230_validator_is_from_utf8(
        parts in prop::collection::vec(text_or_not(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = parts.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut validator = Validator::new();
        let mut text = String::new();
        let mut failed = None;
        for pair in cuts.windows(2) {
            match validator.feed(&bytes[pair[0]..pair[1]]) {
                Ok((completed, piece)) => {
                    text.extend(completed);
                    text.push_str(piece);
                }
                Err(_) => {
                    failed = Some(pair[1]);
                    break;
                }
            }
        }
        // The end of the first piece from which there was no way back.
        let hopeless = |end: usize| {
            core::str::from_utf8(&bytes[..end]).is_err_and(|error| error.error_len().is_some())
        };
        prop_assert_eq!(failed, cuts[1..].iter().copied().find(|end| hopeless(*end)));
        if failed.is_none() {
            let expected = core::str::from_utf8(&bytes);
            prop_assert_eq!(validator.is_complete(), expected.is_ok());
            let valid_up_to = expected.map_or_else(|error| error.valid_up_to(), str::len);
            prop_assert_eq!(text.as_bytes(), &bytes[..valid_up_to]);
        }
        prop_assert_eq!(sockless::utf8::validate(&bytes).ok(), core::str::from_utf8(&bytes).ok());
    }
}

/// Text, mostly; and pieces of it, and bytes that are no such thing.
fn text_or_not() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => ".{0,12}".prop_map(String::into_bytes),
        2 => "[a-z]{0,80}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => prop::sample::select(vec![
            &b"\xe2\x82"[..], b"\xf0\x9f\x98", b"\xc3", b"\xac", b"\xed\xa0", b"\xf4\x90", b"\xc0",
        ])
        .prop_map(<[u8]>::to_vec),
    ]
}

/// A part of what a peer sends.
#[derive(Clone, Debug)]
enum Say {
    /// A message in these fragments, with a ping after each if so.
    Message(u8, Vec<Vec<u8>>, bool),
    Control(u8, Vec<u8>),
    /// A frame that may be in the wrong place, or wrong.
    Frame(u8, Vec<u8>),
    Close(u16, String),
    /// A header that promises more.
    Header(u8, u64),
    Raw(Vec<u8>),
}

fn say() -> impl Strategy<Value = Say> {
    let payload = || prop::collection::vec(any::<u8>(), 0..40);
    let words = || prop::collection::vec(".{0,9}".prop_map(String::into_bytes), 1..4);
    prop_oneof![
        6 => (words(), any::<bool>()).prop_map(|(parts, pings)| Say::Message(TEXT, parts, pings)),
        4 => (prop::collection::vec(payload(), 1..4), any::<bool>())
            .prop_map(|(parts, pings)| Say::Message(BINARY, parts, pings)),
        2 => ("[ -~]{100,400}", 1_usize..3).prop_map(|(text, parts)| {
            let size = text.len().div_ceil(parts);
            Say::Message(TEXT, text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect(), false)
        }),
        2 => prop::collection::vec(text_or_not(), 1..4)
            .prop_map(|parts| Say::Message(TEXT, parts, false)),
        4 => (prop::sample::select(vec![PING, PONG]), payload())
            .prop_map(|(opcode, payload)| Say::Control(opcode, payload)),
        1 => (any::<u8>(), payload()).prop_map(|(first, payload)| Say::Frame(first, payload)),
        1 => (0_u8..3, payload()).prop_map(|(first, payload)| Say::Frame(first, payload)),
        1 => (prop_oneof![any::<u16>(), 990_u16..1020, 2990_u16..3010], "[a-zé€]{0,30}")
            .prop_map(|(code, reason)| Say::Close(code, reason)),
        1 => (any::<u8>(), length()).prop_map(|(first, len)| Say::Header(first, len)),
        1 => payload().prop_map(Say::Raw),
    ]
}

fn wire(from: Role, conversation: &[Say]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for say in conversation {
        match say {
            Say::Message(opcode, parts, pings) => {
                for (i, part) in parts.iter().enumerate() {
                    let opcode = if i == 0 { *opcode } else { CONTINUATION };
                    let fin = if i + 1 == parts.len() { FIN } else { 0 };
                    bytes.extend(frame(from, fin | opcode, part));
                    if *pings {
                        bytes.extend(frame(from, FIN | PING, part.get(..3).unwrap_or_default()));
                    }
                }
            }
            Say::Control(opcode, payload) => bytes.extend(frame(from, FIN | opcode, payload)),
            Say::Frame(first, payload) => bytes.extend(frame(from, *first, payload)),
            Say::Close(code, reason) => {
                bytes.extend(frame(from, FIN | CLOSE, &close_body(*code, reason)));
            }
            Say::Header(first, len) => bytes.extend(header(from, *first, *len)),
            Say::Raw(raw) => bytes.extend(raw),
        }
    }
    bytes
}

fn limits() -> impl Strategy<Value = Config> {
    let config = Config::default;
    prop_oneof![
        4 => Just(config()),
        1 => Just(config().max_frame_size(100).max_message_size(150).max_fragments(2)),
        1 => (0_usize..60, 0_usize..60, 1_u32..4).prop_map(move |(frame, message, fragments)| {
            config()
                .max_frame_size(frame)
                .max_message_size(message)
                .max_fragments(fragments)
        }),
    ]
}

fn cuts(cuts: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(config(1500))]

    /// T1, R129: whatever is said, right or wrong, how it is cut changes nothing.
    #[test]
    fn t01_split_invariance(
        role in role(),
        config in limits(),
        conversation in prop::collection::vec(say(), 1..8),
        at in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let wire = wire(peer(role), &conversation);
        let whole = run(role, config.clone(), &wire, &[]);
        prop_assert_eq!(&run(role, config.clone(), &wire, &cuts(&at, wire.len())), &whole);
        prop_assert_eq!(&run(role, config.clone(), &wire, &cuts(&at[..1], wire.len())), &whole);
        let single: Vec<_> = (1..wire.len()).collect();
        prop_assert_eq!(&run(role, config, &wire, &single), &whole);
        // Whatever it was: one Close at most, and only at the end.
        let ended = |event: &Event<'_>| matches!(event, Event::Close(_) | Event::Fail(_));
        prop_assert!(!whole.events.iter().rev().skip(1).any(ended));
        let closes = whole.written.iter().filter(|frame| frame.first == FIN | CLOSE).count();
        prop_assert_eq!(closes, usize::from(whole.events.last().is_some_and(ended)));
    }

    /// R156: any cut of a message into fragments is the same message.
    #[test]
    fn r156_any_fragments(
        role in role(),
        message in "\\PC{0,200}",
        is_text: bool,
        fragments in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        reads in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        pinged: bool,
    ) {
        let bytes = message.as_bytes();
        let mut ends = cuts(&fragments, bytes.len());
        ends.push(bytes.len());
        let mut wire = Vec::new();
        let mut start = 0;
        for (i, end) in ends.iter().enumerate() {
            let opcode = match i {
                0 if is_text => TEXT,
                0 => BINARY,
                _ => CONTINUATION,
            };
            let fin = if i + 1 == ends.len() { FIN } else { 0 };
            wire.extend(frame(peer(role), fin | opcode, &bytes[start..*end]));
            if pinged {
                wire.extend(frame(peer(role), FIN | PONG, b""));
            }
            start = *end;
        }
        let mut transcript = run(role, Config::default(), &wire, &cuts(&reads, wire.len()));
        transcript.events.retain(|event| !matches!(event, Event::Pong(_)));
        let expected = if is_text { text(&message) } else { binary(bytes) };
        prop_assert_eq!(transcript.events, [expected]);
    }

    /// R255, T51: whatever arrives and whatever is called, nothing panics and every call ends.
    #[test]
    fn r255_t51_arbitrary_bytes(
        role in role(),
        config in limits(),
        mark in 0_usize..300,
        reads in prop::collection::vec(
            prop_oneof![
                3 => prop::collection::vec(any::<u8>(), 0..60),
                // The second byte of a frame with the right mask bit is likelier to go far.
                2 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(b, rest)| {
                    [&[FIN | b & 11, low_byte(rest.len() as u64) | b & 0x80][..], &rest].concat()
                }),
            ],
            0..12,
        ),
        calls in prop::collection::vec((0_u8..10, any::<u16>()), 0..24),
    ) {
        let mut ws = open(role, config.high_water_mark(mark).fragment_size(7));
        let mut calls = calls.into_iter();
        for read in reads {
            feed(&mut ws, &read);
            for (call, n) in calls.by_ref().take(2) {
                let data = vec![b'x'; usize::from(n % 300)];
                let text = "é".repeat(usize::from(n % 100));
                match call {
                    0 => drop(ws.send_text(&text)),
                    1 => drop(ws.send_binary(&data)),
                    2 => drop(ws.send_text_part(&text, Fin::More)),
                    3 => drop(ws.send_binary_part(&data, Fin::Last)),
                    4 => drop(ws.send_ping(&data)),
                    5 => drop(ws.send_pong(&data)),
                    6 if n % 4 == 0 => drop(ws.close(CloseCode::NORMAL, &text)),
                    7 if n % 16 == 0 => drop(ws.end_of_stream()),
                    _ => ws.sent(n.into()),
                }
                prop_assert_eq!(ws.output().is_empty(), ws.buffered_amount() == 0);
                let shown = format!("{ws:?} {:?}", ws.state());
                prop_assert!(!shown.is_empty());
            }
        }
        let mut written = 0;
        while !ws.output().is_empty() {
            ws.sent(1);
            written += 1;
            prop_assert!(written < 1 << 20);
        }
        let ending = ws.end_of_stream();
        prop_assert!(!ending.to_string().is_empty());
        prop_assert_eq!(ws.end_of_stream(), ending);
    }

    /// T30, T52: two connections and a network that takes any part of what is offered: everything
    /// arrives, in order and once, both ways.
    #[test]
    fn t30_between_two_connections(
        fragment in prop_oneof![Just(usize::MAX), 1_usize..50],
        mark in prop_oneof![Just(4 << 20), 0_usize..300],
        steps in prop::collection::vec((0_u8..9, any::<u16>()), 1..60),
    ) {
        let config = Config::default().fragment_size(fragment).high_water_mark(mark);
        let mut ends = [open(Role::Client, config.clone()), open(Role::Server, config)];
        // For each end: what it sent and what it got, but for pongs; pings it got and pongs it got.
        let mut sent: [Vec<Event<'static>>; 2] = Default::default();
        let mut got: [Vec<Event<'static>>; 2] = Default::default();
        let mut pongs: [Vec<Event<'static>>; 2] = Default::default();
        let mut deliver = |ends: &mut [Connection; 2], from: usize, n: usize| {
            let output = ends[from].output();
            let mut bytes = output[..n.min(output.len())].to_vec();
            ends[from].sent(bytes.len());
            let to = 1 - from;
            for event in feed(&mut ends[to], &core::mem::take(&mut bytes)) {
                match event {
                    Event::Pong(_) => pongs[to].push(event),
                    event => got[to].push(event),
                }
            }
        };
        for (step, n) in steps {
            let end = usize::from(n & 1);
            let n = usize::from(n >> 1);
            match step {
                0 => {
                    let message = "aé€😀".repeat(n % 40);
                    ends[end].send_text(&message).unwrap();
                    sent[end].push(text(&message));
                }
                1 => {
                    let message = vec![low_byte(n as u64 % 256); n % 700];
                    ends[end].send_binary(&message).unwrap();
                    sent[end].push(binary(&message));
                }
                2 => {
                    let parts: Vec<_> = (0..n % 5).map(|i| "ü".repeat(i * 9)).collect();
                    for part in &parts {
                        ends[end].send_text_part(part, Fin::More).unwrap();
                    }
                    ends[end].send_text_part(".", Fin::Last).unwrap();
                    sent[end].push(text(&(parts.concat() + ".")));
                }
                3 => {
                    let payload = vec![low_byte(n as u64 % 256); n % 126];
                    ends[end].send_ping(&payload).unwrap();
                    sent[end].push(ping(&payload));
                }
                4 => deliver(&mut ends, end, 1),
                5 => deliver(&mut ends, end, 0),
                _ => deliver(&mut ends, end, n % 500),
            }
        }
        // First everything arrives, its pongs as well: behind a Close nobody would read them.
        let mut n = 1;
        let mut closing = false;
        while !(closing && ends.iter().all(|ws| ws.output().is_empty())) {
            deliver(&mut ends, 0, n);
            deliver(&mut ends, 1, n * 7 % 31);
            n = n * 5 % 97 + 1;
            if !closing && ends.iter().all(|ws| ws.output().is_empty()) {
                closing = true;
                ends[0].close(CloseCode::GOING_AWAY, "done").unwrap();
            }
        }
        sent[0].push(closed(1001, "done"));
        sent[1].push(closed(1001, ""));
        prop_assert_eq!(&got[0], &sent[1]);
        prop_assert_eq!(&got[1], &sent[0]);
        for end in [0, 1] {
            // Each pong answers one of our pings; the last ping is answered.
            let mut asked: Vec<_> = sent[end]
                .iter()
                .filter_map(|event| match event {
                    Event::Ping(payload) => Some(pong(payload)),
                    _ => None,
                })
                .collect();
            let last = asked.last().cloned();
            prop_assert_eq!(last.is_none(), pongs[end].is_empty());
            prop_assert!(last.is_none_or(|last| pongs[end].contains(&last)));
            for pong in &pongs[end] {
                let place = asked.iter().position(|asked| asked == pong);
                prop_assert!(place.is_some(), "a pong that nobody asked for, or twice");
                asked.swap_remove(place.unwrap());
            }
            if mark == 4 << 20 {
                prop_assert!(asked.is_empty(), "all are answered while little waits");
            }
            let ending = ends[end].end_of_stream();
            prop_assert!(ending.clean && !ending.truncated);
            prop_assert_eq!(ending.code, 1001);
        }
    }
}
