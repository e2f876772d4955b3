//! Tests the entry format (golden bytes; truncated, extended and altered entries), the cache's folder and the device's key.

use super::*;
use crate::conversion::Size;
use crate::digest::Digest;
use crate::model::Precision;
use crate::plan::{Built, ComputeCapability, Flavour, ParsedNetwork, PlanError, TensorRt, Version};
use cellgate_test_support::skipped;
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn device_key() -> DeviceKey {
    DeviceKey::from_bytes(&std::array::from_fn(|index| index as u8))
}

fn description() -> Description {
    let version = Version { major: 1, minor: 7, patch: 1, build: 116 };
    Description {
        key: PlanKey {
            model: Digest::of(b"abc"),
            precision: Precision::F16,
            gpu: Gpu::new(Some("NVIDIA RTX A6000"), ComputeCapability::new(8, 6)),
            tensorrt: TensorRt { flavour: Flavour::Rtx, version },
        },
        // 2026-11-23T16:00:00Z.
        built_unix_s: 1_795_449_600,
    }
}

const PLAN: &[u8] = b"a plan of 27 bytes, not run";

/// `plan` as if it had been built just now.
fn fresh(description: &Description, plan: &[u8]) -> AuthenticPlan {
    let built = built(plan, description.key.tensorrt);
    AuthenticPlan::new(description.key.clone(), description.built_unix_s, built).unwrap()
}

fn built(plan: &[u8], tensorrt: TensorRt) -> Built {
    let network = ParsedNetwork { inputs: Vec::new(), outputs: Vec::new(), layers: 1, layers_f16: 0, layers_f32: 1 };
    Built { plan: plan.to_vec(), network, size: Size { height: 2, width: 1 }, tensorrt }
}

fn entry(description: &Description, plan: &[u8], key: &DeviceKey) -> Vec<u8> {
    entry::encode(description, plan, key).concat()
}

/// An entry of format 1, never to be edited. Python's `hmac` computed its last 32 bytes from all bytes before them.
const GOLDEN: &str = "\
    4347504c414e0d0a0100000034e6ce05c3e913321b000000000000000063046b00000000ba7816bf8f01cfea414140de\
    5dae2223b00361a396177a9cb410ff61f20015ad020101000700010074000806104e5649444941205254582041363030\
    306120706c616e206f662032372062797465732c206e6f742072756e9b22c92460a94c1ecdee958afa717bd8df64fadf\
    b7e57038b21db7436241e253";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_golden_entry_is_written_and_read() {
    let bytes = entry(&description(), PLAN, &device_key());
    assert_eq!(hex(&bytes), GOLDEN);
    let plan = AuthenticPlan::open(bytes, &device_key()).unwrap();
    assert_eq!((plan.description(), plan.plan()), (&description(), PLAN));
}

#[test]
fn every_truncation_every_addition_and_every_flipped_bit_is_refused() {
    let bytes = entry(&description(), PLAN, &device_key());
    let open = |bytes: Vec<u8>| AuthenticPlan::open(bytes, &device_key());
    for length in 0..bytes.len() {
        assert!(open(bytes[..length].to_vec()).is_err(), "cut to {length}");
        assert!(open(bytes[length + 1..].to_vec()).is_err(), "without its first {}", length + 1);
    }
    for added in [0, 0xff] {
        assert_eq!(open([&bytes[..], &[added]].concat()).unwrap_err(), EntryError::Altered);
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = open(flipped).unwrap_err();
        let expected = match bit / 8 {
            0..8 => matches!(error, EntryError::Malformed { what: "its first bytes", .. }),
            8..12 => matches!(error, EntryError::Format { .. }),
            12..20 => error == EntryError::OtherDevice,
            _ => error == EntryError::Altered,
        };
        assert!(expected, "bit {bit}: {error}");
    }
}

prop_compose! {
    fn any_description()(
        model in any::<[u8; 32]>(), is_f16 in any::<bool>(), is_rtx in any::<bool>(), numbers in any::<[u16; 4]>(),
        name in ".{0,90}", major in any::<u8>(), minor in any::<u8>(), built_unix_s in any::<u64>(),
    ) -> Description {
        let [major_number, minor_number, patch, build] = numbers;
        let version = Version { major: major_number, minor: minor_number, patch, build };
        let flavour = if is_rtx { Flavour::Rtx } else { Flavour::Enterprise };
        let key = PlanKey {
            model: model.into(),
            precision: if is_f16 { Precision::F16 } else { Precision::F32 },
            gpu: Gpu::new(Some(&name), ComputeCapability::new(major, minor)),
            tensorrt: TensorRt { flavour, version },
        };
        Description { key, built_unix_s }
    }
}

