//! Tests that change what a process has only one of.

use std::process::Command;

const MARK: &str = "KEYLANE_TEST_OWN_PROCESS";

/// Runs `body` in a process of its own: the test binary, started again for the test of this name, which calls this.
pub fn run(test: &str, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args([test, "--exact", "--nocapture"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}\n{errors}", output.status);
}
