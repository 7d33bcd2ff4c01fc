//! An echo client: for each line of its input, a URL and perhaps a subprotocol, it opens a connection and
//! sends back what comes, until that ends. Usage: `sockless-strictness sockless|tungstenite`.

use std::error::Error;
use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;
use std::{env, process, thread};

use sockless::{ClientRequest, Config, Connection, Event, Input, Next, Write};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;

type Failure = Box<dyn Error + Send + Sync>;
type Client = fn(&str, Option<&str>) -> Result<(), Failure>;

fn main() {
    let client: Client = match env::args().nth(1).as_deref() {
        Some("sockless") => on_sockless,
        Some("tungstenite") => on_tungstenite,
        _ => {
            eprintln!("usage: sockless-strictness sockless|tungstenite");
            process::exit(2);
        }
    };
    for line in io::stdin().lines().map_while(Result::ok) {
        thread::spawn(move || {
            let mut words = line.split(' ');
            let url = words.next().unwrap_or_default();
            // How it ends is what the other end sees.
            if let Err(error) = client(url, words.next()) {
                eprintln!("{url}: {error}");
            }
        });
    }
}

fn on_sockless(url: &str, subprotocol: Option<&str>) -> Result<(), Failure> {
    let mut request = ClientRequest::new(url)?;
    if let Some(name) = subprotocol {
        request = request.with_subprotocol(name)?;
    }
    let mut stream = TcpStream::connect((request.host(), request.port()))?;
    let mut ws = Connection::client(request, Config::default())?;
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        let io = match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => {
                echo(&mut ws, event);
                continue;
            }
            Next::Io(io) => io,
            Next::Over(_) => return Ok(()),
        };
        let wait = Some(io.wait(clock.elapsed()));
        if let Some(write) = io.write {
            stream.set_write_timeout(wait)?;
            let done = match write {
                Write::Output => stream.write_vectored(&ws.output_slices()),
                Write::Flush => stream.flush().map(|()| 0),
                Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
            };
            ws.on_write(write, done);
        } else {
            stream.set_read_timeout(wait)?;
            ws.on_read(stream.read(input.space()), &mut input);
        }
    }
}

fn echo(ws: &mut Connection, event: Event<'_>) {
    let sent = match event {
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if sent.is_err() {
        ws.handler_failed();
    }
}

fn on_tungstenite(url: &str, subprotocol: Option<&str>) -> Result<(), Failure> {
    let mut request = url.into_client_request()?;
    if let Some(name) = subprotocol {
        let value = HeaderValue::from_str(name)?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", value);
    }
    let (mut ws, _) = tungstenite::connect(request)?;
    loop {
        let message = ws.read()?;
        if message.is_text() || message.is_binary() {
            ws.send(message)?;
        }
    }
}
