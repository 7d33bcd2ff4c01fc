//! An adapter on tokio whose future is dropped at every await point, and loses nothing.

mod common;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::{Random, entropy};
use sockless::{ClientRequest, CloseCode, Config, Connection, Event, Response, Role, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// One end: what must outlive a dropped future is here, and nothing else is.
struct End {
    ws: Connection,
    stream: DuplexStream,
    buf: [u8; 64],
    received: Vec<String>,
    clean: Option<bool>,
}

impl End {
    /// The loop of every adapter, until the transport ends.
    async fn run(&mut self) -> io::Result<()> {
        loop {
            while !self.ws.output().is_empty() {
                let n = self.stream.write(self.ws.output()).await?;
                self.ws.sent(n);
            }
            match self.ws.transport() {
                Transport::Keep => {}
                Transport::ShutWrite => self.stream.shutdown().await?,
                Transport::Drop => return Ok(()),
            }
            let n = self.stream.read(&mut self.buf).await?;
            if n == 0 {
                self.clean = Some(self.ws.end_of_stream().clean);
                return Ok(());
            }
            let mut input = &mut self.buf[..n];
            while let Some(event) = self.ws.receive(&mut input) {
                match event {
                    Event::Request(_) => self.ws.accept(Response::default()).unwrap(),
                    Event::Text(text) => {
                        self.received.push(text.to_string());
                        if self.ws.role() == Role::Server {
                            self.ws.send_text(&text).unwrap();
                        }
                    }
                    Event::Fail(error) => panic!("{error}"),
                    _ => {}
                }
            }
        }
    }

    /// Starts the loop anew and drops it at the first await that has to wait; whether it ended.
    fn run_and_drop(&mut self) -> bool {
        let mut future = pin!(self.run());
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(result) => {
                result.unwrap();
                true
            }
            Poll::Pending => false,
        }
    }
}

#[test]
fn a_dropped_future_loses_nothing() {
    let text = |number: usize| format!("{number}: {}", "€".repeat(number % 90));
    for pipe in [1, 2, 3, 7, 50, 64, 1000] {
        let (near, far) = tokio::io::duplex(pipe);
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let config = Config::default().entropy(entropy);
        let end = |ws, stream| End {
            ws,
            stream,
            buf: [0; 64],
            received: Vec::new(),
            clean: None,
        };
        let mut client = end(Connection::client(request, config.clone()).unwrap(), near);
        let mut server = end(Connection::server(config), far);
        let mut random = Random(0x1234_5678_9abc_def1);
        let (mut sent, mut over, mut turns) = (0, [false; 2], 0_u64);
        while over != [true; 2] {
            turns += 1;
            assert!(turns < 10_000_000, "it goes on");
            // What the program wants to send comes between the drops; one at a time, for this loop
            // does not read while it cannot write.
            let may_send = sent < 200 && sent == client.received.len() && random.below(3) == 0;
            if may_send && client.ws.send_text(&text(sent)).is_ok() {
                sent += 1;
            }
            if client.received.len() == 200 {
                client.ws.close(CloseCode::NORMAL, "").unwrap();
            }
            for (end, over) in [&mut client, &mut server].into_iter().zip(&mut over) {
                if !*over && random.below(2) == 0 {
                    *over = end.run_and_drop();
                    if *over {
                        // A program drops its transport here.
                        end.stream = tokio::io::duplex(1).0;
                    }
                }
            }
        }
        for end in [&client, &server] {
            assert!(
                end.received.iter().cloned().eq((0..200).map(text)),
                "through {pipe} bytes"
            );
            assert_eq!(end.clean, Some(true));
        }
        println!("through {pipe} bytes: dropped {turns} times");
    }
}
