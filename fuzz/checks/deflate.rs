//! permessage-deflate: what is agreed on, against a second reading of RFC 7692 §7.1; whatever is to be
//! inflated, under limits; and there and back, in any pieces.

use sockless::deflate::Parameters;
use sockless::handshake::{Extension, extensions};
use sockless::{Compression, Config, Connection, DeflateConfig, Delivery, Event, Fin, Role};

use super::counting::measured;
use super::parts::Joined;
use super::reference::{Expected, Seen};
use super::source::{Cuts, Source};
use super::watch::{Watched, entropy};
use super::wire::{self, BINARY, CONTINUATION, Start, frame};

/// What a byte of Deflate can come to.
const MOST_INFLATED: usize = 1032;

/// What a server and a client make of the same header value.
pub(crate) fn check_negotiation(data: &[u8]) {
    let mut source = Source::new(data);
    let config = config(&mut source);
    let elements: Vec<_> = extensions(source.rest()).map_while(Result::ok).collect();
    let chosen = config.choose(elements.iter().cloned());
    let first = elements.iter().find_map(|element| {
        let read = read(element)?;
        (read.0.server_max_window_bits != Some(8)).then_some(read)
    });
    assert_eq!(chosen.is_some(), first.is_some());
    if let (Some(agreed), Some((offer, client_bits))) = (chosen, first) {
        let bits = |bits: Option<u8>| bits.unwrap_or(15);
        // What is demanded is granted, what is not understood is not used.
        assert!(agreed.server_no_context_takeover || !offer.server_no_context_takeover);
        let server_bits = agreed.server_max_window_bits;
        assert!((9..=bits(offer.server_max_window_bits)).contains(&bits(server_bits)));
        assert!(server_bits.is_some() || offer.server_max_window_bits.is_none());
        assert!(client_bits || agreed.client_max_window_bits.is_none());
        assert!(bits(agreed.client_max_window_bits) <= bits(offer.client_max_window_bits));
        // It is written so that it reads the same.
        let text = agreed.to_string();
        let element = extensions(text.as_bytes())
            .next()
            .expect("one")
            .expect("right");
        assert_eq!(
            read(&element),
            Some((agreed, agreed.client_max_window_bits.is_some()))
        );
        // A client without demands agrees where it let the server set its window.
        let lax = DeflateConfig::new().server_context_takeover();
        assert_eq!(lax.check(&element), Ok(agreed));
    }
    // As a response: every demand of the offer is met, and the grammar kept.
    let offer = config.offer();
    let offer = extensions(offer.as_bytes())
        .next()
        .expect("one")
        .expect("right");
    let (offer, _) = read(&offer).expect("an offer of ours");
    for element in &elements {
        let expected = read(element).filter(|(response, client_bits)| {
            let bits = |parameters: &Parameters| parameters.server_max_window_bits;
            (response.server_no_context_takeover || !offer.server_no_context_takeover)
                && bits(&offer).is_none_or(|w| bits(response).is_some_and(|agreed| agreed <= w))
                && (response.client_max_window_bits.is_some() || !client_bits)
        });
        let checked = config.check(element).ok();
        assert_eq!(checked, expected.map(|(response, _)| response));
    }
}

/// The parameters of an element, and whether it has `client_max_window_bits`.
fn read(element: &Extension<'_>) -> Option<(Parameters, bool)> {
    if element.name() != "permessage-deflate" {
        return None;
    }
    let all: Vec<_> = element.parameters().collect();
    let mut parameters = Parameters::default();
    let mut client_bits = false;
    for (i, (name, value)) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.0 == *name) {
            return None;
        }
        let bits = |text: &str| (8..=15).find(|bits: &u8| bits.to_string() == text);
        match (*name, value.as_deref()) {
            ("server_no_context_takeover", None) => parameters.server_no_context_takeover = true,
            ("client_no_context_takeover", None) => parameters.client_no_context_takeover = true,
            ("server_max_window_bits", Some(text)) => {
                parameters.server_max_window_bits = Some(bits(text)?);
            }
            ("client_max_window_bits", text) => {
                client_bits = true;
                if let Some(text) = text {
                    parameters.client_max_window_bits = Some(bits(text)?);
                }
            }
            _ => return None,
        }
    }
    Some((parameters, client_bits))
}

