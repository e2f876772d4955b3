//! Tests the metrics for Prometheus without an appliance: their format, their table in the README, and the server with slow,
//! greedy or hostile clients.

use crate::exposition::Page;
use crate::support::open_envelope;
use cellgate_edge::acquire::Unjudged;
use cellgate_edge::metrics::{About, LinkCounts, Metrics, Server, listen};
use cellgate_edge::pipeline::Times;
use cellgate_models::envelope::Measures;
use cellgate_models::radiograph::Radiograph;
use cellgate_protocol::reason::ReasonCode;
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest time that any test waits for the server. It is long, because the server's thread has the lowest priority.
const MAX_TIME: Duration = Duration::from_secs(120);

fn metrics() -> Metrics {
    let about = About { device: 7, model: "0123abcd".to_owned(), profile: "native" };
    Metrics::new(&about, Duration::from_secs(5), &["watcher", "judge", "journal", "port", "archiver"]).unwrap()
}

fn page(metrics: &Metrics) -> Page {
    Page::read(&metrics.page().unwrap())
}

#[test]
fn the_readme_lists_every_metric_as_served() {
    let readme = include_str!("../../README.md");
    let table = page(&metrics()).table();
    assert!(readme.contains(&table), "the README's table of metrics is not this one:\n{table}");
}

#[test]
fn counts_are_served() {
    let metrics = metrics();
    metrics.parts.triggered();
    metrics.parts.set_aside(Unjudged::Unwatched, 3);
    let ms = Duration::from_millis;
    let zero = Duration::ZERO;
    metrics.parts.judged(&Times { read: ms(3), upload: ms(2), convert: ms(4), infer: zero, decide: ms(1) });
    metrics.link.set(&LinkCounts { frames: 5, bad_crc: 2, ..LinkCounts::default() });
    metrics.image.set_envelope(&open_envelope());
    metrics.image.measured(&Measures::of(&Radiograph::new(3, 2, vec![0, 4096, 0, 7, 7, 7]).unwrap()));
    metrics.device.proved(true);
    metrics.device.set_fallback(true);
    let page = page(&metrics);
    let value = |name, labels: &[(&str, &str)]| page.sum(name, labels);
    assert_eq!(value("cellgate_triggers_total", &[]), 1.0);
    assert_eq!(value("cellgate_images_set_aside_total", &[("why", "unwatched")]), 3.0);
    assert_eq!(value("cellgate_images_set_aside_total", &[]), 3.0);
    assert_eq!(value("cellgate_stage_duration_seconds_sum", &[]), 0.01);
    assert_eq!(value("cellgate_stage_duration_seconds_sum", &[("stage", "upload")]), 0.002);
    assert_eq!(value("cellgate_stage_duration_seconds_count", &[("stage", "infer")]), 0.0, "the stage was not reached");
    let measure = |name: &str, measure: &str| page.sum(name, &[("measure", measure)]);
    let newest = ["height", "width", "zeros_ppm", "level_p99"].map(|name| measure("cellgate_image_measure", name));
    assert_eq!(newest, [2.0, 3.0, 666_666.0, 4096.0]);
    let range =
        ["cellgate_image_measure_low", "cellgate_image_measure_high"].map(|name| measure(name, "sharpness_ppm"));
    assert_eq!(range, [0.0, 2_000_000.0]);
    assert_eq!(value("cellgate_link_errors_total", &[("kind", "crc")]), 2.0);
    assert_eq!(value("cellgate_engine_proofs_total", &[("result", "passed")]), 1.0);
    assert_eq!(value("cellgate_engine_is_fallback", &[]), 1.0);
    assert!(value("cellgate_engine_proof_timestamp_seconds", &[("result", "passed")]) > 1.7e9);
    assert_eq!(value("cellgate_appliance_info", &[("device", "7"), ("model", "0123abcd")]), 1.0);
}

#[test]
fn a_model_name_cannot_forge_a_metric() {
    let about = About { device: 1, model: "a\"} 1\ncellgate_forged 1\\".to_owned(), profile: "native" };
    let metrics = Metrics::new(&about, Duration::from_secs(5), &["judge"]).unwrap();
    assert_eq!(page(&metrics).sum("cellgate_appliance_info", &[("model", &about.model)]), 1.0);
}

/// Counting adds no series and no bucket, so the memory for metrics does not grow.
#[test]
fn ten_thousand_parts_add_no_series() {
    let metrics = metrics();
    let names = |text: String| text.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>();
    let before = names(metrics.page().unwrap());
    for part in 0..10_000 {
        let time = Duration::from_micros(997 * part);
        metrics.parts.accepted(time);
        metrics.parts.sent(time);
        metrics.parts.acknowledged(time, time);
        metrics.parts.set_aside(Unjudged::TooLate, 1);
        metrics.parts.gate_differs(ReasonCode(part as u16));
        metrics.device.set_worker("somebody else", true);
        metrics.link.set(&LinkCounts { frames: part as u32, ..LinkCounts::default() });
    }
    assert_eq!(names(metrics.page().unwrap()), before);
}

