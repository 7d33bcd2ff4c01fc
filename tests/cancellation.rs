//! An adapter on tokio whose future is dropped at every await point, and loses nothing.

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Random, entropy};
use sockless::{
    ClientRequest, CloseCode, Config, Connection, Event, Input, Next, Response, Role, Write,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// One end: what must outlive a dropped future is here, and nothing else is.
struct End {
    ws: Connection,
    stream: DuplexStream,
    input: Input,
    received: Vec<String>,
    clean: Option<bool>,
}

impl End {
    /// The loop of every adapter, until the transport ends.
    async fn run(&mut self) {
        loop {
            let io = match self.ws.poll(&mut self.input, Duration::ZERO) {
                Next::Event(Event::Request(_)) => {
                    self.ws.accept(Response::default()).unwrap();
                    continue;
                }
                Next::Event(Event::Text(text)) => {
                    self.received.push(text.to_string());
                    if self.ws.role() == Role::Server {
                        self.ws.send_text(text).unwrap();
                    }
                    continue;
                }
                Next::Event(Event::Fail(error)) => panic!("{error}"),
                Next::Event(_) => continue,
                Next::Io(io) => io,
                Next::Over(ending) => {
                    self.clean = Some(ending.clean);
                    return;
                }
            };
            if let Some(write) = io.write {
                let done = match write {
                    Write::Output => self.stream.write(self.ws.output()).await,
                    Write::Flush => self.stream.flush().await.map(|()| 0),
                    Write::Shutdown => self.stream.shutdown().await.map(|()| 0),
                };
                self.ws.on_write(write, done);
            } else {
                let done = self.stream.read(self.input.space()).await;
                self.ws.on_read(done, &mut self.input);
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
            Poll::Ready(()) => true,
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
            input: Input::new(64),
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
            if may_send && client.ws.send_text(text(sent)).is_ok() {
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
