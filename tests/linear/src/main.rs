//! The worst ways to be fed and drained, each `n` steps long: `linear NAME N`. `run.sh` counts what they
//! take. Without arguments, the names.

use std::process::exit;
use std::time::Duration;

use sockless::deflate::DeflateConfig;
use sockless::frame::{Header, Opcode, Role};
use sockless::mask;
use sockless::{
    ClientRequest, Config, Connection, Delivery, Event, Fin, Input, Next, Prepared, Response, State,
};

type Workload = (&'static str, fn(usize));

const WORKLOADS: [Workload; 30] = [
    ("server, text in fragments of 1 byte", |n| {
        fragments(Role::Server, n)
    }),
    ("client, text in fragments of 1 byte", |n| {
        fragments(Role::Client, n)
    }),
    ("server, empty fragments", |n| {
        empty_fragments(Role::Server, n)
    }),
    ("server, a text in reads of 1 byte, kept", |n| {
        reads(Role::Server, Input::new(2 * n), Opcode::Text, n)
    }),
    ("server, a text in reads of 1 byte, gathered", |n| {
        reads(Role::Server, input(), Opcode::Text, n)
    }),
    ("server, a text in reads of 1 byte, shared", |n| {
        reads(Role::Server, Input::shared(2 * n), Opcode::Text, n)
    }),
    ("client, a text in reads of 1 byte, kept", |n| {
        reads(Role::Client, Input::new(2 * n), Opcode::Text, n)
    }),
    ("client, a text in reads of 1 byte, shared", |n| {
        reads(Role::Client, Input::shared(0), Opcode::Text, n)
    }),
    ("server, binary in reads of 1 byte, kept", |n| {
        reads(Role::Server, Input::new(2 * n), Opcode::Binary, n)
    }),
    ("server, binary in reads of 1 byte, shared", |n| {
        reads(Role::Server, Input::shared(0), Opcode::Binary, n)
    }),
    ("server, short messages behind a read, kept", |n| {
        behind(Input::new(2 * n), n)
    }),
    ("server, short messages behind a read, shared", |n| {
        behind(Input::shared(2 * n), n)
    }),
    ("server, parts in reads of 1 byte", |n| {
        parts(Role::Server, input(), n)
    }),
    ("server, parts in reads of 1 byte, shared", |n| {
        parts(Role::Server, Input::shared(0), n)
    }),
    ("server, a compressed message in reads of 1 byte", |n| {
        inflate(Delivery::Messages, input(), n)
    }),
    (
        "server, a compressed message in reads of 1 byte, shared",
        |n| inflate(Delivery::Messages, Input::shared(0), n),
    ),
    ("server, compressed parts in reads of 1 byte", |n| {
        inflate(Delivery::Parts, input(), n)
    }),
    ("server, empty final blocks behind a full window", |n| {
        final_blocks(b"\x03\x00", n)
    }),
    ("server, final blocks that reach back 32 KiB", |n| {
        final_blocks(b"\x03\xde\xff\x0f\x00", n / 8)
    }),
    ("client, a compressed message in parts of 1 byte", deflate),
    ("server, a request in reads of 1 byte", request),
    ("server, long lists of extensions", extensions),
    ("client, a response in reads of 1 byte", response),
    ("client, the body of a refusal in reads of 1 byte", refusal),
    ("server, early messages before the answer", early),
    ("server, pings and output that nobody takes", pings_blocked),
    ("server, pings and output taken by the byte", pings_drained),
    ("server, a queue written by the byte", |n| {
        queue(Role::Server, n)
    }),
    ("client, a queue written by the byte", |n| {
        queue(Role::Client, n)
    }),
    ("server, shared payloads written by the byte", shared),
];

/// Looks at all that has come with each byte, as nothing here may: `run.sh` has to notice.
const CONTROL: Workload = ("control", |n| {
    let mut all = Vec::new();
    let mut sum = 0_u64;
    for _ in 0..n / 8 {
        all.push(1_u8);
        sum += all
            .iter()
            .map(|byte| u64::from(std::hint::black_box(*byte)))
            .sum::<u64>();
    }
    assert!(sum > 0);
});

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, n] = &arguments[..] else {
        for (name, _) in WORKLOADS {
            println!("{name}");
        }
        return;
    };
    let mut all = WORKLOADS.iter().chain([&CONTROL]);
    let (Some((_, run)), Ok(n)) = (all.find(|(known, _)| known == name), n.parse()) else {
        eprintln!("no such workload");
        exit(2);
    };
    run(n);
}

