//! The command `keylane`.

use std::process::ExitCode;

fn main() -> ExitCode {
    keylane_engine::cli::main()
}
