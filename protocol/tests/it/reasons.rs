//! Checks that REASONS.md lists the same reasons as the source code.

use cellgate_protocol::reason::{ReasonCode, Role};

/// The text in the column `carried by`.
fn carried_by(role: Role) -> &'static str {
    match role {
        Role::Pass => "PASS",
        Role::Review => "REVIEW",
        Role::Reject => "REJECT",
        Role::Refusal => "refusal",
        Role::RefusalOrReject => "refusal or REJECT",
        Role::Gate => "gate",
    }
}

#[test]
fn the_document_lists_each_code_with_its_name_and_role() {
    let rows: Vec<String> = include_str!("../../REASONS.md")
        .lines()
        .filter(|line| line.starts_with("| 0x"))
        .map(|line| line.split('|').take(4).collect::<Vec<_>>().join("|"))
        .collect();
    let expected: Vec<String> = ReasonCode::ALL
        .iter()
        .map(|reason| {
            let (name, role) = (reason.name().unwrap(), reason.role().unwrap());
            format!("| {:#06X} | `{name}` | {} ", reason.0, carried_by(role))
        })
        .collect();
    assert_eq!(rows, expected);
}
