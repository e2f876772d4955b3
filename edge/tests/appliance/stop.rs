//! Sends SIGTERM while a part is in progress or the engine is being proven. The part is finished or rejected durably, and the
//! appliance ends with status 0.

use crate::plant::{Plant, signal};
use crate::plc::Plc;
use crate::support::*;
use cellgate_models::model::GoldenSource;
use cellgate_protocol::code::WireVerdict;
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_part_in_progress_gets_its_image_and_verdict_after_the_signal() {
    let mut plant = Plant::new("native", "part-id");
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.wait_ready();
    plc.trigger(2, 9_000);
    plc.wait_accepted(2);
    signal(plant.appliance.as_ref().unwrap(), Signal::TERM);
    // 3 s is longer than a supervised thread may be stuck without ending the appliance.
    std::thread::sleep(Duration::from_secs(3));
    plant.scan(2, &plant.images[0]);
    assert_eq!(plant.wait_for_exit(|| {}), Some(0));
    let (_, outcome) = plc.outcome(2);
    assert_eq!(outcome.decision.verdict(), WireVerdict::Pass, "{outcome:?}");
    plc.seen().assert_agrees_with(&plant.rows(), 2);
}

#[test]
fn a_part_without_an_image_is_rejected_durably_even_if_the_plc_does_not_read() {
    for reads in [true, false] {
        let mut plant = Plant::new("native", "part-id");
        plant.kill();
        let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
        let patient = config.replace("[plc]\n", "[plc]\ndeadline_ms = 60000\n");
        fs::write(plant.path("edge.toml"), patient).unwrap();
        plant.start();
        let plc = Plc::new(&plant, "native");
        plc.wait_ready();
        plc.trigger(1, 60_000);
        plc.wait_accepted(1);
        if !reads {
            signal(plant.cable.as_ref().unwrap(), Signal::STOP);
        }
        let start = Instant::now();
        assert_eq!(plant.stop(), Some(0));
        println!("ended after {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(15), "below the service manager's TimeoutStopSec");
        let rows = plant.rows();
        assert_eq!((&rows[0]["verdict"], &rows[0]["reason"]), (&"REJECT".into(), &"RESTARTED".into()), "{rows:?}");
        if reads {
            assert_eq!(plc.outcome(1).1.claim.map(|claim| claim.code.verdict()), Some(WireVerdict::Reject));
        }
    }
}

#[test]
fn a_stop_does_not_wait_for_a_proof() {
    // 80 golden images, each of which takes several hundred milliseconds.
    let mut plant = Plant::with_model("native", "part-id", |folder| {
        let mut contents = contents("slow_mean.onnx", mean_logit(DARK));
        let golden = contents.golden.remove(0);
        contents.golden = (0..80)
            .map(|number| GoldenSource {
                name: format!("dark{number}.tif"),
                tiff: golden.tiff.clone(),
                map: golden.map.clone(),
                features: golden.features,
                expected: golden.expected.clone(),
            })
            .collect();
        model(folder, &contents)
    });
    plant.wait_for_events("appliance_started", 1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(plant.stop(), Some(0), "{}", plant.log());
    assert_eq!((plant.events("proof_stopped"), plant.events("engine_proven")), (1, 0), "{}", plant.log());
}
