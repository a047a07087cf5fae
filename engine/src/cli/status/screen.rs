//! What the screen of `keylane status --watch` shows: facts, rates of each worker, signatures over time, batch fills.

use std::collections::VecDeque;
use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Paragraph, Row, Sparkline, Table};

use super::report;
use crate::admin::status::{Status, Worker};
use crate::cli::table::facts;

/// Snapshots that the curve of signatures looks back.
const HISTORY: usize = 240;
/// Fills shown one by one; larger ones share the last bar.
const FILLS: usize = 16;

/// The latest snapshot and what changed since the one before.
#[derive(Default)]
pub(super) struct Screen {
    latest: Option<(Instant, Status)>,
    rates: Vec<Rates>,
    /// The newest first.
    signatures_per_s: VecDeque<u64>,
}

/// What a worker did per second between two snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rates {
    requests: f64,
    signatures: f64,
    refused: f64,
    wakes: f64,
    syscalls: f64,
    /// Operations of a batch.
    fill: f64,
    /// Share of one core, 0 to 1.
    cpu: f64,
}

impl Screen {
    /// Takes the next snapshot.
    pub(super) fn update(&mut self, status: Status, at: Instant) {
        if let Some((then, before)) = &self.latest {
            self.rates = rates(before, &status, at.duration_since(*then).as_secs_f64());
            let signatures: f64 = self.rates.iter().map(|rates| rates.signatures).sum();
            self.signatures_per_s.push_front(rounded(signatures));
            self.signatures_per_s.truncate(HISTORY);
        }
        self.latest = Some((at, status));
    }
}

/// Draws the screen; before the first snapshot there is nothing to draw.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let Some((_, status)) = &screen.latest else { return };
    let workers = u16::try_from(status.workers.len()).unwrap_or(u16::MAX);
    let [head, engine, table, curve, fills, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(9),
        Constraint::Length(workers.saturating_add(3)),
        Constraint::Min(4),
        Constraint::Length(8),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(report::headline(status)).bold(), head);
    frame.render_widget(Paragraph::new(facts(report::engine(status))).block(Block::bordered()), engine);
    draw_workers(frame, table, status, &screen.rates);
    draw_curve(frame, curve, &screen.signatures_per_s);
    draw_fills(frame, fills, &status.workers);
    frame.render_widget(Paragraph::new("q, Esc or Ctrl-C: quit").dim(), foot);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, status: &Status, rates: &[Rates]) {
    let header = [
        "worker",
        "core",
        "channels",
        "requests/s",
        "signed/s",
        "fill",
        "refused/s",
        "wakes/s",
        "syscalls/s",
        "cpu",
    ];
    let idle = Rates::default();
    let rows = status.workers.iter().enumerate().map(|(index, worker)| {
        let rates = rates.get(index).unwrap_or(&idle);
        Row::new([
            worker.worker.to_string(),
            report::core(worker),
            worker.channels.to_string(),
            format!("{:.0}", rates.requests),
            format!("{:.0}", rates.signatures),
            format!("{:.1}", rates.fill),
            format!("{:.0}", rates.refused),
            format!("{:.0}", rates.wakes),
            format!("{:.0}", rates.syscalls),
            format!("{:.0} %", rates.cpu * 100.0),
        ])
    });
    let table =
        Table::new(rows, [Constraint::Fill(1); 10]).header(Row::new(header).style(Style::new().bold()));
    frame.render_widget(table.block(Block::bordered().title("Workers")), area);
}

fn draw_curve(frame: &mut Frame<'_>, area: Rect, signatures_per_s: &VecDeque<u64>) {
    let latest = signatures_per_s.front().copied().unwrap_or(0);
    let most = signatures_per_s.iter().max().copied().unwrap_or(0);
    let title = format!("Signatures/s: {latest} (highest {most})");
    let width = usize::from(area.width.saturating_sub(2));
    let oldest_first: Vec<u64> = signatures_per_s.iter().take(width).rev().copied().collect();
    let curve = Sparkline::default().data(oldest_first).block(Block::bordered().title(title));
    frame.render_widget(curve, area);
}

