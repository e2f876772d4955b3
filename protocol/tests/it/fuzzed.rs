//! Calls the fuzz targets of `tests/fuzz` with a few random inputs and with complete cycles that were changed slightly.

use cellgate_test_line::fuzz::{EPOCH, accumulator, modbus, session};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// The steps of one cycle, as the fuzz targets of `cellgate_test_line::fuzz` read them. A step begins with the number of its kind.
type Seed = Vec<Vec<u8>>;

/// One to three cycles. Before some of their steps the device's condition changes or time passes, and some bytes are replaced.
/// `pause` is the number of the kind of step that lets time pass.
fn cycles(seed: Seed, pause: u8) -> impl Strategy<Value = Vec<u8>> {
    let between = prop_oneof![
        6 => Just(Vec::new()),
        1 => any::<u8>().prop_map(|condition| vec![3, 9, condition]),
        1 => any::<u8>().prop_map(move |time| vec![pause, time]),
    ];
    let steps = prop::collection::vec(between, seed.len()..3 * seed.len());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (steps, changes).prop_map(move |(between, changes)| {
        let steps = between.into_iter().zip(seed.iter().cycle());
        let mut input: Vec<u8> = steps.flat_map(|(before, step)| [before, step.clone()].concat()).collect();
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        input
    })
}

/// HELLO, HEARTBEAT of the PLC and BUSY, with some noise and time between them.
fn accumulator_seed() -> Seed {
    let hello = [&[254, 1, 8, 1, 0, 0, 0, 1, 0, 0, 0][..], &[0, 1, 0]].concat();
    let heartbeat = [&[254, 8, 6, 1, 0, 0, 0, 0, 0][..], &[0, 2, 0]].concat();
    let busy = [&[254, 4, 12][..], &[5; 12], &[0, 3, 0]].concat();
    vec![hello, vec![0, 3, 1, 2, 3], heartbeat, vec![3, 10], busy]
}

/// A complete cycle: HELLO, TRIGGER, the steps that judge, ACK, CONFIRM and its answer.
fn session_seed() -> Seed {
    let (hello, trigger) = (vec![0, 0, 0, 0, 0], vec![0, 1, 42, 1, 100, 0]);
    let (accept, conclude, commit) = (vec![3, 0], vec![3, 2], vec![3, 4]);
    let (acknowledge, confirm, answer) = (vec![0, 3, 42, 1, 0, 0], vec![0, 5, 42, 1, 1, 0], vec![3, 10]);
    vec![hello, trigger, accept, vec![6, 10], conclude, commit, vec![6, 2], acknowledge, confirm, answer]
}

/// A cycle over a link of schema 1, as an old PLC has it.
fn old_session_seed() -> Seed {
    let mut steps = session_seed();
    steps[0][2] = 2;
    steps
}

/// A complete cycle in a bundle: command 0, trigger with a bundle, the steps that judge, acknowledgement with the gate's reason, and a
/// confirmation with its answer.
fn bundle_seed() -> Seed {
    let arm = vec![0, 4, 0, 0, 0, 0, 0];
    let read = vec![6, 5, 4, 0, 0, 0, 42, 0];
    let trigger = vec![2, 12, 42, 1, EPOCH as u8, 0, 0];
    let (accept, conclude, commit) = (vec![3, 0], vec![3, 2], vec![3, 4]);
    let acknowledge = vec![2, 3, 42, 1, 1, 0, 0];
    let (confirm, answer) = (vec![2, 14, 42, 0, 1, 0, 0], vec![3, 10]);
    vec![
        arm,
        read.clone(),
        trigger,
        accept,
        vec![5, 10],
        conclude,
        commit,
        read.clone(),
        acknowledge,
        confirm,
        answer,
        read,
    ]
}

/// A complete cycle: command 0, trigger, the steps that judge, acknowledgement.
fn modbus_seed() -> Seed {
    let arm = vec![0, 4, 0, 0, 0, 0, 0];
    let trigger = vec![0, 9, 42, 1, EPOCH as u8, 0, 0];
    let (accept, conclude, commit) = (vec![3, 0], vec![3, 2], vec![3, 4]);
    let acknowledge = vec![0, 14, 42, 1, 1, 0, 0];
    let read = vec![6, 5, 4, 0, 0, 0, 32, 0];
    vec![arm, read.clone(), trigger, accept, vec![5, 10], conclude, commit, read.clone(), acknowledge, read]
}

#[test]
fn a_seed_is_a_complete_cycle() {
    // The first functions return how many verdicts were acknowledged and confirmations answered, the last how many frames were accepted.
    assert_eq!((session::run(&session_seed().concat()), session::run(&old_session_seed().concat())), (2, 1));
    assert_eq!((modbus::run(&modbus_seed().concat()), modbus::run(&bundle_seed().concat())), (1, 2));
    assert_eq!(accumulator::run(&accumulator_seed().concat()), 3);
}

/// `CELLGATE_FUZZ_SEEDS=FOLDER cargo test -p cellgate-protocol --test it fuzzed::write_seeds -- --ignored`
#[test]
#[ignore = "writes the first inputs of the fuzz targets to CELLGATE_FUZZ_SEEDS/TARGET/"]
fn write_seeds() {
    let folder = std::env::var_os("CELLGATE_FUZZ_SEEDS").expect("CELLGATE_FUZZ_SEEDS names a folder");
    for (target, name, seed) in [
        ("accumulator", "cycle", accumulator_seed()),
        ("session", "cycle", session_seed()),
        ("session", "old", old_session_seed()),
        ("modbus", "cycle", modbus_seed()),
        ("modbus", "bundle", bundle_seed()),
    ] {
        let folder = std::path::Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), seed.concat()).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes_cause_no_failure(input in prop::collection::vec(any::<u8>(), 0..400)) {
        accumulator::run(&input);
        session::run(&input);
        modbus::run(&input);
    }

    #[test]
    fn changed_native_cycles_cause_no_failure(input in cycles(session_seed(), 6)) {
        session::run(&input);
    }

    #[test]
    fn changed_cycles_of_an_old_plc_cause_no_failure(input in cycles(old_session_seed(), 6)) {
        session::run(&input);
    }

    #[test]
    fn changed_cycles_in_a_bundle_cause_no_failure(input in cycles(bundle_seed(), 5)) {
        modbus::run(&input);
    }

    #[test]
    fn changed_frames_cause_no_failure(input in cycles(accumulator_seed(), 3)) {
        accumulator::run(&input);
    }

    #[test]
    fn changed_modbus_cycles_cause_no_failure(input in cycles(modbus_seed(), 5)) {
        modbus::run(&input);
    }
}
