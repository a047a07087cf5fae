//! `keylane status --watch`: a screen that follows the engine, or one line of JSON a second.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use serde_json::Value;

use super::parse;
use super::screen::{Screen, draw};
use crate::admin::client::Client;
use crate::admin::status::Status;
use crate::cli::answer::{self, Answer};
use crate::cli::failure::Failure;

/// Time between two looks at the engine.
const INTERVAL: Duration = Duration::from_secs(1);

/// Follows the engine until the reader has seen enough.
pub(super) fn run(engine: &mut Client, json: bool) -> Result<Answer, Failure> {
    if json {
        lines(engine)?;
    } else if io::stdout().is_terminal() {
        screen(engine)?;
    } else {
        return Err(Failure::Usage("--watch needs a terminal; add --json for one line a second".to_owned()));
    }
    Ok(Answer::nothing())
}

fn lines(engine: &mut Client) -> Result<(), Failure> {
    loop {
        let status: Value = parse(&engine.status()?)?;
        match answer::write(&status.to_string()) {
            Ok(()) => std::thread::sleep(INTERVAL),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::io("write to", "standard output", error)),
        }
    }
}

fn screen(engine: &mut Client) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| Failure::io("use", "the terminal", error))?;
    let shown = follow(engine, &mut terminal);
    ratatui::restore();
    shown
}

fn follow(engine: &mut Client, terminal: &mut ratatui::DefaultTerminal) -> Result<(), Failure> {
    let mut screen = Screen::default();
    loop {
        let status: Status = parse(&engine.status()?)?;
        let now = Instant::now();
        screen.update(status, now);
        let drawn = terminal.draw(|frame| draw(frame, &screen));
        drawn.map_err(|error| Failure::io("draw on", "the terminal", error))?;
        if quits_before(now + INTERVAL).map_err(|error| Failure::io("read from", "the terminal", error))? {
            return Ok(());
        }
    }
}

/// Waits until `deadline` for somebody who wants to quit.
fn quits_before(deadline: Instant) -> io::Result<bool> {
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        if !event::poll(left)? {
            break;
        }
        if let Event::Key(key) = event::read()? {
            let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
