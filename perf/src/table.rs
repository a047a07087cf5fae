//! Rows for people: one line each, columns that nothing fills left out.

use crate::figures::{Figures, float};
use crate::report::Row;

/// How a row fills a column.
type Cell = fn(&Row) -> Option<String>;

/// Every column that a report can have, in order. The JSON has more.
const COLUMNS: [(&str, Cell); 18] = [
    ("algorithm", |row| row.algorithm.map(str::to_owned)),
    ("mode", |row| row.mode.map(|mode| mode.replace('_', " "))),
    ("module", |row| row.module.clone()),
    ("ops/s", |row| spread(row, |figures| figures.ops_per_s)),
    ("handshakes/s", |row| spread(row, |figures| figures.handshakes_per_s)),
    ("×", |row| row.ratio?.rate.map(factor)),
    ("p50 µs", |row| row.figures.p50_us.map(number)),
    ("p99 µs", |row| row.figures.p99_us.map(number)),
    ("CPU µs: server", |row| row.figures.cpu_us_per_op.server.map(number)),
    ("engine", |row| row.figures.cpu_us_per_op.engine.map(number)),
    ("both", |row| spread(row, |figures| figures.cpu_us_per_op.serving())),
    ("×", |row| row.ratio?.cpu.map(factor)),
    ("clients", |row| row.figures.cpu_us_per_op.client.map(number)),
    ("fill", |row| row.figures.mean_fill.map(factor)),
    ("context hits", |row| row.figures.context_hit_rate.map(|rate| format!("{:.1} %", rate * 100.0))),
    ("syscalls/op", |row| row.figures.syscalls_per_op.map(|calls| format!("{calls:.3}"))),
    ("RSS MiB", |row| row.rss_bytes.map(|bytes| number(float(bytes) / 1_048_576.0))),
    ("verified", |row| row.verified.map(|count| number(float(count)))),
];

/// The table, without a final line break.
pub fn of(rows: &[Row]) -> String {
    let columns: Vec<Vec<String>> =
        COLUMNS.iter().filter_map(|(title, cell)| column(title, *cell, rows)).collect();
    let lines = (0..=rows.len()).map(|line| {
        let cells = columns.iter().enumerate().map(|(at, column)| {
            let width = column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
            // Names to the left, numbers to the right.
            if at < 2 { format!("{:<width$}", column[line]) } else { format!("{:>width$}", column[line]) }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn column(title: &str, cell: Cell, rows: &[Row]) -> Option<Vec<String>> {
    let cells: Vec<_> = rows.iter().map(cell).collect();
    let filled = cells.iter().any(Option::is_some);
    let absent = || "-".to_owned();
    filled.then(|| {
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(absent));
        std::iter::once(title.to_owned()).chain(cells).collect()
    })
}

/// A figure, and the smallest and largest of its rounds.
fn spread(row: &Row, figure: fn(&Figures) -> Option<f64>) -> Option<String> {
    let value = number(figure(&row.figures)?);
    let samples = || row.samples.iter().filter_map(figure);
    Some(match (samples().reduce(f64::min), samples().reduce(f64::max)) {
        (Some(least), Some(most)) => format!("{value} ({}–{})", number(least), number(most)),
        _ => value,
    })
}

fn factor(value: f64) -> String {
    format!("{value:.2}")
}

/// Whole numbers with a comma for every thousand; one decimal below 100.
pub fn number(value: f64) -> String {
    if value < 100.0 {
        let text = format!("{value:.1}");
        return text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(7.25), "7.2");
        assert_eq!(number(456.7), "457");
        assert_eq!(number(1_234_567.0), "1,234,567");
    }

    #[test]
    fn columns_align_and_show_the_spread() {
        let sample = |rate| Figures { handshakes_per_s: Some(rate), ..Figures::default() };
        let row = Row {
            algorithm: Some("p-256"),
            mode: Some("in_process"),
            figures: sample(1_500.0),
            samples: vec![sample(1_400.0), sample(1_600.0)],
            ..Row::default()
        };
        let other = Row { algorithm: Some("rsa-2048"), verified: Some(7), ..Row::default() };
        let text = of(&[row, other]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "algorithm  mode               handshakes/s  verified");
        assert_eq!(lines[1], "p-256      in process  1,500 (1,400–1,600)         -");
        assert_eq!(lines[2], "rsa-2048   -                             -         7");
    }
}
