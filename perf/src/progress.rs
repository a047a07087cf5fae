//! How far a measurement is, for whoever waits for it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Drawn on stderr, and only if that is a terminal.
pub fn bar(steps: u64) -> ProgressBar {
    let progress = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}
