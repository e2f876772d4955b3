//! Compares decoding in the sandbox with decoding directly, by turns, and measures the cost of replacing the sandbox's process.
//!
//! `cargo build --release -p cellgate-edge && cargo bench -p cellgate-tests --bench sandbox -- [ROUNDS]`

use anyhow::{Context as _, ensure};
use cellgate_edge::sandbox::{Sandbox, SandboxFailure, SandboxOptions};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, RadiographReader, write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The paper's largest electrode.
const HEIGHT: u32 = 2115;
const WIDTH: u32 = 1219;
/// How often the sandbox's process is replaced.
const REPLACED: usize = 50;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn measure() -> anyhow::Result<()> {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(300);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("electrode.tif");
    // Levels of 2000 to 2511, which Knuth's multiplicative hash scatters.
    let levels = (0..HEIGHT * WIDTH).map(|at| (2000 + (at.wrapping_mul(2_654_435_761) >> 23)) as u16).collect();
    write(&path, &Radiograph::new(WIDTH, HEIGHT, levels)?)?;
    let bytes = std::fs::read(&path)?;

    let limits = RadiographLimits { max_pixels: 16 << 20, max_file_bytes: 32 << 20, ..RadiographLimits::default() };
    let program = cellgate_test_support::program("cellgate-edge").context("cargo build --release -p cellgate-edge")?;
    let options = SandboxOptions { program, ..SandboxOptions::new(limits.clone()) };
    let mut sandbox = Sandbox::start(options.clone())?;
    let mut reader = RadiographReader::new(limits);
    ensure!(sandbox.decode(&bytes, &path)? == reader.decode(&bytes, &path)?.view(), "the levels differ");

    let (mut direct, mut sandboxed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        direct.push(timed(|| Ok(reader.decode(&bytes, &path).map(drop)?))?);
        sandboxed.push(timed(|| Ok(sandbox.decode(&bytes, &path).map(drop)?))?);
    }
    println!("{HEIGHT} x {WIDTH}, 16 bits, {} bytes, {rounds} turns, milliseconds", bytes.len());
    report("direct", &mut direct);
    report("sandbox", &mut sandboxed);

    let (mut starts, mut replacements) = (Vec::new(), Vec::new());
    for _ in 0..REPLACED {
        starts.push(timed(|| {
            Sandbox::start(options.clone())?;
            Ok(())
        })?);
        replacements.push(replaced(&mut sandbox, &path)?);
    }
    println!("{REPLACED} workers, milliseconds");
    report("start and end", &mut starts);
    report("replacement", &mut replacements);
    Ok(())
}

/// Kills the sandbox's process and sends two empty images. The sandbox fails on the first image and replaces the process. The new
/// process answers the second image. Returns the time for both images.
fn replaced(sandbox: &mut Sandbox, path: &Path) -> anyhow::Result<Duration> {
    let id = sandbox.worker_id().context("no worker")?;
    ensure!(Command::new("kill").args(["-9", &id.to_string()]).status()?.success(), "kill {id}");
    timed(|| {
        ensure!(!matches!(sandbox.decode(b"", path), Err(SandboxFailure::Refused(_))), "the worker did not die");
        ensure!(matches!(sandbox.decode(b"", path), Err(SandboxFailure::Refused(_))), "the worker was not replaced");
        Ok(())
    })
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{name:14} p50 {:7.2}  p99 {:7.2}", at(50), at(99));
}
