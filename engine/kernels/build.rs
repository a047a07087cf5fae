//! Makes the constants and tables that are generated from the parameters of curves.

#[path = "build/edwards25519.rs"]
mod edwards25519;

use std::path::Path;

fn write(name: &str, text: &str) {
    let folder = std::env::var_os("OUT_DIR").unwrap_or_default();
    let file = Path::new(&folder).join(name);
    if let Err(error) = std::fs::write(&file, text) {
        println!("cargo::error=cannot write {}: {error}", file.display());
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    write("edwards25519.rs", &edwards25519::module());
}
