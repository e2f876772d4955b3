//! Third-party Modbus clients drive whole cycles of a simulated device over a pair of pseudo-terminals.
//!
//! Needs socat, mbpoll, pymodbus and minimalmodbus, which `scripts/setup` installs, and the protocol's example, which
//! `cargo test --workspace` builds first.

use anyhow::Context as _;

/// Drives a device without bundles, or with them.
fn drive(client: &str, bundles: &[&str]) -> anyhow::Result<()> {
    let server =
        cellgate_test_support::program("examples/modbus_server").context("cargo build --workspace --examples")?;
    let arguments = [&[server.to_str().context("a path in UTF-8")?, client][..], bundles].concat();
    let said = cellgate_test_support::oracle("modbus_clients.py", &arguments)?;
    // The script runs nine cycles in a row, and one after the refused requests. In bundles it runs four parts until three reference
    // parts are confirmed, ten parts more, and one of the next bundle.
    let parts = if bundles.is_empty() { 10 } else { 10 + 4 + 10 + 1 };
    assert_eq!(said.lines().filter(|line| line.starts_with("part 0x")).count(), parts, "{said}");
    Ok(())
}

#[test]
fn pymodbus_drives_whole_cycles() -> anyhow::Result<()> {
    drive("pymodbus", &[])
}

#[test]
fn minimalmodbus_drives_whole_cycles() -> anyhow::Result<()> {
    drive("minimalmodbus", &[])
}

#[test]
fn mbpoll_drives_whole_cycles() -> anyhow::Result<()> {
    drive("mbpoll", &[])
}

#[test]
fn each_client_runs_a_bundle_after_the_cycles_of_an_old_client() -> anyhow::Result<()> {
    ["pymodbus", "minimalmodbus", "mbpoll"].into_iter().try_for_each(|client| drive(client, &["bundles"]))
}
