//! Behind hyper and axum.

use std::convert::Infallible;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sockless_tokio::sockless::{self, ClientRequest, CloseCode, Config};
use sockless_tokio::{Error, Message, Upgraded, WebSocket, WebSocketUpgrade, connect, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut ws: WebSocket<Upgraded>) -> Result<(), Error> {
    while let Some(message) = ws.next().await.transpose()? {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            ws.send(message).await?;
        }
    }
    Ok(())
}

async fn by_axum(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.subprotocols(["v2", "v1"]);
    #[cfg(feature = "deflate")]
    let upgrade = upgrade.deflate(sockless::DeflateConfig::new());
    assert!(upgrade.subprotocol().is_none_or(|name| name == "v1"));
    upgrade.on_upgrade(|ws| async { echo(ws).await.unwrap() })
}

async fn axum() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = Router::new().route("/", any(by_axum));
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

async fn by_hyper(
    mut request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    Ok(match upgrade(&mut request, Config::default()) {
        Ok((response, opening)) => {
            tokio::spawn(async { echo(opening.await.unwrap()).await.unwrap() });
            response.map(|()| Full::default())
        }
        Err(rejection) => rejection.response(),
    })
}

async fn hyper() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(by_hyper));
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

#[tokio::test]
async fn echoes() {
    for address in [axum().await, hyper().await] {
        let (mut ws, response) = connect(&*format!("ws://{address}/"), Config::default())
            .await
            .unwrap();
        assert_eq!(response.subprotocol(), None);
        for size in [0, 125, 4096, 70_000, 1 << 20] {
            for message in [
                Message::text("y".repeat(size)),
                Message::binary(vec![1; size]),
            ] {
                ws.send(message.clone()).await.unwrap();
                assert_eq!(ws.next().await.unwrap().unwrap(), message);
            }
        }
        ws.close_with(CloseCode::NORMAL, "").await.unwrap();
    }
}

#[tokio::test]
async fn a_subprotocol_and_compression_are_agreed_on() {
    let request = ClientRequest::new(&format!("ws://{}/", axum().await)).unwrap();
    let request = request
        .with_subprotocol("v3")
        .unwrap()
        .with_subprotocol("v1")
        .unwrap();
    let config = Config::default();
    #[cfg(feature = "deflate")]
    let config = config.deflate(sockless::DeflateConfig::new());
    let (mut ws, response) = connect(request, config).await.unwrap();
    assert_eq!(response.subprotocol(), Some("v1"));
    #[cfg(feature = "deflate")]
    assert!(ws.connection().deflate().is_some());
    let message = Message::text("well, ".repeat(20_000));
    ws.send(message.clone()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap(), message);
    ws.close_with(CloseCode::NORMAL, "").await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_for_a_websocket_has_the_right_answer() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: upgrade\r\n";
    for address in [axum().await, hyper().await] {
        for (line, fields, status, field) in [
            ("GET / HTTP/1.1", String::new(), 426, "upgrade: websocket"),
            (
                "GET / HTTP/1.1",
                format!("{UPGRADE}{KEY}Sec-WebSocket-Version: 8\r\n"),
                426,
                "sec-websocket-version: 13",
            ),
            (
                "GET / HTTP/1.1",
                format!("{UPGRADE}Sec-WebSocket-Version: 13\r\n"),
                400,
                "",
            ),
            (
                "POST / HTTP/1.1",
                format!("{UPGRADE}{KEY}Sec-WebSocket-Version: 13\r\n"),
                405,
                "allow: GET",
            ),
        ] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let request = format!("{line}\r\nHost: {address}\r\n{fields}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 1000];
            let n = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..n]);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(field),
                "{answer}"
            );
        }
    }
}
