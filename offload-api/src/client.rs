//! The client: one session for all threads of a process, one channel for each of them.
//!
//! Invariants kept here: a call ends by its deadline; an operation is answered once, by a result or a typed error; a
//! tag is not used again before its completion came or its ring is gone; an engine that ends, restarts or lies costs
//! retries and errors, never a hang or a panic; a forked child touches nothing of its parent's.
//!
//! Reading order: [`Client`], [`Key`], [`Channel`] (with `table`, `link`, `pace`, `events`), then `home` (attaching),
//! `session`, `connection`.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::Scheme;
use crate::config::{Config, ConfigError};
use crate::control::KeySelector;
use crate::error::{ConnectError, Error};
use crate::signature::Signature;

mod call;
mod channel;
mod connection;
mod events;
mod home;
mod key;
mod link;
mod pace;
mod session;
mod table;

pub use call::{Call, Input};
pub use channel::{Channel, ChannelOptions};
pub use key::Key;
pub use table::Ticket;

use home::{Home, Patience};

/// A program's way to one engine. Clones share one session; it is made on first use, made again after the engine
/// restarted, and made anew in a forked child.
#[derive(Clone, Debug)]
pub struct Client {
    home: Arc<Home>,
    /// Counts the clones, for the channels that threads keep.
    clones: Arc<()>,
}

impl Client {
    /// A client that connects when it first must.
    pub fn new(config: Config) -> Self {
        Self { home: Arc::new(Home::new(config)), clones: Arc::new(()) }
    }

    /// A client with the settings of this process: see [`Config::load`].
    pub fn load() -> Result<Self, ConfigError> {
        Config::load().map(Self::new)
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        self.home.config()
    }

    /// When an operation that starts now must have ended, if its caller says nothing else.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.config().deadline
    }

    /// Connects now, to learn early whether it works; one attempt.
    ///
    /// # Errors
    /// Why there is no session.
    pub fn connect(&self) -> Result<(), Error> {
        let patience = Patience { others: Instant::now(), answers: self.deadline() };
        self.home.session(patience).map(drop).map_err(Obstacle::into_error)
    }

    /// A channel, for one thread. It is opened on first use.
    ///
    /// # Errors
    /// The shape is impossible, or Linux grants no descriptor to wait for.
    pub fn channel(&self, options: ChannelOptions) -> Result<Channel, Error> {
        Channel::new(self.home.clone(), options)
    }

    /// A key of the engine. Its public half may be loaded without an engine instead: [`Key::new`].
    ///
    /// # Errors
    /// The engine cannot be reached by `deadline`, or has no such key for this client.
    pub fn key(&self, selector: &KeySelector, deadline: Instant) -> Result<Key, Error> {
        loop {
            let patience = Patience::until(deadline);
            let session = self.home.session(patience).map_err(Obstacle::into_error)?;
            match Key::resolve(selector, &session, deadline) {
                // The session ended meanwhile; the next wait for one is bounded by the deadline.
                Err(Obstacle::Passing(_)) => {}
                resolved => return resolved.map_err(Obstacle::into_error),
            }
        }
    }

    /// Signs on the calling thread's own channel, and waits for it.
    ///
    /// # Errors
    /// See [`Error`]; none comes later than `deadline`.
    pub fn sign(
        &self,
        key: &Key,
        scheme: Scheme,
        input: Input<'_>,
        deadline: Instant,
    ) -> Result<Signature, Error> {
        self.with_channel(|channel| channel.sign(key, scheme, input, deadline))
    }

    /// Runs `work` on the calling thread's own channel; on a short-lived one where that one is in use further up the
    /// stack or the thread is ending.
    fn with_channel<T>(&self, work: impl FnOnce(&mut Channel) -> Result<T, Error>) -> Result<T, Error> {
        let mut kept =
            CHANNELS.try_with(|channels| channels.try_borrow_mut().ok()?.take(self)).ok().flatten();
        let channel = match &mut kept {
            Some(channel) => channel,
            None => kept.insert(self.channel(ChannelOptions::one_at_a_time())?),
        };
        let outcome = work(channel);
        if let Some(channel) = kept {
            // Where it cannot be kept it is closed.
            let _ = CHANNELS
                .try_with(|channels| channels.try_borrow_mut().map(|mut kept| kept.put(self, channel)));
        }
        outcome
    }
}

thread_local! {
    static CHANNELS: RefCell<Kept> = const { RefCell::new(Kept(Vec::new())) };
}

/// Channels that a thread keeps, with the clients whose they are.
struct Kept(Vec<(Weak<()>, Channel)>);

impl Kept {
    fn take(&mut self, client: &Client) -> Option<Channel> {
        let position =
            self.0.iter().position(|(owner, _)| std::ptr::eq(owner.as_ptr(), &raw const *client.clones))?;
        Some(self.0.swap_remove(position).1)
    }

    fn put(&mut self, client: &Client, channel: Channel) {
        // Channels of clients that nobody holds any more go.
        self.0.retain(|(owner, _)| owner.strong_count() > 0);
        self.0.push((Arc::downgrade(&client.clones), channel));
    }
}

/// Why a thread cannot go on with an operation now.
#[derive(Debug)]
enum Obstacle {
    /// It may go on later; the cause, if one is known.
    Passing(Option<Arc<ConnectError>>),
    /// It will not.
    Final(Error),
}

impl Obstacle {
    /// What the caller hears if there is no later.
    fn into_error(self) -> Error {
        match self {
            Self::Passing(Some(cause)) => Error::EngineGone(cause),
            Self::Passing(None) => Error::DeadlineExceeded,
            Self::Final(error) => error,
        }
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl From<ConnectError> for Obstacle {
    fn from(error: ConnectError) -> Self {
        Arc::new(error).into()
    }
}

impl From<Arc<ConnectError>> for Obstacle {
    fn from(error: Arc<ConnectError>) -> Self {
        if error.is_passing() { Self::Passing(Some(error)) } else { Self::Final(Error::EngineGone(error)) }
    }
}