/// Everything that `n` could run into is out of the way.
fn config() -> Config {
    Config::default()
        .max_fragments(u32::MAX)
        .max_frame_size(1 << 30)
        .max_message_size(1 << 30)
        .max_head_size(1 << 30)
        .max_headers(100)
        .max_response_body(1 << 30)
        .max_early_data(1 << 30)
}

fn open(role: Role) -> Connection {
    Connection::upgraded(role, config())
}

/// A frame for `to`, behind what is in `wire`.
fn push_frame(wire: &mut Vec<u8>, to: Role, fin: Fin, opcode: Opcode, payload: &[u8]) {
    let key = [1, 2, 3, 4];
    let header = Header {
        fin: fin == Fin::Last,
        rsv1: false,
        opcode,
        mask: (to == Role::Server).then_some(key),
        payload_len: payload.len() as u64,
    };
    wire.extend(header.encode(&mut [0; 14]).expect("a header"));
    let start = wire.len();
    wire.extend(payload);
    if to == Role::Server {
        mask::apply(key, &mut wire[start..]);
    }
}

/// Memory for one connection, in which none of the large messages fits: they are gathered.
fn input() -> Input {
    Input::new(256)
}

/// Feeds `wire` in one piece and calls `each` with every event.
fn feed(
    ws: &mut Connection,
    input: &mut Input,
    wire: &[u8],
    mut each: impl FnMut(&mut Connection, Event<'_>),
) {
    input.extend_from_slice(wire);
    while let Next::Event(event) = ws.poll(input, Duration::ZERO) {
        assert!(!matches!(event, Event::Fail(_)), "{event:?}");
        each(ws, event);
    }
}

/// The messages in `wire`, fed by the byte; their bytes.
fn bytewise(ws: &mut Connection, mut input: Input, wire: &[u8]) -> usize {
    let mut len = 0;
    for byte in wire {
        input.space()[0] = *byte;
        input.filled(1);
        feed(ws, &mut input, &[], |_, event| match event {
            Event::Text(text) | Event::TextPart { text, .. } => len += text.len(),
            Event::Binary(data) | Event::BinaryPart { data, .. } => len += data.len(),
            _ => {}
        });
    }
    len
}

/// What there is to write.
fn take_output(ws: &mut Connection) -> Vec<u8> {
    let mut output = Vec::new();
    ws.take_output(&mut output);
    ws.sent(output.len());
    output
}

/// Text of `n` bytes, most of it not ASCII.
fn text(n: usize) -> String {
    "aé€".repeat(n / 6)
}

fn fragments(role: Role, n: usize) {
    let text = text(n);
    let mut wire = Vec::new();
    push_frame(&mut wire, role, Fin::More, Opcode::Text, b"");
    for byte in text.as_bytes().chunks(1) {
        push_frame(&mut wire, role, Fin::More, Opcode::Continuation, byte);
    }
    push_frame(&mut wire, role, Fin::Last, Opcode::Continuation, b"");
    let mut came = None;
    feed(&mut open(role), &mut input(), &wire, |_, event| {
        came = Some(event.into_owned())
    });
    assert_eq!(came, Some(Event::Text(text.into())));
}

fn empty_fragments(role: Role, n: usize) {
    let mut wire = Vec::new();
    push_frame(&mut wire, role, Fin::More, Opcode::Text, b"");
    for _ in 0..n {
        push_frame(&mut wire, role, Fin::More, Opcode::Continuation, b"");
    }
    feed(&mut open(role), &mut input(), &wire, |_, event| {
        panic!("{event:?}")
    });
}

fn reads(role: Role, input: Input, opcode: Opcode, n: usize) {
    let text = text(n);
    let mut wire = Vec::new();
    push_frame(&mut wire, role, Fin::Last, opcode, text.as_bytes());
    assert_eq!(bytewise(&mut open(role), input, &wire), text.len());
}

/// Messages of which each read brings the end of one and the beginning of the next.
fn behind(mut input: Input, n: usize) {
    let mut wire = Vec::new();
    for _ in 0..n / 16 {
        push_frame(
            &mut wire,
            Role::Server,
            Fin::Last,
            Opcode::Binary,
            b"0123456789",
        );
    }
    let (mut ws, mut came) = (open(Role::Server), 0);
    for read in wire.chunks(9) {
        input.space()[..read.len()].copy_from_slice(read);
        input.filled(read.len());
        feed(&mut ws, &mut input, &[], |_, _| came += 1);
    }
    assert_eq!(came, n / 16);
}

fn parts(role: Role, input: Input, n: usize) {
    let text = text(n);
    let mut wire = Vec::new();
    push_frame(&mut wire, role, Fin::Last, Opcode::Text, text.as_bytes());
    let mut ws = Connection::upgraded(role, config().delivery(Delivery::Parts));
    assert_eq!(bytewise(&mut ws, input, &wire), text.len());
}

/// Two ends that have agreed to compress.
fn compressing(delivery: Delivery) -> (Connection, Connection) {
    let config = config().deflate(DeflateConfig::default());
    let request = ClientRequest::new("ws://localhost/").expect("a URI");
    let mut client = Connection::client(request, config.clone()).expect("entropy");
    let mut server = Connection::server(config.delivery(delivery));
    feed(
        &mut server,
        &mut input(),
        &take_output(&mut client),
        |ws, _| {
            ws.accept(Response::default()).expect("it was asked for");
        },
    );
    feed(
        &mut client,
        &mut input(),
        &take_output(&mut server),
        |_, _| {},
    );
    assert!(client.deflate().is_some() && client.state() == State::Open);
    (client, server)
}

/// What does not compress well, so that there is much to read.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0] & 0x3f
    };
    (0..n).map(|_| next()).collect()
}

