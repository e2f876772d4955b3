//! Simulates many parts on a production line, with faults of the link, restarts, and hanging threads of the appliance.
//!
//! `cargo run --release -p cellgate-protocol --example line -- --profile native|modbus --cycles N --seed S`. The exit status
//! is 1 if a PASS was false or a part did not have exactly one terminal record.

use cellgate_test_line::line::{Faults, Line, profile::Profile};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let (mut profile, mut cycles, mut seed) = (Profile::Native, 10_000_000, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let text = arguments.next().unwrap_or_default();
        match (argument.as_str(), text.as_str(), text.parse().ok()) {
            ("--profile", "native", _) => profile = Profile::Native,
            ("--profile", "modbus", _) => profile = Profile::Modbus,
            ("--cycles", _, Some(value)) => cycles = value,
            ("--seed", _, Some(value)) => seed = value,
            _ => {
                eprintln!("usage: line [--profile native|modbus] [--cycles N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let began = Instant::now();
    let mut shown = 0;
    // The chances of faults, each as a number in 100,000.
    let faults = Faults { frame: 2_000, restart: 500, appliance: 500 };
    let summary = Line::new(profile, seed, faults).run(cycles, |so_far| {
        if so_far.cycles != shown {
            shown = so_far.cycles;
            let rate = so_far.cycles as f64 / began.elapsed().as_secs_f64();
            eprint!("\r{} of {cycles} cycles, {rate:.0}/s, {} false passes", so_far.cycles, so_far.false_passes);
        }
    });
    eprintln!();
    println!("{summary:#?}");
    println!("{profile:?}, seed {seed}, {:.1} s", began.elapsed().as_secs_f64());
    ExitCode::from(u8::from(summary.false_passes + summary.wrong_records > 0))
}
