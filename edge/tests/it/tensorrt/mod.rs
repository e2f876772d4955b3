//! Tests of the TensorRT path that run without a GPU. Most need TensorRT for RTX. All need gcc, for simulated libraries.

mod building;
mod device;
mod gpu_check;
mod plan;
mod without_tensorrt;

/// Whether a log has a line with that event.
fn has_event(log: &str, event: &str) -> bool {
    log.contains(&format!("event=\"{event}\""))
}

/// The values of `field`, the last field of the lines with that event.
fn last_fields(log: &str, event: &str, field: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| has_event(line, event));
    lines.filter_map(|line| Some(line.split_once(&format!(" {field}="))?.1.to_owned())).collect()
}
