//! Makes the constants and tables that are generated from the parameters of curves. Tests verify them against the group
//! laws.

#[path = "build/curve.rs"]
mod curve;
#[path = "build/edwards25519.rs"]
mod edwards25519;
#[path = "build/emit.rs"]
mod emit;

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
    for curve in [curve::Curve::p256(), curve::Curve::p384()] {
        write(&format!("{}.rs", curve.name), &emit::module(&curve));
    }
}
