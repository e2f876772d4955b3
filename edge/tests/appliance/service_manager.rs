//! Tests the notifications to the service manager (systemd).

use crate::frozen::Frozen;
use crate::plant::Plant;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// The notifications that arrive within `time`.
fn receive(socket: &UnixDatagram, time: Duration) -> String {
    let (start, mut received, mut buffer) = (Instant::now(), String::new(), [0; 256]);
    while start.elapsed() < time {
        if let Ok(count) = socket.recv(&mut buffer) {
            received.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }
    received
}

/// systemd's watchdog supervises the main thread, which supervises all other threads.
#[test]
fn a_frozen_supervisor_sends_no_more_watchdog_notifications() {
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
    let mut received = String::new();
    crate::plant::wait_for("a watchdog notification", || {
        received += &receive(&socket, Duration::from_millis(20));
        received.contains("WATCHDOG=1")
    });
    assert!(received.starts_with("READY=1"), "{received}");
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "cellgate-edge");
    receive(&socket, Duration::from_millis(50));
    assert_eq!(receive(&socket, Duration::from_millis(500)), "");
    drop(frozen);
    assert!(receive(&socket, Duration::from_secs(2)).contains("WATCHDOG=1"));
}
