//! [`Stream`]: TCP, with TLS or without, that never blocks once it is connected.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, ToSocketAddrs};
use std::time::Duration;

use mio::net::TcpStream;
use rustls::{ClientConnection, StreamOwned};

pub(crate) struct Stream {
    transport: Transport,
    /// A write failed. What the peer sent before may still wait to be read.
    broken: bool,
}

enum Transport {
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
        Ok(Self {
            transport: Transport::Tcp(TcpStream::from_std(tcp)),
            broken: false,
        })
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
        let mut stream = Self::accepted(tcp)?;
        if let Transport::Tcp(tcp) = stream.transport {
            stream.transport = Transport::Tls(Box::new(StreamOwned::new(tls, tcp)));
        }
        Ok(stream)
    }

    /// How many bytes were written, if any could be.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.broken {
            return None;
        }
        let mut try_to = || match &mut self.transport {
            Transport::Tcp(tcp) if bytes.is_empty() => tcp.flush().map(|()| 0),
            Transport::Tcp(tcp) => tcp.write(bytes),
            // What it has encrypted leaves first, be there more to write or not.
            Transport::Tls(tls) => tls.flush().and_then(|()| tls.write(bytes)),
        };
        match if_ready(&mut try_to) {
            Ok(written) => written.filter(|n| *n > 0),
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    /// How many bytes were read, zero at the end, or `None` if there are none yet.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let read = if_ready(&mut || match &mut self.transport {
            Transport::Tcp(tcp) => tcp.read(buf),
            Transport::Tls(tls) => tls.read(buf),
        });
        match read {
            // The end without a farewell of TLS: whether anything is missing, a WebSocket's Close tells.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(0)),
            read => read,
        }
    }

    /// Fails if the peer was faster, which does not matter.
    pub(crate) fn shut_write(&mut self) {
        if let Transport::Tls(tls) = &mut self.transport {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What can be waited for.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match &mut self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(tls) => &mut tls.sock,
        }
    }
}

/// What a call on a socket did, or `None` if it would have to wait.
fn if_ready<T>(call: &mut dyn FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match call() {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
