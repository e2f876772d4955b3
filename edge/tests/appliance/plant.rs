//! Sets up a production line with the real appliance program, its folders and the cable to the PLC.

use crate::memory::folder_in_memory;
use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Only one line runs at a time, because the PLC's time limits assume an unloaded machine.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// A line with its appliance. Dropping this value ends the appliance and removes the cable.
pub(crate) struct Plant {
    _exclusive: MutexGuard<'static, ()>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) cable: Option<Child>,
    pub(crate) appliance: Option<Child>,
    /// One radiograph for each verdict: PASS, REVIEW, REJECT.
    pub(crate) images: Vec<PathBuf>,
}

impl Plant {
    /// Starts an appliance with this profile and this kind of matching.
    pub(crate) fn new(profile: &str, matching: &str) -> Self {
        Self::with_model(profile, matching, sound_model)
    }

    /// Like [`Self::new`], with the model that `write` writes.
    pub(crate) fn with_model(profile: &str, matching: &str, write: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::in_folder(folder_in_memory(), profile, matching, write)
    }

    /// Like [`Self::new`] with matching by part number, but with all files (the journal too) on the disk of the build folder instead
    /// of in memory.
    pub(crate) fn on_disk(profile: &str) -> Self {
        Self::in_folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), profile, "part-id", sound_model)
    }

    fn in_folder(
        folder: tempfile::TempDir,
        profile: &str,
        matching: &str,
        write: impl FnOnce(&Path) -> PathBuf,
    ) -> Self {
        write(folder.path());
        fs::create_dir(folder.path().join("scans")).unwrap();
        // The longest time between an image and its trigger. Tests that match by order pause for longer than this.
        let lead_ms = 5_000;
        let config = format!(
            "[device]\nid = 1\n[model]\npath = \"model\"\nthreads = 1\n[acquire]\nfolder = \"scans\"\n\
             match = \"{matching}\"\nlead_ms = {lead_ms}\narchive = \"archive\"\nmin_free_mib = 1\nlargest_pixels = 100000\n\
             allow_weaker_sandbox = true\n[plc]\nport = \"device\"\nprofile = \"{profile}\"\n[journal]\npath = \"verdicts.sqlite\"\n"
        );
        fs::write(folder.path().join("edge.toml"), config).unwrap();
        let levels = [("dark", DARK), ("middle", MIDDLE), ("bright", BRIGHT)];
        let images = levels.map(|(name, level)| image(folder.path(), name, level)).into();
        let exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plant = Self { _exclusive: exclusive, folder, cable: None, appliance: None, images };
        plant.connect_cable();
        plant.start();
        plant
    }

    /// The path of a file in the line's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `cellgate-edge` in the line's folder.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    pub(crate) fn connect_cable(&mut self) {
        let end = |name: &str| format!("pty,raw,echo=0,link={}", self.path(name).display());
        let socat = Command::new("socat").args([end("plc"), end("device")]).stderr(Stdio::null()).spawn();
        self.cable = Some(socat.expect("these tests need socat, which scripts/setup installs"));
        wait_for("the cable", || self.path("plc").exists() && self.path("device").exists());
    }

    pub(crate) fn disconnect_cable(&mut self) {
        // Remove the symbolic links first: the Linux kernel may reuse the numbers of these terminals for any new pair, and the links
        // would then lead to the new pair.
        fs::remove_file(self.path("plc")).unwrap();
        fs::remove_file(self.path("device")).unwrap();
        end(self.cable.take());
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the appliance with additional environment variables.
    pub(crate) fn start_with(&mut self, environment: &[(&str, &Path)]) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program(&["run", "--config", "edge.toml"]);
        command.envs(environment.iter().copied());
        self.appliance = Some(command.stderr(log).spawn().unwrap());
    }

    /// Stops the appliance with SIGTERM, as a service manager does. Returns its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        signal(self.appliance.as_ref().unwrap(), Signal::TERM);
        self.wait_for_exit(|| {})
    }

    /// Kills the appliance with SIGKILL.
    pub(crate) fn kill(&mut self) {
        end(self.appliance.take());
    }

    /// Waits until the appliance has ended, calling `meanwhile` repeatedly. Returns its exit status.
    pub(crate) fn wait_for_exit(&mut self, mut meanwhile: impl FnMut()) -> Option<i32> {
        let mut appliance = self.appliance.take().unwrap();
        wait_for("the end of the appliance", || {
            meanwhile();
            appliance.try_wait().unwrap().is_some()
        });
        appliance.wait().unwrap().code()
    }

    /// Writes the image of a part under a hidden name and renames it, as a careful scanner does.
    pub(crate) fn scan(&self, part: u64, image: &Path) {
        fs::copy(image, self.path(".scan")).unwrap();
        fs::rename(self.path(".scan"), self.path(&format!("scans/{part}.tif"))).unwrap();
    }

    /// The command for the simulated PLC, which waits 20 s for the appliance to get ready.
    pub(crate) fn plc(&self, profile: &str, parts: u64, first: u64) -> Command {
        let mut command = self.plc_without_patience(profile, parts, first);
        command.args(["--patience", "20"]);
        command
    }

    /// The command for the simulated PLC, without `--patience`.
    pub(crate) fn plc_without_patience(&self, profile: &str, parts: u64, first: u64) -> Command {
        let (parts, first) = (parts.to_string(), first.to_string());
        let mut command =
            self.program(&["plc-sim", "--port", "plc", "--profile", profile, "--json", "--model", "model"]);
        command.args(["--parts", &parts, "--first-part", &first]);
        command
    }

    /// Runs `parts` parts from number `first` on over the line, with the three images in turn. The simulated PLC must end with
    /// `status`. Returns one outcome for each part, and the summary at the end.
    pub(crate) fn run_parts(&self, profile: &str, parts: u64, first: u64, status: i32) -> Vec<Value> {
        let output =
            run(self.plc(profile, parts, first).args(["--into", "scans", "--images"]).args(&self.images), status);
        lines(&output)
    }

    /// Verifies the journal, recomputes its verdicts, and returns its rows, oldest first.
    pub(crate) fn rows(&self) -> Vec<Value> {
        run(&mut self.program(&["journal", "verify", "--verdicts", "verdicts.sqlite"]), 0);
        lines(&run(&mut self.program(&["journal", "export", "verdicts.sqlite", "--format", "jsonl"]), 0))
    }

    /// Runs `doctor`, which must end with this exit status. Returns its findings, such as `journal: ok`.
    pub(crate) fn doctor(&self, status: i32) -> Vec<String> {
        let output = run(&mut self.program(&["doctor", "--config", "edge.toml", "--json"]), status);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        findings.iter().map(|finding| format!("{}: {}", text(&finding["what"]), text(&finding["state"]))).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The entries of the log with this event.
    pub(crate) fn log_lines(&self, event: &str) -> Vec<String> {
        let field = format!("event={event:?}");
        self.log().lines().filter(|line| line.split_whitespace().any(|word| word == field)).map(str::to_owned).collect()
    }

    /// The number of log entries with this event.
    pub(crate) fn events(&self, event: &str) -> usize {
        self.log_lines(event).len()
    }

    /// Waits until the log has at least `count` entries with this event.
    pub(crate) fn wait_for_events(&self, event: &str, count: usize) {
        wait_for(event, || self.events(event) >= count);
    }

    /// Waits until the appliance has become ready for the second time. A PLC may not have seen that it was not ready in between.
    pub(crate) fn wait_ready_again(&self) {
        let is_ready = |line: &&String| line.contains("state=READY");
        wait_for("readiness again", || self.log_lines("state_changed").iter().filter(is_ready).count() >= 2);
    }

    /// The names of the images in the archive.
    pub(crate) fn archived(&self) -> Vec<String> {
        let name = |file: PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        self.archive("tif").into_iter().map(name).collect()
    }

    /// The paths of all files in the archive with this extension, in ascending order.
    pub(crate) fn archive(&self, extension: &str) -> Vec<PathBuf> {
        let days = fs::read_dir(self.path("archive")).unwrap();
        let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap()).map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
        files.sort();
        files
    }

    /// The number of files in the scanner's folder.
    pub(crate) fn scan_count(&self) -> usize {
        fs::read_dir(self.path("scans")).unwrap().count()
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        end(self.appliance.take());
        end(self.cable.take());
    }
}

/// Kills a process, if there is one, and waits for its end.
fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until `is_true`, but fails after 20 s.
pub(crate) fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited 20 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
