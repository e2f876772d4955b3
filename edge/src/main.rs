//! The appliance at the end of the line: judges radiographs with a model bundle.

fn main() {}