fn inflate(delivery: Delivery, input: Input, n: usize) {
    let (mut client, mut server) = compressing(delivery);
    client.send_binary(noise(n)).expect("it is open");
    let wire = take_output(&mut client);
    assert_eq!(bytewise(&mut server, input, &wire), n);
}

/// A window that is full, and then a final block `n` times.
fn final_blocks(block: &[u8], n: usize) {
    let (_, mut server) = compressing(Delivery::Messages);
    let len = 40_000_u16;
    let stored = [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes()].concat();
    let payload = [&stored, &noise(len.into())[..], &block.repeat(n)].concat();
    let mut wire = Vec::new();
    push_frame(&mut wire, Role::Server, Fin::Last, Opcode::Binary, &payload);
    wire[0] |= 0x40;
    let mut len = 0;
    feed(&mut server, &mut input(), &wire, |_, event| {
        if let Event::Binary(data) = event {
            len = data.len();
        }
    });
    assert!(len >= 40_000);
}

fn deflate(n: usize) {
    let (mut client, _) = compressing(Delivery::Messages);
    for byte in noise(n / 8).chunks(1) {
        client
            .send_binary_part(byte, Fin::More)
            .expect("it is open");
    }
    client.send_binary_part(b"", Fin::Last).expect("it is open");
    assert!(!client.output().is_empty());
}

/// A request without the line that ends it.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Lines of `n` bytes in all, and the end of the head.
fn push_headers(head: &mut Vec<u8>, n: usize) {
    let line = format!("x: {}\r\n", "y".repeat(n / 64 - 5));
    head.extend(line.repeat(64).into_bytes());
    head.extend(b"\r\n");
}

