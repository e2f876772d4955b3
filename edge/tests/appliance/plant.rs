//! A line with its appliance: the real program, its folders and the cable to the PLC.

use crate::memory::folder_in_memory;
use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One line at a time: the gate's times are those of a device that has its machine for itself.
static ONE: Mutex<()> = Mutex::new(());

/// A line with its appliance; both end with it.
pub(crate) struct Plant {
    _one: MutexGuard<'static, ()>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) cable: Option<Child>,
    pub(crate) appliance: Option<Child>,
    /// A radiograph of each verdict: PASS, REVIEW, REJECT.
    pub(crate) images: Vec<PathBuf>,
}

impl Plant {
    /// The appliance of this profile, matching images to triggers in this way.
    pub(crate) fn new(profile: &str, matching: &str) -> Self {
        Self::with_model(profile, matching, sound_model)
    }

    /// The same with a model of its own.
    pub(crate) fn with_model(profile: &str, matching: &str, write: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::in_folder(folder_in_memory(), profile, matching, write)
    }

    /// By number, with its journal on the disk that the program was built on.
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
        // As long as a part may take, and as long as a test by order has to pause.
        let lead_ms = 5_000;
        let config = format!(
            "[device]\nid = 1\n[model]\npath = \"model\"\nthreads = 1\n[acquire]\nfolder = \"scans\"\n\
             match = \"{matching}\"\nlead_ms = {lead_ms}\narchive = \"archive\"\nmin_free_mib = 1\nlargest_pixels = 100000\n\
             allow_weaker_sandbox = true\n[plc]\nport = \"device\"\nprofile = \"{profile}\"\n[journal]\npath = \"verdicts.sqlite\"\n"
        );
        fs::write(folder.path().join("edge.toml"), config).unwrap();
        let levels = [("dark", DARK), ("middle", MIDDLE), ("bright", BRIGHT)];
        let images = levels.map(|(name, level)| image(folder.path(), name, level)).into();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plant = Self { _one: one, folder, cable: None, appliance: None, images };
        plant.plug_in();
        plant.start();
        plant
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    pub(crate) fn plug_in(&mut self) {
        let end = |name: &str| format!("pty,raw,echo=0,link={}", self.path(name).display());
        let socat = Command::new("socat").args([end("plc"), end("device")]).stderr(Stdio::null()).spawn();
        self.cable = Some(socat.expect("these tests need socat, which scripts/setup installs"));
        wait_for("the cable", || self.path("plc").exists() && self.path("device").exists());
    }

    pub(crate) fn pull_out(&mut self) {
        // The names first: the kernel gives the numbers of these terminals to the next cable that anybody plugs in.
        fs::remove_file(self.path("plc")).unwrap();
        fs::remove_file(self.path("device")).unwrap();
        end(self.cable.take());
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the appliance with more environment variables.
    pub(crate) fn start_with(&mut self, environment: &[(&str, &Path)]) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program(&["run", "--config", "edge.toml"]);
        command.envs(environment.iter().copied());
        self.appliance = Some(command.stderr(log).spawn().unwrap());
    }

    /// Ends the appliance as a service manager does; its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        signal(self.appliance.as_ref().unwrap(), Signal::TERM);
        self.ended(|| {})
    }

    /// Kills the appliance at once, without a chance to put anything in order.
    pub(crate) fn kill(&mut self) {
        end(self.appliance.take());
    }

    /// Waits until the appliance has ended by itself, and calls `meanwhile` again and again; its exit status.
    pub(crate) fn ended(&mut self, mut meanwhile: impl FnMut()) -> Option<i32> {
        let mut appliance = self.appliance.take().unwrap();
        wait_for("the appliance's end", || {
            meanwhile();
            appliance.try_wait().unwrap().is_some()
        });
        appliance.wait().unwrap().code()
    }

    /// Writes the image of a part as a careful scanner does.
    pub(crate) fn scan(&self, part: u64, image: &Path) {
        fs::copy(image, self.path(".scan")).unwrap();
        fs::rename(self.path(".scan"), self.path(&format!("scans/{part}.tif"))).unwrap();
    }

    /// The simulated PLC, to be given more arguments.
    pub(crate) fn plc(&self, profile: &str, parts: u64, first: u64) -> Command {
        let mut command = self.impatient_plc(profile, parts, first);
        command.args(["--patience", "20"]);
        command
    }

    pub(crate) fn impatient_plc(&self, profile: &str, parts: u64, first: u64) -> Command {
        let (parts, first) = (parts.to_string(), first.to_string());
        let mut command =
            self.program(&["plc-sim", "--port", "plc", "--profile", profile, "--json", "--model", "model"]);
        command.args(["--parts", &parts, "--first-part", &first]);
        command
    }

    /// Lets parts through with images in turn; a line a part, and the summary.
    pub(crate) fn tray(&self, profile: &str, parts: u64, first: u64, status: i32) -> Vec<Value> {
        let output =
            run(self.plc(profile, parts, first).args(["--into", "scans", "--images"]).args(&self.images), status);
        lines(&output)
    }

    /// The journal's rows, oldest first, after it was verified.
    pub(crate) fn rows(&self) -> Vec<Value> {
        run(&mut self.program(&["journal", "verify", "verdicts.sqlite"]), 0);
        lines(&run(&mut self.program(&["journal", "export", "verdicts.sqlite", "--format", "jsonl"]), 0))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The names of the images in the archive.
    pub(crate) fn archived(&self) -> Vec<String> {
        let days = fs::read_dir(self.path("archive")).unwrap();
        let names = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
        names.map(|image| image.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// How many images lie in the scanner's folder.
    pub(crate) fn lying(&self) -> usize {
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

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

pub(crate) fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
