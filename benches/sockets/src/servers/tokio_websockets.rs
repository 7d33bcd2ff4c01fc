//! tokio-websockets, with its default configuration.

use tokio::net::TcpStream;
use tokio_websockets::{Message, ServerBuilder};

use crate::Failure;

pub(super) async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let (_, ws) = ServerBuilder::new().accept(stream).await?;
    super::relay(ws, |message: &Message| {
        message.is_text() || message.is_binary()
    })
    .await
}
