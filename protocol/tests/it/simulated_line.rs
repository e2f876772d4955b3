//! Simulates a few parts on a production line. `cargo run --release -p cellgate-protocol --example line` simulates many.

use cellgate_protocol::version::Schema;
use cellgate_test_line::line::{Faults, Line, Setup, Summary, profile::Profile};

/// Simulates `cycles` parts, with bundles, and requires that no PASS is false, each part has its terminal record, and nothing is wrong
/// about bundles.
fn run(profile: Profile, seed: u64, faults: Faults, cycles: u64) -> Summary {
    run_setup(Setup::with_bundles(profile), seed, faults, cycles)
}

fn run_setup(setup: Setup, seed: u64, faults: Faults, cycles: u64) -> Summary {
    let summary = Line::new(setup, seed, faults).run(cycles, |_| {});
    assert!(summary.is_right(), "{setup:?}: {summary:?}");
    summary
}

// The chances of faults, each as a number in 100,000.
const BAD: Faults = Faults { frame: 2_000, restart: 500, appliance: 500 };
const VERY_BAD: Faults = Faults { frame: 15_000, restart: 5_000, appliance: 5_000 };

#[test]
fn a_line_without_faults_lets_nearly_all_good_parts_pass() {
    for profile in [Profile::Native, Profile::Modbus] {
        let setup = Setup::with_old_plc(profile, Schema::Two);
        let summary = run_setup(setup, 1, Faults { frame: 0, restart: 0, appliance: 0 }, 2_000);
        // 7 of 10 parts are good. 2 of 100 take longer, some of them too long. 2 of 1,000 meet a failing store.
        assert!((1_300..1_500).contains(&summary.passes), "{profile:?}: {summary:?}");
    }
}

#[test]
fn a_bad_line_has_no_false_pass_and_no_wrong_record() {
    for (profile, seed) in (0..8).flat_map(|seed| [(Profile::Native, seed), (Profile::Modbus, seed)]) {
        let summary = run(profile, seed, BAD, 1_000);
        assert!(summary.passes > 200 && summary.frames[1] > 500, "{profile:?}: {summary:?}");
        // The device answered confirmations with each result, and got the gate's reason.
        assert!(summary.answers.iter().all(|count| *count > 0) && summary.gates > 500, "{profile:?}: {summary:?}");
    }
}

#[test]
fn a_very_bad_line_has_no_false_pass_and_no_wrong_record() {
    for (profile, seed) in (100..104).flat_map(|seed| [(Profile::Native, seed), (Profile::Modbus, seed)]) {
        let summary = run(profile, seed, VERY_BAD, 500);
        let restarted = summary.restarts.iter().all(|restarts| *restarts > 5);
        assert!(summary.passes > 3 && restarted, "{profile:?}: {summary:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for profile in [Profile::Native, Profile::Modbus] {
        assert_eq!(run(profile, 3, BAD, 200), run(profile, 3, BAD, 200));
    }
}

#[test]
fn no_progress_is_reported_before_100_000_parts() {
    Line::new(Setup::with_bundles(Profile::Native), 1, BAD).run(3, |summary| panic!("{summary:?}"));
}

/// An old PLC sees no difference: the run with a new device has the same decisions, frames and times as that with an old one.
#[test]
fn an_old_plc_decides_alike_with_a_new_device_and_with_an_old_one() {
    for (faults, cycles) in [(BAD, 1_000), (VERY_BAD, 500)] {
        for (profile, seed) in (0..4).flat_map(|seed| [(Profile::Native, seed), (Profile::Modbus, seed)]) {
            let [old, new] = [Schema::One, Schema::Two]
                .map(|device| run_setup(Setup::with_old_plc(profile, device), seed, faults, cycles));
            assert_eq!(old, new, "{profile:?}, seed {seed}");
            assert_eq!((new.gates, new.answers), (0, [0; 3]));
        }
    }
}
