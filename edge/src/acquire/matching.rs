//! Which image belongs to a trigger. In doubt there is none: an image that might be another part's is never judged.

use super::Arrival;
use crate::config::Matching;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Images that wait for a trigger, at most; the oldest are set aside.
const MOST_WAITING: usize = 256;

/// Why a trigger gets no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// None has come yet.
    #[error("no image has come")]
    NotYet,
    /// Several came of which each could be it.
    #[error("several images came for one trigger")]
    Several,
    /// Matched by order, an earlier trigger found no image or several, so the order says nothing any more. It does again
    /// after a pause of `lead` without image and trigger.
    #[error("the order of images and triggers was lost; it begins anew after a pause")]
    OutOfStep,
}

/// Images that wait for their trigger.
#[derive(Debug)]
pub struct Matcher {
    matching: Matching,
    lead: Duration,
    waiting: Vec<Arrival>,
    /// The last image or trigger since the order was lost; none while images and triggers are in step.
    out_of_step: Option<Instant>,
}

impl Matcher {
    /// `lead` is how long before its trigger an image may have been completed.
    #[must_use]
    pub fn new(matching: Matching, lead: Duration) -> Self {
        Self { matching, lead, waiting: Vec::new(), out_of_step: None }
    }

    /// An image has come. One of the same name that waits is replaced: its file was.
    pub fn add(&mut self, arrival: Arrival) {
        self.out_of_step = self.out_of_step.filter(|last| !self.is_pause(*last, arrival.at)).map(|_| arrival.at);
        self.waiting.retain(|waiting| waiting.path != arrival.path);
        self.waiting.push(arrival);
    }

    /// The image of the part `part_id`, triggered at `triggered`.
    ///
    /// # Errors
    /// [`NoImage`]: there is none, or no telling which.
    pub fn take(&mut self, part_id: u64, triggered: Instant) -> Result<PathBuf, NoImage> {
        let lead = self.lead;
        if let Some(last) = self.out_of_step {
            if !self.is_pause(last, triggered) {
                self.out_of_step = Some(triggered.max(last));
                return Err(NoImage::OutOfStep);
            }
            self.out_of_step = None;
        }
        let is_fresh = |arrival: &Arrival| triggered.saturating_duration_since(arrival.at) <= lead;
        let is_its = |arrival: &&Arrival| match self.matching {
            Matching::PartId => named_part(&arrival.path) == Some(part_id),
            Matching::Order | Matching::FreeRunning => true,
        };
        let mut fitting = self.waiting.iter().filter(|arrival| is_fresh(arrival)).filter(is_its);
        let found = fitting.next().ok_or(NoImage::NotYet)?.path.clone();
        if fitting.next().is_some() {
            return Err(NoImage::Several);
        }
        self.waiting.retain(|waiting| waiting.path != found);
        Ok(found)
    }

    /// Whether nothing happened for so long that images and triggers are in step again.
    fn is_pause(&self, last: Instant, now: Instant) -> bool {
        now.saturating_duration_since(last) > self.lead
    }

    /// The image that has waited longest, of those that need no trigger.
    pub fn take_oldest(&mut self) -> Option<PathBuf> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).path)
    }

    /// How many images wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// The images that no trigger will want any more: too old now, or more than are kept waiting. Free-running, none.
    pub fn stale(&mut self, now: Instant) -> Vec<PathBuf> {
        if self.matching == Matching::FreeRunning {
            return Vec::new();
        }
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        let lead = self.lead;
        let mut index = 0;
        let mut stale = Vec::new();
        self.waiting.retain(|arrival| {
            let is_stale = index < surplus || now.saturating_duration_since(arrival.at) > lead;
            index += 1;
            if is_stale {
                stale.push(arrival.path.clone());
            }
            !is_stale
        });
        stale
    }

    /// A trigger ended at `now` without an image, or could not tell which was its. The images that are nobody's now: matched by
    /// order all that wait, as a late one would be taken for the next part's.
    pub fn missed(&mut self, part_id: u64, now: Instant) -> Vec<PathBuf> {
        let matching = self.matching;
        if matching == Matching::Order {
            self.out_of_step = Some(now);
        }
        let is_nobodys =
            |arrival: &mut Arrival| matching == Matching::Order || named_part(&arrival.path) == Some(part_id);
        self.waiting.extract_if(.., is_nobodys).map(|arrival| arrival.path).collect()
    }
}