fn config(source: &mut Source<'_>) -> DeflateConfig {
    let mut config = DeflateConfig::new()
        .server_max_window_bits(source.byte() % 17)
        .client_max_window_bits(source.byte() % 17)
        .level(1 + source.byte() % 3)
        .threshold(*source.pick(&[0, 1, 64, 200]));
    if source.flag() {
        config = config.server_context_takeover();
    }
    if source.flag() {
        config = config.client_context_takeover();
    }
    config
}

fn parameters(source: &mut Source<'_>) -> Parameters {
    let bits = |byte: u8| (8..=14).contains(&byte).then_some(byte);
    let mut agreed = Parameters::default();
    agreed.server_no_context_takeover = source.flag();
    agreed.client_no_context_takeover = source.flag();
    agreed.server_max_window_bits = bits(source.byte() % 16);
    agreed.client_max_window_bits = bits(source.byte() % 16);
    agreed
}

/// Anything to be inflated: the same under any cut, whole and in parts, and within its limits.
pub(crate) fn check_inflating(data: &[u8]) {
    let mut source = Source::new(data);
    let agreed = parameters(&mut source);
    let limit = *source.pick(&[1 << 16, 0, 1, 100, 5000, 1 << 20]);
    let ratio = *source.pick(&[u32::MAX, 2, 100]);
    let first = *source.pick(&[0x42, 0x41]);
    let cuts = Cuts::some(&mut source);
    let (sizes, count) = (source.word() % 600, source.byte() % 4);
    let rest = source.rest();
    // One to four messages, each of one frame or a few.
    let mut bytes = Vec::new();
    let each = rest.len().div_ceil(usize::from(count) + 1).max(1);
    for message in rest.chunks(each) {
        let size = usize::from(sizes).max(message.len() / 8 + 1);
        let frames = message.chunks(size).count();
        for (i, piece) in message.chunks(size).enumerate() {
            let opcode = if i == 0 { first } else { 0 };
            let fin = if i + 1 == frames { 0x80 } else { 0 };
            bytes.extend(frame(Role::Client, opcode | fin, piece));
        }
    }
    let run = |delivery, cuts: Cuts| {
        let deflate = DeflateConfig::new().max_ratio(ratio);
        let config = Config::default()
            .delivery(delivery)
            .max_message_size(limit)
            .deflate(deflate);
        let ws = Connection::upgraded_with(Role::Server, Some(agreed), config);
        let mut watched = Watched::new(ws);
        feed(&mut watched, &bytes, cuts, limit);
        let done = watched.finish();
        let events = match delivery {
            Delivery::Parts => {
                let mut joined = Joined::default();
                done.events.iter().filter_map(|e| joined.put(e)).collect()
            }
            _ => {
                let seen = Seen::all(&done.events);
                assert_eq!(seen.len(), done.events.len(), "parts among messages");
                seen
            }
        };
        let expected = Expected {
            events,
            truncated: false,
        };
        let frames = wire::written(Role::Server, &done.output, true);
        expected.check_answers(&frames, &done.ending);
        expected
    };
    let whole = run(Delivery::Messages, Cuts::Whole);
    for cuts in cuts {
        assert_eq!(run(Delivery::Messages, cuts), whole);
        assert_eq!(run(Delivery::Parts, cuts), whole);
    }
}

