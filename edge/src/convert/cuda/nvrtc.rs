//! Calls CUDA's run-time compiler, NVRTC. This module loads NVRTC itself instead of leaving that to cudarc, so that the file that
//! the search found is the file that runs.
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

/// The functions of NVRTC that are called (NVRTC's documentation, CUDA 13.0). The library is never unloaded.
#[derive(Debug)]
pub(super) struct Nvrtc {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
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

/// The result of a compilation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The kernels as PTX, NVIDIA's assembly language, for people and tests to read.
    pub ptx: String,
    /// The machine code for the GPU.
    pub cubin: Vec<u8>,
    /// The messages of compiler and assembler.
    pub log: String,
}

impl Nvrtc {
    /// Loads the compiler, and the second library that it needs.
    ///
    /// A compiler in the folder `lib` beside the program is preferred to the system's, because somebody put it there on purpose.
    pub(super) fn load() -> Result<Self, CudaError> {
        Self::load_by(Search::of_process(compiler_spec(), None))
    }

    fn load_by(search: Search) -> Result<Self, CudaError> {
        let package =
            "CUDA 13's run-time compiler (PyPI: nvidia-cuda-nvrtc; NVIDIA's Debian packages: cuda-nvrtc-13-0)";
        let compiler = CudaLibrary { search, package };
        let (path, library) = compiler.load()?;
        if let Some(builtins) = path.parent().and_then(builtins_in) {
            // SAFETY: the compiler itself would load this library by its name.
            let builtins = unsafe { Library::new(builtins) };
            std::mem::forget(builtins);
        }
        let found = Self::functions(&library).map_err(|error| compiler.unusable(&path, one_line(&error)))?;
        // The library is never unloaded, because the addresses of its functions are kept.
        std::mem::forget(library);
        Ok(found)
    }

    fn functions(library: &Library) -> Result<Self, libloading::Error> {
        // SAFETY: the types are those of NVRTC's documentation.
        unsafe {
            Ok(Self {
                version: *library.get("nvrtcVersion")?,
                error_string: *library.get("nvrtcGetErrorString")?,
                create: *library.get("nvrtcCreateProgram")?,
                compile: *library.get("nvrtcCompileProgram")?,
                destroy: *library.get("nvrtcDestroyProgram")?,
                log: (*library.get("nvrtcGetProgramLogSize")?, *library.get("nvrtcGetProgramLog")?),
                ptx: (*library.get("nvrtcGetPTXSize")?, *library.get("nvrtcGetPTX")?),
                cubin: (*library.get("nvrtcGetCUBINSize")?, *library.get("nvrtcGetCUBIN")?),
            })
        }
    }

    /// NVRTC's version, major and minor, or its error message.
    pub(super) fn version(&self) -> Result<(i32, i32), String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes two numbers.
        self.check(unsafe { (self.version)(&raw mut major, &raw mut minor) })?;
        Ok((major, minor))
    }

    /// Compiles `source`. The error is NVRTC's message with the compilation's log.
    pub(super) fn compile(&self, source: &CStr, name: &CStr, options: &[CString]) -> Result<Compiled, String> {
        let mut program = Running { nvrtc: self, program: std::ptr::null_mut() };
        let (place, nothing) = (&raw mut program.program, std::ptr::null());
        // SAFETY: zero-terminated texts, no headers, and a place for the program, which `Running` destroys.
        self.check(unsafe { (self.create)(place, source.as_ptr(), name.as_ptr(), 0, nothing, nothing) })?;
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        let number = c_int::try_from(options.len()).map_err(|error| error.to_string())?;
        // SAFETY: `number` zero-terminated texts.
        let result = self.check(unsafe { (self.compile)(program.program, number, options.as_ptr()) });
        let log = program.get(self.log).map(|log| text(&log)).unwrap_or_default();
        result.map_err(|error| format!("{error}: {log}"))?;
        Ok(Compiled { ptx: text(&program.get(self.ptx)?), cubin: program.get(self.cubin)?, log })
    }

    /// Turns a status other than 0 into NVRTC's message.
    fn check(&self, status: c_int) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the function accepts any number and returns a text that lives as long as the library.
        let message = unsafe { (self.error_string)(status).as_ref().map(|first| CStr::from_ptr(first)) };
        Err(message.map_or_else(|| format!("status {status}"), |message| message.to_string_lossy().into_owned()))
    }
}

/// A program in the compiler.
struct Running<'n> {
    nvrtc: &'n Nvrtc,
    program: Program,
}

impl Running<'_> {
    /// Copies one of the compilation's results: asks for the size, then for the bytes.
    fn get(&self, (size, fill): (SizeOf, Fill)) -> Result<Vec<u8>, String> {
        let mut bytes = 0;
        // SAFETY: the program exists until `Drop`; the function writes one number.
        self.nvrtc.check(unsafe { size(self.program, &raw mut bytes) })?;
        let mut buffer = vec![0_u8; bytes];
        // SAFETY: the buffer has the size that NVRTC asked for.
        self.nvrtc.check(unsafe { fill(self.program, buffer.as_mut_ptr().cast()) })?;
        Ok(buffer)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: the same library created the program, and nothing uses it any more.
            unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
        }
    }
}

/// A text without its terminating zero.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').trim().to_owned()
}

/// Where the compiler is searched for.
fn compiler_spec() -> LibrarySpec {
    let mut places = vec![SearchPlace::Program("lib"), SearchPlace::Wheel("nvidia/cu13/lib"), SearchPlace::Loader];
    places.extend(system_folders(&[""]));
    places
        .extend(["/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64"].map(|folder| SearchPlace::Folder(folder.into())));
    LibrarySpec { file_name: "libnvrtc.so.13", environment: NVRTC_ENV, names_folder: false, places }
}

/// The compiler's second library in `folder`, libnvrtc-builtins. If the program does not load it first, the compiler leaves the
/// search to the system's loader, which may not look in `folder`.
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
    fn the_programs_folder_is_searched_before_the_systems() {
        let places = compiler_spec().places;
        let at = |wanted: &SearchPlace| places.iter().position(|place| place == wanted).unwrap();
        assert_eq!(at(&SearchPlace::Program("lib")), 0);
        assert!(at(&SearchPlace::Loader) < at(&SearchPlace::Folder("/usr/local/cuda/lib64".into())));
    }

    #[test]
    fn a_library_without_the_compilers_functions_is_unusable() {
        let other = Path::new("/lib/x86_64-linux-gnu/libm.so.6");
        if other.is_file() {
            let search = Search { environment: Some(other.into()), ..Search::of_process(compiler_spec(), None) };
            match Nvrtc::load_by(search).unwrap_err() {
                CudaError::LibraryUnusable { path, detail, .. } => {
                    assert_eq!(path, other);
                    assert!(detail.contains("nvrtcVersion"), "{detail}");
                }
                error => panic!("{error}"),
            }
        }
    }
}
