//! [`Stream`]: TCP, with TLS or without, that never blocks once it is connected.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, ToSocketAddrs};
use std::time::Duration;

use mio::net::TcpStream;
use rustls::{ClientConnection, StreamOwned};

pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to the first address of `host` that answers, and speaks TLS if there is one to speak.
    pub(crate) fn connect(
        (host, port): (&str, u16),
        tls: Option<ClientConnection>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match std::net::TcpStream::connect_timeout(&address, timeout) {
                Ok(tcp) => return Self::shake_hands(tcp, tls, timeout),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(crate) fn accepted(tcp: std::net::TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpStream::from_std(tcp)))
    }

    fn shake_hands(
        mut tcp: std::net::TcpStream,
        tls: Option<ClientConnection>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let Some(mut tls) = tls else {
            return Self::accepted(tcp);
        };
        tcp.set_read_timeout(Some(timeout))?;
        tcp.set_write_timeout(Some(timeout))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)
                .map_err(|error| match error.kind() {
                    ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
                    _ => io::Error::new(error.kind(), format!("TLS: {error}")),
                })?;
        }
        Ok(match Self::accepted(tcp)? {
            Self::Tcp(tcp) => Self::Tls(Box::new(StreamOwned::new(tls, tcp))),
            stream => stream,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            // What it has encrypted leaves first: with its buffer full it would take 0 bytes, which is no
            // failure here.
            Self::Tls(tls) => tls.flush().and_then(|()| tls.write(bytes)),
        }
    }

    /// Has what TLS has encrypted leave.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }

    /// Ends the write side, of TLS as well.
    pub(crate) fn shut_write(&mut self) -> io::Result<()> {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        self.tcp().shutdown(Shutdown::Write)
    }

    /// What can be waited for.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => &mut tls.sock,
        }
    }
}
