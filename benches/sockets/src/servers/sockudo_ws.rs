//! sockudo-ws, with its default configuration but for the timers, which nobody else here has on.

use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Message, Role, WebSocketStream};
use tokio::net::TcpStream;

use crate::Failure;

pub(super) async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let handshake = server_handshake(&mut stream).await?;
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    let ws =
        WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, handshake.leftover);
    super::relay(ws, |message: &Message| {
        matches!(message, Message::Text(_) | Message::Binary(_))
    })
    .await
}
