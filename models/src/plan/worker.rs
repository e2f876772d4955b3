//! Builds plans in a child process.
//!
//! TensorRT's parser is C++, and a damaged network can crash it: when single bits of a small network were flipped, 11 of 2320
//! builds ended with a segmentation fault. So a program builds in a child, which is the same program with a hidden subcommand. A
//! crash of the child is an error for the parent, killing the child stops a build, and memory that TensorRT leaks ends with the
//! child. The child ends with its parent.
//!
//! The parent sends one JSON text that ends with a line feed, then the bytes of the network. The child sends JSON texts, each ended
//! by a line feed: any number of steps, then an error or the plan's description. The bytes of the plan follow its description. Any
//! other text that ends with a line feed was printed by TensorRT, and is logged.

use super::cache::MAX_ENTRY_BYTES;
use super::log::LOG_TARGET;
use super::{BuildProgress, BuildRequest, BuildStep, Built, ParsedNetwork, PlanError, Target, TensorRt, build};
use crate::conversion::Size;
use crate::digest::Digest;
use crate::model::Precision;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The hidden subcommand for which a program must call [`serve`].
pub const SUBCOMMAND: &str = "plan-worker";

/// A path that always leads to the running program, even if its file has been replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Limit of the length of a JSON text in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// How often the last step is reported again while the child is silent.
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// How long the child may be silent. It is long, because TensorRT 11 times candidate kernels on the GPU between two steps.
const MAX_SILENCE: Duration = Duration::from_secs(15 * 60);

/// The parent's request.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    precision: Precision,
    target: Target,
    library: Option<PathBuf>,
    network_bytes: u64,
}

/// A message of the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Message {
    Step { phase: String, done: u32, of: u32 },
    Error(PlanError),
    Built { network: ParsedNetwork, size: Size, tensorrt: TensorRt, plan_bytes: u64, sha256: Digest },
}

/// What the parent makes of a message: a step, or the end of the build with the plan that follows the message.
enum Received {
    Step { phase: String, done: u32, of: u32 },
    End(Result<Built, PlanError>),
}

/// Builds a plan like [`build()`], but in a child process: this program with [`SUBCOMMAND`].
///
/// Calls `progress` on this thread for each step. While the child is silent, repeats the last step ten times a second. Kills the
/// child if `progress` stops the build.
///
/// # Errors
/// [`PlanError`]; [`PlanError::Crashed`] if the child ended without a result or was silent for 15 minutes.
pub fn build_in_child(
    request: &BuildRequest<'_>,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    build_by(Command::new(OWN_PROGRAM).arg(SUBCOMMAND), request, progress)
}

/// Builds a plan in the child that `command` starts.
fn build_by(
    command: &mut Command,
    request: &BuildRequest<'_>,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut worker = Worker(child.map_err(|error| crashed(format!("it could not be started: {error}")))?);
    let (Some(input), Some(output)) = (worker.0.stdin.take(), worker.0.stdout.take()) else {
        return Err(crashed("it has no pipes"));
    };
    std::thread::scope(|scope| {
        // Two threads, so that a child that neither reads nor writes can be stopped too. A write error is ignored: a child that
        // ended early has sent an error, or its exit status tells why.
        scope.spawn(|| send_request(input, request).ok());
        let (sender, received) = sync_channel(16);
        scope.spawn(move || receive(output, &sender));
        // The child is moved here, so that it is dropped, and thus killed, before the scope waits for the threads. Otherwise the
        // threads might never end.
        let mut worker = worker;
        follow(&mut worker, &received, progress)
    })
}