proptest! {
    /// [`Page::read`] checks buckets, count and sum of each histogram against each other.
    #[test]
    fn histograms_are_consistent(times in prop::collection::vec(0_u64..20_000_000_000, 0..50)) {
        let metrics = metrics();
        for ns in &times {
            metrics.parts.found_image(Duration::from_nanos(*ns));
        }
        let page = page(&metrics);
        let stage = [("stage", "wait_for_image")];
        prop_assert_eq!(page.sum("cellgate_stage_duration_seconds_count", &stage), times.len() as f64);
        let expected = times.iter().sum::<u64>() as f64 / 1e9;
        prop_assert!((page.sum("cellgate_stage_duration_seconds_sum", &stage) - expected).abs() < 1e-6);
    }
}

#[test]
fn a_page_is_consistent_while_threads_count() {
    let metrics = Arc::new(metrics());
    let stop = Arc::new(AtomicBool::new(false));
    let counting: Vec<_> = (0..3)
        .map(|thread| {
            let (metrics, stop) = (Arc::clone(&metrics), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut count = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    metrics.parts.accepted(Duration::from_micros((count * 7919 * (thread + 1)) % 9_000_000));
                    count += 1;
                }
                count
            })
        })
        .collect();
    for _ in 0..50 {
        page(&metrics);
    }
    stop.store(true, Ordering::Relaxed);
    let counted: u64 = counting.into_iter().map(|thread| thread.join().unwrap()).sum();
    let stage = [("stage", "journal_acceptance")];
    assert_eq!(page(&metrics).sum("cellgate_stage_duration_seconds_count", &stage), counted as f64);
}

/// A server in a thread of its own. Dropping this value ends the server.
struct RunningServer(Arc<AtomicBool>);

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn server() -> (RunningServer, SocketAddr) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = metrics();
    let running = RunningServer(Arc::default());
    let is_over = Arc::clone(&running.0);
    std::thread::spawn(move || {
        let server = Server::new(listener).unwrap();
        server.run(move || metrics.page().ok(), move || is_over.load(Ordering::Relaxed)).unwrap();
    });
    (running, address)
}

/// Sends `request` and returns all bytes that come until the server closes the connection or an error occurs.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// The answer to `request`. On a busy machine the server may close a connection before it answers; then the request is
/// repeated.
fn answer(address: SocketAddr, request: &[u8]) -> String {
    let answer = (0..5).map(|_| ask(address, request)).find(|answer| !answer.is_empty());
    answer.expect("an answer")
}

fn scrape(address: SocketAddr) -> Page {
    let answer = answer(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
    Page::read(body)
}

#[test]
fn only_get_of_metrics_succeeds() {
    let (_server, address) = server();
    assert_eq!(scrape(address).sum("cellgate_appliance_info", &[]), 1.0);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /metrics/../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "405"),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
        ("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
        ("GET /metrics SMTP/9\r\n\r\n", "400"),
    ] {
        let answer = answer(address, request.as_bytes());
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request:?}: {answer}");
    }
}

#[test]
fn an_oversized_request_is_refused_at_once() {
    let (_server, address) = server();
    let long = |start: &str| [start.as_bytes(), &vec![b'a'; 1 << 20]].concat();
    for request in [long("GET /"), long("GET /metrics HTTP/1.1\r\nX: "), long("")] {
        // If the request were not refused at once, the connection would end only after 2 s.
        let is_at_once = (0..10).any(|_| {
            let start = Instant::now();
            let answer = ask(address, &request);
            assert!(!answer.contains("200 OK"), "{answer}");
            start.elapsed() < Duration::from_secs(1)
        });
        assert!(is_at_once, "{}", String::from_utf8_lossy(&request[..20]));
    }
    scrape(address);
}

#[test]
fn silent_and_slow_clients_are_disconnected() {
    let (_server, address) = server();
    let start = Instant::now();
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    // The next client waits for all silent clients: the server has 32 connections at a time, each for 2 s at most.
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut slow = TcpStream::connect(address).unwrap();
            while slow.write_all(b"G").is_ok() && start.elapsed() < MAX_TIME {
                std::thread::sleep(Duration::from_millis(100));
            }
            start.elapsed()
        });
        let scraped = loop {
            let answer = ask(address, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
            if answer.contains("200 OK") {
                break start.elapsed();
            }
        };
        println!("200 silent clients: metrics after {} ms", scraped.as_millis());
        assert!(scraped < MAX_TIME);
        assert!(slow.join().unwrap() < MAX_TIME, "a client that sends single bytes was not disconnected");
    });
    drop(silent);
}

#[test]
fn an_address_in_use_is_an_error_and_is_freed_with_the_server() {
    let (server, address) = server();
    let error = listen(address).unwrap_err();
    assert_eq!((error.listen, error.source.kind()), (address, ErrorKind::AddrInUse), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    drop(server);
    let start = Instant::now();
    while listen(address).is_err() {
        assert!(start.elapsed() < MAX_TIME, "the server still listens");
        std::thread::sleep(Duration::from_millis(5));
    }
}