proptest! {
    #[test]
    fn an_entry_is_read_back_and_any_change_is_refused(
        description in any_description(), plan in proptest::collection::vec(any::<u8>(), 0..3000),
        key in any::<[u8; 32]>(), other in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let (key, other_key) = (DeviceKey::from_bytes(&key), DeviceKey::from_bytes(&other));
        let bytes = entry(&description, &plan, &key);
        let read = AuthenticPlan::open(bytes.clone(), &key).unwrap();
        prop_assert_eq!(read.description(), &description);
        prop_assert_eq!(read.plan(), &plan[..]);
        prop_assert!(AuthenticPlan::open(bytes[..at.index(bytes.len())].to_vec(), &key).is_err());
        prop_assert_eq!(AuthenticPlan::open(bytes.clone(), &other_key).unwrap_err(), EntryError::OtherDevice);
        let mut changed = bytes;
        let place = at.index(changed.len());
        changed[place] ^= flip;
        prop_assert!(AuthenticPlan::open(changed, &key).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(AuthenticPlan::open(bytes, &device_key()).is_err());
    }

    /// A later version of this program on this device may write entries with unknown fields and a right authentication code. With 61
    /// bytes of fields the entry has the minimum length.
    #[test]
    fn authentic_entries_with_arbitrary_fields_never_panic(fields in proptest::collection::vec(any::<u8>(), 61..400)) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(device_key().id());
        bytes.extend(&fields);
        let code = device_key().code(&[&bytes]);
        bytes.extend(code);
        let _ = AuthenticPlan::open(bytes, &device_key());
    }
}

#[test]
fn each_field_of_the_key_changes_the_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), device_key()).unwrap();
    let key = description().key;
    let mut others = vec![key.clone(); 7];
    others[1].model = Digest::of(b"another");
    others[2].precision = Precision::F32;
    others[3].gpu = Gpu::new(None, ComputeCapability::new(8, 6));
    others[4].gpu = Gpu::new(key.gpu.name(), ComputeCapability::new(8, 9));
    others[5].tensorrt.flavour = Flavour::Enterprise;
    others[6].tensorrt.version.build += 1;
    let mut paths: Vec<_> = others.iter().map(|key| cache.path(key)).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), others.len());
}

#[test]
fn a_plan_is_stored_found_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("plans"), device_key()).unwrap();
    let description = description();
    assert!(matches!(cache.lookup(&description.key), Lookup::Missing));
    for plan in [PLAN, b"another"] {
        let path = cache.store(&fresh(&description, plan)).unwrap();
        assert_eq!(path, cache.path(&description.key));
        let Lookup::Hit(found) = cache.lookup(&description.key) else { panic!("it was stored") };
        assert_eq!(found.plan(), plan);
    }
    let [listed] = &cache.list().unwrap()[..] else { panic!("one entry, and no temporary file") };
    assert_eq!(listed.entry.as_ref().unwrap(), &description);
    assert_eq!(fs::read_dir(folder.path().join("plans")).unwrap().count(), 1);
    cache.remove(listed).unwrap();
    assert!(cache.list().unwrap().is_empty());
}

#[test]
fn a_bad_entry_is_refused_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), device_key()).unwrap();
    let description = description();
    let path = cache.path(&description.key);
    let mut flipped = entry(&description, PLAN, &device_key());
    // A bit of the plan, which begins at byte 97.
    flipped[100] ^= 1;
    let mut other = description.clone();
    other.key.precision = Precision::F32;
    let mut of_another_model = description.clone();
    of_another_model.key.model = Digest::of(b"another");
    let foreign = DeviceKey::from_bytes(&[7; 32]);
    let of_bytes = |bytes: Vec<u8>| fs::write(&path, bytes).unwrap();
    let cases: [(&str, &dyn Fn()); 9] = [
        ("empty", &|| of_bytes(Vec::new())),
        ("a flipped bit", &|| of_bytes(flipped.clone())),
        ("written with another key", &|| of_bytes(entry(&description, PLAN, &foreign))),
        ("another format", &|| {
            let mut later = entry(&description, PLAN, &device_key());
            later[8] = 2;
            of_bytes(later);
        }),
        ("the entry of another precision", &|| of_bytes(entry(&other, PLAN, &device_key()))),
        ("the entry of another model", &|| of_bytes(entry(&of_another_model, PLAN, &device_key()))),
        // TensorRT's plans begin with `ftrt`.
        ("a plan without an entry", &|| of_bytes([&b"ftrt"[..], &[0; 200]].concat())),
        ("a link", &|| {
            let elsewhere = path.with_extension("elsewhere");
            fs::write(&elsewhere, entry(&description, PLAN, &device_key())).unwrap();
            fs::remove_file(&path).unwrap();
            symlink(elsewhere, &path).unwrap();
        }),
        ("a folder", &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
    ];
    let mut reasons = String::new();
    for (case, spoil) in cases {
        spoil();
        let Lookup::Refused { path: refused, reason } = cache.lookup(&description.key) else { panic!("{case}") };
        assert_eq!(refused, path, "{case}");
        let listed = cache.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].entry.as_ref().unwrap_err().state(), reason.state());
        reasons += &format!("{case}:\n  {} - {reason}\n", reason.state());
    }
    insta::assert_snapshot!("bad_entries", reasons);
    fs::remove_dir(&path).unwrap();
    cache.store(&fresh(&description, PLAN)).unwrap();
    assert!(matches!(cache.lookup(&description.key), Lookup::Hit(_)));
}

