//! Whole workloads through a connection, in both roles; each with the copying of its bytes into the input, as
//! a read does it, and with one `poll` behind the last event of each read.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sockless::frame::Opcode;
use sockless::{ClientRequest, Config, Connection, Event, Input, Next, Response, Role};
use sockless_benches::{REQUEST, frame, text};

const READ: usize = 64 << 10;

/// What a peer sends: the name of the workload, its bytes, its messages.
fn workloads(from: Role) -> Vec<(&'static str, Vec<u8>, u64)> {
    let ascii = |len| text(len, "the quick brown fox ");
    let messages = |opcode, payload: &[u8], count: usize| {
        (
            frame(from, opcode, true, payload).repeat(count),
            count as u64,
        )
    };
    let mut rows = Vec::new();
    let mut add = |name, (bytes, count)| rows.push((name, bytes, count));
    add(
        "text of 20 B",
        messages(Opcode::Text, ascii(20).as_bytes(), 2000),
    );
    add(
        "text of 125 B",
        messages(Opcode::Text, ascii(125).as_bytes(), 500),
    );
    add(
        "text of 1 KiB",
        messages(Opcode::Text, ascii(1024).as_bytes(), 200),
    );
    add(
        "text of 1 KiB, CJK",
        messages(Opcode::Text, text(1024, "发送数据").as_bytes(), 200),
    );
    add(
        "binary of 64 KiB",
        messages(Opcode::Binary, &[7; 64 << 10], 16),
    );
    add(
        "binary of 1 MiB",
        messages(Opcode::Binary, &vec![7; 1 << 20], 2),
    );
    let whole = ascii(1 << 20);
    let mut fragments = Vec::new();
    for (i, piece) in whole.as_bytes().chunks(4096).enumerate() {
        let opcode = if i == 0 {
            Opcode::Text
        } else {
            Opcode::Continuation
        };
        fragments.extend(frame(from, opcode, i == 255, piece));
    }
    add("text of 1 MiB in 4 KiB frames", (fragments, 1));
    let mut mixed = frame(from, Opcode::Ping, true, b"are you there");
    mixed.extend(frame(from, Opcode::Text, true, ascii(20).as_bytes()));
    add("text of 20 B and a ping", (mixed.repeat(1000), 1000));
    rows
}

