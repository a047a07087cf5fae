//! `keylane serve`.

use clap::Args;
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::place::EnginePlace;
use super::secretly;
use super::unlocking::{self, UnlockArgs};
use crate::config::{Config, ControlBackend, KernelChoice, WhenFull};
use crate::engine;
use crate::os::secret::Protection;

const HELP: &str = "\
Examples:
  keylane serve --key-file /etc/keylane/kek
  keylane serve --cores 2,3 --busy-poll
      two workers that own their cores and never sleep: the lowest latency, at two cores' cost
  keylane serve --check
      prints what would be used, and starts nothing

SIGTERM and SIGINT finish what is in flight and end the engine. With systemd, use Type=notify.
Every argument overrides the same key of the configuration file.";

/// Run the engine until SIGTERM.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Serve {
    #[command(flatten)]
    place: EnginePlace,
    #[command(flatten)]
    unlock: UnlockArgs,
    #[command(flatten)]
    overrides: Overrides,
    /// Open a store that is older than its audit log: a restored backup. The override is audited.
    #[arg(long)]
    accept_rollback: bool,
    /// Print the configuration that would be used, and start nothing.
    #[arg(long)]
    check: bool,
}

/// Keys of the configuration file that the command line may override.
#[derive(Args, Debug, Default)]
struct Overrides {
    /// Threads that run the data plane [default: half of the cores].
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Cores to pin the workers to, one each.
    #[arg(long, value_name = "CORE,...", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Workers never sleep.
    #[arg(long)]
    busy_poll: bool,
    /// What computes signatures [default: auto].
    #[arg(long, value_name = "CHOICE")]
    kernels: Option<KernelChoice>,
    /// Longest spin of a worker before it sleeps, in µs [default: adapted to the machine].
    #[arg(long, value_name = "N")]
    spin_us: Option<u64>,
    /// Secret memory in MiB [default: as RLIMIT_MEMLOCK allows].
    #[arg(long, value_name = "N")]
    secret_memory_mib: Option<usize>,
    /// Refuse to start with less protection of keys in memory.
    #[arg(long, value_name = "LEVEL")]
    require_protection: Option<Protection>,
    /// How the control thread talks to Linux [default: auto].
    #[arg(long, value_name = "BACKEND")]
    control_backend: Option<ControlBackend>,
    /// Audit segments of 64 MiB kept [default: 64].
    #[arg(long, value_name = "N")]
    audit_keep: Option<u32>,
    /// What happens when they are full [default: prune].
    #[arg(long, value_name = "ACTION")]
    audit_when_full: Option<WhenFull>,
}

impl Overrides {
    fn apply(&self, config: &mut Config) {
        config.busy_poll |= self.busy_poll;
        config.workers = self.workers.or(config.workers);
        config.spin_us = self.spin_us.or(config.spin_us);
        config.secret_memory_mib = self.secret_memory_mib.or(config.secret_memory_mib);
        config.require_protection = self.require_protection.or(config.require_protection);
        if !self.cores.is_empty() {
            config.cores.clone_from(&self.cores);
            config.workers = self.workers;
        }
        if let Some(kernels) = self.kernels {
            config.kernels = kernels;
        }
        if let Some(backend) = self.control_backend {
            config.control_backend = backend;
        }
        if let Some(keep) = self.audit_keep {
            config.audit.keep = keep;
        }
        if let Some(when_full) = self.audit_when_full {
            config.audit.when_full = when_full;
        }
    }
}

impl Serve {
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        let config = self.config()?;
        if self.check {
            return check(&config);
        }
        secretly(&config, || {
            let unlock = unlocking::existing(&config)?;
            Ok(engine::run(&config, unlock, self.accept_rollback)?)
        })?;
        Ok(Answer::nothing())
    }

    fn config(&self) -> Result<Config, Failure> {
        let mut config = self.place.load()?;
        self.unlock.apply(&mut config);
        self.overrides.apply(&mut config);
        config.validate()?;
        Ok(config)
    }
}

fn check(config: &Config) -> Result<Answer, Failure> {
    let resolved = config.resolved();
    let text = toml::to_string(&resolved).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Answer::new(text, json!(resolved)))
}
