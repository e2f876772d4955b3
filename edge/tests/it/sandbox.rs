//! Tests the sandbox with the real program as its worker, and with faulty workers.

use crate::process::wait_for_end;
use cellgate_edge::sandbox::{Protection, Sandbox, SandboxError, SandboxFailure, SandboxOptions};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, ReadError, decode, write};
use cellgate_test_support::skipped;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NAME: &str = "part.tif";
/// Longest time until a killed worker has ended.
const MAX_END_TIME: Duration = Duration::from_secs(5);

/// Limits for small images, with a deadline that even a busy machine keeps.
fn options() -> SandboxOptions {
    let limits = RadiographLimits { max_pixels: 1 << 20, max_file_bytes: 4 << 20, max_time: Duration::from_secs(5) };
    SandboxOptions { program: env!("CARGO_BIN_EXE_cellgate-edge").into(), ..SandboxOptions::new(limits) }
}

/// A TIFF with many different levels.
fn tiff(width: u32, height: u32) -> Vec<u8> {
    let levels = (0..width * height).map(|i| (i.wrapping_mul(40_503) >> 3) as u16).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    write(&path, &Radiograph::new(width, height, levels).unwrap()).unwrap();
    std::fs::read(path).unwrap()
}

/// The process id of the worker.
fn worker(sandbox: &Sandbox) -> Pid {
    Pid::from_raw(sandbox.worker_id().unwrap() as i32).unwrap()
}

/// Kills the worker and waits until it has ended.
fn kill(worker: Pid) {
    kill_process(worker, Signal::KILL).unwrap();
    wait_for_end(worker, MAX_END_TIME);
}

/// A field of the worker's /proc/PID/status.
fn status(sandbox: &Sandbox, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", sandbox.worker_id().unwrap())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{field}: {text}")).trim().to_owned()
}

#[test]
fn levels_and_errors_equal_those_of_direct_decoding() {
    let options = options();
    let mut sandbox = Sandbox::start(options.clone()).unwrap();
    let whole = tiff(700, 333);
    for file in [whole.clone(), tiff(1, 1), whole[..whole.len() / 2].to_vec(), vec![], tiff(1025, 1024), tiff(13, 7)] {
        let direct = decode(&file, Path::new(NAME), &options.limits);
        match (direct, sandbox.decode(&file, Path::new(NAME))) {
            (Ok(direct), Ok(image)) => assert!(image == direct.view()),
            (Err(direct), Err(SandboxFailure::Refused(error))) => assert_eq!(error.to_string(), direct.to_string()),
            (direct, other) => panic!("{direct:?}, {other:?}"),
        }
    }
    let long = vec![0; (4 << 20) + 1];
    let refused = sandbox.decode(&long, Path::new(NAME));
    assert!(matches!(refused, Err(SandboxFailure::Refused(ReadError::Limit { .. }))), "{refused:?}");
}

/// Uncompressed levels have the same bytes in the file and in memory.
#[test]
fn uncompressed_levels_are_not_copied() {
    let levels: Vec<u16> = (0..300).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<tiff::encoder::colortype::Gray16>(20, 15, &levels).unwrap();
    let file = file.into_inner();
    let mut sandbox = Sandbox::start(options()).unwrap();
    let image = sandbox.decode(&file, Path::new(NAME)).unwrap();
    assert_eq!((image.width(), image.height(), image.levels()), (20, 15, &levels[..]));
    assert!(file.as_ptr_range().contains(&image.levels().as_ptr().cast()), "the levels were copied");
}

#[test]
fn the_real_worker_is_protected() {
    let sandbox = Sandbox::start(options()).unwrap();
    let missing = sandbox.protections().missing();
    if missing.contains(Protection::NoFiles) {
        skipped(&format!("the checks of Landlock: this kernel lacks {missing}"));
    }
    let (pid, holds) = (sandbox.worker_id().unwrap(), sandbox.protections());
    for protection in Protection::ALL {
        let from_landlock = matches!(protection, Protection::NoFiles | Protection::NoNetwork);
        assert!(from_landlock || holds.contains(protection), "missing: {missing}");
    }
    assert_eq!((status(&sandbox, "Seccomp"), status(&sandbox, "NoNewPrivs")), ("2".into(), "1".into()));
    assert_eq!(status(&sandbox, "Threads"), "1");
    let mut descriptors: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    descriptors.sort();
    assert_eq!(descriptors, ["0", "1", "2"]);
    assert_eq!(std::fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().next();
    for name in ["Max core file size", "Max file size", "Max processes", "Max open files"] {
        assert_eq!(limit(name), Some("0"), "{name}");
    }
    let memory: u64 = limit("Max address space").unwrap().parse().unwrap();
    assert!(memory < 256 << 20, "{memory}");
}

#[test]
fn a_worker_that_hangs_is_replaced_after_the_deadline() {
    let mut sandbox = Sandbox::start(SandboxOptions { deadline: Duration::from_millis(200), ..options() }).unwrap();
    let (file, first) = (tiff(9, 9), worker(&sandbox));
    kill_process(first, Signal::STOP).unwrap();
    let start = Instant::now();
    let failure = sandbox.decode(&file, Path::new(NAME)).unwrap_err();
    let took = start.elapsed();
    assert!(matches!(failure, SandboxFailure::TimedOut { .. }), "{failure}");
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(4), "{took:?}");
    assert_ne!(worker(&sandbox), first);
    wait_for_end(first, MAX_END_TIME);
    std::thread::sleep(Duration::from_secs(1));
    assert!(sandbox.decode(&file, Path::new(NAME)).is_ok());
}

