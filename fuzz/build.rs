//! Says what `cargo fuzz` would say, so that the targets can be checked without it.

fn main() {
    println!("cargo::rustc-cfg=fuzzing");
    println!("cargo::rerun-if-changed=build.rs");
}