/// The part's number that is the file's name: decimal digits only, with leading zeros or not.
fn named_part(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: Duration = Duration::from_secs(1);

    fn matcher(matching: Matching, arrivals: &[(&str, Instant)]) -> Matcher {
        let mut matcher = Matcher::new(matching, LEAD);
        for (name, at) in arrivals {
            matcher.add(Arrival { path: PathBuf::from(name), at: *at });
        }
        matcher
    }

    #[test]
    fn a_part_gets_the_image_of_its_number_once() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("0012.tif", now), ("13.tif", now), ("x12.tif", now)]);
        assert_eq!(matcher.take(13, now), Ok("13.tif".into()));
        assert_eq!(matcher.take(13, now), Err(NoImage::NotYet));
        assert_eq!(matcher.take(12, now), Ok("0012.tif".into()));
        assert_eq!(matcher.backlog(), 1);
    }

    #[test]
    fn two_files_of_one_number_are_nobodys() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("012.tif", now), ("12.tif", now)]);
        assert_eq!(matcher.take(12, now), Err(NoImage::Several));
        assert_eq!(matcher.missed(12, now).len(), 2);
        assert_eq!(matcher.backlog(), 0);
    }

    #[test]
    fn an_image_from_long_before_the_trigger_is_stale() {
        let then = Instant::now();
        let now = then + LEAD + Duration::from_millis(1);
        let mut matcher = matcher(Matching::PartId, &[("12.tif", then)]);
        assert_eq!(matcher.take(12, now), Err(NoImage::NotYet));
        assert_eq!(matcher.stale(now), [PathBuf::from("12.tif")]);
        assert_eq!(matcher.backlog(), 0);
    }

    #[test]
    fn by_order_the_only_image_is_taken_and_several_are_refused() {
        let now = Instant::now();
        let mut one = matcher(Matching::Order, &[("a.tif", now)]);
        assert_eq!(one.take(1, now), Ok("a.tif".into()));
        let mut two = matcher(Matching::Order, &[("a.tif", now), ("b.tif", now)]);
        assert_eq!(two.take(1, now), Err(NoImage::Several));
    }

    /// Else the late image of one part would be taken for that of the next.
    #[test]
    fn by_order_a_missed_image_ends_the_order_until_a_pause() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut matcher = matcher(Matching::Order, &[]);
        assert_eq!(matcher.take(1, at(0)), Err(NoImage::NotYet));
        matcher.missed(1, at(500));
        matcher.add(Arrival { path: "late.tif".into(), at: at(600) });
        assert_eq!(matcher.take(2, at(700)), Err(NoImage::OutOfStep));
        assert_eq!(matcher.missed(2, at(900)), [PathBuf::from("late.tif")]);
        matcher.add(Arrival { path: "b.tif".into(), at: at(1950) });
        assert_eq!(matcher.take(3, at(1960)), Ok("b.tif".into()));
    }

    #[test]
    fn a_file_that_was_written_again_waits_once() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("5.tif", now), ("5.tif", now)]);
        assert_eq!((matcher.backlog(), matcher.take(5, now)), (1, Ok("5.tif".into())));
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let now = Instant::now();
        let names: Vec<String> = (0..MOST_WAITING + 3).map(|part| format!("{part}.tif")).collect();
        let arrivals: Vec<(&str, Instant)> = names.iter().map(|name| (name.as_str(), now)).collect();
        let mut matcher = matcher(Matching::PartId, &arrivals);
        assert_eq!(matcher.stale(now).len(), 3);
        assert_eq!(matcher.take(0, now), Err(NoImage::NotYet));
        assert_eq!(matcher.take(3, now), Ok("3.tif".into()));
    }
}
