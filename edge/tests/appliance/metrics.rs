//! Tests the Prometheus metrics of a running appliance.

use super::exposition::Page;
use super::process::children;
use super::*;
use rustix::process::kill_process;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Starts a plant whose appliance serves metrics. Returns the plant and the address of the metrics.
pub(crate) fn start_with_metrics(profile: &str) -> (Plant, SocketAddr) {
    let mut plant = Plant::new(profile, "part-id");
    plant.kill();
    let path = plant.path("edge.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}[metrics]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    fs::remove_file(plant.path("log")).unwrap();
    plant.start();
    let address = served_address(&plant);
    (plant, address)
}

/// Waits until the appliance serves metrics, and returns the address from the first entry about it in the log.
pub(crate) fn served_address(plant: &Plant) -> SocketAddr {
    // In the log only the entry about the metrics has this field.
    let served = || plant.log().split("address=").nth(1)?.split_whitespace().next()?.parse().ok();
    wait_for("the metrics", || served().is_some());
    served().unwrap()
}

/// Sends `bytes` and returns the answer. The answer is empty if the appliance closes the connection without answering.
fn request(address: SocketAddr, bytes: &[u8]) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads the metrics. On a busy machine the server may time out before it answers; then the request is repeated.
pub(crate) fn scrape(address: SocketAddr) -> Page {
    let attempt = |_| request(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = (0..5).map(attempt).find(|answer| !answer.is_empty()).expect("an answer");
    Page::read(answer.split_once("\r\n\r\n").unwrap().1)
}

/// Waits until the sum of the metric's series with these labels is `value`.
pub(crate) fn wait_for_metric(address: SocketAddr, name: &str, labels: &[(&str, &str)], value: f64) {
    wait_for(name, || scrape(address).sum(name, labels) == value);
}

/// Compares counters and histograms with the journal's rows. All parts in the rows must have been triggered since the appliance's
/// start.
fn assert_metrics_agree(page: &Page, rows: &[Value]) {
    let mut by_reason: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for row in rows {
        *by_reason.entry((row["verdict"].as_str().unwrap(), row["reason"].as_str().unwrap())).or_default() += 1.0;
    }
    for ((verdict, reason), count) in by_reason {
        let labels = [("verdict", verdict), ("reason", reason)];
        assert_eq!(page.sum("cellgate_verdicts_total", &labels), count, "{labels:?}");
    }
    let count = rows.len() as f64;
    for name in ["cellgate_verdicts_total", "cellgate_triggers_total", "cellgate_journal_rows"] {
        assert_eq!(page.sum(name, &[]), count, "{name}");
    }
    for until in ["committed", "sent", "acknowledged"] {
        assert_eq!(page.sum("cellgate_part_duration_seconds_count", &[("until", until)]), count, "{until}");
    }
    // `age_ms` in the journal is in whole milliseconds and ends before the verdict is written. The metric `committed` ends after the
    // verdict is written. On a busy machine the threads also wait for each other between these two moments.
    let sum = |until| page.sum("cellgate_part_duration_seconds_sum", &[("until", until)]);
    let ages = rows.iter().map(|row| row["age_ms"].as_f64().unwrap() / 1e3).sum::<f64>();
    assert!(ages <= sum("committed") && sum("committed") <= sum("sent") && sum("sent") <= sum("acknowledged"));
    let writing = page.sum("cellgate_stage_duration_seconds_sum", &[("stage", "journal_verdict")]);
    assert!(sum("committed") < ages + writing + 0.01 * count + 0.2, "{} {ages} {writing}", sum("committed"));
    for stage in ["read", "convert", "infer", "decide"] {
        let us: Vec<f64> = rows.iter().map(|row| row[&format!("{stage}_us")].as_f64().unwrap()).collect();
        let sum = page.sum("cellgate_stage_duration_seconds_sum", &[("stage", stage)]);
        // The journal has whole microseconds.
        let truncated = sum - us.iter().sum::<f64>() / 1e6;
        assert!((-1e-9..=1e-6 * count).contains(&truncated), "{stage}: {sum} {us:?}");
    }
}

/// Runs six parts with an image and one with a file that is no radiograph, and checks the metrics.
fn check_metrics_against_the_journal(profile: &str) {
    let (mut plant, address) = start_with_metrics(profile);
    plant.run_parts(profile, 6, 1, 0);
    fs::write(plant.path("scans/.7"), b"not a radiograph").unwrap();
    fs::rename(plant.path("scans/.7"), plant.path("scans/7.tif")).unwrap();
    run(&mut plant.plc(profile, 1, 7), 0);
    // The simulated PLC has ended, so the appliance must report that no PLC is connected.
    wait_for_metric(address, "cellgate_plc_connected", &[], 0.0);
    wait_for_metric(address, "cellgate_healthy", &[], 1.0);
    wait_for_metric(address, "cellgate_worker_alive", &[], 5.0);
    wait_for_metric(address, "cellgate_verdicts_unacknowledged", &[], 0.0);
    let page = scrape(address);
    assert!(
        include_str!("../../README.md").contains(&page.table()),
        "the README has another table than this:\n{}",
        page.table()
    );
    let value = |name, labels: &[(&str, &str)]| page.sum(name, labels);
    assert_eq!(value("cellgate_verdicts_total", &[("reason", "IMAGE_MALFORMED")]), 1.0);
    assert_eq!(value("cellgate_verdicts_total", &[("verdict", "REJECT")]), 3.0);
    assert_eq!(value("cellgate_stage_duration_seconds_count", &[("stage", "infer")]), 6.0);
    assert_eq!(value("cellgate_stage_duration_seconds_count", &[("stage", "wait_for_image")]), 7.0);
    assert_eq!(value("cellgate_appliance_info", &[("device", "1"), ("profile", profile)]), 1.0);
    // The last file is no radiograph, so the measures are those of the image before it.
    assert_eq!(value("cellgate_image_measure", &[("measure", "height")]), 8.0);
    assert_eq!(value("cellgate_image_measure_high", &[("measure", "level_p50")]), 65_535.0);
    assert!(value("cellgate_plc_silences_total", &[]) >= 1.0);
    assert_eq!(value("cellgate_state", &[]), 5.0, "initialized");
    assert_eq!((value("cellgate_link_open", &[]), value("cellgate_link_openings_total", &[])), (1.0, 1.0));
    assert_eq!((value("cellgate_engine_proven", &[]), value("cellgate_journal_ready", &[])), (1.0, 1.0));
    assert!(value("cellgate_link_frames_total", &[]) > 14.0 && value("cellgate_heartbeats_total", &[]) > 5.0);
    assert!(value("cellgate_archive_bytes", &[]) > 0.0 && value("cellgate_archive_free_bytes", &[]) > 0.0);
    assert_eq!(plant.stop(), Some(0));
    assert_metrics_agree(&page, &plant.rows());
}

#[test]
fn metrics_agree_with_the_journal_over_native_frames() {
    check_metrics_against_the_journal("native");
}

#[test]
fn metrics_agree_with_the_journal_over_modbus() {
    check_metrics_against_the_journal("modbus");
}

#[test]
fn faults_are_counted() {
    let (mut plant, address) = start_with_metrics("native");
    plant.run_parts("native", 1, 1, 0);
    // Faults: an image without a trigger, a killed decoder, a disconnected cable, noise on the link.
    fs::copy(&plant.images[0], plant.path("scans/99.tif")).unwrap();
    wait_for_metric(address, "cellgate_images_waiting", &[], 1.0);
    wait_for_metric(address, "cellgate_images_set_aside_total", &[("why", "no_trigger")], 1.0);
    kill_process(children(plant.appliance.as_ref().unwrap())[0], Signal::KILL).unwrap();
    plant.run_parts("native", 1, 2, 0);
    wait_for_metric(address, "cellgate_decoder_restarts_total", &[], 1.0);
    plant.disconnect_cable();
    wait_for_metric(address, "cellgate_link_losses_total", &[], 1.0);
    assert_eq!(scrape(address).sum("cellgate_link_open", &[]), 0.0);
    plant.connect_cable();
    wait_for_metric(address, "cellgate_link_openings_total", &[], 2.0);
    fs::File::options().write(true).open(plant.path("plc")).unwrap().write_all(&[0, 1, 2, 3, 0, 9, 9, 0]).unwrap();
    wait_for_metric(address, "cellgate_link_resyncs_total", &[], 2.0);
    plant.run_parts("native", 1, 3, 0);
    let page = scrape(address);
    assert_eq!(page.sum("cellgate_verdicts_total", &[]), 3.0);
}

/// The nice value (-20 to 19) of each thread of a process.
pub(crate) fn niceness(process: &Child) -> BTreeMap<String, i32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let of_task = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap();
        let (start, rest) = stat.rsplit_once(") ").unwrap();
        // In proc_pid_stat(5) the nice value is field 19. The name in parentheses is field 2, so `rest` begins with field 3.
        (start.split_once('(').unwrap().1.to_owned(), rest.split(' ').nth(16).unwrap().parse().unwrap())
    };
    tasks.map(|task| of_task(task.unwrap())).collect()
}

