//! Simulates many parts on a production line, with faults of the link, restarts, and hanging threads of the appliance.
//!
//! `cargo run --release -p cellgate-protocol --example line -- --profile native|modbus --plc new|old --cycles N --seed S`. A new PLC
//! names bundles and confirms their reference parts. An old one has no bundles; it is simulated with a new device and with an old one,
//! and both runs must be alike except for the simulated time: a damaged request that still has the right CRC may ask for registers that
//! only the new device has. Then the PLC waits for another answer instead of getting an exception. The exit status is 1 if a PASS was false, a part did not have exactly one terminal record, something was
//! wrong about bundles, or the runs of an old PLC differ.

use cellgate_protocol::version::Schema;
use cellgate_test_line::line::{Faults, Line, Setup, Summary, profile::Profile};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let (mut profile, mut is_old, mut cycles, mut seed) = (Profile::Native, false, 10_000_000, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let text = arguments.next().unwrap_or_default();
        match (argument.as_str(), text.as_str(), text.parse().ok()) {
            ("--profile", "native", _) => profile = Profile::Native,
            ("--profile", "modbus", _) => profile = Profile::Modbus,
            ("--plc", "new", _) => is_old = false,
            ("--plc", "old", _) => is_old = true,
            ("--cycles", _, Some(value)) => cycles = value,
            ("--seed", _, Some(value)) => seed = value,
            _ => {
                eprintln!("usage: line [--profile native|modbus] [--plc new|old] [--cycles N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let is_right = if is_old {
        let new = run(Setup::with_old_plc(profile, Schema::Two), seed, cycles);
        let old = run(Setup::with_old_plc(profile, Schema::One), seed, cycles);
        let is_alike = new == Summary { simulated_ms: new.simulated_ms, ..old };
        println!("the runs with a new device and with an old one are {}", if is_alike { "alike" } else { "different" });
        new.is_right() && is_alike
    } else {
        run(Setup::with_bundles(profile), seed, cycles).is_right()
    };
    ExitCode::from(u8::from(!is_right))
}

fn run(setup: Setup, seed: u64, cycles: u64) -> Summary {
    let began = Instant::now();
    let mut shown = 0;
    // The chances of faults, each as a number in 100,000.
    let faults = Faults { frame: 2_000, restart: 500, appliance: 500 };
    let summary = Line::new(setup, seed, faults).run(cycles, |so_far| {
        if so_far.cycles != shown {
            shown = so_far.cycles;
            let rate = so_far.cycles as f64 / began.elapsed().as_secs_f64();
            eprint!("\r{} of {cycles} cycles, {rate:.0}/s, {} false passes", so_far.cycles, so_far.false_passes);
        }
    });
    eprintln!();
    println!("{summary:#?}");
    println!("{setup:?}, seed {seed}, {:.1} s", began.elapsed().as_secs_f64());
    summary
}