/// Reports the child's steps until its result arrives.
fn follow(
    worker: &mut Worker,
    received: &Receiver<Received>,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
) -> Result<Built, PlanError> {
    let (mut phase, mut done, mut of) = ("starting".to_owned(), 0, 0);
    let mut last_message = Instant::now();
    loop {
        match received.recv_timeout(REPEAT_INTERVAL) {
            Ok(Received::Step { phase: next_phase, done: next_done, of: next_of }) => {
                (phase, done, of) = (next_phase, next_done, next_of);
                last_message = Instant::now();
            }
            Ok(Received::End(built)) => return built,
            Err(RecvTimeoutError::Timeout) if last_message.elapsed() < MAX_SILENCE => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(worker.ended()),
        }
        if progress(BuildStep { phase: &phase, done, of }).is_break() {
            return Err(PlanError::Cancelled);
        }
    }
}

/// Reads the child's output until it ends or the receiver is dropped.
fn receive(output: impl Read, sender: &SyncSender<Received>) -> Option<()> {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        output.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).ok().filter(|&bytes| bytes > 0)?;
        let received = match serde_json::from_slice(&line) {
            Ok(Message::Step { phase, done, of }) => Received::Step { phase, done, of },
            Ok(Message::Error(error)) => Received::End(Err(error)),
            Ok(Message::Built { network, size, tensorrt, plan_bytes, sha256 }) => {
                let mut plan = Vec::new();
                output.by_ref().take(plan_bytes.min(MAX_ENTRY_BYTES)).read_to_end(&mut plan).ok()?;
                // A plan that was truncated on the way is discarded. The parent then reports that the child ended without a result.
                (Digest::of(&plan) == sha256).then_some(())?;
                Received::End(Ok(Built { plan, network, size, tensorrt }))
            }
            Err(_) => {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                tracing::debug!(target: LOG_TARGET, event = "tensorrt_message", line, "TensorRT printed");
                continue;
            }
        };
        sender.send(received).ok()?;
    }
}

/// Sends the request, then closes the pipe.
fn send_request(input: impl Write, request: &BuildRequest<'_>) -> io::Result<()> {
    let BuildRequest { network, precision, target, library } = request;
    let request = Request {
        precision: *precision,
        target: *target,
        library: library.clone(),
        network_bytes: network.len() as u64,
    };
    let mut input = BufWriter::new(input);
    write_line(&mut input, &request)?;
    input.write_all(network)?;
    input.flush()
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    output.write_all(&line)
}

/// The child process, which is killed when this value is dropped.
struct Worker(Child);

impl Worker {
    /// Waits for the end of the child and tells why it ended without a result.
    fn ended(&mut self) -> PlanError {
        // The child closed its end of the pipe, sent a truncated plan, or was silent for too long. So it gets no more time to build.
        let killed_here = self.0.try_wait().is_ok_and(|status| status.is_none()) && !self.ends_soon();
        match self.0.wait() {
            Ok(_) if killed_here => crashed("it stopped answering"),
            Ok(status) => crashed(match status.signal() {
                Some(11) => "signal 11 (segmentation fault)".to_owned(),
                Some(signal) => format!("signal {signal}"),
                None => format!("{status}"),
            }),
            Err(error) => crashed(error.to_string()),
        }
    }

