//! Tests the control socket without an appliance: the server with well-behaved, slow, greedy and hostile clients, and the command
//! `bundle` at the other end.

use cellgate_edge::control::{
    Answer, AskError, BundleRequest, BundleStatus, BundleStep, Candidate, ControlError, MAX_REQUEST_BYTES,
    MAX_REQUEST_TIME, Request, Server, Who, ask,
};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server in a thread of its own, which answers [`answer_to`] the request. Dropping this value ends the server.
struct RunningServer {
    folder: tempfile::TempDir,
    taken: Arc<Mutex<Vec<(Request, Who)>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::listen(&folder.path().join("control")).unwrap();
        let (taken, is_over) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (requests, over) = (Arc::clone(&taken), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let carry_out = |request: Request, who| {
                let answer = answer_to(&request);
                requests.lock().unwrap().push((request, who));
                answer
            };
            server.run(carry_out, || over.load(Ordering::Relaxed));
        });
        Self { folder, taken, is_over, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    /// The requests that were carried out, with their senders.
    fn taken(&self) -> Vec<(Request, Who)> {
        self.taken.lock().unwrap().clone()
    }

    /// Sends `bytes`, ends the stream, and returns everything that comes back.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        received(stream)
    }

    /// Checks that the server still answers.
    fn assert_answers(&self) {
        assert_eq!(ask(&self.socket(), &status()).unwrap(), answer_to(&status()));
    }

    /// Ends the server.
    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// All bytes that come until the server closes the connection.
