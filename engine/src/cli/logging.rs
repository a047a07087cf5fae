//! Logs on stderr, for which nobody ever waits.
//!
//! Whoever reads stderr may stop reading it, and clients can cause messages: a thread that serves tenants must wait for
//! neither. So lines go through a bounded queue to a thread of their own. A line that finds no room is left out, and so
//! is what one place in the code says too often; how many were is said afterwards.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Lines that wait to be written.
const LINES_MAX: usize = 1_024;
/// Lines of one place in the code in [`WINDOW`].
const REPEATS_MAX: u32 = 20;
/// See [`REPEATS_MAX`]; also how late the number of lines left out may be told.
const WINDOW: Duration = Duration::from_secs(5);
/// How long the end of the process waits for lines to be written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Answered when all before it is written.
    Flush(SyncSender<()>),
}

/// Logs to stderr for as long as the answer lives.
pub(super) fn to_stderr() -> Log {
    let (lines, receiver) = Lines::new();
    let left_out = Arc::clone(&lines.left_out);
    let writing = move || write_out(&receiver, &left_out, &mut io::stderr());
    if let Err(cause) = std::thread::Builder::new().name("keylane-log".to_owned()).spawn(writing) {
        eprintln!("no logs: cannot start the thread that writes them: {cause}");
    }
    let level = EnvFilter::try_from_env("KEYLANE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(moderated(lines.clone())).with(level).init();
    Log(lines)
}

fn moderated<S>(lines: Lines) -> impl Layer<S>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let moderation = Moderation { left_out: Arc::clone(&lines.left_out), said: Mutex::default() };
    fmt::layer().with_writer(lines).with_target(false).with_filter(moderation)
}

/// Writes what is left when dropped, unless nobody reads it.
pub(super) struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        let (written, is_written) = sync_channel(1);
        if self.0.sender.try_send(Message::Flush(written)).is_ok() {
            let _ = is_written.recv_timeout(FLUSH_MAX);
        }
    }
}

/// The way to the thread that writes.
#[derive(Clone)]
struct Lines {
    sender: SyncSender<Message>,
    left_out: Arc<AtomicU64>,
}

impl Lines {
    fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(LINES_MAX);
        (Self { sender, left_out: Arc::default() }, receiver)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Takes one line at each call, as the formatter hands it over.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Message::Line(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(receiver: &Receiver<Message>, left_out: &AtomicU64, out: &mut impl Write) {
    loop {
        // Nothing can be said about a stderr that cannot be written.
        match receiver.recv_timeout(WINDOW) {
            Ok(Message::Line(line)) => drop(out.write_all(&line)),
            Ok(Message::Flush(done)) => {
                tell_left_out(left_out, out);
                let _ = done.try_send(());
            }
            Err(RecvTimeoutError::Timeout) => tell_left_out(left_out, out),
            Err(RecvTimeoutError::Disconnected) => return tell_left_out(left_out, out),
        }
    }
}

fn tell_left_out(left_out: &AtomicU64, out: &mut impl Write) {
    match left_out.swap(0, Ordering::Relaxed) {
        0 => {}
        lines => drop(writeln!(out, "{lines} lines of the log were left out: too many at once")),
    }
}

/// Leaves out what one place in the code says too often. Whoever asks for `debug` wants all that fits the queue.
struct Moderation {
    left_out: Arc<AtomicU64>,
    said: Mutex<HashMap<Identifier, Said>>,
}

struct Said {
    since: Instant,
    lines: u32,
}

impl Moderation {
    fn lets_pass(&self, place: Identifier, now: Instant) -> bool {
        // Two threads that speak at once are many lines already; neither waits for the other.
        let Ok(mut said) = self.said.try_lock() else { return false };
        let said = said.entry(place).or_insert(Said { since: now, lines: 0 });
        if now >= said.since + WINDOW {
            *said = Said { since: now, lines: 0 };
        }
        said.lines += 1;
        said.lines <= REPEATS_MAX
    }
}

impl<S> Filter<S> for Moderation {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let passes = *metadata.level() > Level::INFO || self.lets_pass(metadata.callsite(), Instant::now());
        if !passes {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read, Write};
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::{LINES_MAX, Lines, Log, REPEATS_MAX, moderated, write_out};

    /// Lines that are written to a pipe, and its other end.
    fn to_pipe() -> (Lines, PipeReader) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (lines, receiver) = Lines::new();
        let left_out = Arc::clone(&lines.left_out);
        std::thread::spawn(move || write_out(&receiver, &left_out, &mut writer));
        (lines, reader)
    }

    fn read_all(mut reader: PipeReader) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    /// I2. More than pipe and queue hold: whoever waited would wait for ever.
    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let (lines, reader) = to_pipe();
        let long = [b'.'; 4096];
        for _ in 0..2 * LINES_MAX {
            (&lines).write_all(&long).unwrap();
        }
        let reading = std::thread::spawn(|| read_all(reader));
        drop(Log(lines));
        let text = reading.join().unwrap();
        assert!(text.len() < 2 * LINES_MAX * long.len());
        assert!(text.contains("lines of the log were left out"), "{}", text.trim_start_matches('.'));
    }

    #[test]
    fn what_is_said_too_often_is_counted_instead() {
        let (lines, reader) = to_pipe();
        tracing::subscriber::with_default(registry().with(moderated(lines.clone())), || {
            for number in 0..REPEATS_MAX + 7 {
                tracing::warn!(number, "again");
            }
            tracing::warn!("something else");
        });
        drop(Log(lines));
        let text = read_all(reader);
        assert_eq!(text.matches("again").count() as u64, u64::from(REPEATS_MAX), "{text}");
        assert!(text.contains("something else"), "{text}");
        assert!(text.contains("7 lines of the log were left out"), "{text}");
    }
}