#[test]
fn a_file_in_place_of_the_folder_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = Cache::existing(file.path(), device_key());
    let Lookup::Refused { reason, .. } = cache.lookup(&description().key) else { panic!("a file is not a folder") };
    assert!(matches!(reason, EntryError::Unreadable { kind: ErrorKind::NotADirectory, .. }), "{reason}");
    assert_eq!(reason.state(), "unreadable");
    let error = cache.store(&fresh(&description(), PLAN)).unwrap_err();
    assert_eq!(error.path, file.path());
    assert!(cache.list().is_err());
}

#[test]
fn a_plan_of_another_tensorrt_than_the_keys_is_refused() {
    let Description { key, built_unix_s } = description();
    let mut other = key.tensorrt;
    other.version.build += 1;
    let expected = PlanError::Changed { found: other, expected: key.tensorrt };
    assert_eq!(AuthenticPlan::new(key, built_unix_s, built(PLAN, other)).unwrap_err(), expected);
}

#[test]
fn reading_creates_neither_folder_nor_key() {
    let folder = tempfile::tempdir().unwrap();
    let (plans, key) = (folder.path().join("plans"), folder.path().join("plan.key"));
    let cache = Cache::existing(&plans, DeviceKey::load_or_unknown(&key).unwrap());
    assert!(cache.list().unwrap().is_empty());
    assert!(matches!(cache.lookup(&description().key), Lookup::Missing));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // A device that has lost its key trusts no entry.
    Cache::open(&plans, device_key()).unwrap().store(&fresh(&description(), PLAN)).unwrap();
    assert_eq!(cache.list().unwrap()[0].entry, Err(EntryError::OtherDevice));
    assert!(!key.exists());
    fs::write(&key, [1; 31]).unwrap();
    assert!(DeviceKey::load_or_unknown(&key).is_err(), "an unfit key is not treated as missing");
}

#[test]
fn the_key_is_created_once_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    assert!(DeviceKey::load(&path).is_err(), "there is no key yet");
    let first = DeviceKey::load_or_create(&path).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.len()), (0o600, 32));
    assert_eq!(DeviceKey::load_or_create(&path).unwrap().id(), first.id());
    assert_eq!(DeviceKey::load(&path).unwrap().id(), first.id());
    let other = DeviceKey::load_or_create(&folder.path().join("other.key")).unwrap();
    assert_ne!(other.id(), first.id());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn an_unfit_key_is_refused_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    let refused = || unfit(DeviceKey::load_or_create(&path));
    let set = |bytes: &[u8], mode: u32| {
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
        set(&[1; 32], mode);
        assert_eq!(refused(), ("its mode", format!("{mode:04o}")));
    }
    for length in [0, 31, 33, 100] {
        set(&vec![1; length], 0o600);
        assert_eq!(refused(), ("its length", format!("{length} bytes")));
        assert_eq!(fs::metadata(&path).unwrap().len(), length as u64);
    }
    set(&[1; 32], 0o400);
    DeviceKey::load_or_create(&path).unwrap();
    let link = folder.path().join("link.key");
    symlink(&path, &link).unwrap();
    assert_eq!(unfit(DeviceKey::load(&link)).0, "its type");
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        skipped("only root can give a key to another user");
        return;
    }
    assert_eq!(refused(), ("its owner", "user 12345".to_owned()));
}

/// The property that makes a key unfit, and its value.
fn unfit(loaded: Result<DeviceKey, DeviceKeyError>) -> (&'static str, String) {
    match loaded.unwrap_err() {
        DeviceKeyError::Unfit { what, found, .. } => (what, found),
        error @ DeviceKeyError::Io { .. } => panic!("{error}"),
    }
}

#[test]
fn the_errors_of_a_key_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    let refused =
        || DeviceKey::load(&path).unwrap_err().to_string().replace(&*folder.path().to_string_lossy(), "FOLDER");
    let mut errors = vec![refused()];
    for (bytes, mode) in [(31, 0o600), (32, 0o644)] {
        fs::write(&path, vec![1; bytes]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        errors.push(refused());
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    errors.push(refused());
    insta::assert_snapshot!("key_errors", errors.join("\n"));
}

#[test]
fn concurrent_threads_that_create_a_key_get_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let load = || DeviceKey::load_or_create(&path).unwrap().id();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}
