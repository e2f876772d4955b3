//! Tests the TensorRT path as far as it runs without a GPU. Most tests need TensorRT for RTX, and gcc for simulated libraries.

mod building;
mod device;
mod gpu_check;
mod plan;
mod without_tensorrt;

/// Whether a log has a line with this event.
fn has_event(log: &str, event: &str) -> bool {
    log.contains(&format!("event=\"{event}\""))
}

/// The values of `field` in the lines with this event. It must be the last field of the line.
fn last_fields(log: &str, event: &str, field: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| has_event(line, event));
    lines.filter_map(|line| Some(line.split_once(&format!(" {field}="))?.1.to_owned())).collect()
}
