//! Compares encoded messages with the golden bytes of each version, and the golden bytes with the examples in SPEC.md.

mod schema_2;
mod v01;

use cellgate_protocol::{
    frame::{self, Header, Message},
    limits::MAX_FRAME,
};
use std::{collections::BTreeMap, fmt::Debug};

/// The bytes as hexadecimal text.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn assert_golden<M: Message + Debug + PartialEq>((name, header, message, golden): (&str, Header, M, &str)) {
    let mut out = [0; MAX_FRAME];
    let bytes = frame::encode(&header, &message, &mut out).expect("every message fits");
    assert_eq!(hex(bytes), golden, "{name} is encoded differently");
    let read = frame::decode::<M>(&bytes[1..bytes.len() - 1]);
    assert_eq!(read, Ok((header, message)), "{name} is decoded differently");
}

#[test]
fn version_1_matches_its_golden_bytes() {
    v01::to_device().into_iter().for_each(assert_golden);
    v01::to_plc().into_iter().for_each(assert_golden);
}

#[test]
fn schema_2_matches_its_golden_bytes() {
    schema_2::to_device().into_iter().for_each(assert_golden);
    schema_2::to_plc().into_iter().for_each(assert_golden);
}

/// The examples of the specification's block with this number, from 1.
fn examples(number: usize) -> BTreeMap<String, String> {
    let after = include_str!("../../SPEC.md").split("```hex\n").nth(number).expect("the block is there");
    let block = after.split("```").next().unwrap_or_default();
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
    examples.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.join(" "))).collect()
}

#[test]
fn the_examples_of_the_specification_are_the_golden_bytes() {
    let golden = |name: &str, bytes: &str| (name.to_owned(), bytes.to_owned());
    let to_device = v01::to_device().into_iter().map(|(name, .., bytes)| golden(name, bytes));
    let to_plc = v01::to_plc().into_iter().map(|(name, .., bytes)| golden(name, bytes));
    assert_eq!(examples(1), to_device.chain(to_plc).collect());
    let to_device = schema_2::to_device().into_iter().map(|(name, .., bytes)| golden(name, bytes));
    let to_plc = schema_2::to_plc().into_iter().map(|(name, .., bytes)| golden(name, bytes));
    assert_eq!(examples(2), to_device.chain(to_plc).collect());
}