#[test]
fn a_worker_that_dies_with_an_image_is_replaced_and_its_exit_status_reported() {
    let mut sandbox = Sandbox::start(options()).unwrap();
    let file = tiff(9, 9);
    let mut tries = 0;
    let mut signals = [Signal::KILL, Signal::FPE].into_iter().peekable();
    while let Some(&signal) = signals.peek() {
        tries += 1;
        let worker = worker(&sandbox);
        kill_process(worker, Signal::STOP).unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            kill_process(worker, signal).unwrap();
            let _ = kill_process(worker, Signal::CONT);
        });
        let failure = sandbox.decode(&file, Path::new(NAME)).unwrap_err();
        let name = if signal == Signal::KILL { "signal: 9" } else { "signal: 8" };
        assert!(failure.to_string().contains(NAME), "{failure}");
        killer.join().unwrap();
        let SandboxFailure::Crashed { how, .. } = &failure else { panic!("{failure}") };
        // On a busy machine the worker may still be ending when it is asked for its exit status. Then this signal is tried
        // again.
        if tries < 10 && !how.contains("signal") {
            continue;
        }
        assert!(how.contains(name), "{failure}");
        signals.next();
        assert!(sandbox.decode(&file, Path::new(NAME)).is_ok());
    }
}

#[test]
fn a_worker_that_dies_while_it_is_idle_costs_no_image() {
    let mut sandbox = Sandbox::start(options()).unwrap();
    let file = tiff(9, 9);
    for _ in 0..3 {
        let before = worker(&sandbox);
        kill(before);
        assert!(sandbox.decode(&file, Path::new(NAME)).is_ok());
        assert_ne!(worker(&sandbox), before);
    }
}

#[test]
fn a_worker_keeps_decoding_after_it_refused_an_image() {
    let mut sandbox = Sandbox::start(options()).unwrap();
    let (file, first) = (tiff(9, 9), worker(&sandbox));
    for index in 0..6 {
        let bytes = if index % 3 == 0 { &b"no image"[..] } else { &file };
        assert_eq!(sandbox.decode(bytes, Path::new(NAME)).is_ok(), index % 3 != 0);
        assert_eq!(worker(&sandbox), first);
    }
}

/// Creates a worker that reports `protections` and then answers the first request with `answer`. Returns its path.
///
/// The worker is a symbolic link to an existing script. If this process wrote a script, a child started by another test could
/// inherit the open descriptor, and starting the script would fail with "Text file busy".
fn impostor(folder: &Path, protections: u32, answer: &[u8]) -> PathBuf {
    let path = folder.join("impostor");
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/impostor.sh"), &path).unwrap();
    set_answers(folder, protections, answer);
    path
}

/// Sets what the impostor in `folder` answers from now on.
fn set_answers(folder: &Path, protections: u32, answer: &[u8]) {
    std::fs::write(folder.join("ready"), header(1, 0, protections, 0)).unwrap();
    std::fs::write(folder.join("answer"), answer).unwrap();
}

