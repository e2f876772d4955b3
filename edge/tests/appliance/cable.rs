//! The cable is pulled and put back at random moments while parts go through: the link is back soon, and each part has one
//! row. Pulling is a hang-up at both ends of the pair of pseudo-terminals, putting back is a new pair under the old names.

use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use cellgate_edge::percentile::percentile;
use cellgate_edge::plc_sim::Scanner;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest time from putting the cable back to the first changed heartbeat at the PLC.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(1);
/// What a part may take: the link is back within it.
const DEADLINE_MS: u32 = 2_000;

/// Pulls the cable so often, while parts go through as fast as they can; how long the link took to be back, ascending.
fn pull(profile: &str, pulls: usize, seed: u64) -> Vec<Duration> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut pause =
        move |most_ms: u64| std::thread::sleep(Duration::from_micros(random.random_range(0..=1_000 * most_ms)));
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
        for pull in 1..=pulls {
            pause(500);
            plant.pull_out();
            pause(300);
            let start = Instant::now();
            plant.plug_in();
            let mut back = None;
            wait_for("the link", || {
                back = plc.first_beat_since(start);
                back.is_some()
            });
            took.push(back.unwrap() - start);
            if pull % 100 == 0 {
                println!("{profile}: {pull} of {pulls} pulls, the slowest {:?}", took.iter().max().unwrap());
            }
        }
        is_over.store(true, Ordering::Release);
        feeder.join().unwrap()
    });
    plc.pass(&plant, parts + 1);
    assert_eq!(plant.stop(), Some(0));
    let (seen, rows) = (plc.seen(), plant.rows());
    seen.agrees_with(&rows, parts + 1);
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(&mut took, share).unwrap());
    println!(
        "{profile}, seed {seed}: {pulls} pulls, {} parts, {} rows; link back p50 {p50:?}, p99 {p99:?}, at most {most:?}",
        parts + 1,
        rows.len()
    );
    took
}

#[test]
fn a_cable_pulled_at_random_moments_costs_no_part_its_one_row() {
    for profile in ["native", "modbus"] {
        // Most of them: this machine may be busy with something else.
        let took = pull(profile, 8, 1);
        assert!(took[took.len() / 2] <= MAX_RECOVERY_TIME, "{took:?}");
    }
}

fn a_thousand_times(profile: &str) {
    let seed = std::env::var("CELLGATE_SEED").map_or(1, |text| text.parse().unwrap());
    let took = pull(profile, 1_000, seed);
    assert!(*took.last().unwrap() <= MAX_RECOVERY_TIME, "{:?}", took.last());
}

/// Acceptance: `cargo test --release -p cellgate-edge --test appliance -- --ignored --nocapture thousand_times`, with a seed in
/// `CELLGATE_SEED`.
#[test]
#[ignore = "takes a quarter of an hour"]
fn a_cable_pulled_a_thousand_times_is_back_within_a_second_each_time_over_native_frames() {
    a_thousand_times("native");
}

/// As over native frames.
#[test]
#[ignore = "takes a quarter of an hour"]
fn a_cable_pulled_a_thousand_times_is_back_within_a_second_each_time_over_modbus() {
    a_thousand_times("modbus");
}