fn draw_fills(frame: &mut Frame<'_>, area: Rect, workers: &[Worker]) {
    let bars: Vec<Bar<'_>> = fills(workers)
        .into_iter()
        .zip(1..)
        .map(|(batches, fill)| {
            let label = if fill < FILLS { fill.to_string() } else { format!("{FILLS}+") };
            Bar::default().value(batches).label(label)
        })
        .collect();
    let block = Block::bordered().title("Batches by fill, since start");
    let chart = BarChart::default().data(BarGroup::default().bars(&bars)).bar_width(4).block(block);
    frame.render_widget(chart, area);
}

/// Batches of all workers by fill, index 0 for a fill of 1; the last counts all larger ones.
fn fills(workers: &[Worker]) -> [u64; FILLS] {
    let mut sum = [0; FILLS];
    for worker in workers {
        for (index, batches) in worker.fill_histogram.iter().enumerate() {
            sum[index.min(FILLS - 1)] += batches;
        }
    }
    sum
}

fn rates(before: &Status, after: &Status, seconds: f64) -> Vec<Rates> {
    let pairs = before.workers.iter().zip(&after.workers);
    pairs.map(|(before, after)| worker_rates(before, after, seconds)).collect()
}

/// Counters that went backwards belong to an engine that was restarted: they count as standing still.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn worker_rates(before: &Worker, after: &Worker, seconds: f64) -> Rates {
    let grown = |count: fn(&Worker) -> u64| count(after).saturating_sub(count(before)) as f64;
    let per_second = |count| if seconds > 0.0 { grown(count) / seconds } else { 0.0 };
    let (signatures, batches) = (grown(|worker| worker.signatures), grown(|worker| worker.batches));
    Rates {
        requests: per_second(|worker| worker.requests),
        signatures: per_second(|worker| worker.signatures),
        refused: per_second(|worker| worker.refused),
        wakes: per_second(|worker| worker.wakes),
        syscalls: per_second(|worker| worker.syscalls),
        fill: if batches > 0.0 { signatures / batches } else { 0.0 },
        cpu: per_second(|worker| worker.cpu_ns) / 1e9,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is small and not negative"
)]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::example;
    use super::{FILLS, Screen, draw, fills};

    /// The screen one second after 500 more signatures in 50 batches on each of two workers.
    fn second_look() -> Screen {
        let (mut screen, start, before) = (Screen::default(), Instant::now(), example());
        let mut after = before.clone();
        for worker in &mut after.workers {
            worker.signatures += 500;
            worker.batches += 50;
            worker.cpu_ns += 250_000_000;
        }
        screen.update(before, start);
        screen.update(after, start + Duration::from_secs(1));
        screen
    }

    fn drawn(screen: &Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn rates_are_what_changed_between_two_looks() {
        let screen = drawn(&second_look(), 120, 40);
        for part in
            ["Keylane 0.1.0", "Signatures/s: 1000 (highest 1000)", "10.0", "25 %", "memfd_secret", "quit"]
        {
            assert!(screen.contains(part), "{part:?} is missing on:\n{screen}");
        }
    }

    #[test]
    fn a_restarted_engine_stands_still() {
        let mut screen = second_look();
        let later = Instant::now() + Duration::from_secs(9);
        screen.update(example(), later);
        assert!(screen.rates.iter().all(|rates| rates.signatures == 0.0 && rates.fill == 0.0));
    }

    #[test]
    fn any_size_of_terminal_is_drawn_on() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            drawn(&second_look(), width, height);
            drawn(&Screen::default(), width, height);
        }
    }

    #[test]
    fn large_fills_share_the_last_bar() {
        let mut workers = example().workers;
        workers[0].fill_histogram = vec![1; 128];
        let fills = fills(&workers[..1]);
        assert_eq!(fills[0], 1);
        assert_eq!(fills[FILLS - 1], 128 - 15);
    }
}
