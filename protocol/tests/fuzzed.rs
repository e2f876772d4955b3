//! What the fuzz targets of `tests/fuzz` do, with a few random inputs and with whole cycles that were changed a little.

#[path = "../../tests/fuzz/bodies/accumulator.rs"]
mod accumulator;
#[path = "../../tests/fuzz/bodies/application.rs"]
mod application;
#[path = "../../tests/fuzz/bodies/bits.rs"]
mod bits;
#[path = "../../tests/fuzz/bodies/modbus.rs"]
mod modbus;
#[path = "../../tests/fuzz/bodies/native.rs"]
mod native;
#[path = "../../tests/fuzz/bodies/session.rs"]
mod session;
#[path = "../../tests/fuzz/bodies/steps.rs"]
mod steps;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Cycles, one after the other, with some bytes replaced.
fn cycles(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (1..4usize, changes).prop_map(move |(count, changes)| {
        let mut input = seed.repeat(count);
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        input
    })
}

/// HELLO, HEARTBEAT of the PLC and BUSY, with some noise and time between them.
fn accumulator_seed() -> Vec<u8> {
    let hello = [&[254, 1, 8, 1, 0, 0, 0, 1, 0, 0, 0][..], &[0, 1, 0]].concat();
    let heartbeat = [&[254, 8, 6, 1, 0, 0, 0, 0, 0][..], &[0, 2, 0]].concat();
    let busy = [&[254, 4, 12][..], &[5; 12], &[0, 3, 0]].concat();
    [&hello[..], &[0, 3, 1, 2, 3], &heartbeat, &[3, 10], &busy].concat()
}

/// A whole cycle: HELLO, TRIGGER, the judging, ACK.
fn session_seed() -> Vec<u8> {
    let hello = [0, 0, 0, 0, 0];
    let trigger = [0, 1, 42, 1, 100, 0];
    let (accept, conclude, commit) = ([3, 0], [3, 2], [3, 4]);
    let acknowledge = [0, 3, 42, 1, 0, 0];
    [&hello[..], &trigger, &accept, &[6, 10], &conclude, &commit, &[6, 2], &acknowledge].concat()
}

/// A whole cycle: command 0, trigger, the judging, acknowledgement.
fn modbus_seed() -> Vec<u8> {
    let arm = [0, 4, 0, 0, 0, 0, 0];
    let trigger = [0, 9, 42, 1, application::EPOCH as u8, 0, 0];
    let (accept, conclude, commit) = ([3, 0], [3, 2], [3, 4]);
    let acknowledge = [0, 14, 42, 1, 1, 0, 0];
    let read = [6, 5, 4, 0, 0, 0, 32, 0];
    [&arm[..], &read, &trigger, &accept, &[5, 10], &conclude, &commit, &read, &acknowledge, &read].concat()
}

#[test]
fn a_seed_is_a_whole_cycle() {
    assert_eq!((session::run(&session_seed()), modbus::run(&modbus_seed())), (1, 1));
    assert_eq!(accumulator::run(&accumulator_seed()), 3);
}

/// `CELLGATE_FUZZ_SEEDS=FOLDER cargo test -p cellgate-protocol --test fuzzed write_seeds -- --ignored`
#[test]
#[ignore = "writes the first inputs of the fuzz targets to CELLGATE_FUZZ_SEEDS/TARGET/"]
fn write_seeds() {
    let folder = std::env::var_os("CELLGATE_FUZZ_SEEDS").expect("CELLGATE_FUZZ_SEEDS names a folder");
    for (target, seed) in [("accumulator", accumulator_seed()), ("session", session_seed()), ("modbus", modbus_seed())]
    {
        let folder = std::path::Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cycle"), seed).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_survived(input in prop::collection::vec(any::<u8>(), 0..400)) {
        accumulator::run(&input);
        session::run(&input);
        modbus::run(&input);
    }

    #[test]
    fn changed_native_cycles_are_survived(input in cycles(session_seed())) {
        session::run(&input);
    }

    #[test]
    fn changed_frames_are_survived(input in cycles(accumulator_seed())) {
        accumulator::run(&input);
    }

    #[test]
    fn changed_modbus_cycles_are_survived(input in cycles(modbus_seed())) {
        modbus::run(&input);
    }
}
