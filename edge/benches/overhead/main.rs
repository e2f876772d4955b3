//! Measures the appliance's overhead and the memory that it uses. The overhead is the time from closing an image's file to the last
//! byte of the verdict at the PLC, without the time that the network takes.
//!
//! `cargo bench -p cellgate-edge --bench overhead -- [PARTS] [native|modbus] [--against PROGRAM]`. The defaults are 500 parts and
//! native frames. The real program judges electrodes of the paper's largest size with a trivial network, over a pair of
//! pseudo-terminals (socat). Pseudo-terminals transfer bytes at once, so the time that the verdict's bytes take at 115,200 bits
//! per second is added.
//!
//! With `--against`, another build of `cellgate-edge` judges the same number of parts in the same measurement. The two
//! programs take turns: one judges 25 parts, then the other. Each program has its own folder and cable.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | every target is met |
//! | 1 | a target is missed: the 99th percentile is 20 ms or more, memory grew by more than 256 KiB after the 1,000th part, or the median is more than 1.05 times the other program's. A message on stderr says which |
//! | 2 | nothing could be measured |
#![expect(clippy::unwrap_used, reason = "a failed measurement stops the bench")]

mod appliance;
mod figures;

use anyhow::{Context as _, bail};
use appliance::Appliance;
use cellgate_edge::config::Profile;
use cellgate_models::conversion::Size;
use figures::{Figures, Ratio};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The height of the paper's largest electrode, in pixels.
const HEIGHT: u32 = 2115;
/// The width of the paper's largest electrode, in pixels.
const WIDTH: u32 = 1219;
/// The speed of the simulated link in bits per second, for the time that the verdict's bytes would take.
const BAUD: u32 = 115_200;
/// The number of parts that a program judges before it is the other program's turn.
const TURN: u64 = 25;
/// The target for the 99th percentile, in ms.
const MAX_MS: f64 = 20.0;
/// The target for the ratio of the median to the other program's.
const MAX_RATIO: f64 = 1.05;
/// The number of parts after which memory must not grow. Before that it grows, because the journal's page cache and the heap of
/// each thread fill up.
const SETTLED: u64 = 1000;
/// The tolerated growth of memory in KiB. In a measurement of 10,000 parts this is 29 bytes for each part after the first 1,000.
const MEMORY_TOLERANCE_KIB: u64 = 256;

/// The command line.
struct Arguments {
    parts: u64,
    profile: Profile,
    against: Option<PathBuf>,
}

impl Arguments {
    fn read() -> anyhow::Result<Self> {
        let mut found = Self { parts: 500, profile: Profile::Native, against: None };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "native" => found.profile = Profile::Native,
                "modbus" => found.profile = Profile::Modbus,
                "--against" => {
                    let program =
                        arguments.next().context("--against: found no value, expected the path of a program")?;
                    let program = Path::new(&program).canonicalize().with_context(|| program.clone())?;
                    found.against = Some(program);
                }
                parts => match parts.parse() {
                    Ok(parts) if parts > 0 => found.parts = parts,
                    _ => bail!("found {parts}, expected [PARTS] [native|modbus] [--against PROGRAM]"),
                },
            }
        }
        Ok(found)
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("missed: {}", missed.join("; "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the measurement, prints the figures and returns the targets that were missed.
fn measure() -> anyhow::Result<Vec<String>> {
    let Arguments { parts, profile, against } = Arguments::read()?;
    let mut appliances = vec![Appliance::start("this", Path::new(env!("CARGO_BIN_EXE_cellgate-edge")), profile)?];
    if let Some(program) = &against {
        appliances.push(Appliance::start("other", program, profile)?);
    }
    let mut done = 0;
    while done < parts {
        let turn = TURN.min(parts - done);
        for appliance in &mut appliances {
            appliance.judge(turn)?;
        }
        done += turn;
        eprint!("\r{done} of {parts} parts");
    }
    eprintln!();
    let figures: Vec<Figures> = appliances.into_iter().map(Appliance::finish).collect::<anyhow::Result<_>>()?;

    println!("{parts} electrodes of {HEIGHT} x {WIDTH}, to 3 x {}, {profile:?}, milliseconds", Size::PAPER);
    println!("from image closed to last byte of verdict ({:.1} ms at {BAUD} bits per second), less the network:", {
        appliance::verdict_ms(profile)
    });
    figures.iter().for_each(|figures| println!("{figures}"));
    let this = &figures[0];
    let mut missed = Vec::new();
    if this.at(0.99) >= MAX_MS {
        missed.push(format!("p99 is {:.1} ms, expected less than {MAX_MS} ms", this.at(0.99)));
    }
    if let Some((settled, last)) = this.growth_kib(SETTLED)
        && last > settled + MEMORY_TOLERANCE_KIB
    {
        missed.push(format!(
            "memory grew from {settled} to {last} KiB after {SETTLED} parts, expected at most {MEMORY_TOLERANCE_KIB} KiB more"
        ));
    }
    if let Some(other) = figures.get(1) {
        let (p50, p99) = (Ratio::of(this, other, 0.5), Ratio::of(this, other, 0.99));
        println!(
            "this / other, with 95 % bootstrap intervals over turns: p50 {p50} (expected at most {MAX_RATIO}), p99 {p99}"
        );
        if p50.found > MAX_RATIO {
            missed.push(format!("p50 is {:.3} times the other program's, expected at most {MAX_RATIO}", p50.found));
        }
    }
    Ok(missed)
}
