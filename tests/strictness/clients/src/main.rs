//! An echo client: for each line of its input, a URL and perhaps a subprotocol, it opens a connection and
//! sends back what comes, until that ends. Usage: `sockless-strictness sockless|tungstenite`.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::{env, process, thread};

use sockless::{ClientRequest, Config, Connection, Event, State, Transport};
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
    let mut buf = [0; 16 * 1024];
    loop {
        while !ws.output().is_empty() {
            let n = stream.write(ws.output())?;
            ws.sent(n);
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(()),
        }
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        let mut input = &mut buf[..n];
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Text(text) if ws.state() == State::Open => ws.send_text(&text)?,
                Event::Binary(data) if ws.state() == State::Open => ws.send_binary(&data)?,
                _ => {}
            }
        }
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
