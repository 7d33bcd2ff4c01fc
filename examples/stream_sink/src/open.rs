use std::io::{self, ErrorKind};

use sockless::{ClientRequest, Config, Connection, Delivery, Event, Request, Response, SendError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::{Error, WebSocket};

/// What a client can ask for: a URI, or a [`ClientRequest`] with subprotocols and header fields.
pub trait IntoRequest {
    /// The request.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`] for a text that is not the URI of a WebSocket.
    fn into_request(self) -> Result<ClientRequest, Error>;
}

impl IntoRequest for ClientRequest {
    fn into_request(self) -> Result<ClientRequest, Error> {
        Ok(self)
    }
}

impl IntoRequest for &str {
    fn into_request(self) -> Result<ClientRequest, Error> {
        Ok(ClientRequest::new(self)?)
    }
}

/// Connects over TCP, and opens a connection. For `wss` make the TLS stream, and call [`client`].
///
/// # Errors
///
/// As [`client`]; [`Error::Io`] without a TCP connection, and for `wss`.
pub async fn connect(
    request: impl IntoRequest,
    config: Config,
) -> Result<(WebSocket<TcpStream>, Response), Error> {
    let request = request.into_request()?;
    if request.is_secure() {
        return Err(io::Error::new(ErrorKind::Unsupported, "wss needs a TLS stream").into());
    }
    let stream = TcpStream::connect((request.host(), request.port())).await?;
    stream.set_nodelay(true)?;
    client(stream, request, config).await
}

/// Opens a connection over a transport, and answers it with the server's response.
///
/// # Errors
///
/// [`Error::Rejected`] with any other response; [`Error::Uri`]; else how the attempt ended.
pub async fn client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: impl IntoRequest,
    config: Config,
) -> Result<(WebSocket<S>, Response), Error> {
    let config = config.delivery(Delivery::Messages);
    let connection =
        Connection::client(request.into_request()?, config).map_err(SendError::from)?;
    let mut ws = WebSocket::new(stream, connection, &[]);
    match ws.opening().await? {
        Event::Rejected(response) => Err(Error::Rejected(response)),
        Event::Open(response) => Ok((ws, *response)),
        _ => Err(SendError::Connecting.into()),
    }
}

/// Accepts a connection over a transport, whatever its path and origin.
///
/// # Errors
///
/// As [`accept_with`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Config,
) -> Result<WebSocket<S>, Error> {
    accept_with(stream, config, |_| Response::default()).await
}

/// Accepts a connection over a transport, or refuses it, as `answer` says: status 101 accepts.
///
/// # Errors
///
/// [`Error::Send`] for an answer that does not fit, in whose place 500 is sent; else how the attempt ended.
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Config,
    answer: impl FnOnce(&Request) -> Response,
) -> Result<WebSocket<S>, Error> {
    let config = config.delivery(Delivery::Messages);
    let mut ws = WebSocket::new(stream, Connection::server(config), &[]);
    if let Event::Request(request) = ws.opening().await? {
        ws.respond(answer(&request)).await?;
    }
    Ok(ws)
}
