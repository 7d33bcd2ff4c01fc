//! Whole workloads through a connection, in both roles; each with the copying of its input, which is
//! unmasked in place.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sockless::frame::Opcode;
use sockless::{ClientRequest, Config, Connection, Event, Response, Role};
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

/// Feeds all of `wire` in reads of `read` bytes; writes what comes of it.
fn receive(ws: &mut Connection, wire: &[u8], read: usize, buffer: &mut [u8]) {
    for piece in wire.chunks(read) {
        let buffer = &mut buffer[..piece.len()];
        buffer.copy_from_slice(piece);
        let mut input = buffer;
        while let Some(event) = ws.receive(&mut input) {
            black_box(&event);
        }
        let pending = ws.output().len();
        ws.sent(pending);
    }
}

fn receiving(c: &mut Criterion) {
    let mut buffer = vec![0; READ];
    for role in [Role::Server, Role::Client] {
        let mut group = c.benchmark_group(format!("receive/{role:?}"));
        for (name, wire, messages) in workloads(role.peer()) {
            group.throughput(Throughput::Elements(messages));
            let mut ws = Connection::upgraded(role, Config::default());
            group.bench_function(name, |b| {
                b.iter(|| receive(&mut ws, &wire, READ, &mut buffer))
            });
        }
        let wire = frame(role.peer(), Opcode::Text, true, text(1000, "x").as_bytes()).repeat(10);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        for read in [1, 7, 100, 1500] {
            let mut ws = Connection::upgraded(role, Config::default());
            let id = BenchmarkId::new("text of 1000 B in reads of", read);
            group.bench_function(id, |b| {
                b.iter(|| receive(&mut ws, &wire, read, &mut buffer))
            });
        }
    }
}

fn sending(c: &mut Criterion) {
    for role in [Role::Server, Role::Client] {
        let mut group = c.benchmark_group(format!("send/{role:?}"));
        for len in [20, 1 << 10, 64 << 10] {
            let text = text(len, "the quick brown fox ");
            group.throughput(Throughput::Bytes(len as u64));
            let mut ws = Connection::upgraded(role, Config::default());
            group.bench_function(BenchmarkId::new("text", len), |b| {
                b.iter(|| {
                    ws.send_text(black_box(&text)).expect("open");
                    let pending = black_box(ws.output()).len();
                    ws.sent(pending);
                });
            });
        }
    }
}

fn echoing(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo/Server");
    let mut buffer = vec![0; 128 << 10];
    for len in [20, 1 << 10, 64 << 10] {
        let wire = frame(
            Role::Client,
            Opcode::Text,
            true,
            text(len, "the quick ").as_bytes(),
        );
        group.throughput(Throughput::Bytes(len as u64));
        let mut ws = Connection::upgraded(Role::Server, Config::default());
        group.bench_function(BenchmarkId::new("text", len), |b| {
            b.iter(|| {
                let buffer = &mut buffer[..wire.len()];
                buffer.copy_from_slice(&wire);
                let mut input = buffer;
                while let Some(event) = ws.receive(&mut input) {
                    if let Event::Text(text) = event {
                        ws.send_text(&text).expect("open");
                    }
                }
                let pending = black_box(ws.output()).len();
                ws.sent(pending);
            });
        });
    }
}

fn handshake(c: &mut Criterion) {
    c.bench_function("handshake/Server", |b| {
        let mut buffer = REQUEST.to_vec();
        b.iter(|| {
            buffer.copy_from_slice(REQUEST);
            let mut ws = Connection::server(Config::default());
            let mut input = &mut buffer[..];
            let Some(Event::Request(request)) = ws.receive(&mut input) else {
                panic!("the request is complete")
            };
            black_box(request);
            ws.accept(Response::default()).expect("it is an upgrade");
            black_box(ws.output()).len()
        });
    });
    c.bench_function("handshake/both ends", |b| {
        b.iter(|| {
            let request = ClientRequest::new("ws://server.example.com:8080/chat").expect("a URI");
            let mut client = Connection::client(request, Config::default()).expect("entropy");
            let mut server = Connection::server(Config::default());
            let mut bytes = client.output().to_vec();
            client.sent(bytes.len());
            while server.receive(&mut &mut bytes[..]).is_none() {}
            server
                .accept(Response::default())
                .expect("it is an upgrade");
            let mut bytes = server.output().to_vec();
            server.sent(bytes.len());
            assert!(matches!(
                client.receive(&mut &mut bytes[..]),
                Some(Event::Open(_))
            ));
        });
    });
}

criterion_group!(connection, receiving, sending, echoing, handshake);
criterion_main!(connection);
