//! The loop over pipes, at the end of connections.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{ReadBuf, duplex};

use super::*;

fn server(budget: &Budget) -> (Connection, Share) {
    let ws = Connection::upgraded(Role::Server, Config::default());
    (ws, budget.share())
}

fn client() -> Connection {
    Connection::upgraded(Role::Client, Config::default())
}

/// Takes what there is up to the Close, which the connection answers with its code.
async fn read_to_close(stream: &mut (impl AsyncRead + Unpin), ws: &mut Connection) -> Option<u16> {
    let mut input = Input::new(100);
    loop {
        match ws.poll(&mut input, Duration::ZERO) {
            Next::Event(Event::Close(close)) => return close.code.map(u16::from),
            Next::Event(_) => {}
            Next::Io(_) => ws.on_read(stream.read(input.space()).await, &mut input),
            Next::Over(_) => return None,
        }
    }
}

/// What the connection has to write.
fn take_output(ws: &mut Connection) -> Vec<u8> {
    let mut output = Vec::new();
    ws.take_output(&mut output);
    ws.sent(output.len());
    output
}

#[tokio::test]
async fn t83_messages_that_still_come_after_our_close_do_not_end_the_loop() {
    for messages in [1, 2, 50] {
        let (stop, stopping) = watch::channel(());
        let (mut near, far) = duplex(1 << 16);
        let (ws, share) = server(&Budget::new(1));
        let task = tokio::spawn(converse(far, ws, share, stopping));
        tokio::task::yield_now().await;
        stop.send(()).unwrap();
        let mut peer = client();
        assert_eq!(read_to_close(&mut near, &mut peer).await, Some(1001));
        let answer = take_output(&mut peer);
        // Written before the Close was there to be read.
        let mut peer = client();
        for _ in 0..messages {
            peer.send_text("one more").unwrap();
        }
        near.write_all(&take_output(&mut peer)).await.unwrap();
        near.write_all(&answer).await.unwrap();
        assert_eq!(near.read(&mut [0; 10]).await.unwrap(), 0, "its end");
        drop(near);
        assert!(task.await.unwrap().unwrap().clean);
    }
}

/// A transport that delivers, and takes nothing.
struct OneWay<T>(T);

impl<T: AsyncRead + Unpin> AsyncRead for OneWay<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: Unpin> AsyncWrite for OneWay<T> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn t84_after_a_write_that_failed_the_peers_close_is_still_read() {
    let (_stop, stopping) = watch::channel(());
    let (mut near, far) = duplex(1 << 16);
    let (ws, share) = server(&Budget::new(1));
    let task = tokio::spawn(converse(OneWay(far), ws, share, stopping));
    let mut peer = client();
    peer.send_text("an echo of this cannot be written").unwrap();
    near.write_all(&take_output(&mut peer)).await.unwrap();
    tokio::task::yield_now().await;
    peer.close(CloseCode::NORMAL, "enough").unwrap();
    near.write_all(&take_output(&mut peer)).await.unwrap();
    drop(near);
    let ending = task.await.unwrap().unwrap();
    assert_eq!((ending.code, &*ending.reason), (1000, "enough"));
    assert!(ending.reset && !ending.clean);
}

#[tokio::test]
async fn t85_who_finds_no_room_is_told_to_try_again_later() {
    let budget = Budget::new(0);
    let (_stop, stopping) = watch::channel(());
    let (mut near, far) = duplex(1 << 10);
    let (ws, share) = server(&budget);
    let task = tokio::spawn(converse(far, ws, share, stopping));
    let mut peer = client();
    peer.send_binary(vec![7; 1 << 20]).unwrap();
    let (mut reader, mut writer) = split(&mut near);
    // It goes on writing until it has read why not to.
    let output = take_output(&mut peer);
    tokio::select! {
        code = read_to_close(&mut reader, &mut peer) => assert_eq!(code, Some(1013)),
        written = writer.write_all(&output) => panic!("all of it was taken: {written:?}"),
    }
    drop(near);
    assert_eq!(task.await.unwrap().unwrap_err().to_string(), NO_ROOM);
}

#[tokio::test]
async fn a_peer_that_ends_its_side_behind_its_close_gets_what_it_is_owed() {
    for round in 0..100 {
        let (_stop, stopping) = watch::channel(());
        let (mut near, far) = duplex(1 << 16);
        let (ws, share) = server(&Budget::new(1));
        let mut peer = client();
        peer.send_text("hello").unwrap();
        peer.close(CloseCode::NORMAL, "").unwrap();
        near.write_all(&take_output(&mut peer)).await.unwrap();
        near.shutdown().await.unwrap();
        let task = tokio::spawn(converse(far, ws, share, stopping));
        let mut read = Vec::new();
        near.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"\x81\x05hello\x88\x02\x03\xe8", "round {round}");
        assert!(task.await.unwrap().unwrap().clean);
    }
}
