//! Reads Prometheus' text format 0.0.4 strictly: panics on any violation of the format or of the naming conventions.

use std::collections::{BTreeMap, BTreeSet};

/// The result of a scrape.
pub struct Page(Vec<Family>);

/// One metric with all its series.
struct Family {
    name: String,
    kind: String,
    help: String,
    series: Vec<Series>,
}

/// A label's value by its name.
type Labels = BTreeMap<String, String>;

/// A series and its value: one line of the text.
struct Series {
    name: String,
    labels: Labels,
    value: f64,
}

impl Page {
    /// Reads every line of `text`.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut families: Vec<Family> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name), "{line}");
                assert!(families.iter().all(|family| family.name != name), "twice: {line}");
                let (name, kind, help) = (name.to_owned(), String::new(), help.to_owned());
                families.push(Family { name, kind, help, series: Vec::new() });
                continue;
            }
            let family = families.last_mut().unwrap_or_else(|| panic!("before any HELP: {line}"));
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let kind = rest.strip_prefix(&format!("{} ", family.name)).unwrap_or_else(|| panic!("{line}"));
                assert!(family.kind.is_empty() && family.series.is_empty(), "out of order: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                family.kind = kind.to_owned();
            } else {
                let series = series(line);
                let suffix = series.name.strip_prefix(&family.name).unwrap_or_else(|| panic!("stray: {line}"));
                let is_its = match family.kind.as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                    _ => suffix.is_empty(),
                };
                assert!(is_its, "not of {}: {line}", family.name);
                family.series.push(series);
            }
        }
        families.iter().for_each(check);
        Self(families)
    }

    /// All metrics as the rows of the table in edge/README.md.
    pub fn table(&self) -> String {
        let rows: String = self.0.iter().map(row).collect();
        format!("| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}")
    }

    /// The sum of all series with this name and these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &&Series| {
            series.name == name
                && labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|own| own == value))
        };
        let found: Vec<f64> =
            self.0.iter().flat_map(|family| &family.series).filter(has).map(|series| series.value).collect();
        assert!(!found.is_empty(), "no series {name} {labels:?}");
        found.iter().sum()
    }
}

/// A metric as a row of the table in edge/README.md. The values of a label follow its name if they are a fixed set.
fn row(family: &Family) -> String {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (label, value) in family.series.iter().flat_map(|series| &series.labels).filter(|(label, _)| *label != "le") {
        labels.entry(label).or_default().insert(value);
    }
    let is_open = |label: &str| ["version", "device", "model", "profile", "reason"].contains(&label);
    let named = labels.into_iter().map(|(label, values)| {
        let values = if is_open(label) { String::new() } else { format!(": {}", Vec::from_iter(values).join(", ")) };
        format!("`{label}`{values}")
    });
    format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, Vec::from_iter(named).join("; "), family.help)
}

fn is_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit()) && !name.starts_with("__")
}

/// Parses a line of the form `name{label="value",...} value`.
fn series(line: &str) -> Series {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label's value: {line}"));
            assert!(is_name(label), "{line}");
            let mut value = String::new();
            let mut characters = after.chars();
            loop {
                match characters.next().unwrap_or_else(|| panic!("no end: {line}")) {
                    '"' => break,
                    '\\' => value.push(match characters.next() {
                        Some('n') => '\n',
                        Some(c @ ('\\' | '"')) => c,
                        other => panic!("escaped {other:?}: {line}"),
                    }),
                    c => value.push(c),
                }
            }
            rest = characters.as_str();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            assert!(labels.insert(label.to_owned(), value).is_none(), "label twice: {line}");
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no space: {line}"));
    assert!(!value.contains(' '), "a timestamp: {line}");
    Series { name: name.to_owned(), labels, value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")) }
}

/// Checks one metric against the naming conventions. The caller has checked the format of its lines.
fn check(family: &Family) {
    let Family { name, kind, help, series } = family;
    assert!(!kind.is_empty() && !series.is_empty() && help.ends_with('.'), "{name}");
    assert!(name.starts_with("cellgate_") || name == "process_start_time_seconds", "{name}");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    let foreign_units = ["_ms", "_us", "_millis", "_milliseconds", "_mib", "_kb", "_percent"];
    assert!(foreign_units.iter().all(|unit| !name.contains(unit)), "{name}: base units are seconds and bytes");
    let each: BTreeSet<_> = series.iter().map(|series| (&series.name, &series.labels)).collect();
    assert_eq!(each.len(), series.len(), "{name}: a series is there twice");
    for series in series {
        assert!(series.value.is_finite(), "{name}");
        assert!(kind != "counter" || series.value >= 0.0, "{name}");
    }
    if kind == "histogram" {
        check_histogram(family);
    }
}

/// Checks that buckets are cumulative and end with the count, and that values in these buckets can have the sum.
fn check_histogram(family: &Family) {
    let mut by_labels: BTreeMap<Labels, Vec<(&Series, Option<f64>)>> = BTreeMap::new();
    for series in &family.series {
        let mut labels = series.labels.clone();
        let bound = labels.remove("le").map(|bound| bound.parse().unwrap());
        assert_eq!(bound.is_some(), series.name.ends_with("_bucket"), "{}", series.name);
        by_labels.entry(labels).or_default().push((series, bound));
    }
    for (labels, all) in by_labels {
        let one = |ending| all.iter().find(|(series, _)| series.name.ends_with(ending)).unwrap().0.value;
        let (sum, count) = (one("_sum"), one("_count"));
        let buckets: Vec<(f64, f64)> =
            all.iter().filter_map(|(series, bound)| Some(((*bound)?, series.value))).collect();
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{} {labels:?}: {buckets:?}", family.name);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{} {labels:?}", family.name);
        let (mut least, mut most, mut before) = (0.0, 0.0, (0.0, 0.0));
        for &(bound, cumulated) in &buckets {
            let here = cumulated - before.1;
            least += here * before.0;
            most += if here == 0.0 { 0.0 } else { here * bound };
            before = (bound, cumulated);
        }
        assert!(least <= sum + 1e-9 && sum <= most + 1e-9, "{} {labels:?}: {least} {sum} {most}", family.name);
    }
}
