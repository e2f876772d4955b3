//! Tests the example, the default values and the refusals of `edge.toml`.

use super::*;

/// A configuration with only the keys that have no default.
const LEAST: &str = r#"
[device]
id = 1
[model]
path = "model"
[acquire]
folder = "scans"
match = "part-id"
archive = "archive"
[plc]
port = "/dev/ttyUSB0"
[journal]
path = "verdicts.sqlite"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/cellgate/edge.toml"))
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let example = parse(Config::EXAMPLE).unwrap();
    let mut least = parse(LEAST).unwrap();
    least.plc.port = example.plc.port.clone();
    assert_eq!(example, least);
    // Optional keys without a default are in comments.
    for key in ["threads", "onnxruntime", "tensorrt", "listen", "socket"] {
        assert!(Config::EXAMPLE.lines().any(|line| line.starts_with(&format!("# {key} = "))), "{key}");
    }
}

/// The package installs `debian/edge.toml` as /etc/cellgate/edge.toml.
#[test]
fn the_configuration_of_the_package_differs_from_the_defaults_by_the_paths_of_a_device_only() {
    let mut expected = parse(Config::EXAMPLE).unwrap();
    expected.acquire.folder = "/var/lib/cellgate/scans".into();
    expected.acquire.archive = "/var/lib/cellgate/archive".into();
    expected.journal.path = "/var/lib/cellgate/verdicts.sqlite".into();
    expected.control.socket = Some("/run/cellgate/control".into());
    assert_eq!(parse(include_str!("../../debian/edge.toml")).unwrap(), expected);
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.model.path, Path::new("/etc/cellgate/model"));
    assert_eq!(config.plc.port, Path::new("/dev/ttyUSB0"));
    let config = parse(&format!("{LEAST}[control]\nsocket = \"control\"")).unwrap();
    assert_eq!(config.control.socket.as_deref(), Some(Path::new("/etc/cellgate/control")));
}

fn refused(text: &str) -> ConfigError {
    parse(text).unwrap_err()
}

#[test]
fn a_misspelt_key_is_named_with_its_place_in_the_file() {
    insta::assert_snapshot!("misspelt_key", refused(&LEAST.replace("folder =", "foldr =")));
}

/// The error's text names the key, its value and the allowed values.
#[test]
fn values_out_of_range_are_refused() {
    let added = [
        "[plc]\nbaud = 115201",
        "[plc]\nprofile = \"modbus\"\nunit = 248",
        "[plc]\ndeadline_ms = 10",
        "[acquire]\nlargest_pixels = 999999999999",
        "[acquire]\narchive_quota_mib = 0",
        "[acquire]\nlead_ms = 99999999999999999",
        "[model]\nthreads = 100000",
        "[model]\nprove_every_minutes = 4294967295",
        "[model]\nengine = \"cuda\"",
        "[model]\nonnxruntime = \"\"",
        "[model]\ntensorrt = \"\"",
        "[model]\nplans = \"\"",
        "[model]\nplan_key = \"\"",
    ]
    .map(|section| (section, LEAST.replace(section.split('\n').next().unwrap(), section)));
    let replaced = [
        ("\"model\"", "\"\""),
        ("\"scans\"", "\"\""),
        ("\"archive\"", "\"\""),
        ("\"/dev/ttyUSB0\"", "\"\""),
        ("\"verdicts.sqlite\"", "\"\""),
        ("\"archive\"", "\"scans/archive\""),
        ("\"part-id\"", "\"trigger-first\"\nlead_ms = 4999"),
        ("\"part-id\"", "\"image-first\"\nlead_ms = 0"),
        ("[journal]", "[metrics]\nlisten = \"0.0.0.0:9469\"\n[journal]"),
        ("[journal]", "[bundle]\nreference_parts = 1001\n[journal]"),
        ("[journal]", "[bundle]\nmax_parts = 1000001\n[journal]"),
        ("[journal]", "[bundle]\nmax_hours = 169\n[journal]"),
        ("[journal]", "[bundle]\nwithout = \"pass\"\n[journal]"),
        ("[journal]", "[control]\nsocket = \"\"\n[journal]"),
    ]
    .map(|(old, new)| (new, LEAST.replace(old, new)));
    let refusals: Vec<_> =
        added.into_iter().chain(replaced).map(|(change, text)| format!("{change}\n=> {}\n", refused(&text))).collect();
    insta::with_settings!({filters => vec![(r"1 to \d+, the number of", "1 to CORES, the number of")]}, {
        insta::assert_snapshot!("values_out_of_range", refusals.join("\n"));
    });
}

