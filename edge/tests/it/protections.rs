//! Tests each protection of the decode worker. A child process applies the protection to itself and attempts an action that the
//! protection forbids. Without the protection the same attempt must succeed.

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

/// Environment variable that tells the child what to do. Its value is `PROTECTION ATTEMPT`.
const TASK: &str = "CELLGATE_TEST_TASK";
const DONE: &str = "attempt: done";
const REFUSED: &str = "attempt: refused";

/// Runs the child and returns its exit status and output.
fn child(protection: &str, attempt: &str) -> (ExitStatus, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "protections::child_attempts", "--ignored", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{protection} {attempt}"))
        .output()
        .unwrap();
    (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asserts that the attempt succeeds without the protection.
fn works_without(attempt: &str) {
    let (status, text) = child("none", attempt);
    assert!(status.success() && text.contains(DONE), "{attempt} without protection: {status} {text}");
}

/// Asserts that the attempt fails with an error under the protection.
fn is_refused(protection: &str, attempt: &str) {
    works_without(attempt);
    // The exit status is not checked: other effects of the protection may end the child afterwards.
    let (status, text) = child(protection, attempt);
    assert!(text.contains(REFUSED), "{attempt} under {protection}: {status} {text}");
}

/// Asserts that the attempt ends the process with `signal` under the protection.
fn is_killed(protection: &str, attempt: &str, signal: i32) {
    works_without(attempt);
    let (status, text) = child(protection, attempt);
    assert_eq!(status.signal(), Some(signal), "{attempt} under {protection}: {status} {text}");
    assert!(!text.contains("attempt:"), "{attempt} under {protection}: {text}");
}

/// Whether this Linux kernel has Landlock. If not, reports the test as skipped.
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
fn seccomp_kills_the_process_on_a_system_call_that_is_not_allowed() {
    for attempt in
        ["open", "create", "list", "run", "listen", "udp", "thread", "read another", "write another", "stderr"]
    {
        is_killed("calls", attempt, libc::SIGSYS);
    }
}

#[test]
fn computing_still_works_under_all_protections() {
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
fn the_limit_of_processor_time_kills() {
    is_killed("processor time", "spin", libc::SIGXCPU);
}

#[test]
fn inherited_descriptors_are_closed() {
    is_refused("descriptors", "read another");
}

#[test]
fn all_protections_together_kill_and_limit_too() {
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
    // Opened before the protection applies: even a file that is open already must not be usable.
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
        "memory 1" => allocate(1),
        "memory 512" => allocate(512),
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
    // The protection "descriptors" has closed the file `another` already. The standard library aborts if a file is closed
    // twice.
    std::mem::forget(another);
    println!("{}", if outcome.is_ok() { DONE } else { REFUSED });
}

/// Allocates memory and uses the first mebibyte.
fn allocate(mebibytes: usize) -> std::io::Result<()> {
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(mebibytes << 20)?;
    bytes.resize(1 << 20, 1);
    std::hint::black_box(&bytes);
    Ok(())
}
