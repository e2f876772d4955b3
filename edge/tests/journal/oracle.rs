//! Compares all hashes of a journal with those that `tests/oracle/journal.py` computes from JOURNAL.md alone.

use crate::schema_1::of_schema_1;
use crate::{entry, record, trigger};
use cellgate_edge::journal::{
    EventEntry, EventKind, Filter, Journal, JournalOptions, JournalTrigger, Reader, RowFeatures, RowForm, Scope,
    VerdictEntry,
};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::Verdict;
use cellgate_test_support::oracle;
use serde_json::Value;

#[test]
fn the_hashes_equal_those_that_python_computes() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_schema_1(folder.path(), 30);
    let (journal, _) = Journal::open(&path, JournalOptions::default()).unwrap();
    for part in 1..=4 {
        let bundle = if part == 2 { u32::MAX } else { 0 };
        let accepted = journal.accept(JournalTrigger { bundle, ..trigger(part) }).unwrap();
        let changed = match part {
            1 => entry(accepted.id()),
            2 => {
                let features = Some(RowFeatures::from(&WhitenedFeatures::new([-0.5; WhitenedFeatures::COUNT])));
                VerdictEntry { raw_logit: Some(-0.0), distance: Some(1e-300), features, ..entry(accepted.id()) }
            }
            3 => VerdictEntry { raw_logit: Some(f32::NAN), distance: Some(f64::INFINITY), ..entry(accepted.id()) },
            _ => {
                let rejected = VerdictEntry { verdict: Verdict::Reject, score: None, ..entry(accepted.id()) };
                VerdictEntry { rule: None, raw_logit: None, distance: None, regions: None, ..rejected }
            }
        };
        journal.commit(changed).unwrap();
        let figures = [("logit".to_owned(), 0.1.into()), ("text".to_owned(), "ä".into())].into_iter().collect();
        let event = EventEntry {
            kind: EventKind::ALL[part as usize - 1],
            bundle: u32::MAX,
            model: None,
            model_before: None,
            who: "ä".to_owned(),
            why: String::new(),
            figures,
        };
        record(&journal, event).unwrap();
    }
    drop(journal);
    let reader = Reader::open(&path).unwrap();
    let rows = reader.newest(&Filter::default(), usize::MAX).unwrap();
    let events = reader.newest_events(Scope::default(), usize::MAX).unwrap();
    assert!(rows.iter().any(|row| row.form == RowForm::One) && rows.iter().any(|row| row.entry.raw_logit == Some(0.0)));
    let mut expected: Vec<(&str, u64, String, String)> = Vec::new();
    for row in &rows {
        expected.push(("verdict", row.seq.get(), row.previous.to_string(), row.hash.to_string()));
    }
    for event in &events {
        expected.push(("event", event.number.get(), event.previous.to_string(), event.hash.to_string()));
    }
    let output = oracle("journal.py", &[path.to_str().unwrap()]).unwrap();
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = lines
        .iter()
        .filter(|line| line["table"] != "anchor")
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (line["table"].as_str().unwrap(), line["number"].as_u64().unwrap(), text("previous"), text("hash"))
        })
        .collect();
    assert_eq!((found.len(), lines.len()), (25 + 1 + 4 + 4, 35));
    assert_eq!(found, expected);
}
