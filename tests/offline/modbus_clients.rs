//! Third-party Modbus clients drive whole cycles of a simulated device over a pair of pseudo-terminals.
//!
//! Needs socat, mbpoll, pymodbus and minimalmodbus, which `scripts/setup` installs, and the protocol's example, which
//! `cargo test --workspace` builds first.

use anyhow::Context as _;

fn drive(client: &str) -> anyhow::Result<()> {
    let server =
        cellgate_test_support::program("examples/modbus_server").context("cargo build --workspace --examples")?;
    let said =
        cellgate_test_support::oracle("modbus_clients.py", &[server.to_str().context("a path in UTF-8")?, client])?;
    // The script runs nine cycles in a row, and one after the refused requests.
    assert_eq!(said.lines().filter(|line| line.starts_with("part 0x")).count(), 10, "{said}");
    Ok(())
}

#[test]
fn pymodbus_drives_whole_cycles() -> anyhow::Result<()> {
    drive("pymodbus")
}

#[test]
fn minimalmodbus_drives_whole_cycles() -> anyhow::Result<()> {
    drive("minimalmodbus")
}

#[test]
fn mbpoll_drives_whole_cycles() -> anyhow::Result<()> {
    drive("mbpoll")
}
