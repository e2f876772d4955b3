//! What the service manager is told.

use crate::frozen::Frozen;
use crate::plant::Plant;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// All that was said within `time`.
fn heard(socket: &UnixDatagram, time: Duration) -> String {
    let (start, mut heard, mut buffer) = (Instant::now(), String::new(), [0; 256]);
    while start.elapsed() < time {
        if let Ok(count) = socket.recv(&mut buffer) {
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }
    heard
}

/// The thread that looks after the others is itself looked after by systemd.
#[test]
fn a_supervisor_that_stands_still_says_nothing_more_to_the_service_manager() {
    let unit = include_str!("../../systemd/cellgate-edge.service");
    assert!(
        unit.contains("WatchdogSec=2\n") && unit.contains("Restart=always\n") && unit.contains("RestartSec=200ms\n")
    );
    let mut plant = Plant::new("native", "part-id");
    plant.kill();
    let path = plant.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    plant.start_with(&[("NOTIFY_SOCKET", &path)]);
    let mut said = String::new();
    crate::plant::wait_for("a sign of life", || {
        said += &heard(&socket, Duration::from_millis(20));
        said.contains("WATCHDOG=1")
    });
    assert!(said.starts_with("READY=1"), "{said}");
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "cellgate-edge");
    heard(&socket, Duration::from_millis(50));
    assert_eq!(heard(&socket, Duration::from_millis(500)), "");
    drop(frozen);
    assert!(heard(&socket, Duration::from_secs(2)).contains("WATCHDOG=1"));
}