/// The 16 bytes of an answer's header. `sandbox::wire` has the kinds, and the meaning of `a` and `b` for each kind.
fn header(kind: u32, sequence: u32, a: u32, b: u32) -> Vec<u8> {
    [kind, sequence, a, b].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Width, height and levels of the image that the sandbox returns if its worker sends `answer`.
fn outcome(answer: &[u8]) -> Result<(u32, u32, Vec<u16>), SandboxFailure> {
    let folder = tempfile::tempdir().unwrap();
    let program = impostor(folder.path(), u32::MAX, answer);
    let deadline = Duration::from_secs(5);
    let mut sandbox = Sandbox::start(SandboxOptions { program, deadline, ..options() }).unwrap();
    sandbox.decode(&tiff(2, 2), Path::new(NAME)).map(|image| (image.width(), image.height(), image.levels().to_vec()))
}

#[test]
fn invalid_answers_are_rejected() {
    let image = |a, b| header(2, 1, a, b);
    let with = |header: Vec<u8>, rest: &[u8]| [header, rest.to_vec()].concat();
    assert_eq!(outcome(&with(image(2, 1), &[1, 2, 3, 4])).unwrap(), (2, 1, vec![0x0201, 0x0403]));
    let file = tiff(2, 2);
    // `word` is the level at an offset of the file.
    let (word, end) = (|at: usize| u16::from_le_bytes([file[at], file[at + 1]]), file.len() as u64);
    let in_file = |a, b, at: u64| with(header(6, 1, a, b), &at.to_le_bytes());
    // Levels at an odd offset must be copied, because a `u16` needs an even address.
    for at in [0, 2, 3, file.len() - 4] {
        assert_eq!(outcome(&in_file(1, 2, at as u64)).unwrap(), (1, 2, vec![word(at), word(at + 2)]), "{at}");
    }
    for (what, answer) in [
        ("levels that end after the file", in_file(2, 1, end - 3)),
        ("levels far after the file", in_file(2, 1, u64::MAX - 3)),
        ("too many pixels in the file", in_file(1025, 1024, 0)),
        ("no pixels in the file", in_file(5, 0, 0)),
        ("no pixels", image(0, 5)),
        ("too many pixels", image(1025, 1024)),
        ("an area that overflows", image(u32::MAX, u32::MAX)),
        ("another request's answer", with(header(2, 2, 1, 1), &[0, 0])),
        ("an unknown kind", header(9, 1, 0, 0)),
        ("ready once more", header(1, 1, 0, 0)),
        ("a long text", header(3, 1, 513, 0)),
        ("a second long text", with(header(3, 1, 1, u32::MAX), b"x")),
    ] {
        let failure = outcome(&answer).unwrap_err();
        assert!(matches!(failure, SandboxFailure::Nonsense { .. }), "{what}: {failure}");
    }
    let failure = outcome(&with(image(2, 2), &[0; 7])).unwrap_err();
    assert!(matches!(failure, SandboxFailure::TimedOut { .. }), "levels that stop: {failure}");
    let failure = outcome(&with(header(3, 1, 7, 2), b"a\n\x1b[2\xffbcc")).unwrap_err();
    assert!(matches!(failure, SandboxFailure::Refused(ReadError::Malformed { .. })), "{failure}");
    assert!(!failure.to_string().contains(char::is_control), "{failure:?}");
}

#[test]
fn missing_required_protections_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    // One bit for each protection in `Protection::ALL`. The last is `FewSystemCalls`, which seccomp enforces.
    let no_seccomp = 0b011_1111;
    let program = impostor(folder.path(), no_seccomp, b"");
    let error = Sandbox::start(SandboxOptions { program: program.clone(), require: true, ..options() }).unwrap_err();
    let SandboxError::Unprotected { missing } = error else { panic!("{error}") };
    assert_eq!(missing.iter().collect::<Vec<_>>(), [Protection::FewSystemCalls]);
    let sandbox = Sandbox::start(SandboxOptions { program, ..options() }).unwrap();
    assert!(!sandbox.protections().contains(Protection::FewSystemCalls));
}

#[test]
fn a_later_worker_with_fewer_protections_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = impostor(folder.path(), u32::MAX, &header(9, 1, 0, 0));
    let mut sandbox = Sandbox::start(SandboxOptions { program, ..options() }).unwrap();
    set_answers(folder.path(), 0, b"");
    kill(worker(&sandbox));
    let file = tiff(2, 2);
    let failure = sandbox.decode(&file, Path::new(NAME)).unwrap_err();
    let is_unprotected = matches!(failure, SandboxFailure::NoWorker { source: SandboxError::Unprotected { .. }, .. });
    assert!(is_unprotected, "{failure}");
}

#[test]
fn a_program_that_is_not_a_worker_is_an_error_at_the_start() {
    let start = |program: &str| Sandbox::start(SandboxOptions { program: program.into(), ..options() }).unwrap_err();
    assert!(matches!(start("/nowhere/program"), SandboxError::Spawn { .. }));
    assert!(matches!(start("/bin/false"), SandboxError::NotReady { .. }));
}

#[test]
fn memory_does_not_grow_after_the_largest_image() {
    let mut sandbox = Sandbox::start(options()).unwrap();
    let (large, small) = (tiff(1024, 1024), tiff(9, 9));
    let mut decode = |file: &[u8], times: usize| {
        for _ in 0..times {
            sandbox.decode(file, Path::new(NAME)).unwrap();
        }
        status(&sandbox, "VmHWM")
    };
    let peak = decode(&large, 5);
    decode(&small, 200);
    assert_eq!(decode(&large, 50), peak);
}

#[test]
fn the_worker_ends_with_its_parent_even_when_it_hangs() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::child_starts_a_sandbox", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let id = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("worker ")?.1.to_owned())).unwrap();
    let worker = Pid::from_raw(id.parse().unwrap()).unwrap();
    // A stopped worker can't notice that its pipe was closed.
    kill_process(worker, Signal::STOP).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let start = Instant::now();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z"))
    };
    while !gone() {
        assert!(start.elapsed() < Duration::from_secs(5), "worker {id} outlived its parent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "run by the_worker_ends_with_its_parent_even_when_it_hangs, in a process of its own"]
fn child_starts_a_sandbox() {
    let sandbox = Sandbox::start(options()).unwrap();
    println!("worker {}", sandbox.worker_id().unwrap());
    std::thread::sleep(Duration::from_secs(60));
}
