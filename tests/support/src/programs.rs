//! Runs the product's programs and the oracles in Python to their end.

use crate::place::root;
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use std::process::{Command, Output};

/// The path of one of the product's programs, built in the same profile as the running test.
///
/// # Errors
/// The program was not built. `cargo build --workspace` builds it; `scripts/test` does that first.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a test lies in target/PROFILE/deps")?;
    let path = folder.join(name);
    ensure!(path.is_file(), "found no {}, expected it to be built: cargo build --workspace", path.display());
    Ok(path)
}

/// Runs one of the product's programs to its end.
///
/// # Errors
/// The program can't be started.
pub fn run(name: &str, arguments: &[&str]) -> Result<Output> {
    Command::new(program(name)?).args(arguments).output().with_context(|| name.to_owned())
}

/// Runs one of the product's programs and returns its stdout.
///
/// # Errors
/// The program can't be started, or its exit status is not `status`. In the second case the error contains its stderr.
pub fn stdout_of(name: &str, arguments: &[&str], status: i32) -> Result<String> {
    let output = run(name, arguments)?;
    ensure!(
        output.status.code() == Some(status),
        "{name} {arguments:?}: found {}, expected exit status {status}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a script of `tests/oracle` with the Python that `CELLGATE_PYTHON` names, otherwise with that of `.venv`. Returns its stdout.
///
/// # Errors
/// Python is missing, or the script fails. In the second case the error contains the script's output.
pub fn oracle(script: &str, arguments: &[&str]) -> Result<String> {
    let python = std::env::var_os("CELLGATE_PYTHON").map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    let output = Command::new(&python)
        .arg(root().join("tests/oracle").join(script))
        .args(arguments)
        .env("OMP_NUM_THREADS", "1")
        .output()
        .with_context(|| format!("{}: run scripts/setup, or set CELLGATE_PYTHON", python.display()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{script}: {}{}", said(&output.stdout), said(&output.stderr));
    Ok(said(&output.stdout))
}
