//! Checks that an idle appliance uses little processor time.

use crate::plant::Plant;
use crate::plc::Plc;
use std::fs;
use std::time::{Duration, Instant};

/// The processor time that the process has used so far.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // The fields utime and stime of proc_pid_stat(5), in 1/100 s on every Linux.
    let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

#[test]
fn an_appliance_that_waits_for_a_trigger_uses_little_processor_time() {
    for profile in ["native", "modbus"] {
        let plant = Plant::new(profile, "part-id");
        let plc = Plc::new(&plant, profile);
        plc.pass(&plant, 1);
        let process = plant.appliance.as_ref().unwrap().id();
        let (start, before) = (Instant::now(), processor_time(process));
        std::thread::sleep(Duration::from_secs(3));
        let share = (processor_time(process) - before).as_secs_f64() / start.elapsed().as_secs_f64();
        println!("{profile}: {:.1} % of a core", 100.0 * share);
        assert!(share < 0.15, "{profile}: {share}");
    }
}
