//! The simulated line, a large count: `cargo run --release -p cellgate-protocol --example line -- --cycles N --seed S`.
//! Exit status 1 where a PASS was false or a part had not exactly one terminal record.

#[path = "../tests/line/mod.rs"]
mod line;

use line::{Faults, Line};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let (mut cycles, mut seed) = (10_000_000, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse().ok());
        match (argument.as_str(), value) {
            ("--cycles", Some(value)) => cycles = value,
            ("--seed", Some(value)) => seed = value,
            _ => {
                eprintln!("usage: line [--cycles N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let began = Instant::now();
    let mut shown = 0;
    let faults = Faults { frame: 2_000, restart: 500, appliance: 500 };
    let summary = Line::new(seed, faults).run(cycles, |so_far| {
        if so_far.cycles != shown {
            shown = so_far.cycles;
            let rate = so_far.cycles as f64 / began.elapsed().as_secs_f64();
            eprint!("\r{} of {cycles} cycles, {rate:.0} a second, {} false", so_far.cycles, so_far.false_passes);
        }
    });
    eprintln!();
    println!("{summary:#?}");
    println!("seed {seed}, {:.1} s", began.elapsed().as_secs_f64());
    ExitCode::from(u8::from(summary.false_passes + summary.wrong_records > 0))
}
