//! The bytes of each version, and the examples in SPEC.md.

mod v01;

use cellgate_protocol::{
    frame::{self, Header, Message},
    limits::MAX_FRAME,
};
use std::{collections::BTreeMap, fmt::Debug};

/// A frame's bytes as text.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn same_both_ways<M: Message + Debug + PartialEq>((name, header, message, golden): (&str, Header, M, &str)) {
    let mut out = [0; MAX_FRAME];
    let bytes = frame::encode(&header, &message, &mut out).expect("a test knows its case");
    assert_eq!(hex(bytes), golden, "{name} is written in another way");
    let read = frame::decode::<M>(&bytes[1..bytes.len() - 1]).expect("a test knows its case");
    assert_eq!(read, (header, message), "{name} is read in another way");
}

#[test]
fn version_1_is_written_and_read_as_ever() {
    v01::to_device().into_iter().for_each(same_both_ways);
    v01::to_plc().into_iter().for_each(same_both_ways);
}

#[test]
fn the_examples_of_the_specification_are_the_golden_bytes() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md")).expect("a test knows its case");
    let block = text.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a test knows its case");
    let mut examples = BTreeMap::new();
    let mut name = "";
    for line in block.lines() {
        match line.strip_prefix("    ") {
            None => name = line,
            Some(bytes) => {
                let example: &mut Vec<&str> = examples.entry(name).or_default();
                example.extend(bytes.split_whitespace());
            }
        }
    }
    let examples: BTreeMap<&str, String> = examples.into_iter().map(|(name, bytes)| (name, bytes.join(" "))).collect();
    let to_device = v01::to_device().into_iter().map(|(name, .., golden)| (name, golden.to_owned()));
    let to_plc = v01::to_plc().into_iter().map(|(name, .., golden)| (name, golden.to_owned()));
    assert_eq!(examples, to_device.chain(to_plc).collect());
}
