//! Chooses between the system calls of Linux and those that other systems have too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // So that the other path is compiled and tested on Linux: `.ci/run portable`.
    println!("cargo::rerun-if-env-changed=WHARFINGER_PORTABLE");
    println!("cargo::rustc-check-cfg=cfg(portable)");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    if !is_linux || std::env::var_os("WHARFINGER_PORTABLE").is_some() {
        println!("cargo::rustc-cfg=portable");
    }
}
