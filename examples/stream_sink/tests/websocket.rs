//! The stream and the sink over pipes: wakers, back-pressure, the ends of connections.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sockless_tokio::sockless::{ClientRequest, CloseCode, Config, Connection, Response, Role};
use sockless_tokio::{CloseFrame, Error, Message, WebSocket, accept_with, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

type Ws = WebSocket<DuplexStream>;

fn open(role: Role, stream: DuplexStream, config: Config) -> Ws {
    WebSocket::new(stream, Connection::upgraded(role, config), &[])
}

/// A client and a server, with a pipe of this size between them.
fn pair(size: usize) -> (Ws, Ws) {
    let (near, far) = duplex(size);
    let config = Config::default();
    (
        open(Role::Client, near, config.clone()),
        open(Role::Server, far, config),
    )
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("in time")
}

fn numbered(n: usize) -> Message {
    Message::binary([&n.to_be_bytes()[..], &vec![7; n % 3000]].concat())
}

async fn next(ws: &mut (impl Stream<Item = Result<Message, Error>> + Unpin)) -> Message {
    within(ws.next())
        .await
        .expect("a message")
        .expect("no error")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_split_between_tasks_send_and_receive_all_in_order() {
    const COUNT: usize = 20_000;
    for size in [64, 8 << 10] {
        let count = if size < 1000 { COUNT / 20 } else { COUNT };
        let (client, server) = pair(size);
        let mut tasks = Vec::new();
        for ws in [client, server] {
            let (mut sink, mut stream) = ws.split();
            let writer = tokio::spawn(async move {
                for n in 0..count {
                    if n % 3 == 0 {
                        sink.send(numbered(n)).await.unwrap();
                    } else {
                        sink.feed(numbered(n)).await.unwrap();
                    }
                }
                sink.flush().await.unwrap();
                sink
            });
            let reader = tokio::spawn(async move {
                for n in 0..count {
                    assert_eq!(stream.next().await.unwrap().unwrap(), numbered(n));
                }
                stream
            });
            tasks.push((writer, reader));
        }
        let mut ends = Vec::new();
        for (writer, reader) in tasks {
            ends.push((within(writer).await.unwrap(), within(reader).await.unwrap()));
        }
        let (mut client, mut server) = (ends.remove(0), ends.remove(0));
        let server = tokio::spawn(async move {
            assert!(matches!(server.1.next().await, Some(Ok(Message::Close(_)))));
            assert!(server.1.next().await.is_none());
            server
        });
        within(client.0.close()).await.unwrap();
        drop(within(server).await.unwrap());
    }
}

#[tokio::test]
async fn two_tasks_that_poll_it_are_both_woken() {
    for _ in 0..50 {
        let (mut client, server) = pair(1000);
        let server = Arc::new(Mutex::new(server));
        let (one, two) = (Arc::clone(&server), server);
        let reader = tokio::spawn(poll_fn(move |cx| {
            Pin::new(&mut *one.lock().unwrap()).poll_next(cx)
        }));
        yield_now().await;
        let mut message = Some(Message::binary(vec![1; 100_000]));
        // The last to poll, so that its waker is the one that the transport has.
        let writer = tokio::spawn(poll_fn(move |cx| {
            let mut ws = two.lock().unwrap();
            if let Some(message) = message.take() {
                Pin::new(&mut *ws).start_send(message).unwrap();
            }
            Pin::new(&mut *ws).poll_flush(cx)
        }));
        yield_now().await;
        client.send(Message::text("hello")).await.unwrap();
        let got = within(reader).await.unwrap().unwrap().unwrap();
        assert_eq!(got, Message::text("hello"));
        assert_eq!(next(&mut client).await, Message::binary(vec![1; 100_000]));
        within(writer).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_only_the_sink_is_polled() {
    let (mut client, server) = pair(1000);
    let (mut sink, mut stream) = server.split();
    let writer = tokio::spawn(async move {
        for n in 0.. {
            if sink.send(Message::text(format!("{n}"))).await.is_err() || n == 200 {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        sink
    });
    client.send(Message::Ping("a".into())).await.unwrap();
    while next(&mut client).await != Message::Pong("a".into()) {}
    // What comes meanwhile is not lost.
    client.feed(Message::text("one")).await.unwrap();
    client.send(Message::text("two")).await.unwrap();
    let sink = within(writer).await.unwrap();
    assert_eq!(next(&mut stream).await, Message::Ping("a".into()));
    assert_eq!(next(&mut stream).await, Message::text("one"));
    assert_eq!(next(&mut stream).await, Message::text("two"));
    drop(sink);
}

#[tokio::test]
async fn what_is_queued_is_flushed_while_only_the_stream_is_polled() {
    let (mut client, mut server) = pair(100);
    server.feed(Message::binary(vec![5; 50_000])).await.unwrap();
    let reader = tokio::spawn(async move { next(&mut server).await });
    assert_eq!(next(&mut client).await, Message::binary(vec![5; 50_000]));
    client.send(Message::text("done")).await.unwrap();
    assert_eq!(within(reader).await.unwrap(), Message::text("done"));
}

#[tokio::test]
async fn a_ping_is_answered_while_only_the_stream_is_polled() {
    let (mut client, mut server) = pair(100);
    let reader = tokio::spawn(async move { (next(&mut server).await, server) });
    client.send(Message::Ping("b".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("b".into()));
    assert_eq!(within(reader).await.unwrap().0, Message::Ping("b".into()));
}

#[tokio::test]
async fn flush_means_that_all_is_written() {
    for size in [1, 7, 64] {
        let (near, mut far) = duplex(size);
        let mut server = open(Role::Server, near, Config::default());
        let reader = tokio::spawn(async move {
            let mut bytes = vec![0; 4 + 20_000];
            for piece in bytes.chunks_mut(1000) {
                yield_now().await;
                far.read_exact(piece).await.unwrap();
            }
            (bytes, far)
        });
        within(server.send(Message::binary(vec![3; 20_000])))
            .await
            .unwrap();
        assert_eq!(server.connection().buffered_amount(), 0);
        let (bytes, _far) = within(reader).await.unwrap();
        assert!(bytes.starts_with(&[0x82, 126, 0x4e, 0x20]) && bytes[4..].iter().all(|b| *b == 3));
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_makes_the_sink_wait() {
    let (mut client, mut server) = pair(1000);
    let mut sent = 0;
    loop {
        let ready = poll_fn(|cx| Poll::Ready(Pin::new(&mut server).poll_ready(cx))).await;
        if ready.is_pending() {
            break;
        }
        Pin::new(&mut server).start_send(numbered(sent)).unwrap();
        sent += 1;
        assert!(sent < 1000, "no back-pressure");
    }
    let buffered = server.connection().buffered_amount();
    assert!((64 << 10..80 << 10).contains(&buffered), "{buffered}");
    let writer = tokio::spawn(async move {
        server.send(numbered(sent)).await.unwrap();
        server
    });
    for n in 0..=sent {
        assert_eq!(next(&mut client).await, numbered(n));
    }
    within(writer).await.unwrap();
}

#[tokio::test]
async fn a_close_with_messages_in_flight_is_clean() {
    let (client, mut server) = pair(1000);
    let (mut sink, mut stream) = client.split();
    let writer = tokio::spawn(async move {
        for n in 0.. {
            if sink.send(numbered(n)).await.is_err() {
                return n;
            }
        }
        unreachable!()
    });
    for n in 0..10 {
        assert_eq!(next(&mut server).await, numbered(n));
    }
    within(SinkExt::close(&mut server)).await.unwrap();
    assert!(within(server.next()).await.is_none_or(|last| last.is_ok()));
    let Message::Close(Some(frame)) = next(&mut stream).await else {
        panic!()
    };
    assert_eq!(frame.code, CloseCode::NORMAL);
    assert!(within(stream.next()).await.is_none());
    assert!(within(writer).await.unwrap() > 10);
}

#[tokio::test]
async fn messages_behind_our_close_reach_a_stream_that_is_read_on() {
    let (mut client, mut server) = pair(1000);
    client.send(Message::text("in flight")).await.unwrap();
    let close = CloseFrame {
        code: CloseCode::GOING_AWAY,
        reason: "bye".into(),
    };
    server
        .send(Message::Close(Some(close.clone())))
        .await
        .unwrap();
    let peer = tokio::spawn(async move {
        assert_eq!(next(&mut client).await, Message::Close(Some(close)));
        assert!(within(client.next()).await.is_none());
    });
    assert_eq!(next(&mut server).await, Message::text("in flight"));
    let Message::Close(Some(frame)) = next(&mut server).await else {
        panic!()
    };
    assert_eq!(frame.code, CloseCode::GOING_AWAY);
    assert!(within(server.next()).await.is_none());
    within(peer).await.unwrap();
}

#[tokio::test]
async fn an_echo_reads_the_close_that_came_with_the_message() {
    for forwards_all in [false, true] {
        let (mut client, mut server) = pair(1000);
        let echo = tokio::spawn(async move {
            let mut last = None;
            while let Some(message) = server.next().await {
                let message = message?;
                last = Some(message.clone());
                if forwards_all || matches!(message, Message::Text(_)) {
                    server.send(message).await?;
                }
            }
            Ok::<_, Error>(last)
        });
        for n in 0..5 {
            client.feed(Message::text(format!("{n}"))).await.unwrap();
        }
        within(client.close_with(CloseCode::NORMAL, "enough"))
            .await
            .unwrap();
        let last = within(echo).await.unwrap().unwrap();
        assert!(matches!(last, Some(Message::Close(Some(frame))) if &*frame.reason == "enough"));
    }
}

#[tokio::test]
async fn a_sink_alone_learns_that_the_peer_has_closed() {
    let (mut client, mut server) = pair(1000);
    let writer = tokio::spawn(async move {
        for n in 0.. {
            if let Err(error) = server.feed(numbered(n)).await {
                return error;
            }
        }
        unreachable!()
    });
    next(&mut client).await;
    within(SinkExt::close(&mut client)).await.unwrap();
    let error = within(writer).await.unwrap();
    assert!(
        matches!(&error, Error::Ended(ending) if ending.clean),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_that_vanishes_is_one_error_and_the_end() {
    let (client, mut server) = pair(1000);
    drop(client);
    assert!(within(server.next()).await.unwrap().is_err());
    assert!(within(server.next()).await.is_none());
    assert!(within(server.send(Message::text("late"))).await.is_err());
    assert!(within(SinkExt::close(&mut server)).await.is_err());

    let (client, server) = pair(1000);
    let (mut sink, mut stream) = server.split();
    let writer =
        tokio::spawn(
            async move { while sink.send(Message::binary(vec![0; 5000])).await.is_ok() {} },
        );
    let reader = tokio::spawn(async move {
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
    });
    sleep(Duration::from_millis(20)).await;
    drop(client);
    within(writer).await.unwrap();
    within(reader).await.unwrap();
}

#[tokio::test]
async fn what_breaks_the_protocol_is_told_and_ends_the_stream() {
    let (mut near, far) = duplex(1000);
    let mut server = open(Role::Server, far, Config::default());
    near.write_all(b"\x81\x01a").await.unwrap(); // not masked
    let reader = tokio::spawn(async move {
        let error = server.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Ended(ending) if ending.error.is_some()));
        assert!(server.next().await.is_none());
    });
    let mut close = [0; 4];
    near.read_exact(&mut close).await.unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1002_u16.to_be_bytes()[..]));
    near.shutdown().await.unwrap();
    within(reader).await.unwrap();
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let (mut client, mut server) = pair(300);
    let writer = tokio::spawn(async move {
        for n in 0..2000 {
            client.send(numbered(n)).await.unwrap();
            if n % 100 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        client
    });
    let (mut n, mut dropped) = (0, 0);
    while n < 2000 {
        tokio::select! {
            biased;
            message = server.next() => {
                assert_eq!(message.unwrap().unwrap(), numbered(n));
                n += 1;
            }
            () = yield_now() => dropped += 1,
        }
    }
    assert!(dropped > 100, "{dropped}");
    within(writer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keepalive_pings_and_finds_a_dead_peer() {
    let (near, _far) = duplex(1000);
    let (interval, patience) = (Duration::from_secs(30), Duration::from_secs(10));
    let config = Config::default().keepalive(interval, patience);
    let mut server = open(Role::Server, near, config);
    let start = tokio::time::Instant::now();
    let error = server.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Ended(ending) if ending.sent_code == Some(CloseCode::INTERNAL_ERROR))
    );
    // And as long again as a close may take.
    let took = start.elapsed();
    assert!((50..=51).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn keepalive_keeps_a_live_peer() {
    let (near, far) = duplex(1000);
    let config = Config::default().keepalive(Duration::from_secs(30), Duration::from_secs(10));
    let mut server = open(Role::Server, near, config);
    let mut client = open(Role::Client, far, Config::default());
    let peer = tokio::spawn(async move { while let Some(Ok(_)) = client.next().await {} });
    for _ in 0..10 {
        assert!(matches!(server.next().await, Some(Ok(Message::Pong(_)))));
    }
    assert!(server.connection().round_trip_time().is_some());
    SinkExt::close(&mut server).await.unwrap();
    peer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_fails_in_time_though_only_the_sink_is_polled() {
    let (near, mut far) = duplex(1000);
    let mut server = open(Role::Server, near, Config::default());
    far.write_all(b"\x81\x80\0\0\0\0\x81\x80\0\0\0\0")
        .await
        .unwrap();
    let start = tokio::time::Instant::now();
    assert!(
        server
            .send(Message::binary(vec![0; 100_000]))
            .await
            .is_err()
    );
    assert!(
        (60..=71).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(next(&mut server).await, Message::text(""));
}

#[tokio::test]
async fn a_handshake_with_a_subprotocol_and_a_refusal() {
    let (near, far) = duplex(50);
    let server = tokio::spawn(accept_with(far, Config::default(), |request| {
        assert_eq!(request.path(), "/chat");
        Response::default().with_subprotocol(request, |name| name == "v1")
    }));
    let request = ClientRequest::new("ws://localhost/chat").unwrap();
    let request = request.with_subprotocol("v1").unwrap();
    let (mut ws, response) = within(client(near, request, Config::default()))
        .await
        .unwrap();
    assert_eq!(response.subprotocol(), Some("v1"));
    let mut server = within(server).await.unwrap().unwrap();
    server.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut ws).await, Message::text("hello"));

    let (near, far) = duplex(50);
    let refuse = |_: &_| Response::new(403).with_text("not you");
    let server = tokio::spawn(accept_with(far, Config::default(), refuse));
    let error = within(client(near, "ws://localhost/", Config::default()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Rejected(r) if r.status() == 403 && r.body() == b"not you"),
        "{error}"
    );
    let error = within(server).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Ended(ending) if ending.status == Some(403)),
        "{error}"
    );

    let (near, far) = duplex(50);
    let server = tokio::spawn(accept_with(far, Config::default(), |_| Response::new(200)));
    let error = within(client(near, "ws://localhost/", Config::default()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Rejected(response) if response.status() == 500),
        "{error}"
    );
    assert!(matches!(within(server).await.unwrap(), Err(Error::Send(_))));

    let (mut near, far) = duplex(500);
    near.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let server = tokio::spawn(sockless_tokio::accept(far, Config::default()));
    let mut answer = String::new();
    within(near.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    drop(near);
    assert!(matches!(
        within(server).await.unwrap(),
        Err(Error::Ended(_))
    ));
    assert!(matches!(
        client(duplex(9).0, "http://a", Config::default()).await,
        Err(Error::Uri(_))
    ));
}
