use super::*;

/// The keys that have no default.
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
fn the_example_names_every_key_with_its_default() {
    let example = parse(Config::EXAMPLE).unwrap();
    let mut least = parse(LEAST).unwrap();
    least.plc.port = example.plc.port.clone();
    assert_eq!(example, least);
    // A key without a value is there as a comment.
    for key in ["threads", "onnxruntime", "tensorrt", "listen"] {
        assert!(Config::EXAMPLE.lines().any(|line| line.starts_with(&format!("# {key} = "))), "{key}");
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.model.path, Path::new("/etc/cellgate/model"));
    assert_eq!(config.plc.port, Path::new("/dev/ttyUSB0"));
}

#[test]
fn a_misspelt_key_is_named_with_its_line() {
    let error = parse(&LEAST.replace("folder =", "foldr =")).unwrap_err().to_string();
    assert!(error.contains("foldr") && error.contains("line 7"), "{error}");
}

#[test]
fn values_that_cannot_be_meant_are_named() {
    for (line, named) in [
        ("[plc]\nbaud = 115201", "plc.baud: found 115201"),
        ("[plc]\nprofile = \"modbus\"\nunit = 248", "found 248, expected 1 to 247"),
        ("[plc]\ndeadline_ms = 10", "plc.deadline_ms: found 10"),
        ("[acquire]\nlargest_pixels = 999999999999", "acquire.largest_pixels"),
        ("[model]\nthreads = 100000", "model.threads: found 100000, expected 1 to "),
        ("[model]\nthreads = 0", "integer `0`, expected a number of threads from 1 to the cores"),
        (
            "[model]\nprove_every_minutes = 4294967295",
            "model.prove_every_minutes: found 4294967295, expected 1 to 525600",
        ),
        ("[model]\nengine = \"cuda\"", "expected one of `auto`, `tensorrt`, `onnxruntime`"),
    ] {
        let (section, keys) = line.split_once('\n').unwrap();
        let error = parse(&LEAST.replace(section, &format!("{section}\n{keys}"))).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    for (key, value) in [
        ("model.path", "model"),
        ("acquire.folder", "scans"),
        ("acquire.archive", "archive"),
        ("plc.port", "/dev/ttyUSB0"),
        ("journal.path", "verdicts.sqlite"),
    ] {
        let error = parse(&LEAST.replace(&format!("{value:?}"), "\"\"")).unwrap_err().to_string();
        assert!(error.contains(&format!("{key}: found \"\", expected a path")), "{error}");
    }
    let error =
        parse(&LEAST.replace("\"part-id\"", "\"part-id\"\nlead_ms = 99999999999999999")).unwrap_err().to_string();
    assert!(error.contains("acquire.lead_ms: found 99999999999999999, expected at most 86400000"), "{error}");
    let error = parse(&LEAST.replace("\"archive\"", "\"scans/archive\"")).unwrap_err().to_string();
    assert!(error.contains("acquire.archive"), "{error}");
    let short = LEAST.replace("\"part-id\"", "\"trigger-first\"\nlead_ms = 4999");
    let error = parse(&short).unwrap_err().to_string();
    assert!(error.contains("acquire.lead_ms: found 4999, expected at least plc.deadline_ms"), "{error}");
    let never = LEAST.replace("\"part-id\"", "\"image-first\"\nlead_ms = 0");
    let error = parse(&never).unwrap_err().to_string();
    assert!(error.contains("acquire.lead_ms: found 0, expected more than 0"), "{error}");
    let error = parse(&format!("{LEAST}[metrics]\nlisten = \"0.0.0.0:9469\"")).unwrap_err().to_string();
    assert!(error.contains("metrics.listen: found 0.0.0.0:9469"), "{error}");
}

/// A type of Rust, such as a nonzero u32, tells nobody what to write.
#[test]
fn numbers_are_refused_with_their_range_and_unit() {
    for (section, key, range) in [
        ("device", "id", "0 to 4294967295"),
        ("model", "threads", "threads from 1 to the cores"),
        ("model", "prove_every_minutes", "1 to 525600 minutes"),
        ("acquire", "lead_ms", "0 to 86400000 ms"),
        ("acquire", "largest_pixels", "1 to 268435456 pixels"),
        ("acquire", "archive_quota_mib", "MiB from 1 on"),
        ("acquire", "min_free_mib", "MiB from 0 on"),
        ("plc", "baud", "bits per second"),
        ("plc", "deadline_ms", "50 to 600000 ms"),
        ("journal", "keep_days", "1 to 4294967295 days"),
    ] {
        let least = LEAST.replace("id = 1\n", if key == "id" { "" } else { "id = 1\n" });
        let with =
            |value: &str| parse(&least.replace(&format!("[{section}]"), &format!("[{section}]\n{key} = {value}")));
        for value in ["-1", "\"5\"", "1.5", "99999999999999999999"] {
            let Err(ConfigError::Syntax { source, .. }) = with(value) else { panic!("{key} = {value}") };
            let is_too_long = value.len() == 20;
            assert!(is_too_long || source.message().contains(range), "{key} = {value}: {source}");
        }
        let may_be_zero = ["id", "lead_ms", "archive_quota_mib", "min_free_mib"].contains(&key);
        let zero = with("0");
        assert!(
            may_be_zero || matches!(&zero, Err(ConfigError::Syntax { source, .. }) if source.message().contains(range))
        );
    }
    let none = parse(&LEAST.replace("[acquire]", "[acquire]\narchive_quota_mib = 0"));
    assert!(matches!(none, Err(ConfigError::Value { key: "acquire.archive_quota_mib", .. })), "{none:?}");
}

/// Each core may have a thread, and no more: a network would take minutes.
#[test]
fn threads_are_at_most_the_cores() {
    let with = |threads: usize| parse(&LEAST.replace("[model]", &format!("[model]\nthreads = {threads}")));
    assert_eq!(with(most_threads()).unwrap().model.threads.unwrap().get(), most_threads());
    let error = with(most_threads() + 1).unwrap_err();
    assert!(matches!(&error, ConfigError::Value { key: "model.threads", .. }), "{error}");
}

/// Tidying the archive would meet images that nobody judged yet, or the journal itself.
#[test]
fn archive_scans_and_journal_lie_apart() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(place.path().join("data/incoming")).unwrap();
    std::os::unix::fs::symlink(place.path().join("data"), place.path().join("link")).unwrap();
    let refused = |scans: &str, archive: &str, journal: &str| {
        let text = LEAST
            .replace("\"scans\"", &format!("{scans:?}"))
            .replace("\"archive\"", &format!("{archive:?}"))
            .replace("\"verdicts.sqlite\"", &format!("{journal:?}"));
        Config::parse(&text, &place.path().join("edge.toml")).err().map(|error| error.to_string())
    };
    for (scans, archive, journal, named) in [
        ("data/incoming", "data", "data/db/verdicts.sqlite", "acquire.folder: found"),
        ("data/incoming", "link", "verdicts.sqlite", "acquire.folder: found"),
        ("data/incoming", "elsewhere/../data", "verdicts.sqlite", "acquire.folder: found"),
        ("data", "data", "verdicts.sqlite", "acquire.archive: found"),
        ("link", "data/incoming/archive", "verdicts.sqlite", "acquire.archive: found"),
        ("data/incoming", "archive", "archive/db/verdicts.sqlite", "journal.path: found"),
        ("data/incoming", "archive", "link/incoming/verdicts.sqlite", "journal.path: found"),
    ] {
        let error = refused(scans, archive, journal).unwrap();
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(refused("data/incoming", "data/archive", "data/verdicts.sqlite"), None);
}
