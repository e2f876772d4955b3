//! CUDA's run-time compiler, called through a handle of our own, so that the file that was looked at is the one that runs.
#![expect(unsafe_code, reason = "calls a shared library")]

use super::CudaError;
use super::library::{CudaLibrary, system_folders};
use cellgate_models::library::{LibrarySpec, Search, SearchPlace};
use cellgate_models::one_line;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variable that names the compiler's library file.
pub const NVRTC_ENV: &str = "CELLGATE_NVRTC";

/// `nvrtcProgram`.
type Program = *mut c_void;
type SizeOf = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Fill = unsafe extern "C" fn(Program, *mut c_char) -> c_int;

/// NVRTC's functions that are called (NVRTC's documentation, CUDA 13.0). The library stays loaded for good.
#[derive(Debug)]
pub(super) struct Nvrtc {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    words: unsafe extern "C" fn(c_int) -> *const c_char,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    log: (SizeOf, Fill),
    ptx: (SizeOf, Fill),
    cubin: (SizeOf, Fill),
}

/// What came of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The code as text, for the curious.
    pub ptx: String,
    /// The code for the device.
    pub cubin: Vec<u8>,
    /// What compiler and assembler said.
    pub log: String,
}

impl Nvrtc {
    /// The compiler, loaded, and what it loads itself.
    ///
    /// What lies beside the program goes before what the system has: who puts a compiler there means that one.
    pub(super) fn load() -> Result<Self, CudaError> {
        Self::load_by(Search::of_process(wanted(), None))
    }

    fn load_by(search: Search) -> Result<Self, CudaError> {
        let package =
            "CUDA 13's run-time compiler (PyPI: nvidia-cuda-nvrtc; NVIDIA's Debian packages: cuda-nvrtc-13-0)";
        let compiler = CudaLibrary { search, package };
        let (path, library) = compiler.load()?;
        if let Some(builtins) = path.parent().and_then(builtins_in) {
            // SAFETY: a part of the compiler that it would load by name; its start-up code is made for that.
            let builtins = unsafe { Library::new(builtins) };
            std::mem::forget(builtins);
        }
        let found = Self::functions(&library).map_err(|error| compiler.unusable(&path, one_line(&error)))?;
        // For good, as its functions are kept.
        std::mem::forget(library);
        Ok(found)
    }

    fn functions(library: &Library) -> Result<Self, libloading::Error> {
        // SAFETY: the types are those of NVRTC's documentation.
        unsafe {
            Ok(Self {
                version: *library.get("nvrtcVersion")?,
                words: *library.get("nvrtcGetErrorString")?,
                create: *library.get("nvrtcCreateProgram")?,
                compile: *library.get("nvrtcCompileProgram")?,
                destroy: *library.get("nvrtcDestroyProgram")?,
                log: (*library.get("nvrtcGetProgramLogSize")?, *library.get("nvrtcGetProgramLog")?),
                ptx: (*library.get("nvrtcGetPTXSize")?, *library.get("nvrtcGetPTX")?),
                cubin: (*library.get("nvrtcGetCUBINSize")?, *library.get("nvrtcGetCUBIN")?),
            })
        }
    }

    /// Its version, major and minor; else what it said.
    pub(super) fn version(&self) -> Result<(i32, i32), String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes two numbers.
        self.answer(unsafe { (self.version)(&raw mut major, &raw mut minor) })?;
        Ok((major, minor))
    }

    /// What comes of `source`; else what it said.
    pub(super) fn compile(&self, source: &CStr, name: &CStr, options: &[CString]) -> Result<Compiled, String> {
        let mut program = Running { nvrtc: self, program: std::ptr::null_mut() };
        let (place, nothing) = (&raw mut program.program, std::ptr::null());
        // SAFETY: texts that end with a zero, no headers, and a place for the program, which `Running` gives back.
        self.answer(unsafe { (self.create)(place, source.as_ptr(), name.as_ptr(), 0, nothing, nothing) })?;
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        let number = c_int::try_from(options.len()).map_err(|error| error.to_string())?;
        // SAFETY: as many texts as it is told, each ending with a zero.
        let answer = self.answer(unsafe { (self.compile)(program.program, number, options.as_ptr()) });
        let log = program.get(self.log).map(|log| text(&log)).unwrap_or_default();
        answer.map_err(|error| format!("{error}: {log}"))?;
        Ok(Compiled { ptx: text(&program.get(self.ptx)?), cubin: program.get(self.cubin)?, log })
    }

    /// What a status means.
    fn answer(&self, status: c_int) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: it takes any number, and gives a text that lives as long as the library.
        let words = unsafe { (self.words)(status).as_ref().map(|first| CStr::from_ptr(first)) };
        Err(words.map_or_else(|| format!("status {status}"), |words| words.to_string_lossy().into_owned()))
    }
}

/// A program in the compiler.
struct Running<'n> {
    nvrtc: &'n Nvrtc,
    program: Program,
}

impl Running<'_> {
    /// Bytes that the compiler has ready, of the size that it says.
    fn get(&self, (size, fill): (SizeOf, Fill)) -> Result<Vec<u8>, String> {
        let mut bytes = 0;
        // SAFETY: the program is there until this goes; it writes one number.
        self.nvrtc.answer(unsafe { size(self.program, &raw mut bytes) })?;
        let mut room = vec![0_u8; bytes];
        // SAFETY: as much room as it said that it needs.
        self.nvrtc.answer(unsafe { fill(self.program, room.as_mut_ptr().cast()) })?;
        Ok(room)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: the program was made by the same library, and is used no more.
            unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
        }
    }
}

/// A text with its ending zero.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').trim().to_owned()
}

/// How the compiler is looked for.
fn wanted() -> LibrarySpec {
    let mut places = vec![SearchPlace::Program("lib"), SearchPlace::Wheel("nvidia/cu13/lib"), SearchPlace::Loader];
    places.extend(system_folders(&[""]));
    places
        .extend(["/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64"].map(|folder| SearchPlace::Folder(folder.into())));
    LibrarySpec { file_name: "libnvrtc.so.13", environment: NVRTC_ENV, names_folder: false, places }
}

/// The compiler's second library in `folder`: without it beforehand, the compiler asks the system's loader alone.
fn builtins_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|file| file.path());
    let is_builtins = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libnvrtc-builtins.so."))
    };
    files.filter(is_builtins).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_the_program_goes_before_what_the_system_has() {
        let places = wanted().places;
        let at = |wanted: &SearchPlace| places.iter().position(|place| place == wanted).unwrap();
        assert_eq!(at(&SearchPlace::Program("lib")), 0);
        assert!(at(&SearchPlace::Loader) < at(&SearchPlace::Folder("/usr/local/cuda/lib64".into())));
    }

    #[test]
    fn another_library_is_not_taken_for_the_compiler() {
        let other = Path::new("/lib/x86_64-linux-gnu/libm.so.6");
        if other.is_file() {
            let search = Search { environment: Some(other.into()), ..Search::of_process(wanted(), None) };
            let error = Nvrtc::load_by(search).unwrap_err().to_string();
            assert!(error.contains("nvrtcVersion") && error.contains("libm.so.6"), "{error}");
        }
    }
}
