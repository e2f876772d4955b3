//! Tests the control socket of a running appliance.

use super::metrics::{StopOnDrop, niceness};
use super::*;
use cellgate_protocol::reason::ReasonCode;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

fn start_with_control() -> Plant {
    with_control(Plant::new("native", "part-id"))
}

/// Starts the appliance of `plant` again. It takes commands at the socket `control`.
fn with_control(mut plant: Plant) -> Plant {
    plant.kill();
    let path = plant.path("edge.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}[control]\nsocket = \"control\"\n")).unwrap();
    fs::remove_file(plant.path("log")).unwrap();
    plant.start();
    wait_for("the control socket", || UnixStream::connect(plant.path("control")).is_ok());
    plant
}

/// The exit status of `bundle status`.
fn status(plant: &Plant) -> Option<i32> {
    plant.program(&["bundle", "status", "--config", "edge.toml"]).output().unwrap().status.code()
}

/// The PLC names no bundles.
#[test]
fn a_person_starts_a_bundle_and_confirms_its_reference_parts() {
    let plant = with_control(Plant::with_model("native", "part-id", bundles::with_reference));
    let plc = Plc::new(&plant, "native");
    let command = |arguments: &[&str], status: i32| {
        let arguments = [&["bundle"], arguments, &["--config", "edge.toml", "--json"]].concat();
        run(&mut plant.program(&arguments), status)
    };
    let judged = |part: u64, reason: ReasonCode| {
        plc.wait_ready();
        plant.scan(part, &plant.images[0]);
        plc.trigger(part, 5_000);
        assert_eq!(plc.outcome(part).1.claim.unwrap().reason, reason);
    };
    command(&["confirm", "--bundle", "7", "1"], 1);
    assert_eq!(lines(&command(&["start", "7"], 0))[0]["step"], "REFERENCE");
    judged(1, ReasonCode::REFERENCE_PART);
    judged(2, ReasonCode::REFERENCE_PART);
    command(&["confirm", "--bundle", "7", "1", "3"], 1);
    let status = &lines(&command(&["status"], 0))[0];
    assert_eq!((&status["bundle"], status["candidates"].as_array().unwrap().len()), (&7.into(), 2), "{status}");
    let confirmed = &lines(&command(&["confirm", "--bundle", "7", "1", "2"], 0))[0];
    assert_eq!(confirmed["step"], "OFFSET", "{confirmed}");
    judged(3, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!(lines(&command(&["end"], 0))[0]["step"], "NONE");
    let rows = plant.rows();
    assert_eq!(rows[2]["offset"], confirmed["offset"]);
    assert!(rows.iter().all(|row| row["bundle"] == 7), "{rows:?}");
    let events = run(&mut plant.program(&["journal", "export", "verdicts.sqlite", "--events", "--format", "jsonl"]), 0);
    let pid = format!("pid {}", std::process::id());
    for event in lines(&events) {
        let who = event["who"].as_str().unwrap();
        assert!(who.contains("(uid ") && !who.contains(&pid), "the process of the command, not of this test: {event}");
    }
    run(&mut plant.program(&["journal", "verify", "verdicts.sqlite", "--verdicts"]), 0);
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
    assert_eq!(status(&plant), Some(0));
    // A killed appliance leaves its socket behind. The next one replaces it.
    plant.kill();
    assert!(plant.path("control").exists());
    assert_eq!(status(&plant), Some(2));
    plant.start();
    wait_for("an answer", || status(&plant) == Some(0));
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
    let folder = plant.path("").display().to_string();
    insta::assert_snapshot!("another_appliance", stderr(&refused).replace(&folder, "FOLDER/"));
    assert!(!plant.path("other.sqlite").exists(), "the refused start changed nothing");
    assert_eq!(status(&plant), Some(0));
}

#[test]
fn without_a_control_socket_no_commands_are_taken() {
    let plant = Plant::new("native", "part-id");
    plant.run_parts("native", 1, 1, 0);
    let threads = niceness(plant.appliance.as_ref().unwrap());
    assert!(threads.contains_key("judge") && !threads.contains_key("control"), "{threads:?}");
    assert_eq!(status(&plant), Some(2));
}
