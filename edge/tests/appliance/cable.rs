//! Disconnects and connects the cable at random moments while parts are judged. The link must recover within a second, and each part
//! must have at most one row. Disconnecting is a hang-up at both ends of the pair of pseudo-terminals. Connecting is a new pair under
//! the old names.

use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use cellgate_edge::percentile::percentile;
use cellgate_edge::plc_sim::Scanner;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The limit of the time from connecting the cable to the first changed heartbeat at the PLC.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(1);
/// The deadline of a part. It is longer than the link's recovery.
const DEADLINE_MS: u32 = 2_000;

/// Disconnects and connects the cable `count` times while parts are judged as fast as possible. Returns the recovery times of the
/// link, ascending.
fn interrupt_link(profile: &str, count: usize, seed: u64) -> Vec<Duration> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // A pause of random length.
    let mut pause =
        move |max_ms: u64| std::thread::sleep(Duration::from_micros(random.random_range(0..=1_000 * max_ms)));
    let mut plant = Plant::new(profile, "part-id");
    let plc = Plc::new(&plant, profile);
    plc.wait_ready();
    let mut scanner = Scanner::new(plant.images.clone(), &plant.path("scans")).unwrap();
    let is_over = AtomicBool::new(false);
    let mut took = Vec::new();
    let parts = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let mut part = 0;
            while !is_over.load(Ordering::Acquire) {
                if plc.seen().ready.is_none() {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                part += 1;
                scanner.scan(part).unwrap();
                plc.trigger(part, DEADLINE_MS);
                plc.outcome(part);
            }
            part
        });
        for round in 1..=count {
            pause(500);
            plant.disconnect_cable();
            pause(300);
            let start = Instant::now();
            plant.connect_cable();
            let mut recovered = None;
            wait_for("the link", || {
                recovered = plc.first_heartbeat_since(start);
                recovered.is_some()
            });
            took.push(recovered.unwrap() - start);
            if round % 100 == 0 {
                println!(
                    "{profile}: {round} of {count} interruptions, slowest recovery {:?}",
                    took.iter().max().unwrap()
                );
            }
        }
        is_over.store(true, Ordering::Release);
        feeder.join().unwrap()
    });
    plc.pass(&plant, parts + 1);
    assert_eq!(plant.stop(), Some(0));
    let (seen, rows) = (plc.seen(), plant.rows());
    seen.assert_agrees_with(&rows, parts + 1);
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile(&mut took, share).unwrap());
    println!(
        "{profile}, seed {seed}: {count} interruptions, {} parts, {} rows; recovery p50 {p50:?}, p99 {p99:?}, max {max:?}",
        parts + 1,
        rows.len()
    );
    took
}

#[test]
fn each_part_has_at_most_one_row_when_the_cable_is_interrupted_at_random() {
    for profile in ["native", "modbus"] {
        // Only the median is checked here, because the machine may be busy. The full run checks the longest time.
        let took = interrupt_link(profile, 8, 1);
        assert!(took[took.len() / 2] <= MAX_RECOVERY_TIME, "{took:?}");
    }
}

fn a_thousand_times(profile: &str) {
    let seed = std::env::var("CELLGATE_SEED").map_or(1, |text| text.parse().unwrap());
    let took = interrupt_link(profile, 1_000, seed);
    assert!(*took.last().unwrap() <= MAX_RECOVERY_TIME, "{:?}", took.last());
}

/// Full run: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture thousand_times`. `CELLGATE_SEED` is the
/// seed (1 if unset).
#[test]
#[ignore = "takes a quarter of an hour"]
fn the_link_recovers_within_a_second_a_thousand_times_over_native_frames() {
    a_thousand_times("native");
}

/// Full run: the same command as for native frames.
#[test]
#[ignore = "takes a quarter of an hour"]
fn the_link_recovers_within_a_second_a_thousand_times_over_modbus() {
    a_thousand_times("modbus");
}