fn request(n: usize) {
    let mut head = REQUEST.to_vec();
    push_headers(&mut head, n);
    asked(&head);
}

fn extensions(n: usize) {
    let values = [
        format!("x;a=\"{}\"", "\\a".repeat(n / 8)),
        format!("x;a={}", "\"".repeat(n / 4)),
        format!("x{}y", " ".repeat(n / 4)),
        ",".repeat(n / 4),
    ];
    for value in values {
        let line = format!("Sec-WebSocket-Extensions: {value}\r\n\r\n");
        asked(&[REQUEST, line.as_bytes()].concat());
    }
}

/// Feeds a head by the byte: it is refused, or is a request.
fn asked(head: &[u8]) {
    let (mut ws, mut input) = (Connection::server(config()), input());
    let mut events = 0;
    for byte in head.chunks(1) {
        input.extend_from_slice(byte);
        while let Next::Event(_) = ws.poll(&mut input, Duration::ZERO) {
            events += 1;
        }
    }
    assert_eq!(events, 1);
}

fn client() -> Connection {
    let request = ClientRequest::new("ws://localhost/").expect("a URI");
    let mut ws = Connection::client(request, config()).expect("entropy");
    drain(&mut ws);
    ws
}

fn response(n: usize) {
    let mut head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n".to_vec();
    push_headers(&mut head, n);
    refused(&head);
}

fn refusal(n: usize) {
    let head = "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "1\r\nx\r\n".repeat(n / 6) + "0\r\n\r\n";
    refused((head.to_owned() + &body).as_bytes());
}

/// Feeds a refusal by the byte.
fn refused(response: &[u8]) {
    let (mut ws, mut input) = (client(), input());
    let mut events = 0;
    for byte in response.chunks(1) {
        feed(&mut ws, &mut input, byte, |_, _| events += 1);
    }
    assert_eq!(events, 1);
}

fn early(n: usize) {
    let (mut ws, mut input) = (Connection::server(config()), input());
    feed(&mut ws, &mut input, &[REQUEST, b"\r\n"].concat(), |_, _| {});
    for _ in 0..n / 8 {
        let mut wire = Vec::new();
        push_frame(&mut wire, Role::Server, Fin::Last, Opcode::Binary, b"12");
        feed(&mut ws, &mut input, &wire, |_, event| panic!("{event:?}"));
    }
    ws.accept(Response::default()).expect("it was asked for");
    let mut came = 0;
    feed(&mut ws, &mut input, &[], |_, event| {
        came += usize::from(matches!(event, Event::Binary(_)));
    });
    assert_eq!(came, n / 8);
}

fn pings(n: usize, mut each: impl FnMut(&mut Connection)) {
    let (mut ws, mut input) = (open(Role::Server), input());
    let mut ping = Vec::new();
    push_frame(
        &mut ping,
        Role::Server,
        Fin::Last,
        Opcode::Ping,
        &[b'p'; 100],
    );
    for _ in 0..n {
        feed(&mut ws, &mut input, &ping, |_, _| {});
        each(&mut ws);
    }
}

fn pings_blocked(n: usize) {
    pings(n, |_| {});
}

fn pings_drained(n: usize) {
    pings(n, |ws| ws.sent(1));
}

fn queue(role: Role, n: usize) {
    let mut ws = open(role);
    for _ in 0..n / 8 {
        ws.send_binary(b"1234").expect("it is open");
    }
    drain(&mut ws);
}

fn shared(n: usize) {
    let mut ws = open(Role::Server);
    let message = Prepared::binary(vec![7; 512]);
    for _ in 0..n / 512 {
        ws.send_prepared(&message).expect("it is open");
        ws.send_text("between").expect("it is open");
    }
    drain(&mut ws);
}

fn drain(ws: &mut Connection) {
    while !ws.output().is_empty() {
        assert!(ws.outputs().next().is_some());
        ws.sent(1);
    }
}