fn received(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// A request for the status.
fn status() -> Request {
    Request::Bundle(BundleRequest::Status)
}

/// The answer of the tests' server: it confirms parts below 100 only.
fn answer_to(Request::Bundle(request): &Request) -> Answer {
    let (bundle, reference_parts, confirmed) = match request {
        BundleRequest::Start { bundle, reference_parts } => (bundle.get(), reference_parts.unwrap_or(5), Vec::new()),
        BundleRequest::Confirm { parts, .. } if parts.iter().any(|part| *part >= 100) => {
            return Answer::Refused {
                why: "part 100: found no such part in bundle 7; see `cellgate-edge bundle status`".to_owned(),
            };
        }
        BundleRequest::Confirm { parts, .. } => (7, 5, parts.clone()),
        BundleRequest::Status => (7, 5, vec![1]),
        BundleRequest::End => (0, 0, Vec::new()),
    };
    let candidate =
        |part_id| Candidate { part_id, verdict: "REVIEW".into(), reason: "REFERENCE_PART".into(), logit: -1.5 };
    Answer::Bundle(Box::new(BundleStatus {
        bundle,
        step: if bundle == 0 { BundleStep::None } else { BundleStep::Reference },
        reference_parts,
        trained_for: 5,
        candidates: if confirmed.is_empty() { Vec::new() } else { [1, 2].map(candidate).into() },
        confirmed,
        offset: None,
        refused: None,
        parts: 2,
        started_unix_ms: 1_800_000_000_000,
        started_by: "anna (uid 1, pid 2)".into(),
        started_why: "a person started the bundle".into(),
        is_of_plc: false,
    }))
}

fn requests() -> [Request; 4] {
    let bundle = NonZeroU32::new(9).unwrap();
    [
        BundleRequest::Start { bundle, reference_parts: Some(3) },
        BundleRequest::Confirm { bundle: Some(bundle), parts: vec![1, 2] },
        BundleRequest::Status,
        BundleRequest::End,
    ]
    .map(Request::Bundle)
}

#[test]
fn each_request_gets_its_answer_and_the_linux_kernel_says_who_asks() {
    let server = RunningServer::start();
    for request in requests() {
        assert_eq!(ask(&server.socket(), &request).unwrap(), answer_to(&request));
    }
    let refused = Request::Bundle(BundleRequest::Confirm { bundle: None, parts: vec![100] });
    assert_eq!(ask(&server.socket(), &refused).unwrap(), answer_to(&refused));
    let (taken, who): (Vec<_>, Vec<_>) = server.taken().into_iter().unzip();
    assert_eq!(taken, [requests().to_vec(), vec![refused]].concat());
    let (uid, pid) = (rustix::process::getuid().as_raw(), rustix::process::getpid().as_raw_nonzero().get());
    assert!(who.iter().all(|who| who.uid == uid && who.pid == pid && !who.name.is_empty()), "{who:?}");
    if uid == 0 {
        assert_eq!(who[0].name, "root");
    }
}

#[test]
fn a_request_may_end_with_the_stream_or_come_in_pieces() {
    let server = RunningServer::start();
    let line = status().to_line();
    let expected = server.exchange(&line);
    assert!(
        expected.starts_with(r#"{"version":1,"answer":{"bundle":{"bundle":7,"#) && expected.ends_with('\n'),
        "{expected}"
    );
    assert_eq!(server.exchange(&line[..line.len() - 1]), expected);
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    for piece in line.chunks(7) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(received(stream), expected);
}

#[test]
fn what_is_no_request_is_refused_in_words_and_never_carried_out() {
    let server = RunningServer::start();
    for bytes in [
        &b""[..],
        b"\n",
        b"bundle status\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"{\"version\":1,\"request\":{\"bundle\":\"status\"}",
        b"{\"version\":1,\"request\":{\"bundle\":\"status\"},\"who\":\"root\"}\n",
        b"{\"version\":1,\"request\":{\"bundle\":\"start\"}}\n",
        b"\xff\xfe\x00\n",
        &[b'['; 5000],
    ] {
        let answer = server.exchange(bytes);
        assert!(
            answer.starts_with(r#"{"version":1,"answer":{"invalid":{"why":"the request is malformed: "#),
            "{bytes:?}: {answer}"
        );
    }
    let answer = server.exchange(b"{\"version\":2,\"request\":\"later\"}\n");
    assert!(answer.contains("found a request of version 2, expected version 1"), "{answer}");
    assert!(server.taken().is_empty());
    server.assert_answers();
}

#[test]
fn only_the_first_line_of_a_connection_is_a_request() {
    let server = RunningServer::start();
    let [start, .., end] = requests().map(|request| request.to_line());
    server.exchange(&[start, end].concat());
    let taken: Vec<_> = server.taken().into_iter().map(|(request, _)| request).collect();
    assert_eq!(taken, [requests()[0].clone()]);
}

#[test]
fn an_oversized_request_is_refused_without_being_read_to_its_end() {
    let server = RunningServer::start();
    // White space may follow the object.
    let mut longest = status().to_line();
    longest.pop();
    longest.resize(MAX_REQUEST_BYTES, b' ');
    assert!(server.exchange(&longest).contains(r#""answer":{"bundle""#));
    longest.push(b' ');
    assert!(server.exchange(&longest).contains("found a request of more than 65536 bytes"));
    assert!(server.exchange(&vec![b'a'; 16 << 20]).contains("found a request of more than 65536 bytes"));
    assert_eq!(server.taken().len(), 1);
    // The client gets the cause too, although it can't send everything.
    let parts = Request::Bundle(BundleRequest::Confirm { bundle: None, parts: (0..1 << 20).collect() });
    let answer = ask(&server.socket(), &parts).unwrap();
    assert!(matches!(&answer, Answer::Invalid { why } if why.contains("65536")), "{answer:?}");
}

#[test]
fn slow_and_silent_clients_are_disconnected_and_only_delay_others() {
    let server = RunningServer::start();
    let start = Instant::now();
    let mut slow = UnixStream::connect(server.socket()).unwrap();
    let silent = UnixStream::connect(server.socket()).unwrap();
    let line = status().to_line();
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| {
            // One byte at a time: the last byte would come after 3 s.
            let pause = Duration::from_secs(3) / u32::try_from(line.len()).unwrap();
            for byte in &line {
                if slow.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(pause);
            }
        });
        server.assert_answers();
        start.elapsed()
    });
    assert!(waited >= 2 * MAX_REQUEST_TIME, "{waited:?}: the two clients were not given their time");
    for stream in [slow, silent] {
        let answer = received(stream);
        assert!(answer.contains("found no complete request after 2 s"), "{answer}");
    }
    assert_eq!(server.taken().len(), 1);
}

#[test]
fn clients_that_disconnect_at_any_byte_do_no_harm() {
    let server = RunningServer::start();
    let line = status().to_line();
    for length in 0..line.len() - 1 {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream.write_all(&line[..length]).unwrap();
    }
    server.assert_answers();
    assert_eq!(server.taken().len(), 1, "a part of a request was carried out");
    // A client that does not wait for its answer.
    for _ in 0..20 {
        UnixStream::connect(server.socket()).unwrap().write_all(&line).unwrap();
    }
    server.assert_answers();
}

#[test]
fn a_hundred_clients_at_once_and_a_hundred_in_a_row_are_answered() {
    let server = RunningServer::start();
    std::thread::scope(|scope| (0..100).for_each(|_| drop(scope.spawn(|| server.assert_answers()))));
    (0..100).for_each(|_| server.assert_answers());
    assert_eq!(server.taken().len(), 200);
}

#[test]
fn the_socket_is_removed_with_the_server_and_a_second_server_is_refused() {
    let mut server = RunningServer::start();
    let socket = server.socket();
    let error = Server::listen(&socket).err().unwrap();
    assert!(matches!(&error, ControlError::InUse { socket: named } if *named == socket), "{error}");
    server.assert_answers();
    server.stop();
    assert!(!socket.exists());
    let error = ask(&socket, &status()).unwrap_err();
    assert!(matches!(&error, AskError::NoAppliance { .. }), "{error}");
}

#[test]
fn an_answer_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (answer, is_read) in [
        (&b""[..], false),
        (b"OK\n", false),
        (b"{\"version\":2,\"answer\":1}\n", false),
        (b"{\"version\":1,\"answer\":{\"refused\":{\"why\":\"a\"}}}\n", true),
    ] {
        let asked = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 100];
                assert!(stream.read(&mut request).unwrap() > 0);
                stream.write_all(answer).unwrap();
            });
            ask(&socket, &status())
        });
        assert_eq!(asked.is_ok(), is_read, "{answer:?}: {asked:?}");
    }
}

