//! What a figure depends on besides the code: the machine, Linux, the build.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::num::NonZero;
use std::thread;

use serde::Serialize;

/// Where figures were measured.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Release of Linux.
    pub linux: String,
    /// The compiler.
    pub rustc: &'static str,
    /// Crates that decide the figures, and their versions.
    pub crates: BTreeMap<&'static str, &'static str>,
    /// `release`, or `debug` with its assertions.
    pub build: &'static str,
    /// Which threads were pinned to which cores.
    pub pinning: &'static str,
    /// Frequency governor of the first core, where Linux has one.
    pub governor: Option<String>,
    /// Processes that wanted to run, averaged over 1, 5 and 15 minutes, before the measurement.
    pub load: Option<String>,
    /// What this verb held constant, in words.
    pub conditions: Vec<String>,
}

impl Environment {
    /// Looks around. `pinning` says which threads are pinned.
    pub fn observe(pinning: &'static str) -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            linux: rustix::system::uname().release().to_string_lossy().into_owned(),
            rustc: env!("KEYLANE_RUSTC"),
            crates: env!("KEYLANE_CRATES").split(',').filter_map(|krate| krate.split_once(' ')).collect(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            pinning,
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            load: line("/proc/loadavg").map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" ")),
            conditions: Vec::new(),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {} cores, Linux {}; {}", self.cpu, self.cores, self.linux, self.rustc)?;
        self.crates.iter().try_for_each(|(name, version)| write!(out, ", {name} {version}"))?;
        write!(out, "; {} build; pinning: {}", self.build, self.pinning)?;
        for (name, value) in [("governor", &self.governor), ("load", &self.load)] {
            value.iter().try_for_each(|value| write!(out, "; {name}: {value}"))?;
        }
        self.conditions.iter().try_for_each(|condition| write!(out, "\n{condition}"))
    }
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "))?;
    Some(name.1.to_owned())
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_known() {
        let environment = Environment::observe("none");
        assert!(environment.rustc.starts_with("rustc 1."), "{}", environment.rustc);
        assert!(environment.crates.contains_key("rustls"), "{:?}", environment.crates);
        assert!(environment.crates.contains_key("aws-lc-rs"), "{:?}", environment.crates);
    }
}
