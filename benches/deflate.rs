//! Compressed messages, there and back: JSON of three sizes, without and with context takeover. The
//! ratio is in each benchmark's name.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sockless::deflate::Parameters;
use sockless::{Config, Connection, DeflateConfig, Event, Input, Next, Role};

/// JSON as an API sends it; each message with other values.
fn json(len: usize, number: u64) -> String {
    let mut text = String::from("[");
    let mut state = number + 1;
    while text.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (id, user, price) = (state >> 50, state >> 40 & 255, state >> 30 & 1023);
        text.push_str(&format!(
            "{{\"id\":{id},\"name\":\"user{user}\",\"price\":{price},\"ok\":true}},"
        ));
    }
    text.truncate(len);
    text
}

fn messages(c: &mut Criterion) {
    for len in [300, 1024, 64 << 10] {
        let all: Vec<_> = (0..64).map(|number| json(len, number)).collect();
        for level in [1, 6] {
            for (name, takeover) in [("no takeover", false), ("takeover", true)] {
                let mut agreed = Parameters::default();
                agreed.server_no_context_takeover = !takeover;
                let deflate = DeflateConfig::new().server_context_takeover().level(level);
                let config = Config::default().deflate(deflate);
                let open = |role| Connection::upgraded_with(role, Some(agreed), config.clone());

                let mut sender = open(Role::Server);
                let mut wires: Vec<Vec<u8>> = Vec::new();
                for text in all.iter().chain(&all) {
                    sender.send_text(text).expect("open");
                    wires.push(sender.output().to_vec());
                    sender.sent(sender.output().len());
                }
                let wire: usize = wires[64..].iter().map(Vec::len).sum();
                let percent = 100 * wire / (64 * len);
                let mut group =
                    c.benchmark_group(format!("{len} B, level {level}, {name}, {percent} %"));
                group.throughput(Throughput::Bytes(len as u64));
                let mut next = (0..64).cycle();
                group.bench_function("send", |b| {
                    b.iter(|| {
                        sender
                            .send_text(&all[next.next().expect("endless")])
                            .expect("open");
                        sender.sent(black_box(sender.output()).len());
                    });
                });
                let mut receiver = open(Role::Client);
                // With takeover they come in order, for one run after the other: from the second
                // round on all of them look back as far as they ever will.
                let mut next = 0;
                let mut input = Input::new(64 << 10);
                group.bench_function("receive", |b| {
                    b.iter(|| {
                        if next == wires.len() {
                            next = 0;
                            receiver = open(Role::Client);
                        }
                        input.extend_from_slice(&wires[next]);
                        next += 1;
                        let event = receiver.poll(&mut input, Duration::ZERO);
                        assert!(matches!(black_box(event), Next::Event(Event::Text(_))));
                    });
                });
                group.finish();
            }
        }
    }
}

criterion_group!(deflate, messages);
criterion_main!(deflate);