/// Another user without the socket's group can't connect.
#[test]
fn a_user_without_the_group_is_told_what_to_do() {
    let server = RunningServer::start();
    if !rustix::process::getuid().is_root() {
        cellgate_test_support::skipped("only root can act as another user");
        return;
    }
    std::fs::set_permissions(server.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Only the calling thread changes its user and groups.
    let as_nobody = || {
        let (nobody, nogroup) = (rustix::process::Uid::from_raw(65534), rustix::process::Gid::from_raw(65534));
        rustix::thread::set_thread_groups(&[]).ok()?;
        rustix::thread::set_thread_res_gid(nogroup, nogroup, nogroup).ok()?;
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
        Some(ask(&server.socket(), &status()))
    };
    let Some(asked) = std::thread::scope(|scope| scope.spawn(as_nobody).join().unwrap()) else {
        cellgate_test_support::skipped("root can't switch to another user here");
        return;
    };
    let error = asked.unwrap_err();
    assert!(matches!(&error, AskError::NotAllowed { .. }), "{error}");
    assert!(error.to_string().contains("usermod"), "{error}");
    assert!(server.taken().is_empty());
}

/// Runs `cellgate-edge bundle` with these arguments at the server's socket.
fn bundle(server: &RunningServer, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    program.arg("bundle").args(arguments).arg("--socket").arg(server.socket()).output().unwrap()
}

#[test]
fn the_output_of_bundle_equals_the_snapshots() {
    let server = RunningServer::start();
    for (name, arguments) in [
        ("bundle_start", &["start", "7", "--reference", "3"][..]),
        ("bundle_confirm", &["confirm", "--bundle", "7", "1", "2"]),
        ("bundle_confirm_refused", &["confirm", "--bundle", "7", "100"]),
        ("bundle_status", &["status"]),
        ("bundle_status_json", &["status", "--json"]),
        ("bundle_end", &["end"]),
    ] {
        let transcript = cellgate_test_support::transcript(&bundle(&server, arguments), Path::new("/no folder"));
        insta::with_settings!({filters => vec![(r"─+", "─"), (r"═+", "═")]}, { insta::assert_snapshot!(name, transcript) });
    }
    let bundle = NonZeroU32::new(7).unwrap();
    let start = Request::Bundle(BundleRequest::Start { bundle, reference_parts: Some(3) });
    assert_eq!(server.taken()[0].0, start);
}

#[test]
fn bundle_finds_the_socket_in_the_configuration() {
    let server = RunningServer::start();
    let config = server.folder.path().join("edge.toml");
    let text =
        cellgate_edge::config::Config::EXAMPLE.replace("# socket = \"/run/cellgate/control\"", "socket = \"control\"");
    std::fs::write(&config, text).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    let output = program.args(["bundle", "end", "--config"]).arg(config).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.taken()[0].0, Request::Bundle(BundleRequest::End));
}
