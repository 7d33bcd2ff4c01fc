//! The loop over pipes so narrow that every read and write is cut, and cancelled again and again.

use clap::Parser;
use serde_json::{Value, json};
use sockless::{ClientRequest, Config};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::Arguments;

fn server(options: &[&str]) -> Arc<Server> {
    let arguments = ["chat_tokio", "--open"].iter().chain(options);
    let address = ([127, 0, 0, 1], 8080).into();
    Arc::new(Server::new(&Arguments::parse_from(arguments), address).unwrap())
}

/// A connection to the server, and what it comes to there.
fn visit(server: &Arc<Server>, id: Id, pipe: usize) -> (DuplexStream, JoinHandle<Outcome>) {
    let (near, far) = duplex(pipe);
    let mut visit = Visit::new(([127, 0, 0, 1], 1).into(), id, Arc::clone(server));
    let task = tokio::spawn(async move { converse(far, &mut visit).await });
    (near, task)
}

/// The other end of such a connection.
struct Client {
    ws: Connection,
    input: Input,
    stream: DuplexStream,
    texts: Vec<Value>,
    files: Vec<Vec<u8>>,
}

impl Client {
    fn new(stream: DuplexStream, name: &str) -> Self {
        let request =
            ClientRequest::new(&format!("ws://chat.example/room/red?name={name}")).unwrap();
        Self {
            ws: Connection::client(request, Config::default()).unwrap(),
            input: Input::new(100),
            stream,
            texts: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Reads and writes until `done`, or to the end of the connection, which is then returned.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) -> Option<Ending> {
        while !done(self) {
            let io = match self.ws.poll(&mut self.input, Duration::ZERO) {
                Next::Event(Event::Text(text)) => {
                    self.texts.push(serde_json::from_str(&text).unwrap());
                    continue;
                }
                Next::Event(Event::Binary(data)) => {
                    self.files.push(data.into_owned());
                    continue;
                }
                Next::Event(_) => continue,
                Next::Io(io) => io,
                Next::Over(ending) => return Some(*ending),
            };
            let (mut reader, mut writer) = split(&mut self.stream);
            select! {
                (write, done) = write(&mut writer, io.write, &self.ws) => self.ws.on_write(write, done),
                done = reader.read(self.input.space()), if io.read => self.ws.on_read(done, &mut self.input),
                () = sleep(Duration::from_secs(60)) => panic!("nothing happens any more"),
            }
        }
        None
    }

    fn heard(&self, kind: &str) -> usize {
        self.texts
            .iter()
            .filter(|text| text["type"] == kind)
            .count()
    }
}

fn file(sender: usize, number: usize) -> Vec<u8> {
    let byte = u8::try_from(sender * 100 + number).unwrap();
    vec![byte; number * 37]
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_reordered_on_narrow_pipes() {
    const MESSAGES: usize = 40;
    for pipe in [1, 7, 64, 1000] {
        let server = server(&["--rate", "1000000"]);
        let mut members = Vec::new();
        for sender in 0..2 {
            let (stream, task) = visit(&server, u64::try_from(sender).unwrap(), pipe);
            members.push(tokio::spawn(async move {
                let mut client = Client::new(stream, &format!("member{sender}"));
                client.until(|client| client.heard("welcome") == 1).await;
                let is_first = client.texts[0]["members"].as_array().unwrap().len() == 1;
                client
                    .until(|client| !is_first || client.heard("join") == 1)
                    .await;
                for number in 0..MESSAGES {
                    let text = "€".repeat(number * 11);
                    let message = json!({"type": "text", "text": text});
                    client.ws.send_text(message.to_string()).unwrap();
                    client.ws.send_binary(file(sender, number)).unwrap();
                }
                client
                    .until(|client| client.files.len() == MESSAGES && client.ws.output().is_empty())
                    .await;
                client
            }));
            drop(task);
        }
        for (n, member) in members.into_iter().enumerate() {
            let client = member.await.unwrap();
            let other = 1 - n;
            let texts = client.texts.iter().filter(|text| text["type"] == "text");
            let texts: Vec<_> = texts
                .map(|text| text["text"].as_str().unwrap().len())
                .collect();
            assert_eq!(
                texts,
                (0..MESSAGES).map(|number| number * 33).collect::<Vec<_>>()
            );
            let files: Vec<_> = (0..MESSAGES).map(|number| file(other, number)).collect();
            assert_eq!(client.files, files, "pipe of {pipe}");
            assert_eq!(client.heard("error"), 0);
        }
    }
}

#[tokio::test]
async fn who_does_not_read_gets_1013_and_leaves_at_once() {
    let server = server(&["--max-message", "1000", "--max-queue", "4000"]);
    let (stream, task) = visit(&server, 1, 100);
    let mut slow = Client::new(stream, "slow");
    slow.until(|client| client.heard("welcome") == 1).await;
    let news = |n: usize| News::Text {
        from: "ada".into(),
        text: format!("{n:01000}"),
    };
    let mut said = 0;
    while server.hub().whisper("red", 2, "ada", "slow", "?") {
        assert!(said < 1000, "as much as that waits for one member");
        server.hub().say("red", 2, news(said), Vec::new());
        said += 1;
        tokio::task::yield_now().await;
    }
    let ending = slow.until(|_| false).await.unwrap();
    assert_eq!((ending.code, ending.clean), (1013, true));
    assert!(slow.heard("text") < said);
    drop(slow);
    assert_eq!(
        task.await.unwrap().unwrap().sent_code,
        Some(CloseCode::TRY_AGAIN_LATER)
    );
}

#[tokio::test]
async fn when_the_server_ends_members_get_1001_and_the_rest_is_dropped() {
    let server = server(&[]);
    let (stream, member) = visit(&server, 1, 100);
    let mut ada = Client::new(stream, "ada");
    ada.until(|client| client.heard("welcome") == 1).await;
    let (idle, not_yet) = visit(&server, 2, 100);
    server.hub().close_all();
    let ending = ada.until(|_| false).await.unwrap();
    assert_eq!((ending.code, ending.clean), (1001, true));
    drop(ada);
    assert!(member.await.unwrap().unwrap().clean);
    assert!(!not_yet.await.unwrap().unwrap().opened);
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_gone_without_a_word_leaves() {
    let server = server(&[]);
    let (stream, task) = visit(&server, 1, 1000);
    let mut ada = Client::new(stream, "ada");
    ada.until(|client| client.heard("welcome") == 1).await;
    // The stream stays open, and nobody answers the ping.
    let outcome = task.await.unwrap().unwrap();
    assert_eq!(outcome.error, Some(sockless::Error::PongTimeout));
    assert!(!server.hub().whisper("red", 2, "bob", "ada", "?"));
}
