//! What `keylane status` shows.

use keylane_api::Status as Code;

use super::Control;
use super::desk::refusal;
use super::shutdown::Phase;
use crate::admin::status::{Audit, SecretMemory, Status};
use crate::messages::Refusal;
use crate::os::secret::{self, Protection};

impl Control {
    pub(super) fn status_json(&self) -> Result<String, Refusal> {
        serde_json::to_string(&self.status()).map_err(|error| refusal(Code::Internal, error.to_string()))
    }

    fn status(&self) -> Status {
        let directory = &self.desk.directory;
        let prepared = |key: &&std::sync::Arc<crate::directory::KeyRecord>| key.context.pin().is_some();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            ready: self.phase == Phase::Serving,
            listeners: self.doors.client_paths().map(|path| path.display().to_string()).collect(),
            control_backend: self.reactor.backend().name().to_owned(),
            kernels: self.kernel_name().to_owned(),
            secret_memory: secret_memory(),
            sessions: self.desk.sessions.open_len() as u64,
            quarantined: self.desk.quarantined,
            slots: directory.slots().count() as u64,
            keys: directory.key_count() as u64,
            contexts: directory.keys_after(None).filter(prepared).count() as u64,
            store_epoch: self.store_epoch,
            audit: Audit { refused_full: self.desk.workers.refused_by_audit(), ..self.log.status() },
            workers: self.desk.workers.status(),
        }
    }
}

fn secret_memory() -> SecretMemory {
    let Ok(report) = secret::report() else { return SecretMemory::default() };
    let protection = match report.protection {
        Protection::MemfdSecret => "memfd_secret",
        Protection::Mlock => "mlock",
    };
    SecretMemory {
        protection: protection.to_owned(),
        bytes: report.bytes as u64,
        used_bytes: report.used_bytes as u64,
    }
}
