//! tokio-tungstenite, with its default buffers and with smaller ones.

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Failure;

pub(super) async fn echo(stream: TcpStream) -> Result<(), Failure> {
    echo_with(WebSocketConfig::default(), stream).await
}

/// Its default is 128 KiB, of which each read first clears what is free.
pub(super) async fn echo_8k(stream: TcpStream) -> Result<(), Failure> {
    let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
    echo_with(config, stream).await
}

async fn echo_with(config: WebSocketConfig, stream: TcpStream) -> Result<(), Failure> {
    let ws = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    super::relay(ws, |message: &Message| {
        message.is_text() || message.is_binary()
    })
    .await
}
