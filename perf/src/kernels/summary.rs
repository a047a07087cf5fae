//! What `keylane-perf kernels` prints.

use std::fmt;

use super::cell::SLICE;
use super::goals;
use super::rows::Row;
use crate::environment::Environment;
use crate::figures::float;
use crate::report::Printed;
use crate::table::number;

/// The result of the verb: for programs only the rows, as an array.
#[derive(Debug)]
pub struct Summary {
    /// Where it was measured.
    pub environment: Environment,
    /// By algorithm, fill and implementation.
    pub rows: Vec<Row>,
    /// Whether there is a tier besides the portable one.
    pub has_fast_tier: bool,
}

/// What a reader must know of every figure.
pub fn conditions(rsa_keys: usize, compared: u64) -> Vec<String> {
    let slice = SLICE.as_millis();
    vec![
        format!(
            "slices of {slice} ms (one batch at least) take turns; times are processor time of the thread; medians of all \
             slices; ×: times aws-lc-rs's speed, the median over turns; ±: (p90 − p10)/median"
        ),
        format!(
            "keys, messages and a kernel's nonces come from a seed, but RSA keys: aws-lc generated {rsa_keys} of each size \
             before, which the jobs of a batch share; all else has one key per job"
        ),
        format!(
            "{} outputs compared, all right: RSA, Ed25519 and X25519 bit for bit with aws-lc-rs, ECDSA verified by it",
            number(float(compared))
        ),
        "aws-lc-rs: one operation at a time. RSA is blinded and checked; ECDSA draws nonces, nothing is checked; Ed25519 is \
         not checked; X25519's public value includes making the key, which computes it"
            .to_owned(),
        "portable and bare: leave out check, blinding (RSA) and nonces (ECDSA: given); portable has fewer turns"
            .to_owned(),
        "checked: RSA blinded, its drawing anew once in 256 uses included, and s^e = m; ECDSA hedged nonces and check; Ed25519 \
         hash again and [S]B = R + [h]A. X25519 has no check"
            .to_owned(),
    ]
}

impl Printed for Summary {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.rows)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.environment)?;
        let [bare, checked] = ["avx512ifma bare", "avx512ifma checked"];
        writeln!(
            out,
            "{:<15} {:>4} |{:>18} |{:>20} |{bare:>37} |{checked:>37}",
            "", "", "aws-lc-rs", "portable bare"
        )?;
        let kernel = format!("{:>11} {:>11} {:>7} {:>5}", "µs/batch", "ops/s", "×", "±");
        let scalar = format!("{:>12} {:>5} |{:>12} {:>7}", "µs/operation", "±", "µs/batch", "×");
        writeln!(out, "{:<15} {:>4} |{scalar} |{kernel} |{kernel}", "algorithm", "fill")?;
        for rows in self.rows.chunk_by(|a, b| (a.algorithm, a.fill) == (b.algorithm, b.fill)) {
            writeln!(out, "{}", line(rows))?;
        }
        writeln!(out)?;
        if !self.has_fast_tier {
            writeln!(out, "No goals: they are for AVX-512 with IFMA, which this processor has not")?;
        }
        goals::of(&self.rows).iter().try_for_each(|goal| writeln!(out, "{goal}"))
    }
}

/// All implementations of an algorithm at a fill side by side.
fn line(rows: &[Row]) -> String {
    let find = |implementation: &str, checked| {
        rows.iter().find(|row| (row.implementation, row.checked) == (implementation, checked))
    };
    let kernel = |checked| {
        find("avx512ifma", checked).map_or_else(
            || format!("{:>11} {:>11} {:>7} {:>5}", "-", "-", "-", "-"),
            |row| {
                let [batch, rate] = [row.us_per_batch, row.ops_per_s].map(number);
                format!("{batch:>11} {rate:>11} {:>7.2} {:>5.2}", row.ratio_to_awslc, row.spread)
            },
        )
    };
    let scalar = find("aws-lc-rs", false)
        .map_or_else(String::new, |row| format!("{:>12} {:>5.2}", number(1e6 / row.ops_per_s), row.spread));
    let portable = find("portable", false).map_or_else(String::new, |row| {
        format!("{:>12} {:>7.3}", number(row.us_per_batch), row.ratio_to_awslc)
    });
    let (algorithm, fill) = rows.first().map_or(("", 0), |row| (row.algorithm, row.fill));
    format!("{algorithm:<15} {fill:>4} |{scalar:>18} |{portable:>20} |{} |{}", kernel(false), kernel(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(implementation: &'static str, checked: bool, fill: usize) -> Row {
        let (algorithm, ratio_to_awslc) = ("ecdsa-p256-sign", 12.25);
        let (ops_per_s, us_per_batch) = (1_000.0, 1_234.0);
        Row { algorithm, implementation, checked, fill, ops_per_s, us_per_batch, ratio_to_awslc, spread: 0.5 }
    }

    fn summary(rows: Vec<Row>, has_fast_tier: bool) -> Summary {
        let mut environment = Environment::observe("none");
        environment.conditions = conditions(8, 1_000);
        Summary { environment, rows, has_fast_tier }
    }

    #[test]
    fn people_see_a_line_per_fill_and_the_goals() {
        let rows = [64, 128].into_iter().flat_map(|fill| {
            let kernels = [("portable", false), ("avx512ifma", false), ("avx512ifma", true)];
            let all = [("aws-lc-rs", false)].into_iter().chain(kernels);
            all.map(move |(implementation, checked)| row(implementation, checked, fill)).collect::<Vec<_>>()
        });
        let text = summary(rows.collect(), true).to_string();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("ecdsa-p256-sign")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0].matches(" 12.25 ").count(), 2, "{text}");
        let titles = text.lines().find(|line| line.starts_with("algorithm")).unwrap();
        assert_eq!(titles.chars().count(), lines[0].chars().count(), "{text}");
        assert!(
            text.contains("Goal held: ecdsa-p256-sign, fill 64, bare, times aws-lc-rs 12.25 >= 10.5"),
            "{text}"
        );
        assert!(text.contains("1,000 outputs compared") && text.contains("leave out"), "{text}");
    }

    #[test]
    fn a_machine_without_the_fast_tier_has_no_goals() {
        let rows = vec![row("aws-lc-rs", false, 8), row("portable", false, 8)];
        let text = summary(rows, false).to_string();
        assert!(text.contains("No goals") && !text.contains("missed"), "{text}");
    }
}
