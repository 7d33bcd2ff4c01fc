//! tokio-tungstenite, with its default configuration.

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::Failure;

pub(super) async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let ws = tokio_tungstenite::accept_async(stream).await?;
    super::relay(ws, |message: &Message| {
        message.is_text() || message.is_binary()
    })
    .await
}
