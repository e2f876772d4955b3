//! Tests the use of TensorRT, on a machine without a GPU. Most need TensorRT for RTX. All need gcc, for simulated libraries.

mod building;
mod device;
mod gpu_check;
mod plan;
mod without_tensorrt;

/// Whether a log has an entry with this event.
fn has_event(log: &str, event: &str) -> bool {
    log.contains(&format!("event=\"{event}\""))
}

/// The values of `field`, which must be the last field of the entries with this event.
fn last_fields(log: &str, event: &str, field: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| has_event(line, event));
    lines.filter_map(|line| Some(line.split_once(&format!(" {field}="))?.1.to_owned())).collect()
}
