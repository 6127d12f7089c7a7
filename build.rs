//! Chooses between the system calls of Linux and those that other systems have too, and compresses what the web pages
//! load.

use flate2::{Compression, GzBuilder};
use std::{env, error::Error, fs, io::Write as _, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    // So that the other path is compiled and tested on Linux: `.ci/run portable`.
    println!("cargo::rerun-if-env-changed=WHARFINGER_PORTABLE");
    println!("cargo::rustc-check-cfg=cfg(portable)");
    let is_linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    if !is_linux || env::var_os("WHARFINGER_PORTABLE").is_some() {
        println!("cargo::rustc-cfg=portable");
    }
    compress(Path::new("src/service/pages/assets"), Path::new(&env::var("OUT_DIR")?))
}

/// Writes each file of a directory, compressed, into another one. The same input always gives the same bytes.
fn compress(dir: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let mut name = entry?.file_name();
        let content = fs::read(dir.join(&name))?;
        name.push(".gz");
        let mut gzip = GzBuilder::new().mtime(0).write(fs::File::create(out.join(name))?, Compression::best());
        gzip.write_all(&content)?;
        gzip.finish()?;
    }
    Ok(())
}
