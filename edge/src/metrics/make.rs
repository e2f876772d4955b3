//! Creates counters, gauges and histograms with fixed labels. All are created at the start, so that a metric is served before
//! its first count, and counting needs no lookup by label text.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The metrics with one name and different label values. Each metric is found by a value of type `K`.
#[derive(Debug)]
pub(super) struct Family<K, M>(Vec<(K, M)>);

impl<K: PartialEq, M> Family<K, M> {
    /// The metric that belongs to `value`. `None` if no metric does.
    pub(super) fn get(&self, value: &K) -> Option<&M> {
        self.0.iter().find(|(known, _)| known == value).map(|(_, figure)| figure)
    }
}

/// A counter that follows a count kept elsewhere. The followed count may start again at zero; the counter never does.
#[derive(Debug)]
pub(super) struct Follower {
    counter: IntCounter,
    last: AtomicU64,
}

impl Follower {
    /// Adds how much `count` has grown since the last call. A `count` smaller than at the last call has started again at zero.
    pub(super) fn follow(&self, count: u64) {
        let last = self.last.swap(count, Ordering::Relaxed);
        self.counter.inc_by(count.checked_sub(last).unwrap_or(count));
    }
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter> {
    registered(registry, IntCounter::new(name, help)?)
}

pub(super) fn follower(registry: &Registry, name: &str, help: &str) -> Result<Follower> {
    Ok(Follower { counter: counter(registry, name, help)?, last: AtomicU64::new(0) })
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge> {
    registered(registry, IntGauge::new(name, help)?)
}

/// A gauge for a time in seconds with a fraction.
pub(super) fn seconds(registry: &Registry, name: &str, help: &str) -> Result<Gauge> {
    registered(registry, Gauge::new(name, help)?)
}

/// Creates one counter for each of `entries`. An entry is the value by which the counter is found, and the texts of its
/// `labels`.
pub(super) fn counters<K, const N: usize>(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: [&str; N],
    entries: impl IntoIterator<Item = (K, [&'static str; N])>,
) -> Result<Family<K, IntCounter>> {
    let all = registered(registry, IntCounterVec::new(Opts::new(name, help), &labels)?)?;
    family(entries, |values| all.get_metric_with_label_values(values))
}

/// Like [`counters`], but each counter follows a count kept elsewhere.
pub(super) fn followers<K>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    entries: impl IntoIterator<Item = (K, [&'static str; 1])>,
) -> Result<Family<K, Follower>> {
    let all = registered(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)?;
    let follower = |counter| Follower { counter, last: AtomicU64::new(0) };
    family(entries, |values| all.get_metric_with_label_values(values).map(follower))
}

/// Like [`counters`], for gauges.
pub(super) fn gauges<K>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    entries: impl IntoIterator<Item = (K, [&'static str; 1])>,
) -> Result<Family<K, IntGauge>> {
    let all = registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)?;
    family(entries, |values| all.get_metric_with_label_values(values))
}

/// Like [`gauges`], for points in time in seconds since 1970, with a fraction.
pub(super) fn times<K>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    entries: impl IntoIterator<Item = (K, [&'static str; 1])>,
) -> Result<Family<K, Gauge>> {
    let all = registered(registry, GaugeVec::new(Opts::new(name, help), &[label])?)?;
    family(entries, |values| all.get_metric_with_label_values(values))
}

/// Like [`counters`], for histograms in seconds whose buckets end at `deadline`.
pub(super) fn histograms<K>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    deadline: Duration,
    entries: impl IntoIterator<Item = (K, [&'static str; 1])>,
) -> Result<Family<K, Histogram>> {
    let options = HistogramOpts::new(name, help).buckets(buckets(deadline));
    let all = registered(registry, HistogramVec::new(options, &[label])?)?;
    family(entries, |values| all.get_metric_with_label_values(values))
}

/// Creates a metric with the constant value 1. Its labels carry the information.
pub(super) fn info(registry: &Registry, name: &str, help: &str, labels: [(&str, &str); 4]) -> Result<()> {
    let options =
        labels.into_iter().fold(Opts::new(name, help), |options, (label, value)| options.const_label(label, value));
    registered(registry, IntGauge::with_opts(options)?)?.set(1);
    Ok(())
}

/// Creates the metric of each entry. `figure` makes it from the texts of the entry's labels.
fn family<K, M, const N: usize>(
    entries: impl IntoIterator<Item = (K, [&'static str; N])>,
    figure: impl Fn(&[&str]) -> Result<M>,
) -> Result<Family<K, M>> {
    let entries = entries.into_iter().map(|(value, labels)| Ok((value, figure(&labels)?)));
    Ok(Family(entries.collect::<Result<_>>()?))
}

fn registered<M: Collector + Clone + 'static>(registry: &Registry, figure: M) -> Result<M> {
    registry.register(Box::new(figure.clone()))?;
    Ok(figure)
}

/// The upper bounds of a histogram's buckets in seconds: 1, 2 and 5 times each power of ten from a millisecond up to below the
/// deadline (600 s at most), then the deadline itself. Longer times need no bounds, because the PLC can't use a verdict after
/// the deadline.
fn buckets(deadline: Duration) -> Vec<f64> {
    let deadline = deadline.as_secs_f64();
    let ladder =
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let mut bounds: Vec<f64> = ladder.into_iter().take_while(|bound| *bound < deadline).collect();
    bounds.push(deadline);
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_with_the_deadline() {
        // The shortest deadline that can be configured, one between two steps of the ladder, and the longest.
        assert_eq!(buckets(Duration::from_millis(50)), [0.001, 0.002, 0.005, 0.01, 0.02, 0.05]);
        assert_eq!(buckets(Duration::from_millis(5_500))[10..], [2.0, 5.0, 5.5]);
        assert_eq!(buckets(Duration::from_secs(600)).len(), 19);
    }

    #[test]
    fn a_follower_keeps_counting_when_its_source_restarts() {
        let registry = Registry::new();
        let follower = follower(&registry, "a_total", "A.").unwrap();
        for count in [3, 3, 5, 0, 2] {
            follower.follow(count);
        }
        assert_eq!(follower.counter.get(), 7);
    }

    #[test]
    fn a_duplicate_name_is_refused() {
        let registry = Registry::new();
        let _first = counter(&registry, "a_total", "A.").unwrap();
        assert!(counter(&registry, "a_total", "A.").is_err());
    }
}
