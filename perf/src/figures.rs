//! The figures of one measured thing, and how those of several rounds become one.

use serde::Serialize;

/// What was measured; whatever does not apply is absent. The names are those of the report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Operations per second.
    pub ops_per_s: Option<f64>,
    /// Full handshakes per second.
    pub handshakes_per_s: Option<f64>,
    /// Median latency, µs.
    pub p50_us: Option<f64>,
    /// Latency that 99 % do not exceed, µs.
    pub p99_us: Option<f64>,
    /// Latency that 99.9 % do not exceed, µs.
    pub p999_us: Option<f64>,
    /// Processor time per operation or handshake.
    pub cpu_us_per_op: CpuPerOp,
    /// Mean operations of a batch.
    pub mean_fill: Option<f64>,
    /// Share of key look-ups that found a prepared context, 0..=1.
    pub context_hit_rate: Option<f64>,
    /// System calls of the engine's workers per operation.
    pub syscalls_per_op: Option<f64>,
}

/// Processor time per operation or handshake in µs, by process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CpuPerOp {
    /// The server.
    pub server: Option<f64>,
    /// The engine.
    pub engine: Option<f64>,
    /// The clients.
    pub client: Option<f64>,
}

impl CpuPerOp {
    /// What it costs to serve: server and engine.
    pub fn serving(&self) -> Option<f64> {
        self.server.map(|server| server + self.engine.unwrap_or(0.0))
    }
}

impl Figures {
    /// Operations or handshakes per second.
    fn rate(&self) -> Option<f64> {
        self.ops_per_s.or(self.handshakes_per_s)
    }

    /// The median of each figure over the rounds that have it.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(figure).collect());
        Self {
            ops_per_s: of(|round| round.ops_per_s),
            handshakes_per_s: of(|round| round.handshakes_per_s),
            p50_us: of(|round| round.p50_us),
            p99_us: of(|round| round.p99_us),
            p999_us: of(|round| round.p999_us),
            cpu_us_per_op: CpuPerOp {
                server: of(|round| round.cpu_us_per_op.server),
                engine: of(|round| round.cpu_us_per_op.engine),
                client: of(|round| round.cpu_us_per_op.client),
            },
            mean_fill: of(|round| round.mean_fill),
            context_hit_rate: of(|round| round.context_hit_rate),
            syscalls_per_op: of(|round| round.syscalls_per_op),
        }
    }
}

/// How one thing did against another that took turns with it: the medians of what each pair of rounds says.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    /// The other's mode.
    pub to: &'static str,
    /// Operations or handshakes per second; more is better.
    pub rate: Option<f64>,
    /// Processor time of server and engine per operation or handshake; less is better.
    pub cpu: Option<f64>,
}

impl Ratio {
    /// Compares `rounds` with the `others` between which they were measured.
    pub fn between(rounds: &[Figures], to: &'static str, others: &[Figures]) -> Self {
        let of = |figure: fn(&Figures) -> Option<f64>| {
            let pairs = rounds.iter().zip(others);
            median(pairs.filter_map(|(round, other)| ratio(figure(round)?, figure(other)?)).collect())
        };
        Self { to, rate: of(Figures::rate), cpu: of(|figures| figures.cpu_us_per_op.serving()) }
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "what is counted in minutes stays far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// `dividend` / `divisor`; none when nothing was counted.
pub fn ratio(dividend: f64, divisor: f64) -> Option<f64> {
    (divisor > 0.0).then(|| dividend / divisor)
}

/// The value in the middle; none without any.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_ignores_order_and_outliers() {
        assert_eq!(median(vec![9_000.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let round = |rate, server, engine| {
            let cpu_us_per_op = CpuPerOp { server: Some(server), engine, client: Some(1_000.0) };
            Figures { handshakes_per_s: Some(rate), cpu_us_per_op, ..Figures::default() }
        };
        // The machine was ten times slower in the last round, for both.
        let rounds =
            [round(200.0, 5.0, Some(1.0)), round(240.0, 5.0, Some(1.0)), round(22.0, 50.0, Some(10.0))];
        let others = [round(100.0, 12.0, None), round(100.0, 12.0, None), round(10.0, 120.0, None)];
        let ratio = Ratio::between(&rounds, "in_process", &others);
        assert_eq!((ratio.rate, ratio.cpu), (Some(2.2), Some(0.5)));
    }

    #[test]
    fn a_round_without_a_figure_does_not_count() {
        let round = |p99_us| Figures { p99_us, ..Figures::default() };
        let median = Figures::median(&[round(Some(5.0)), round(None), round(Some(7.0))]);
        assert_eq!(median.p99_us, Some(6.0));
        assert_eq!(median.p50_us, None);
    }
}