/// A kind of input: its name, and how one is made.
type Kind = (&'static str, fn(usize) -> Input);

/// The two kinds of inputs.
const INPUTS: [Kind; 2] = [("own", Input::new), ("shared", Input::shared)];

/// Feeds all of `wire` in reads of up to `read` bytes; writes what comes of it.
fn receive(ws: &mut Connection, mut wire: &[u8], read: usize, input: &mut Input) {
    while !wire.is_empty() {
        let space = input.space();
        let (piece, rest) = wire.split_at(read.min(space.len()).min(wire.len()));
        space[..piece.len()].copy_from_slice(piece);
        input.filled(piece.len());
        wire = rest;
        while let Next::Event(event) = ws.poll(input, Duration::ZERO) {
            black_box(&event);
        }
        write(ws);
    }
}

/// Writes all that is queued.
fn write(ws: &mut Connection) {
    while !ws.output().is_empty() {
        let pending = black_box(&*ws.output_slices())
            .iter()
            .map(|slice| slice.len())
            .sum();
        ws.sent(pending);
    }
}

fn receiving(c: &mut Criterion) {
    for (kind, make) in INPUTS {
        for role in [Role::Server, Role::Client] {
            let mut group = c.benchmark_group(format!("receive/{role:?}/{kind}"));
            for (name, wire, messages) in workloads(role.peer()) {
                group.throughput(Throughput::Elements(messages));
                let mut ws = Connection::upgraded(role, Config::default());
                let mut input = make(READ);
                group.bench_function(name, |b| {
                    b.iter(|| receive(&mut ws, &wire, READ, &mut input))
                });
            }
            for (len, reads) in [(1000, &[1, 7, 100, 1500][..]), (17_000, &[1448, 9000])] {
                let wire = frame(role.peer(), Opcode::Text, true, text(len, "x").as_bytes());
                let wire = wire.repeat(10);
                group.throughput(Throughput::Bytes(wire.len() as u64));
                for read in reads {
                    let mut ws = Connection::upgraded(role, Config::default());
                    let mut input = make(READ);
                    let id = BenchmarkId::new(format!("text of {len} B in reads of"), read);
                    group.bench_function(id, |b| {
                        b.iter(|| receive(&mut ws, &wire, *read, &mut input))
                    });
                }
            }
        }
    }
}

fn sending(c: &mut Criterion) {
    for role in [Role::Server, Role::Client] {
        let mut group = c.benchmark_group(format!("send/{role:?}"));
        for len in [20, 1 << 10, 5000, 64 << 10, 1 << 20] {
            let text = text(len, "the quick brown fox ");
            group.throughput(Throughput::Bytes(len as u64));
            let mut ws = Connection::upgraded(role, Config::default());
            group.bench_function(BenchmarkId::new("text, lent", len), |b| {
                b.iter(|| {
                    ws.send_text(black_box(&text)).expect("open");
                    write(&mut ws);
                });
            });
            // Both with memory of its own for each message, which counts.
            let mut ws = Connection::upgraded(role, Config::default());
            group.bench_function(BenchmarkId::new("new text, lent", len), |b| {
                b.iter(|| {
                    let text = black_box(&text).clone();
                    ws.send_text(text.as_str()).expect("open");
                    write(&mut ws);
                });
            });
            let mut ws = Connection::upgraded(role, Config::default());
            group.bench_function(BenchmarkId::new("new text, given away", len), |b| {
                b.iter(|| {
                    ws.send_text(black_box(&text).clone()).expect("open");
                    write(&mut ws);
                });
            });
        }
    }
}

fn echoing(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo/Server");
    for len in [20, 1 << 10, 64 << 10, 1 << 20] {
        let text = text(len, "the quick ");
        let wire = frame(Role::Client, Opcode::Text, true, text.as_bytes());
        group.throughput(Throughput::Bytes(len as u64));
        let mut ws = Connection::upgraded(Role::Server, Config::default());
        let mut input = Input::new(READ);
        group.bench_function(BenchmarkId::new("text", len), |b| {
            b.iter(|| {
                for piece in wire.chunks(READ) {
                    input.extend_from_slice(piece);
                    while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
                        if let Event::Text(text) = event {
                            ws.send_text(text).expect("open");
                        }
                    }
                }
                write(&mut ws);
            });
        });
    }
}

fn handshake(c: &mut Criterion) {
    c.bench_function("handshake/Server", |b| {
        let mut input = Input::default();
        b.iter(|| {
            input.extend_from_slice(REQUEST);
            let mut ws = Connection::server(Config::default());
            let Next::Event(Event::Request(request)) = ws.poll(&mut input, Duration::ZERO) else {
                panic!("the request is complete")
            };
            black_box(request);
            ws.accept(Response::default()).expect("it is an upgrade");
            black_box(ws.output()).len()
        });
    });
    c.bench_function("handshake/both ends", |b| {
        let (mut to_server, mut to_client) = (Input::default(), Input::default());
        b.iter(|| {
            let request = ClientRequest::new("ws://server.example.com:8080/chat").expect("a URI");
            let mut client = Connection::client(request, Config::default()).expect("entropy");
            let mut server = Connection::server(Config::default());
            to_server.extend_from_slice(client.output());
            client.sent(client.output().len());
            let next = server.poll(&mut to_server, Duration::ZERO);
            assert!(matches!(next, Next::Event(Event::Request(_))));
            server
                .accept(Response::default())
                .expect("it is an upgrade");
            to_client.extend_from_slice(server.output());
            server.sent(server.output().len());
            let next = client.poll(&mut to_client, Duration::ZERO);
            assert!(matches!(next, Next::Event(Event::Open(_))));
        });
    });
}

criterion_group!(connection, receiving, sending, echoing, handshake);
criterion_main!(connection);
