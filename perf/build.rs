//! Records what a report says about the build: the compiler's version and those of the crates that decide the figures.

use std::env;
use std::error::Error;
use std::fs;
use std::process::Command;

/// Crates whose versions stand beside the figures.
const CRATES: [&str; 3] = ["aws-lc-rs", "aws-lc-sys", "rustls"];
const LOCK: &str = "../Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LOCK}");
    let rustc = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    println!("cargo::rustc-env=KEYLANE_RUSTC={}", String::from_utf8(rustc.stdout)?.trim());
    println!("cargo::rustc-env=KEYLANE_CRATES={}", versions(&fs::read_to_string(LOCK)?));
    Ok(())
}

/// `name version` of each of [`CRATES`], separated by commas.
fn versions(lock: &str) -> String {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let value = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""))?;
            value.strip_suffix('"')
        };
        let name = field("name")?;
        CRATES.contains(&name).then_some(format!("{name} {}", field("version")?))
    });
    packages.collect::<Vec<_>>().join(",")
}
