//! Against tokio-tungstenite in both roles, and over TLS.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sockless_tokio::sockless::{CloseCode, Config};
use sockless_tokio::{Message, accept, client, connect};
use tokio::io::{self, AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpListener;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message as Other;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const SIZES: [usize; 9] = [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 1 << 20];

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("in time")
}

#[tokio::test]
async fn a_server_for_tungstenite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = accept(stream, Config::default()).await.unwrap();
        let mut last = None;
        while let Some(message) = ws.next().await {
            let message = message.unwrap();
            last = Some(message.clone());
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                ws.send(message).await.unwrap();
            }
        }
        last
    });
    let (mut ws, _) = within(tokio_tungstenite::connect_async(url)).await.unwrap();
    for size in SIZES {
        for message in [Other::text("x".repeat(size)), Other::binary(vec![9; size])] {
            ws.send(message.clone()).await.unwrap();
            assert_eq!(within(ws.next()).await.unwrap().unwrap(), message);
        }
    }
    ws.send(Other::Ping("p".into())).await.unwrap();
    assert_eq!(
        within(ws.next()).await.unwrap().unwrap(),
        Other::Pong("p".into())
    );
    let bye = CloseFrame {
        code: 4000.into(),
        reason: "bye".into(),
    };
    ws.close(Some(bye)).await.unwrap();
    while let Some(Ok(_)) = within(ws.next()).await {}
    let Some(Message::Close(Some(frame))) = within(server).await.unwrap() else {
        panic!()
    };
    assert_eq!((frame.code.get(), &*frame.reason), (4000, "bye"));
}

#[tokio::test]
async fn a_client_of_tungstenite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut last = None;
        while let Some(Ok(message)) = ws.next().await {
            last = Some(message.clone());
            if message.is_text() || message.is_binary() {
                ws.send(message).await.unwrap();
            }
        }
        last
    });
    let (mut ws, response) = within(connect(&*url, Config::default())).await.unwrap();
    assert_eq!(response.status(), 101);
    for size in SIZES {
        for message in [
            Message::text("x".repeat(size)),
            Message::binary(vec![9; size]),
        ] {
            ws.send(message.clone()).await.unwrap();
            assert_eq!(within(ws.next()).await.unwrap().unwrap(), message);
        }
    }
    ws.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(
        within(ws.next()).await.unwrap().unwrap(),
        Message::Pong("p".into())
    );
    within(ws.close_with(CloseCode::GOING_AWAY, "bye"))
        .await
        .unwrap();
    let Some(Other::Close(Some(frame))) = within(server).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1001, "bye")
    );
}

/// A transport that gives a little at a time, and takes its time for it.
struct Slow(DuplexStream, Pin<Box<Sleep>>, u32);

impl AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.2 % 64 == 0 {
            match self.1.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.1 = Box::pin(sleep(Duration::from_millis(1))),
            }
        }
        let mut little = buf.take(1500);
        let done = Pin::new(&mut self.0).poll_read(cx, &mut little);
        let n = little.filled().len();
        buf.initialize_unfilled_to(n);
        buf.advance(n);
        self.2 += u32::from(done.is_ready());
        done
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_a_slow_reader_and_a_small_buffer_does_not_stall() {
    const SIZE: usize = 2 << 20;
    let (acceptor, connector) = tls();
    for run in 0..100 {
        let (near, far) = duplex(4096);
        let acceptor = acceptor.clone();
        let server = tokio::spawn(async move {
            let stream = acceptor.accept(far).await.unwrap();
            let mut ws = accept(stream, Config::default()).await.unwrap();
            ws.send(Message::binary(vec![4; SIZE])).await.unwrap();
            let Some(Ok(Message::Text(text))) = ws.next().await else {
                panic!()
            };
            assert_eq!(&*text, "got it");
            assert!(matches!(ws.next().await, Some(Ok(Message::Close(_)))));
            assert!(ws.next().await.is_none());
        });
        let work = async {
            let name = ServerName::try_from("localhost").unwrap();
            let slow = Slow(near, Box::pin(sleep(Duration::ZERO)), 1);
            let stream = connector.connect(name, slow).await.unwrap();
            let (mut ws, _) = client(stream, "wss://localhost/", Config::default())
                .await
                .unwrap();
            let Some(Ok(Message::Binary(data))) = ws.next().await else {
                panic!()
            };
            assert!(data.len() == SIZE && data.iter().all(|byte| *byte == 4));
            ws.send(Message::text("got it")).await.unwrap();
            ws.close_with(CloseCode::NORMAL, "").await.unwrap();
            server.await.unwrap();
        };
        timeout(Duration::from_secs(20), work)
            .await
            .unwrap_or_else(|_| panic!("run {run} stalled"));
    }
}
