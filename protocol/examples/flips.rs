//! Flips bits of a VERDICT frame and counts how often the result is accepted as a frame. No result may be accepted.
//!
//! `cargo run --release -p cellgate-protocol --example flips -- --random N --seed S` tries all flips of 1, 2 and 3 bits, then N
//! random flips (10^8 by default), half of them of 4 bits and half of 5 bits. The exit status is 1 if a result was accepted.

use cellgate_test_line::{flips, random};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let (mut count, mut seed) = (100_000_000, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse().ok());
        match (argument.as_str(), value) {
            ("--random", Some(value)) => count = value,
            ("--seed", Some(value)) => seed = value,
            _ => {
                eprintln!("usage: flips [--random N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let frame = flips::verdict_frame();
    let mut accepted = 0;
    println!("frame of {} bytes", frame.len());
    for bits in 1..=3 {
        let began = Instant::now();
        let found = flips::all(&frame, bits);
        accepted += found.accepted;
        println!("{bits} bits: {} of {} accepted, {:.1} s", found.accepted, found.tried, began.elapsed().as_secs_f64());
    }
    let mut random = random::Random::new(seed);
    for bits in [4, 5] {
        let began = Instant::now();
        let found = flips::some(&frame, bits, count / 2, &mut random);
        accepted += found.accepted;
        println!("{bits} bits: {} of {} accepted, {:.1} s", found.accepted, found.tried, began.elapsed().as_secs_f64());
    }
    ExitCode::from(u8::from(accepted > 0))
}