/// The error's text names the range and unit of the key, not a Rust type.
#[test]
fn numbers_of_another_type_are_refused() {
    let mut refusals = String::new();
    for (section, key, may_be_zero) in [
        ("device", "id", true),
        ("model", "threads", false),
        ("model", "prove_every_minutes", false),
        ("acquire", "lead_ms", true),
        ("acquire", "largest_pixels", false),
        ("acquire", "archive_quota_mib", true),
        ("acquire", "min_free_mib", true),
        ("plc", "baud", false),
        ("plc", "deadline_ms", false),
        ("journal", "keep_days", false),
    ] {
        let least = LEAST.replace("id = 1\n", if key == "id" { "" } else { "id = 1\n" });
        let with =
            |value: &str| parse(&least.replace(&format!("[{section}]"), &format!("[{section}]\n{key} = {value}")));
        for value in ["-1", "\"5\"", "1.5", "0", "99999999999999999999"] {
            match with(value) {
                Err(ConfigError::Syntax { source, .. }) => {
                    refusals += &format!("{key} = {value}: {}\n", source.message().replace('\n', " "));
                }
                found => assert!(value == "0" && may_be_zero, "{key} = {value}: {found:?}"),
            }
        }
    }
    insta::assert_snapshot!("numbers_of_another_type", refusals);
}

/// With far more threads than cores, a network would take minutes for an image.
#[test]
fn threads_are_at_most_the_number_of_cores() {
    let with = |threads: usize| parse(&LEAST.replace("[model]", &format!("[model]\nthreads = {threads}")));
    assert_eq!(with(most_threads()).unwrap().model.threads.unwrap().get(), most_threads());
    let error = with(most_threads() + 1).unwrap_err();
    assert!(matches!(&error, ConfigError::Value { key: "model.threads", .. }), "{error}");
}

/// Deleting the archive's oldest images must not reach images that are not judged yet, nor the journal.
#[test]
fn archive_scans_and_journal_must_not_overlap() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(place.path().join("data/incoming")).unwrap();
    std::os::unix::fs::symlink(place.path().join("data"), place.path().join("link")).unwrap();
    let refused_key = |scans: &str, archive: &str, journal: &str| {
        let text = LEAST
            .replace("\"scans\"", &format!("{scans:?}"))
            .replace("\"archive\"", &format!("{archive:?}"))
            .replace("\"verdicts.sqlite\"", &format!("{journal:?}"));
        match Config::parse(&text, &place.path().join("edge.toml")) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    for (scans, archive, journal, key) in [
        ("data/incoming", "data", "data/db/verdicts.sqlite", "acquire.folder"),
        ("data/incoming", "link", "verdicts.sqlite", "acquire.folder"),
        ("data/incoming", "elsewhere/../data", "verdicts.sqlite", "acquire.folder"),
        ("data", "data", "verdicts.sqlite", "acquire.archive"),
        ("link", "data/incoming/archive", "verdicts.sqlite", "acquire.archive"),
        ("data/incoming", "archive", "archive/db/verdicts.sqlite", "journal.path"),
        ("data/incoming", "archive", "link/incoming/verdicts.sqlite", "journal.path"),
    ] {
        assert_eq!(refused_key(scans, archive, journal), Some(key), "{scans}, {archive}, {journal}");
    }
    assert_eq!(refused_key("data/incoming", "data/archive", "data/verdicts.sqlite"), None);
}