/// Feeds all of `bytes`, in which no message is longer than `limit`: what is held must be in proportion
/// to what comes of them.
fn feed(watched: &mut Watched, bytes: &[u8], cuts: Cuts, limit: usize) {
    // A part has a byte at least.
    watched.allow(MOST_INFLATED * bytes.len());
    let (mut message, mut all) = (0, 0);
    let ((), heap) = measured(|| {
        for piece in cuts.pieces(bytes) {
            watched.feed(piece, |_, event| {
                let (len, fin) = match event {
                    Event::Text(text) => (text.len(), Fin::Last),
                    Event::Binary(data) => (data.len(), Fin::Last),
                    Event::TextPart { text, fin, .. } => (text.len(), *fin),
                    Event::BinaryPart { data, fin, .. } => (data.len(), *fin),
                    Event::Fail(_) => return,
                    other => panic!("{other:?}"),
                };
                all += len;
                message += len;
                assert!(message <= limit);
                if fin == Fin::Last {
                    message = 0;
                }
            });
            watched.write(usize::MAX);
        }
    });
    // A codec with its buffers, a message while it grows (the old memory beside the new, which is twice as
    // large, within one and a half times the limit), the input, and what was handed over.
    let gathered = (limit + limit / 2).min(3 * MOST_INFLATED * bytes.len());
    let events = watched.events.capacity() * size_of::<Event<'_>>();
    let bound = (128 << 10) + gathered + 2 * bytes.len() + 2 * all + events;
    assert!(
        usize::try_from(heap.peak).is_ok_and(|peak| peak <= bound),
        "{} bytes of heap, not {bound}",
        heap.peak
    );
}

/// Messages of all kinds between two ends, in both directions, cut and fragmented in any way.
pub(crate) fn check_round_trip(data: &[u8]) {
    let mut source = Source::new(data);
    let agreed = parameters(&mut source);
    let mut ends = [Role::Client, Role::Server].map(|role| {
        let config = Config::default()
            .entropy(entropy)
            .fragment_size(*source.pick(&[usize::MAX, 1, 7, 100]))
            .deflate(config(&mut source));
        Watched::new(Connection::upgraded_with(role, Some(agreed), config))
    });
    while !source.is_empty() {
        let choice = source.byte();
        let cuts = *source.pick(&[Cuts::Whole, Cuts::Bytes, Cuts::Random { seed: 7, most: 30 }]);
        let times = 1 + usize::from(source.byte()) * usize::from(choice & 3);
        let len = usize::from(source.byte());
        let message = source.take(len).repeat(times);
        let [client, server] = &mut ends;
        let (from, to) = match choice & 4 {
            0 => (client, server),
            _ => (server, client),
        };
        let compression = match choice & 24 {
            24 => Compression::Never,
            _ => Compression::Automatic,
        };
        from.ws.set_compression(compression);
        if choice & 32 == 0 {
            from.ws.send_binary(&message).expect("open");
        } else {
            let (a, b) = message.split_at(message.len() / 3);
            from.ws.send_binary_part(a, Fin::More).expect("open");
            from.ws.send_binary_part(b, Fin::Last).expect("open");
        }
        let bytes = from.write(usize::MAX);
        if let Some(plain) = written(to.ws.role(), bytes) {
            assert!(plain == message, "it was written otherwise");
        } else {
            assert_eq!(compression, Compression::Automatic);
        }
        feed(to, bytes, cuts, message.len());
        from.output.clear();
        assert_eq!(to.events.len(), 1);
        let came_back = matches!(to.events.pop(), Some(Event::Binary(data)) if *data == message);
        assert!(came_back, "it came back otherwise");
    }
    for end in ends {
        let done = end.finish();
        assert_eq!((done.events, done.output), (Vec::new(), Vec::new()));
        assert_eq!(done.ending.error, None);
    }
}

/// Judges the frames of a binary message as `reader` has to: its payload, unless it is compressed.
fn written(reader: Role, mut bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut payload, mut compressed) = (Vec::new(), None);
    loop {
        let Start::Header(header) = wire::header(reader, true, u64::MAX, bytes) else {
            panic!("no header: {bytes:?}");
        };
        let opcode = compressed.map_or(BINARY, |_| CONTINUATION);
        assert_eq!(header.opcode, opcode, "nothing but the message");
        compressed.get_or_insert(header.rsv1);
        let end = header.size + usize::try_from(header.len).expect("it is there");
        let raw = &bytes[header.size..end];
        payload.extend(wire::unmasked(header.key.unwrap_or_default(), raw));
        bytes = &bytes[end..];
        if header.fin {
            assert!(bytes.is_empty(), "nothing behind the message");
            return (compressed == Some(false)).then_some(payload);
        }
    }
}
