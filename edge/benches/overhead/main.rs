//! What the appliance adds to its network: from closing an image's file to the last byte of the verdict at the PLC, less the
//! time that the network itself took; and the memory that it holds.
//!
//! `cargo bench -p cellgate-edge --bench overhead -- [PARTS] [native|modbus] [--against PROGRAM]`: 500 parts, native. The real
//! program judges electrodes of the paper's largest size with a network that does nearly nothing, over a pair of
//! pseudo-terminals (socat). Those pass bytes on at once, so the time that the verdict's bytes take at 115,200 bits per second is
//! added.
//!
//! With `--against`, another built `cellgate-edge` judges as many parts in the same run, each program with a folder and a cable of
//! its own, by turns of 25 parts.
//!
//! Exit status 1, and one line that says why, where the 99th percentile is over 20 ms, memory grew after the 1,000th part, or the
//! median is more than 1.05 times the other program's; 2 where nothing could be measured.
#![expect(clippy::unwrap_used, reason = "a bench that can't go on says so by stopping")]

mod appliance;
mod figures;

use anyhow::{Context as _, bail};
use appliance::Appliance;
use cellgate_edge::config::Profile;
use cellgate_models::conversion::Size;
use figures::{Figures, Ratio};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The paper's largest electrode.
const HEIGHT: u32 = 2115;
/// See [`HEIGHT`].
const WIDTH: u32 = 1219;
const BAUD: u32 = 115_200;
/// Parts of one turn.
const TURN: u64 = 25;
/// What is asked for, in ms.
const MAX_MS: f64 = 20.0;
/// What is asked for of the median, against the other program's.
const MAX_RATIO: f64 = 1.05;
/// Parts after which memory must not grow: until then the store's page cache and the heap of each thread fill, once.
const SETTLED: u64 = 1000;
/// Tolerated growth in KiB: 29 bytes a part over 10,000 parts.
const MEMORY_TOLERANCE_KIB: u64 = 256;

/// What is measured.
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
                    let program = arguments.next().context("--against: found no program after it, expected one")?;
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

/// Measures; gives the targets that were missed.
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
    println!("image closed to verdict's last byte ({:.1} ms at {BAUD} bits per second), less the network:", {
        appliance::verdict_ms(profile)
    });
    figures.iter().for_each(|figures| println!("{figures}"));
    let this = &figures[0];
    let mut missed = Vec::new();
    if this.at(0.99) >= MAX_MS {
        missed.push(format!("p99 {:.1} ms, asked: under {MAX_MS} ms", this.at(0.99)));
    }
    if let Some((settled, last)) = this.growth_kib(SETTLED)
        && last > settled + MEMORY_TOLERANCE_KIB
    {
        missed.push(format!(
            "memory grew from {settled} to {last} KiB, asked: by at most {MEMORY_TOLERANCE_KIB} KiB after {SETTLED} parts"
        ));
    }
    if let Some(other) = figures.get(1) {
        let (p50, p99) = (Ratio::of(this, other, 0.5), Ratio::of(this, other, 0.99));
        println!(
            "this / other, with 95 % of the ratios of turns drawn anew: p50 {p50} (asked: at most {MAX_RATIO}), p99 {p99}"
        );
        if p50.found > MAX_RATIO {
            missed.push(format!("p50 {:.3} times the other program's, asked: at most {MAX_RATIO}", p50.found));
        }
    }
    Ok(missed)
}