    /// Waits up to two seconds for the child's end, because a dying process closes its pipes before it can be waited for. Returns
    /// true if the child ended in this time. Otherwise kills the child and returns false.
    fn ends_soon(&mut self) -> bool {
        for _ in 0..200 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        false
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn crashed(how: impl Into<String>) -> PlanError {
    PlanError::Crashed { how: how.into() }
}

/// The child's side: reads a request from stdin, builds the plan, and writes the result to stdout. A program calls this
/// function for [`SUBCOMMAND`], before it has written anything to stdout.
///
/// # Errors
/// A pipe fails, because the parent has ended; or the request can't be read, because the parent is another version of this program.
pub fn serve() -> io::Result<()> {
    // The system kills this process when its parent ends. Otherwise this process would only stop after the current step of TensorRT,
    // which can take minutes.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut input = BufReader::new(io::stdin().lock());
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    let request: Request = serde_json::from_slice(&line)?;
    let mut network = Vec::new();
    input.take(request.network_bytes).read_to_end(&mut network)?;
    if network.len() as u64 != request.network_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let Request { precision, target, library, .. } = request;
    let output = Arc::new(Mutex::new(io::stdout()));
    let steps = Arc::clone(&output);
    let progress: BuildProgress = Arc::new(move |step: BuildStep<'_>| {
        let message = Message::Step { phase: step.phase.to_owned(), done: step.done, of: step.of };
        let mut output = steps.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the parent no longer reads.
        match write_line(&mut *output, &message).and_then(|()| output.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let built = build(&BuildRequest { network: &network, precision, target, library }, progress);
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    match built {
        Err(error) => write_line(&mut *output, &Message::Error(error))?,
        Ok(Built { plan, network, size, tensorrt }) => {
            let (plan_bytes, sha256) = (plan.len() as u64, Digest::of(&plan));
            write_line(&mut *output, &Message::Built { network, size, tensorrt, plan_bytes, sha256 })?;
            output.write_all(&plan)?;
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ComputeCapability;

    /// The error of a build whose child runs this shell script.
    fn error_of_script(script: &str) -> PlanError {
        let target = Target::Named(ComputeCapability::new(8, 6));
        // Larger than a pipe's buffer, so that writing blocks if the child never reads.
        let network = vec![0; 1 << 20];
        let request = BuildRequest { network: &network, precision: Precision::F32, target, library: None };
        build_by(Command::new("sh").args(["-c", script]), &request, &|step| match step.done {
            // A script stops the build by reporting 9 completed steps.
            9 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap_err()
    }

    #[test]
    fn each_end_of_a_child_without_a_plan_is_an_error() {
        let scripts = [
            "kill -SEGV $$",
            "cat >/dev/null; kill -KILL $$",
            "exit 3",
            "echo noise; echo '{\"other\":1}'; exit 0",
            "exec sleep 60 >&-",
        ];
        let ends = scripts.map(|script| {
            let error = error_of_script(script);
            assert!(matches!(error, PlanError::Crashed { .. }), "{script}: {error}");
            format!("{script}\n  {error}\n")
        });
        insta::assert_snapshot!("ends_of_a_child", ends.concat());
        let step = "echo '{\"step\":{\"phase\":\"a\",\"done\":9,\"of\":9}}'";
        assert_eq!(error_of_script(&format!("cat >/dev/null; {step}; exec sleep 60")), PlanError::Cancelled);
        let error = "cat >/dev/null; echo '{\"error\":\"Cancelled\"}'";
        assert_eq!(error_of_script(error), PlanError::Cancelled);
    }

    #[test]
    fn a_build_in_a_silent_child_can_be_stopped() {
        let request = BuildRequest { network: &[], precision: Precision::F32, target: Target::Device, library: None };
        let (start, calls) = (Instant::now(), std::cell::Cell::new(0));
        let stopped = build_by(Command::new("sleep").arg("60"), &request, &|step| {
            assert_eq!((step.phase, step.done, step.of), ("starting", 0, 0));
            calls.set(calls.get() + 1);
            if calls.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap_err(), PlanError::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_truncated_plan_is_an_error() {
        let version = crate::plan::Version { major: 1, minor: 7, patch: 1, build: 116 };
        let message = Message::Built {
            network: ParsedNetwork { inputs: Vec::new(), outputs: Vec::new(), layers: 1, layers_f16: 0, layers_f32: 1 },
            size: Size { height: 2, width: 1 },
            tensorrt: TensorRt { flavour: crate::plan::Flavour::Rtx, version },
            plan_bytes: 4,
            sha256: Digest::of(b"plan"),
        };
        let line = serde_json::to_string(&message).unwrap();
        let cut = error_of_script(&format!("cat >/dev/null; echo '{line}'; printf pla"));
        assert_eq!(cut, PlanError::Crashed { how: "exit status: 0".to_owned() });
    }
}
