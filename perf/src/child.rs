//! The processes of a measurement: keylane-perf runs itself again, one part each.
//!
//! Parent and child exchange one JSON value per line through the child's stdin and stdout; what a child answers is a
//! `Result<_, String>`. A child never outlives its parent: it is killed when dropped, and by Linux when the parent dies.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::{demo, ring, tls};

/// Longest silence of a child that has nothing to compute.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Which part this process plays, and for whom.
#[derive(Debug, clap::Args)]
pub struct ChildOptions {
    role: Role,
    /// Process id of the parent.
    #[arg(long)]
    parent: u32,
}

/// The parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The Keylane engine.
    Engine,
    /// A TLS server.
    Server,
    /// The clients of TLS servers.
    Clients,
    /// The other end of the rings.
    Ring,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Server => "server",
            Self::Clients => "clients",
            Self::Ring => "ring",
        }
    }
}

/// Plays one part, until the parent hangs up.
pub fn run(options: &ChildOptions) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(Failure::system("die with the parent"))?;
    // It may have died before the line above took effect.
    if getppid().map(Pid::as_raw_pid) != i32::try_from(options.parent).ok() {
        return Ok(());
    }
    match options.role {
        Role::Engine => demo::engine::run(),
        Role::Server => tls::server::run(),
        Role::Clients => tls::clients::run(),
        Role::Ring => ring::run_peer(),
    }
}

/// In a child: the parent's next message, none when it hung up.
pub fn receive<M: DeserializeOwned>() -> Result<Option<M>, Failure> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line).map_err(Failure::system("read from the parent"))? {
        0 => Ok(None),
        _ => parse(&line).map(Some).map_err(Failure::system("read from the parent")),
    }
}

/// In a child: answers the parent.
pub fn answer<M: Serialize>(answer: &Result<M, String>) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), answer).map_err(Failure::system("answer the parent"))
}

/// In the parent: a running child.
#[derive(Debug)]
pub struct Child {
    role: &'static str,
    process: process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a process for `role`, with `environment` added to this one's. To be called on the main thread: Linux
    /// kills the child when the *thread* ends that started it.
    pub fn start(role: Role, environment: &[(&str, &std::path::Path)]) -> Result<Self, Failure> {
        let attempt = || {
            let mut process = Command::new(std::env::current_exe()?)
                .args(["child", role.name(), "--parent", &process::id().to_string()])
                .envs(environment.iter().copied())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // A group of its own: Ctrl-C goes to the parent alone, which then takes everything down in order.
                .process_group(0)
                .spawn()?;
            let pipes = process.stdin.take().zip(process.stdout.take());
            let (input, output) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(Self { role: role.name(), process, input, output: BufReader::new(output) })
        };
        attempt().map_err(Failure::system::<io::Error>("start a process"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a message, and waits for its answer.
    pub fn ask<A: DeserializeOwned>(
        &mut self,
        message: &impl Serialize,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<A, Failure> {
        self.send(message)?;
        match self.poll(patience, interrupt)? {
            Some(answer) => Ok(answer),
            None => Err(Failure::Silent { role: self.role, seconds: patience.as_secs() }),
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        match write(&mut self.input, message) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.epitaph()),
            outcome => outcome.map_err(Failure::system("write to a process")),
        }
    }

    /// The next answer, if it comes within `patience`.
    pub fn poll<A: DeserializeOwned>(
        &mut self,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Option<A>, Failure> {
        if !interrupt.wait(self.output.get_ref().as_fd(), patience)? {
            return Ok(None);
        }
        let mut line = String::new();
        let read = self.output.read_line(&mut line).map_err(Failure::system("read from a process"))?;
        if read == 0 {
            return Err(self.epitaph());
        }
        let answer: Result<A, String> = parse(&line).map_err(Failure::system("read from a process"))?;
        answer.map(Some).map_err(|message| Failure::Reported { role: self.role, message })
    }

    fn epitaph(&mut self) -> Failure {
        let status = self.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure::Died { role: self.role, status }
    }
}

impl Drop for Child {
    /// Kills it and waits until it is gone, so that whatever it had open can be removed.
    fn drop(&mut self) {
        // Either fails only when it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(pipe: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    pipe.write_all(&line)?;
    pipe.flush()
}

fn parse<M: DeserializeOwned>(line: &str) -> io::Result<M> {
    Ok(serde_json::from_str(line)?)
}
