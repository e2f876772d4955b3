//! Each protection of the decode worker, proven by what fails under it: a child process of this test applies it to itself
//! and tries what it forbids. Without it the same attempt succeeds.

use cellgate_edge::sandbox::protect::{
    Protection, allow_cpu_time, allow_few, apply_all, bound, close_foreign, deny_files_and_network, mapped_bytes,
};
use cellgate_test_support::skipped;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// `PROTECTION ATTEMPT`, for the child.
const TASK: &str = "CELLGATE_TEST_TASK";
const DONE: &str = "attempt: done";
const REFUSED: &str = "attempt: refused";

/// Runs the child; gives how it ended and what it printed.
fn child(protection: &str, attempt: &str) -> (ExitStatus, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "protections::child_attempts", "--ignored", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{protection} {attempt}"))
        .output()
        .unwrap();
    (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The attempt succeeds without the protection.
fn works_without(attempt: &str) {
    let (status, text) = child("none", attempt);
    assert!(status.success() && text.contains(DONE), "{attempt} without protection: {status} {text}");
}

/// The attempt is an error under the protection.
fn is_refused(protection: &str, attempt: &str) {
    works_without(attempt);
    // How it ends after that is for the other protections to say.
    let (status, text) = child(protection, attempt);
    assert!(text.contains(REFUSED), "{attempt} under {protection}: {status} {text}");
}

/// The attempt ends the process under the protection.
fn is_killed(protection: &str, attempt: &str, signal: i32) {
    works_without(attempt);
    let (status, text) = child(protection, attempt);
    assert_eq!(status.signal(), Some(signal), "{attempt} under {protection}: {status} {text}");
    assert!(!text.contains("attempt:"), "{attempt} under {protection}: {text}");
}

/// Whether this kernel has Landlock; says so where not.
fn has_landlock() -> bool {
    let has = child("files", "probe").1.contains(DONE);
    if !has {
        skipped("this kernel has no Landlock");
    }
    has
}

#[test]
fn landlock_refuses_files_and_network() {
    if !has_landlock() {
        return;
    }
    for attempt in ["open", "create", "list", "run", "listen"] {
        is_refused("files", attempt);
    }
}

#[test]
fn seccomp_kills_whoever_calls_anything_else() {
    for attempt in
        ["open", "create", "list", "run", "listen", "udp", "thread", "read another", "write another", "stderr"]
    {
        is_killed("calls", attempt, libc::SIGSYS);
    }
}

#[test]
fn what_computing_needs_is_still_allowed_under_all_protections() {
    for attempt in ["memory 1", "clock", "standard output"] {
        let (status, text) = child("all", attempt);
        assert!(text.contains(DONE), "{attempt}: {status} {text}");
    }
}

#[test]
fn resource_limits_refuse_memory_and_descriptors_and_kill_a_writer() {
    is_refused("resources", "memory 512");
    is_refused("resources", "open");
    is_killed("resources", "write another", libc::SIGXFSZ);
}

#[test]
fn processor_time_runs_out() {
    is_killed("processor time", "spin", libc::SIGXCPU);
}

#[test]
fn foreign_descriptors_are_closed() {
    is_refused("descriptors", "read another");
}

#[test]
fn together_they_kill_and_bound_too() {
    for attempt in ["open", "run", "listen", "thread", "read another"] {
        is_killed("all", attempt, libc::SIGSYS);
    }
    is_refused("all", "memory 512");
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_attempts() {
    let task = std::env::var(TASK).expect("the task");
    let (protection, attempt) = ["processor time", "descriptors", "resources", "files", "calls", "none", "all"]
        .into_iter()
        .find_map(|name| Some((name, task.strip_prefix(name)?.trim_start())))
        .expect("a known protection");
    // Opened before: what is open already must be of no use either.
    let mut another = tempfile::tempfile().unwrap();
    another.write_all(b"content").unwrap();
    another.rewind().unwrap();
    let probe = match protection {
        "none" => true,
        "files" => {
            rustix::thread::set_no_new_privs(true).unwrap();
            deny_files_and_network().files
        }
        "calls" => allow_few().is_ok(),
        "resources" => mapped_bytes().and_then(bound).is_ok(),
        "processor time" => allow_cpu_time(rustix::process::getpid(), Duration::ZERO).is_ok(),
        "descriptors" => close_foreign().is_ok(),
        _ => apply_all(1 << 20).contains(Protection::FewSystemCalls),
    };
    let outcome = match attempt {
        "probe" => probe.then_some(()).ok_or(std::io::ErrorKind::Unsupported.into()),
        "open" => File::open("/etc/passwd").map(drop),
        "create" => {
            File::create(std::env::temp_dir().join(format!("cellgate-test-protections-{}", std::process::id())))
                .map(drop)
        }
        "list" => std::fs::read_dir("/").map(drop),
        "run" => Command::new("/bin/true").status().map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "read another" => another.read(&mut [0]).map(drop),
        "write another" => another.write(b"more").map(drop),
        "stderr" => std::io::stderr().write_all(b"text"),
        "memory 1" => taken(1),
        "memory 512" => taken(512),
        "clock" => {
            std::hint::black_box(Instant::now());
            Ok(())
        }
        "standard output" => std::io::stdout().write_all(b"text\n"),
        "spin" => {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(if protection == "none" { 0 } else { 60 }) {}
            Ok(())
        }
        other => panic!("no attempt `{other}`"),
    };
    // Closed already under one protection, which the standard library would stop at.
    std::mem::forget(another);
    println!("{}", if outcome.is_ok() { DONE } else { REFUSED });
}

/// Takes and uses memory.
fn taken(mebibytes: usize) -> std::io::Result<()> {
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(mebibytes << 20)?;
    bytes.resize(1 << 20, 1);
    std::hint::black_box(&bytes);
    Ok(())
}
