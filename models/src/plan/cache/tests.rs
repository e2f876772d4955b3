//! Golden bytes of the entry format; every cut, added and flipped bit is refused; the folder's ways.

use super::*;
use crate::model::Precision;
use crate::conversion::Size;
use crate::digest::Digest;
use crate::plan::{Built, ComputeCapability, Flavour, Network, PlanError, TensorRt, Version};
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
    let network = Network { inputs: Vec::new(), outputs: Vec::new(), layers: 1, layers_f16: 0, layers_f32: 1 };
    Built { plan: plan.to_vec(), network, size: Size { height: 2, width: 1 }, tensorrt }
}

fn entry(description: &Description, plan: &[u8], key: &DeviceKey) -> Vec<u8> {
    entry::encode(description, plan, key).concat()
}

/// Format 1, never to be edited. The last 32 bytes were computed by Python's `hmac`, over those before them.
const GOLDEN: &str = "\
    4347504c414e0d0a0100000034e6ce05c3e913321b000000000000000063046b00000000ba7816bf8f01cfea414140de\
    5dae2223b00361a396177a9cb410ff61f20015ad020101000700010074000806104e5649444941205254582041363030\
    306120706c616e206f662032372062797465732c206e6f742072756e9b22c92460a94c1ecdee958afa717bd8df64fadf\
    b7e57038b21db7436241e253";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes() {
    let bytes = entry(&description(), PLAN, &device_key());
    assert_eq!(hex(&bytes), GOLDEN);
    let plan = AuthenticPlan::open(bytes, &device_key()).unwrap();
    assert_eq!((plan.description(), plan.plan()), (&description(), PLAN));
}

#[test]
fn every_cut_every_addition_and_every_flipped_bit_is_refused() {
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
    fn what_was_written_is_read_and_nothing_else(
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
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(AuthenticPlan::open(bytes, &device_key()).is_err());
    }

    /// What a later version of this program wrote on this device: its code is right, its fields are not ours.
    #[test]
    fn no_authentic_bytes_make_it_panic(fields in proptest::collection::vec(any::<u8>(), 61..400)) {
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
fn each_field_makes_another_file() {
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
    let [listed] = &cache.list().unwrap()[..] else { panic!("one entry, and no file of its making") };
    assert_eq!(listed.entry.as_ref().unwrap(), &description);
    assert_eq!(fs::read_dir(folder.path().join("plans")).unwrap().count(), 1);
    cache.remove(listed).unwrap();
    assert!(cache.list().unwrap().is_empty());
}

#[test]
fn a_bad_entry_is_reported_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), device_key()).unwrap();
    let description = description();
    let path = cache.path(&description.key);
    let mut flipped = entry(&description, PLAN, &device_key());
    flipped[100] ^= 1;
    let mut other = description.clone();
    other.key.precision = Precision::F32;
    let foreign = DeviceKey::from_bytes(&[7; 32]);
    let of_bytes = |bytes: Vec<u8>| fs::write(&path, bytes).unwrap();
    let cases: [(&str, &dyn Fn()); 7] = [
        ("damaged: its length: found 0, expected at least 113", &|| of_bytes(Vec::new())),
        ("damaged: its authentication code is wrong, its bytes are not those that this device wrote", &|| {
            of_bytes(flipped.clone());
        }),
        ("foreign: it was written with another device's key", &|| of_bytes(entry(&description, PLAN, &foreign))),
        (
            "foreign: it is the plan of model ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, f32, \
             NVIDIA RTX A6000 (sm86), TensorRT for RTX 1.7.1.116, expected model \
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, f16, NVIDIA RTX A6000 (sm86), TensorRT for \
             RTX 1.7.1.116",
            &|| of_bytes(entry(&other, PLAN, &device_key())),
        ),
        ("damaged: its first bytes: found ftrt\\x00\\x00\\x00\\x00, expected CGPLAN\\r\\n", &|| {
            of_bytes([&b"ftrt"[..], &[0; 200]].concat());
        }),
        ("damaged: it is no plain file", &|| {
            let elsewhere = path.with_extension("elsewhere");
            fs::write(&elsewhere, entry(&description, PLAN, &device_key())).unwrap();
            fs::remove_file(&path).unwrap();
            symlink(elsewhere, &path).unwrap();
        }),
        ("damaged: it is a folder; remove it by hand", &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
    ];
    for (expected, spoil) in cases {
        spoil();
        let Lookup::Refused { path: refused, reason } = cache.lookup(&description.key) else { panic!("{expected}") };
        assert_eq!((reason.to_string().as_str(), &refused), (expected, &path));
        let listed = cache.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].entry.as_ref().unwrap_err().state(), reason.state());
    }
    fs::remove_dir(&path).unwrap();
    cache.store(&fresh(&description, PLAN)).unwrap();
    assert!(matches!(cache.lookup(&description.key), Lookup::Hit(_)));
}

