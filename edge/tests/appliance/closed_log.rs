//! Checks that the appliance continues when the reader of its log goes away.

use crate::plant::Plant;
use crate::plc::Plc;
use std::process::Stdio;

#[test]
fn a_closed_log_does_not_stop_the_line() {
    let mut plant = Plant::new("native", "part-id");
    plant.kill();
    // The log is written to a pipe whose other end is closed.
    let mut appliance = plant.program(&["run", "--config", "edge.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(appliance.stderr.take());
    plant.appliance = Some(appliance);
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.pass(&plant, 2);
    assert_eq!(plant.stop(), Some(0));
    plc.seen().assert_agrees_with(&plant.rows(), 2);
}
