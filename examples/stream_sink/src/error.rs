use std::{error, fmt, io};

use sockless::handshake::InvalidUri;
use sockless::{Ending, Response, SendError};

/// Why a connection did not open, ended without a closing handshake, or refused a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection is over, and this is how it ended.
    Ended(Box<Ending>),
    /// The transport failed.
    Io(io::Error),
    /// The message cannot be sent, or the request cannot be answered so.
    Send(SendError),
    /// The server answered the request with another status than 101.
    Rejected(Box<Response>),
    /// The URI is not one of a WebSocket.
    Uri(InvalidUri),
    /// The HTTP connection was lost before it was upgraded.
    #[cfg(feature = "hyper")]
    Upgrade(hyper::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ending) => ending.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Rejected(response) => write!(f, "rejected with status {}", response.status()),
            Self::Uri(error) => error.fmt(f),
            #[cfg(feature = "hyper")]
            Self::Upgrade(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<InvalidUri> for Error {
    fn from(error: InvalidUri) -> Self {
        Self::Uri(error)
    }
}
