//! The link to the other servers: Redis publish/subscribe, a channel for each room.
//!
//! Redis keeps nothing, so that there is nothing to go stale: each server says who is there when that
//! changes, when it is asked, and when it has (re)connected; and that it lives, every two seconds.
//! Whoever may publish there is trusted with every room: guard that Redis as you guard the servers.
//!
//! A message is heard at once by the members of its own server and a little later by the others, so that
//! two servers may show two messages in a different order.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Client};
use sockless::Backoff;
use tokio::select;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::hub::{Outbox, Post};
use crate::queue::{Queue, Taken};
use crate::wire::{Letter, News};
use crate::{Server, log};

/// How long Redis may take for anything.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How many of our own signs of life may be on their way back.
const MAX_UNHEARD: u32 = 5;
/// What may wait to be published; beyond it the link counts as lost.
const MAX_OUTBOX: usize = 32 << 20;
/// How many letters go to Redis in one round trip.
const BATCH: usize = 64;

type Failure = Box<dyn Error + Send + Sync>;

pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) prefix: String,
    pub(crate) server: Arc<Server>,
}

impl Link {
    /// Keeps the link up until the server ends.
    pub(crate) async fn run(self) {
        // Waits of one second at first, up to half a minute: nobody is asked to wait for this.
        let mut backoff = Backoff::new().range(Duration::from_secs(1), Duration::from_secs(30));
        let redis = self.client.get_connection_info().addr().clone();
        while let Err(error) = self.session(&mut backoff).await {
            self.server.hub().unlink();
            let delay = backoff.next_delay().unwrap_or(Duration::from_secs(30));
            log(format_args!(
                "redis {redis}: {error}; next attempt in {:.1} s",
                delay.as_secs_f32()
            ));
            sleep(delay).await;
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> Result<(), Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let pubsub = timeout(ANSWER_TIMEOUT, self.client.get_async_pubsub()).await??;
        let (mut sink, stream) = pubsub.split();
        timeout(ANSWER_TIMEOUT, sink.subscribe(self.servers())).await??;
        let outbox = Arc::new(Queue::new(MAX_OUTBOX));
        self.server.hub().link(Arc::clone(&outbox));
        select! {
            end = self.publish(&outbox, connection, sink, backoff) => end,
            end = self.listen(&outbox, stream) => end,
        }
    }

    /// Does what the hub posts, in order.
    async fn publish(
        &self,
        outbox: &Outbox,
        mut connection: MultiplexedConnection,
        mut sink: PubSubSink,
        backoff: &mut Backoff,
    ) -> Result<(), Failure> {
        loop {
            let mut next = Some(outbox.next(true).await);
            let mut batch = redis::pipe();
            while let Some(Taken::Item(Post::Publish(room, letter))) = next {
                batch.publish(self.room(&room), letter).ignore();
                next = (batch.len() < BATCH)
                    .then(|| outbox.try_next(true))
                    .flatten();
            }
            if !batch.is_empty() {
                batch.exec_async(&mut connection).await?;
            }
            match next {
                None | Some(Taken::Item(Post::Publish(..))) => {}
                Some(Taken::Item(Post::Subscribe(room))) => {
                    timeout(ANSWER_TIMEOUT, sink.subscribe(self.room(&room))).await??;
                }
                Some(Taken::Item(Post::Unsubscribe(room))) => {
                    timeout(ANSWER_TIMEOUT, sink.unsubscribe(self.room(&room))).await??;
                }
                Some(Taken::Item(Post::Ready)) => {
                    backoff.reset();
                    self.server.hub().link_ready();
                    log(format_args!("redis: rooms are shared"));
                }
                Some(Taken::Item(Post::Alive(letter))) => {
                    redis::cmd("PUBLISH")
                        .arg(self.servers())
                        .arg(letter)
                        .exec_async(&mut connection)
                        .await?;
                }
                Some(Taken::Item(Post::Stop)) => return Ok(()),
                Some(Taken::Closed(_)) => return Err("cannot keep up".into()),
            }
        }
    }

    /// Hands what comes to the hub, and says that this server lives.
    async fn listen(&self, outbox: &Outbox, mut stream: PubSubStream) -> Result<(), Failure> {
        let mut beat = interval(ALIVE_INTERVAL);
        // Beats are counted rather than time: a process that was held up misjudges nobody.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unheard = 0;
        let server = &self.server.name;
        loop {
            let message = select! {
                message = stream.next() => message.ok_or("the subscription ended")?,
                _ = beat.tick() => {
                    unheard += 1;
                    if unheard > MAX_UNHEARD {
                        return Err("nothing comes back".into());
                    }
                    outbox.push(Post::Alive(Letter::encode(server, &News::Alive, &[])), 0);
                    self.server.hub().beat();
                    continue;
                }
            };
            let Some(letter) = Letter::decode(message.get_payload_bytes()) else {
                continue; // not ours
            };
            if letter.server == *server {
                unheard = 0;
                continue;
            }
            let room = message.get_channel_name().strip_prefix(&self.room(""));
            self.server.hub().receive(room, letter);
        }
    }

    fn room(&self, room: &str) -> String {
        format!("{}room:{room}", self.prefix)
    }

    fn servers(&self) -> String {
        format!("{}servers", self.prefix)
    }
}
