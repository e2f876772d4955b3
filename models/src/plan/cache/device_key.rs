//! Creates and reads the device's key, a file that only its owner can read.

use crate::plain_file::{Links, PlainFile, PlainFileError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The key's length in bytes.
const KEY_BYTES: usize = 32;
/// The file's owner, as the property that is wrong in [`DeviceKeyError::Unfit`]. For a wrong owner the advice is to run the program
/// as that user, for any other wrong property it is to make a new key.
const OWNER: &str = "its owner";
/// The key's id is the start of this text's authentication code. Every entry begins with other bytes than this text. So the id,
/// which is in every entry, is never the start of an entry's authentication code.
const ID_TEXT: &[u8] = b"cellgate plan key id";

/// 32 random bytes that authenticate this device's plans.
#[derive(Clone)]
pub struct DeviceKey {
    mac: Hmac<Sha256>,
    id: [u8; 8],
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DeviceKey(..)")
    }
}

/// Why the key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceKeyError {
    /// The file can't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The key's file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file can't be the key, or other users could have read it.
    #[error("{}: {what}: found {found}, expected {expected}; {advice}", path.display())]
    Unfit {
        /// The key's file.
        path: PathBuf,
        /// The property that is wrong.
        what: &'static str,
        /// Its value.
        found: String,
        /// The expected value.
        expected: String,
        /// What the user can do.
        advice: &'static str,
    },
}

impl DeviceKey {
    /// Reads the key, or creates it if it does not exist. Processes that create it at the same time all use the key that was
    /// created first.
    ///
    /// # Errors
    /// [`DeviceKeyError`]: the key can't be read or written; or the file is not a regular file, has another length, belongs to
    /// another user, or is accessible to others.
    pub fn load_or_create(path: &Path) -> Result<Self, DeviceKeyError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(path).map_err(|source| DeviceKeyError::Io { path: path.to_owned(), source })?;
            }
            _ => {}
        }
        Self::load(path)
    }

    /// Reads the key and creates no file. If there is no key, returns a random key that is stored nowhere: with it every entry is
    /// foreign.
    ///
    /// # Errors
    /// As for [`load_or_create`](Self::load_or_create).
    pub fn load_or_unknown(path: &Path) -> Result<Self, DeviceKeyError> {
        match Self::load(path) {
            Err(DeviceKeyError::Io { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                let bytes = random().map_err(|source| DeviceKeyError::Io { path: path.to_owned(), source })?;
                Ok(Self::from_bytes(&bytes))
            }
            loaded => loaded,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// As for [`load_or_create`](Self::load_or_create), or there is no key.
    pub fn load(path: &Path) -> Result<Self, DeviceKeyError> {
        let io = |source| DeviceKeyError::Io { path: path.to_owned(), source };
        let unfit = |what, found: String, expected: &str| {
            let (path, expected) = (path.to_owned(), expected.to_owned());
            let advice = if what == OWNER {
                "run it as that user"
            } else {
                "remove the file to get a new key (plans are rebuilt then)"
            };
            Err(DeviceKeyError::Unfit { path, what, found, expected, advice })
        };
        let file = match PlainFile::open(path, Links::Refuse) {
            Ok(file) => file,
            Err(PlainFileError::Io(source)) => return Err(io(source)),
            Err(_) => return unfit("its type", "a link, folder, pipe or device".to_owned(), "a regular file"),
        };
        let metadata = file.metadata();
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            return unfit(OWNER, format!("user {}", metadata.uid()), &format!("user {user}, who runs this program"));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return unfit("its mode", format!("{mode:04o}"), "0600: readable by its owner only");
        }
        let bytes = match file.read(KEY_BYTES as u64) {
            Err(PlainFileError::Io(source)) => return Err(io(source)),
            read => read.unwrap_or_default(),
        };
        match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self::from_bytes(&key)),
            Err(_) => unfit("its length", format!("{} bytes", metadata.len()), &format!("{KEY_BYTES} bytes")),
        }
    }

    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(key: &[u8; KEY_BYTES]) -> Self {
        // HMAC pads a key with zeros to the hash's block size (RFC 2104). A key that is already padded always has the length that
        // `Hmac::new` requires, so no error is possible.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..KEY_BYTES].copy_from_slice(key);
        let mac = Hmac::<Sha256>::new(&block);
        let code = mac.clone().chain_update(ID_TEXT).finalize().into_bytes();
        let mut id = [0; 8];
        id.copy_from_slice(&code[..8]);
        Self { mac, id }
    }

    /// The id of this key. It does not reveal the key.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    /// The authentication code of the concatenated `pieces`.
    pub(super) fn code(&self, pieces: &[&[u8]]) -> [u8; 32] {
        self.mac_over(pieces).finalize().into_bytes().into()
    }

    /// Whether `code` is the authentication code of `pieces`, compared in constant time.
    pub(super) fn is_code(&self, pieces: &[&[u8]], code: &[u8]) -> bool {
        self.mac_over(pieces).verify_slice(code).is_ok()
    }

    fn mac_over(&self, pieces: &[&[u8]]) -> Hmac<Sha256> {
        pieces.iter().fold(self.mac.clone(), |mac, piece| mac.chain_update(piece))
    }
}

fn random() -> std::io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(key)
}

/// Creates a key. Writes the complete key to a temporary file that only its owner can read. Then renames the file to `path`, unless
/// `path` already exists.
fn create(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let key = random()?;
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
        result => {
            result.map_err(|error| error.error)?;
        }
    }
    File::open(folder)?.sync_all()
}
