//! Checks of the machine and of the limits of this process.

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::{Config, ControlBackend, available_cores};
use crate::os::reactor::Reactor;
use crate::os::secret::{self, Protection};

/// Locked memory below which secret memory is small, in bytes.
const MEMLOCK_COMFORTABLE: u64 = 64 << 20;
/// Open files below which many sessions are refused: each holds a handful.
const DESCRIPTORS_COMFORTABLE: u64 = 16_384;

/// A client that spins needs a core beside the workers'.
pub(super) fn cores(config: &Config) -> Finding {
    let (cores, workers) = (available_cores(), config.worker_count());
    let found = format!("{workers} workers on {cores} cores, spinning for {} µs", config.spin().as_micros());
    if workers < cores {
        return Finding::good("cores", found);
    }
    Finding::poor(
        "cores",
        found,
        "leave cores to the servers: lower `workers`, or give the engine more cores",
    )
}

/// Multi-buffer kernels need AVX-512-IFMA.
pub(super) fn cpu() -> Finding {
    let missing = missing_features();
    if missing.is_empty() {
        return Finding::good("cpu", "x86-64 with AVX-512-IFMA");
    }
    Finding::poor(
        "cpu",
        format!("lacks {}", missing.join(", ")),
        "the engine works, one operation at a time; multi-buffer kernels need Intel Ice Lake, AMD Zen 4 or newer",
    )
}

#[cfg(target_arch = "x86_64")]
fn missing_features() -> Vec<&'static str> {
    let features = [
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512vl", std::is_x86_feature_detected!("avx512vl")),
        ("avx512ifma", std::is_x86_feature_detected!("avx512ifma")),
        ("avx512vbmi2", std::is_x86_feature_detected!("avx512vbmi2")),
    ];
    features.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn missing_features() -> Vec<&'static str> {
    vec!["x86-64"]
}

/// Opens a ring, as the control thread would.
pub(super) fn io_uring(config: &Config) -> Finding {
    let remedy = "set kernel.io_uring_disabled = 0, or allow io_uring_setup, io_uring_enter and io_uring_register \
                  in the container's seccomp profile";
    match (Reactor::<()>::new(ControlBackend::IoUring), config.control_backend) {
        (Ok(_), _) => Finding::good("io_uring", "allowed"),
        (Err(error), ControlBackend::IoUring) => Finding::bad("io_uring", error.to_string(), remedy),
        (Err(error), ControlBackend::Epoll) => {
            Finding::good("io_uring", format!("{error}; epoll is configured"))
        }
        (Err(error), ControlBackend::Auto) => {
            Finding::poor("io_uring", format!("{error}: the control thread will use epoll"), remedy)
        }
    }
}

/// Secret memory counts against the limit on locked memory.
pub(super) fn memlock() -> Finding {
    match getrlimit(Resource::Memlock).current {
        None => Finding::good("locked memory", "unlimited"),
        Some(bytes) if bytes >= MEMLOCK_COMFORTABLE => {
            Finding::good("locked memory", format!("{} MiB", bytes >> 20))
        }
        Some(bytes) => Finding::poor(
            "locked memory",
            format!("RLIMIT_MEMLOCK is {} KiB, room for some hundred keys", bytes >> 10),
            "raise it (LimitMEMLOCK=128M in systemd, `ulimit -l` in a shell, --ulimit memlock= in a container)",
        ),
    }
}

/// Maps secret memory, as the engine would.
pub(super) fn secret_memory(config: &Config) -> Finding {
    let check = "secret memory";
    match secret::init(config.secret_options()) {
        Ok(report) if report.protection == Protection::MemfdSecret => {
            Finding::good(check, format!("{} MiB of {}", report.bytes >> 20, report.protection))
        }
        Ok(report) => Finding::poor(
            check,
            format!("{} MiB of {}: root can read it", report.bytes >> 20, report.protection),
            "use Linux 5.14 or newer and boot it with secretmem.enable=1",
        ),
        Err(error) => Finding::bad(check, error.to_string(), "see OPERATIONS.md, \"Limits\""),
    }
}

/// Sessions and channels hold descriptors.
pub(super) fn descriptors() -> Finding {
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < DESCRIPTORS_COMFORTABLE => Finding::poor(
            "descriptors",
            format!("RLIMIT_NOFILE is {most}: some hundred clients at once"),
            format!("raise it (LimitNOFILE={DESCRIPTORS_COMFORTABLE} in systemd)"),
        ),
        most => Finding::good("descriptors", most.map_or("unlimited".to_owned(), |most| most.to_string())),
    }
}