#[test]
fn what_the_system_does_not_let_be_read_is_reported_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = Cache::existing(file.path(), device_key());
    let Lookup::Refused { reason, .. } = cache.lookup(&description().key) else { panic!("a file is no folder") };
    assert_eq!(
        (reason.to_string().as_str(), reason.state()),
        ("unreadable: Not a directory (os error 20)", "unreadable")
    );
    let error = cache.store(&fresh(&description(), PLAN)).unwrap_err().to_string();
    assert!(error.starts_with(&file.path().display().to_string()), "{error}");
    assert!(cache.list().is_err());
}

#[test]
fn a_plan_of_another_tensorrt_than_the_keys_is_none() {
    let Description { key, built_unix_s } = description();
    let mut other = key.tensorrt;
    other.version.build += 1;
    let expected = PlanError::Changed { found: other, expected: key.tensorrt };
    assert_eq!(AuthenticPlan::new(key, built_unix_s, built(PLAN, other)).unwrap_err(), expected);
}

#[test]
fn reading_makes_neither_folder_nor_key() {
    let folder = tempfile::tempdir().unwrap();
    let (plans, key) = (folder.path().join("plans"), folder.path().join("plan.key"));
    let cache = Cache::existing(&plans, DeviceKey::load_or_unknown(&key).unwrap());
    assert!(cache.list().unwrap().is_empty());
    assert!(matches!(cache.lookup(&description().key), Lookup::Missing));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // Of a device that has lost its key nothing is believed.
    Cache::open(&plans, device_key()).unwrap().store(&fresh(&description(), PLAN)).unwrap();
    assert_eq!(cache.list().unwrap()[0].entry, Err(EntryError::OtherDevice));
    assert!(!key.exists());
    fs::write(&key, [1; 31]).unwrap();
    assert!(DeviceKey::load_or_unknown(&key).is_err(), "an unfit one is no missing one");
}

#[test]
fn the_key_is_made_once_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    assert!(DeviceKey::load(&path).is_err(), "there is none yet");
    let first = DeviceKey::load_or_create(&path).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.len()), (0o600, 32));
    assert_eq!(DeviceKey::load_or_create(&path).unwrap().id(), first.id());
    assert_eq!(DeviceKey::load(&path).unwrap().id(), first.id());
    let other = DeviceKey::load_or_create(&folder.path().join("other.key")).unwrap();
    assert_ne!(other.id(), first.id());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn an_unfit_key_is_refused_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    let refused = || DeviceKey::load_or_create(&path).unwrap_err().to_string();
    let set = |bytes: &[u8], mode: u32| {
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
        set(&[1; 32], mode);
        assert!(refused().contains(&format!("its mode: found {mode:04o}, expected 0600")), "{}", refused());
    }
    for length in [0, 31, 33, 100] {
        set(&vec![1; length], 0o600);
        assert!(refused().contains(&format!("its length: found {length} bytes, expected 32 bytes")), "{}", refused());
        assert_eq!(fs::metadata(&path).unwrap().len(), length as u64);
    }
    set(&[1; 32], 0o400);
    DeviceKey::load_or_create(&path).unwrap();
    let link = folder.path().join("link.key");
    symlink(&path, &link).unwrap();
    assert!(DeviceKey::load(&link).unwrap_err().to_string().contains("expected a plain file"));
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        skipped("only root can give a key to another user");
        return;
    }
    let text = refused();
    assert!(
        text.ends_with("its owner: found user 12345, expected user 0, who runs this; run it as that user"),
        "{text}"
    );
}

#[test]
fn many_processes_that_make_a_key_at_once_have_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.key");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let load = || DeviceKey::load_or_create(&path).unwrap().id();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}
