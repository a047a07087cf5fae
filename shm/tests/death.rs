//! Peers that die in the midst of what they do, and what their children inherit.
//!
//! The peer is this test's program again, told by the environment which part to play.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use keylane_shm::{ChannelDescriptors, ClientChannel, EngineChannel, Geometry, Woken};
use rustix::fs::fstat;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Set for a child: the descriptors of both regions for a client, anything for an engine.
const PART: &str = "KEYLANE_SHM_TEST_PART";
const DEATHS: u64 = 20;
const WORDS: usize = 8;

fn geometry() -> Geometry {
    Geometry::new(64, 64, 64).unwrap()
}

/// A peer that dies at the latest with the test that started it.
struct Peer(Child);

impl Peer {
    /// Starts this program again to play `test`.
    fn start(test: &str, part: &str) -> Self {
        let mut program = Command::new(env::current_exe().unwrap());
        program.args(["--exact", test, "--nocapture"]).env(PART, part).stdout(Stdio::piped());
        Self(program.spawn().unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In the peer: which part it plays. Nobody who starts one can leave it behind.
fn part() -> Option<String> {
    let part = env::var(PART).ok()?;
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    Some(part)
}

fn spawn_client(regions: &ChannelDescriptors) -> Peer {
    // Duplicates made by `dup` survive exec.
    let inherited = [&regions.submission, &regions.completion].map(|fd| rustix::io::dup(fd).unwrap());
    let [submission, completion] = inherited.each_ref().map(AsRawFd::as_raw_fd);
    Peer::start("a_client_that_submits_for_ever", &format!("{submission} {completion}"))
}

/// Starts an engine, which makes its own regions, and takes them out of its `/proc`.
fn spawn_engine() -> (Peer, ChannelDescriptors) {
    let mut child = Peer::start("an_engine_that_answers_for_ever", "engine");
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let numbers = lines.find_map(|line| Some(line.unwrap().split_once("regions ")?.1.to_owned())).unwrap();
    let open = |number: &str| {
        let path = format!("/proc/{}/fd/{number}", child.0.id());
        OwnedFd::from(File::options().read(true).write(true).open(path).unwrap())
    };
    let (submission, completion) = numbers.split_once(' ').unwrap();
    let regions = ChannelDescriptors { submission: open(submission), completion: open(completion) };
    (child, regions)
}

/// The regions that a client inherited.
fn inherited(part: &str) -> ChannelDescriptors {
    let (submission, completion) = part.split_once(' ').unwrap();
    // SAFETY: the parent duplicated both for this process, which uses them nowhere else.
    let own = |number: &str| unsafe { OwnedFd::from_raw_fd(number.parse().unwrap()) };
    ChannelDescriptors { submission: own(submission), completion: own(completion) }
}

/// Plays a client that submits until it dies.
#[test]
fn a_client_that_submits_for_ever() {
    let Some(part) = part() else { return };
    let mut client = ClientChannel::map(geometry(), inherited(&part)).unwrap();
    let mut count = 0;
    loop {
        if client.submissions().push(&[count; WORDS]).unwrap() {
            count += 1;
        }
        client.submissions().publish();
    }
}

#[test]
fn a_client_killed_in_mid_write_leaves_whole_entries() {
    for death in 0..DEATHS {
        let (mut engine, regions) = EngineChannel::create(geometry()).unwrap();
        let mut client = spawn_client(&regions);
        let mut taken = 0;
        let mut take = |engine: &mut EngineChannel| {
            let mut entry = [0; WORDS];
            while engine.submissions().pop(&mut entry).unwrap() {
                assert_eq!(entry, [taken; WORDS]);
                taken += 1;
            }
            engine.submissions().release();
            taken
        };
        // Each dies elsewhere: entries are counted, and it runs on while the signal travels.
        while take(&mut engine) < 1_000 + 97 * death {
            thread::yield_now();
        }
        client.kill();
        take(&mut engine);
        assert_eq!(engine.submissions().available(), Ok(0), "nothing half-written was published");
        assert_eq!(engine.completions().push(&[0]), Ok(true), "and its answers still have a place to go");
    }
}

/// Plays an engine that answers until it dies.
#[test]
fn an_engine_that_answers_for_ever() {
    if part().is_none() {
        return;
    }
    let (mut engine, regions) = EngineChannel::create(geometry()).unwrap();
    println!("regions {} {}", regions.submission.as_raw_fd(), regions.completion.as_raw_fd());
    let mut count = 0;
    loop {
        if engine.completions().push(&[count; WORDS]).unwrap() {
            count += 1;
        }
        engine.completions().publish();
        if engine.client_sleeps() {
            engine.wake().unwrap();
        }
    }
}

#[test]
fn an_engine_killed_in_mid_write_leaves_whole_entries_and_a_client_that_notices() {
    for death in 0..DEATHS {
        let (mut engine, regions) = spawn_engine();
        let mut client = ClientChannel::map(geometry(), regions).unwrap();
        let mut taken = 0;
        let mut take = |client: &mut ClientChannel| {
            let mut entry = [0; WORDS];
            while client.completions().pop(&mut entry).unwrap() {
                assert_eq!(entry, [taken; WORDS]);
                taken += 1;
            }
            client.completions().release();
            taken
        };
        while take(&mut client) < 1_000 + 97 * death {
            assert_ne!(client.sleep(Duration::from_secs(20)), Ok(Woken::TimedOut));
        }
        engine.kill();
        take(&mut client);
        assert_eq!(client.sleep(Duration::from_millis(1)), Ok(Woken::TimedOut));
    }
}

/// Mappings of `region` in this process.
fn mappings(region: &OwnedFd) -> usize {
    let inode = fstat(region).unwrap().st_ino.to_string();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.split_whitespace().nth(4) == Some(&inode)).count()
}

#[test]
fn a_forked_child_inherits_no_mapping_of_a_client() {
    let (engine, regions) = EngineChannel::create(geometry()).unwrap();
    let kept = [&regions.submission, &regions.completion].map(|fd| fd.try_clone().unwrap());
    let client = ClientChannel::map(geometry(), regions).unwrap();
    drop(engine);
    assert_eq!(kept.each_ref().map(mappings), [1, 1]);
    // SAFETY: the child reads a file, counts and leaves by `_exit`; it takes no lock of another thread but the
    // allocator's, which glibc hands over across a fork.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let inherited = kept.iter().map(mappings).sum::<usize>();
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(i32::try_from(inherited).unwrap_or(i32::MAX)) };
    }
    let mut status = -1;
    // SAFETY: waits for the child made above and writes to a live integer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "mappings in the child");
    drop(client);
}
