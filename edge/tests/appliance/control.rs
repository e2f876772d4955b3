//! Tests the control socket of a running appliance.

use super::metrics::{StopOnDrop, niceness};
use super::*;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts a plant whose appliance takes commands at the socket `control`.
fn start_with_control() -> Plant {
    let mut plant = Plant::new("native", "part-id");
    plant.kill();
    let path = plant.path("edge.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}[control]\nsocket = \"control\"\n")).unwrap();
    fs::remove_file(plant.path("log")).unwrap();
    plant.start();
    wait_for("the control socket", || UnixStream::connect(plant.path("control")).is_ok());
    plant
}

/// The exit status of `bundle status`: 0 or 1 if the appliance answered, else 2.
fn status(plant: &Plant) -> Option<i32> {
    plant.program(&["bundle", "status", "--config", "edge.toml"]).output().unwrap().status.code()
}

/// Clients of the control socket can't prevent or delay a verdict.
#[test]
fn hostile_clients_of_the_control_socket_disturb_no_part() {
    let mut plant = start_with_control();
    let socket = plant.path("control");
    let stop = AtomicBool::new(false);
    let is_running = || !stop.load(Ordering::Relaxed);
    let parts = 60;
    let exchange = |bytes: &[u8]| {
        let Ok(mut stream) = UnixStream::connect(&socket) else { return };
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let mut outcomes = std::thread::scope(|scope| {
        // A client that sends nothing, one that sends 1 MiB at once, one that sends garbage, and two that ask without pause.
        scope.spawn(|| {
            while is_running() {
                exchange(b"");
            }
        });
        for bytes in [vec![b'['; 1 << 20], b"bundle status\n".to_vec()] {
            scope.spawn(move || {
                while is_running() {
                    exchange(&bytes);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while is_running() {
                    exchange(b"{\"version\":1,\"request\":{\"bundle\":\"status\"}}\n");
                }
            });
        }
        let _guard = StopOnDrop(&stop);
        plant.run_parts("native", parts, 1, 0)
    });
    let summary = outcomes.pop().unwrap();
    println!("{summary}");
    assert_eq!(summary["rejected_by_gate"].as_u64(), Some(0));
    let niceness = niceness(plant.appliance.as_ref().unwrap());
    assert!(
        niceness["control"] == 19 && niceness["judge"] < 19,
        "the control socket's thread has the lowest priority: {niceness:?}"
    );
    assert_eq!(plant.stop(), Some(0));
    assert_agree(&plant.rows(), &outcomes, 1);
}

#[test]
fn the_control_socket_lives_as_long_as_its_appliance() {
    let mut plant = start_with_control();
    assert!(matches!(status(&plant), Some(0 | 1)));
    // A killed appliance leaves its socket behind. The next one replaces it.
    plant.kill();
    assert!(plant.path("control").exists());
    assert_eq!(status(&plant), Some(2));
    plant.start();
    wait_for("an answer", || matches!(status(&plant), Some(0 | 1)));
    assert!(plant.doctor(0).contains(&"control socket: warning".into()), "in use by the running appliance");
    // A client that never sends anything does not delay the end.
    let _silent = UnixStream::connect(plant.path("control")).unwrap();
    assert_eq!(plant.stop(), Some(0));
    assert!(!plant.path("control").exists());
    assert!(plant.doctor(0).contains(&"control socket: ok".into()));
}

#[test]
fn another_appliance_with_the_same_control_socket_does_not_start() {
    let plant = start_with_control();
    let text = fs::read_to_string(plant.path("edge.toml")).unwrap().replace("verdicts.sqlite", "other.sqlite");
    fs::write(plant.path("other.toml"), text).unwrap();
    let refused = run(&mut plant.program(&["run", "--config", "other.toml"]), 2);
    assert!(stderr(&refused).contains("another process uses this socket"), "{}", stderr(&refused));
    assert!(!plant.path("other.sqlite").exists(), "the refused start changed nothing");
    assert!(matches!(status(&plant), Some(0 | 1)));
}

#[test]
fn without_a_control_socket_no_commands_are_taken() {
    let plant = Plant::new("native", "part-id");
    plant.run_parts("native", 1, 1, 0);
    let threads = niceness(plant.appliance.as_ref().unwrap());
    assert!(threads.contains_key("judge") && !threads.contains_key("control"), "{threads:?}");
    assert_eq!(status(&plant), Some(2));
}