/// Sets the flag that stops the test's other threads when dropped, even if the test fails.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients of the metrics page can't prevent or delay a verdict.
#[test]
fn hostile_metrics_clients_disturb_no_part() {
    let (mut plant, address) = start_with_metrics("native");
    let stop = AtomicBool::new(false);
    let is_running = || !stop.load(Ordering::Relaxed);
    let parts = 60;
    let mut outcomes = std::thread::scope(|scope| {
        // 200 clients that send a byte now and then, one that sends 1 MiB at once, and one that polls without pause.
        scope.spawn(|| {
            while is_running() {
                let mut slow: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
                for _ in 0..10 {
                    slow.iter_mut().for_each(|client| drop(client.write(b"G")));
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        });
        let long_request = [b"GET /".as_slice(), &vec![b'a'; 1 << 20]].concat();
        scope.spawn(move || {
            while is_running() {
                request(address, &long_request);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        scope.spawn(|| {
            while is_running() {
                request(address, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let _guard = StopOnDrop(&stop);
        plant.run_parts("native", parts, 1, 0)
    });
    let summary = outcomes.pop().unwrap();
    println!("{summary}");
    let niceness = niceness(plant.appliance.as_ref().unwrap());
    assert!(
        niceness["metrics"] == 19 && niceness["judge"] < 19,
        "the metrics thread has the lowest priority: {niceness:?}"
    );
    assert_eq!(summary["rejected_by_gate"].as_u64(), Some(0));
    wait_for_metric(address, "cellgate_verdicts_unacknowledged", &[], 0.0);
    let page = scrape(address);
    assert_eq!(plant.stop(), Some(0));
    let rows = plant.rows();
    assert_agree(&rows, &outcomes, 1);
    assert_metrics_agree(&page, &rows);
}

#[test]
fn an_address_in_use_prevents_the_start_and_doctor_reports_it() {
    let (mut plant, address) = start_with_metrics("native");
    plant.run_parts("native", 1, 1, 0);
    assert_eq!(plant.stop(), Some(0));
    assert!(plant.doctor(0).contains(&"metrics: ok".into()), "port 0 is always free");
    let taken = TcpListener::bind(address).unwrap();
    let path = plant.path("edge.toml");
    let text = fs::read_to_string(&path).unwrap().replace("127.0.0.1:0", &address.to_string());
    fs::write(&path, text).unwrap();
    let refused = run(&mut plant.program(&["run", "--config", "edge.toml"]), 2);
    assert!(stderr(&refused).contains(&format!("metrics.listen {address}")), "{}", stderr(&refused));
    assert!(plant.doctor(1).contains(&"metrics: failure".into()));
    drop(taken);
    plant.start();
    plant.run_parts("native", 1, 2, 0);
    let epochs: Vec<_> = plant.rows().iter().map(|row| row["boot_epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs[1], epochs[0] + 1, "the refused start has no boot epoch");
}

#[test]
fn without_an_address_no_metrics_are_served() {
    let plant = Plant::new("native", "part-id");
    plant.run_parts("native", 1, 1, 0);
    let threads = niceness(plant.appliance.as_ref().unwrap());
    assert!(threads.contains_key("judge") && !threads.contains_key("metrics"), "{threads:?}");
}
