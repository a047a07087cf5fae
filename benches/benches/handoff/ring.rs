//! A worker at each end of a channel: the near one asks, the far one echoes.

use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use keylane_shm::{
    Bell, ChannelDescriptors, ClientChannel, ClientFlags, EngineChannel, EngineFlags, Geometry, Parker,
};

use crate::REQUEST_BYTES;

/// Words of a request.
const WORDS: usize = REQUEST_BYTES as usize / 8;
/// First word of the request that ends the peer.
const STOP: u64 = u64::MAX;
/// A peer that died is noticed by the end of this wait, and the measurement fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an end does while there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It looks again.
    Spinning,
    /// It sleeps until it is woken.
    Sleeping,
}

impl Waiting {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Spinning, Self::Sleeping];

    /// As reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spinning => "spinning",
            Self::Sleeping => "sleeping",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|waiting| waiting.name() == name).expect("a way to wait")
    }
}

/// The end that asks: it has the engine's half of the channel.
pub struct Near {
    channel: EngineChannel,
    flags: EngineFlags,
    parker: Parker,
    _bell: Bell,
}

/// The end that echoes: it has the client's half.
pub struct Far {
    channel: ClientChannel,
    flags: ClientFlags,
    bell: Bell,
}

/// What the far end is made from, in a form that can be sent to a process:
/// submission region, completion region, flag page, doorbell.
pub struct FarDescriptors(pub [OwnedFd; 4]);

/// Makes a channel.
pub fn create() -> (Near, FarDescriptors) {
    let (channel, ChannelDescriptors { submission, completion }) =
        EngineChannel::create(geometry()).expect("regions");
    let (flags, page) = EngineFlags::create(1).expect("flag page");
    let bell = Bell::new().expect("eventfd");
    let parker = Parker::new().expect("epoll");
    parker.add(bell.as_fd(), 0).expect("epoll");
    channel.own(0);
    let far_bell = bell.as_fd().try_clone_to_owned().expect("descriptor");
    let far = FarDescriptors([submission, completion, page, far_bell]);
    (Near { channel, flags, parker, _bell: bell }, far)
}

fn geometry() -> Geometry {
    Geometry::new(64, REQUEST_BYTES, REQUEST_BYTES).expect("valid sizes")
}

impl Near {
    /// Sends `requests` and takes as many back.
    pub fn round_trip(&mut self, requests: u32, waiting: Waiting) {
        self.send(requests, 1);
        let mut request = [0; WORDS];
        for _ in 0..requests {
            while !self.channel.submissions().pop(&mut request).expect("an honest peer") {
                self.wait(waiting);
            }
        }
        self.channel.submissions().release();
    }

    /// Ends the peer.
    pub fn stop(&mut self) {
        self.send(1, STOP);
    }

    fn send(&mut self, requests: u32, first_word: u64) {
        let request = [first_word; WORDS];
        for _ in 0..requests {
            assert!(self.channel.completions().push(&request).expect("an honest peer"), "the ring has room");
        }
        self.channel.completions().publish();
        if self.channel.client_sleeps() {
            self.channel.wake().expect("futex");
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        if waiting == Waiting::Spinning {
            return spin_loop();
        }
        self.flags.announce_sleep(0);
        if self.channel.submissions().available().expect("an honest peer") == 0 {
            self.parker.park(Some(PATIENCE), |_| ()).expect("epoll");
        }
        self.flags.announce_awake(0);
    }
}

impl Far {
    /// Maps what came from the near end.
    pub fn map(FarDescriptors([submission, completion, page, bell]): FarDescriptors) -> Self {
        let regions = ChannelDescriptors { submission, completion };
        Self {
            channel: ClientChannel::map(geometry(), regions).expect("regions"),
            flags: ClientFlags::map(page).expect("flag page"),
            bell: Bell::from_fd(bell),
        }
    }

    /// Sends every request back until the one that ends it.
    pub fn echo(&mut self, waiting: Waiting) {
        let mut request = [0; WORDS];
        loop {
            let mut echoed = 0;
            while self.channel.completions().pop(&mut request).expect("an honest peer") {
                if request[0] == STOP {
                    return;
                }
                assert!(
                    self.channel.submissions().push(&request).expect("an honest peer"),
                    "the ring has room"
                );
                echoed += 1;
            }
            if echoed > 0 {
                self.hand_back();
            } else if waiting == Waiting::Spinning {
                spin_loop();
            } else {
                self.channel.sleep(PATIENCE).expect("an honest peer");
            }
        }
    }

    fn hand_back(&mut self) {
        self.channel.completions().release();
        self.channel.submissions().publish();
        if self.channel.owner_sleeps(&self.flags) {
            self.bell.ring().expect("eventfd");
        }
    }
}
