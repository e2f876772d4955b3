//! Which image belongs to a trigger. In doubt there is none: an image that might be another part's is never judged.
//!
//! By number the file's name says it. By order only time does, so images and triggers have to take turns: image, trigger,
//! image, trigger on an image-first line; trigger, image on a trigger-first one. Whatever breaks the turn puts both out of
//! step: a start, a folder watched anew, a refused trigger, two images or none for one trigger, an image on the wrong side of
//! its trigger. Then every trigger is refused an image and every image set aside, until nothing has come for `lead`; what
//! comes next begins a turn. This is right as long as an image and its trigger never lie further apart than `lead`.

use super::{Arrival, Identity, ImageFile};
use crate::config::Matching;
use std::path::Path;
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
    /// Matched by order, which is in doubt. It holds again after a pause of `lead` without image and trigger.
    #[error("the order of images and triggers is in doubt; it holds again after a pause of lead_ms without either")]
    OutOfStep,
}

/// Images that wait for their trigger.
#[derive(Debug)]
pub struct Matcher {
    matching: Matching,
    lead: Duration,
    waiting: Vec<Arrival>,
    /// Images that no trigger will get.
    nobodys: Vec<ImageFile>,
    /// What the last trigger got.
    taken: Option<Identity>,
    /// By order, the last thing that happened since the order was in doubt; none while images and triggers are in step.
    /// Then nothing waits.
    out_of_step: Option<Instant>,
}

impl Matcher {
    /// By `lead` image and trigger may lie apart. By order it begins out of step at `now`: nobody knows what came before.
    #[must_use]
    pub fn new(matching: Matching, lead: Duration, now: Instant) -> Self {
        let out_of_step = matching.is_by_order().then_some(now);
        Self { matching, lead, waiting: Vec::new(), nobodys: Vec::new(), taken: None, out_of_step }
    }

    /// An image has come. One of the same name that waits is replaced: its file was.
    pub fn add(&mut self, arrival: Arrival) {
        if self.matching.is_by_order() {
            // The second one before a trigger came for the first: whose is which?
            if !self.is_in_step(arrival.at) || !self.waiting.is_empty() {
                self.lose_step(arrival.at);
                return self.discard(arrival.file);
            }
        }
        self.waiting.retain(|waiting| waiting.file.path != arrival.file.path);
        // By number, what is gone or being written again is told of anew, and a file that was closed twice is no second one.
        let is_known = arrival.file.identity.is_none_or(|identity| self.taken == Some(identity));
        if self.matching != Matching::PartId || !is_known {
            self.waiting.push(arrival);
        }
    }

    /// The image of the part `part_id`, triggered at `triggered`.
    ///
    /// # Errors
    /// [`NoImage`]: there is none, or no telling which.
    pub fn take(&mut self, part_id: u64, triggered: Instant) -> Result<ImageFile, NoImage> {
        if self.matching.is_by_order() {
            return self.take_by_order(triggered);
        }
        let lead = self.lead;
        let mut fitting = self.waiting.iter().filter(|arrival| {
            triggered.saturating_duration_since(arrival.at) <= lead && named_part(&arrival.file.path) == Some(part_id)
        });
        let found = fitting.next().ok_or(NoImage::NotYet)?.file.clone();
        if fitting.next().is_some() {
            return Err(NoImage::Several);
        }
        self.waiting.retain(|waiting| waiting.file.path != found.path);
        self.taken = found.identity;
        Ok(found)
    }

    fn take_by_order(&mut self, triggered: Instant) -> Result<ImageFile, NoImage> {
        if !self.is_in_step(triggered) {
            self.lose_step(triggered);
            return Err(NoImage::OutOfStep);
        }
        let image = self.waiting.pop().ok_or(NoImage::NotYet)?;
        let is_its = match self.matching {
            Matching::TriggerFirst => image.at >= triggered,
            _ => image.at <= triggered && triggered.duration_since(image.at) <= self.lead,
        };
        if is_its {
            return Ok(image.file);
        }
        self.discard(image.file);
        self.lose_step(triggered.max(image.at));
        Err(NoImage::OutOfStep)
    }

    /// Something happened at `now` after which nobody knows which image is whose by order: a trigger was refused, or
    /// nobody watched for images.
    pub fn doubt(&mut self, now: Instant) {
        if self.matching.is_by_order() {
            self.lose_step(now);
        }
    }

    /// The image that has waited longest, of those that need no trigger.
    pub fn take_oldest(&mut self) -> Option<ImageFile> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).file)
    }

    /// By how much image and trigger may lie apart.
    #[must_use]
    pub fn lead(&self) -> Duration {
        self.lead
    }

    /// How many images wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// The images that no trigger will want any more: too old now, or more than are kept waiting, or by order in doubt.
    /// Free-running, none.
    pub fn stale(&mut self, now: Instant) -> Vec<ImageFile> {
        if self.matching == Matching::FreeRunning {
            return Vec::new();
        }
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        let lead = self.lead;
        let mut index = 0;
        let mut is_stale = |arrival: &mut Arrival| {
            index += 1;
            index <= surplus || now.saturating_duration_since(arrival.at) > lead
        };
        let stale: Vec<_> = self.waiting.extract_if(.., &mut is_stale).collect();
        for arrival in stale {
            self.doubt(arrival.at + lead);
            self.discard(arrival.file);
        }
        std::mem::take(&mut self.nobodys)
    }

    /// A trigger ended at `now` without an image, or could not tell which was its. The images that are nobody's now: matched by
    /// order all that wait, as a late one would be taken for the next part's.
    pub fn missed(&mut self, part_id: u64, now: Instant) -> Vec<ImageFile> {
        self.doubt(now);
        let its: Vec<_> =
            self.waiting.extract_if(.., |arrival| named_part(&arrival.file.path) == Some(part_id)).collect();
        its.into_iter().for_each(|arrival| self.discard(arrival.file));
        std::mem::take(&mut self.nobodys)
    }

    /// Whether images and triggers are in step for what happens at `now`: they are again after a pause. By number always.
    pub fn is_in_step(&mut self, now: Instant) -> bool {
        let lead = self.lead;
        self.out_of_step = self.out_of_step.filter(|last| now.saturating_duration_since(*last) <= lead);
        self.out_of_step.is_none()
    }

    /// What waits is nobody's, and so is all that comes until a pause after `at`.
    fn lose_step(&mut self, at: Instant) {
        self.out_of_step = self.out_of_step.max(Some(at));
        for arrival in std::mem::take(&mut self.waiting) {
            self.discard(arrival.file);
        }
    }

    /// Of a file that was written again, what it is now.
    fn discard(&mut self, file: ImageFile) {
        self.nobodys.retain(|known| known.path != file.path);
        self.nobodys.push(file);
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
    use std::path::PathBuf;

    const LEAD: Duration = Duration::from_secs(1);

    /// A file of its own content for each name.
    fn file(name: &str) -> ImageFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, name).unwrap();
        ImageFile { path: name.into(), ..ImageFile::at(path) }
    }

    fn arrival(name: &str, at: Instant) -> Arrival {
        Arrival { file: file(name), at }
    }

    fn path(taken: Result<ImageFile, NoImage>) -> Result<PathBuf, NoImage> {
        taken.map(|file| file.path)
    }

    fn paths(files: Vec<ImageFile>) -> Vec<PathBuf> {
        files.into_iter().map(|file| file.path).collect()
    }

    fn matcher(matching: Matching, arrivals: &[(&str, Instant)]) -> Matcher {
        let mut matcher = Matcher::new(matching, LEAD, Instant::now());
        for (name, at) in arrivals {
            matcher.add(arrival(name, *at));
        }
        matcher
    }

    #[test]
    fn a_part_gets_the_image_of_its_number_once() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("0012.tif", now), ("13.tif", now), ("x12.tif", now)]);
        assert_eq!(path(matcher.take(13, now)), Ok("13.tif".into()));
        assert_eq!(matcher.take(13, now), Err(NoImage::NotYet));
        assert_eq!(path(matcher.take(12, now)), Ok("0012.tif".into()));
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
        assert_eq!(paths(matcher.stale(now)), [PathBuf::from("12.tif")]);
        assert_eq!(matcher.backlog(), 0);
    }

    /// A matcher by order whose pause is over, and its clock in ms since then.
    fn in_step(matching: Matching) -> (Matcher, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |ms: u64| start + LEAD + Duration::from_millis(1 + ms);
        (Matcher::new(matching, LEAD, start), at)
    }

    fn came(matcher: &mut Matcher, name: &str, at: Instant) {
        matcher.add(arrival(name, at));
    }

    #[test]
    fn by_order_each_trigger_gets_the_one_image_on_its_own_side() {
        let (mut before, at) = in_step(Matching::ImageFirst);
        let (mut after, _) = in_step(Matching::TriggerFirst);
        for part in 0..5 {
            let (image, start) = (format!("{part}.tif"), 300 * part);
            came(&mut before, &image, at(start));
            assert_eq!(path(before.take(part, at(start + 100))), Ok(image.clone().into()));
            assert_eq!(after.take(part, at(start)), Err(NoImage::NotYet));
            came(&mut after, &image, at(start + 100));
            assert_eq!(path(after.take(part, at(start))), Ok(image.into()));
        }
    }

    /// A stray image, then trigger and image by turns: no image may become another part's.
    #[test]
    fn by_order_a_stray_image_shifts_no_verdict() {
        for matching in [Matching::ImageFirst, Matching::TriggerFirst] {
            let (mut matcher, at) = in_step(matching);
            came(&mut matcher, "stray.tif", at(0));
            if matching == Matching::ImageFirst {
                came(&mut matcher, "1.tif", at(50));
            }
            for part in 1..5 {
                assert_eq!(matcher.take(part, at(300 * part)), Err(NoImage::OutOfStep));
                matcher.missed(part, at(300 * part));
                came(&mut matcher, &format!("{}.tif", part + 1), at(300 * part + 150));
            }
            assert_eq!((matcher.backlog(), matcher.stale(at(1400)).len()), (0, 1));
        }
    }

    #[test]
    fn by_order_an_image_on_the_wrong_side_of_its_trigger_is_nobodys() {
        let (mut before, at) = in_step(Matching::ImageFirst);
        assert_eq!(before.take(1, at(0)), Err(NoImage::NotYet));
        came(&mut before, "2.tif", at(150));
        assert_eq!(before.take(1, at(0)), Err(NoImage::OutOfStep), "its own did not come, and this is the next part's");
        let (mut after, at) = in_step(Matching::TriggerFirst);
        came(&mut after, "0.tif", at(0));
        assert_eq!(after.take(1, at(150)), Err(NoImage::OutOfStep));
    }

    #[test]
    fn by_order_a_start_and_each_doubt_needs_a_pause() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut matcher = Matcher::new(Matching::ImageFirst, LEAD, start);
        came(&mut matcher, "a.tif", at(600));
        assert_eq!(matcher.take(1, at(700)), Err(NoImage::OutOfStep));
        assert_eq!(paths(matcher.missed(1, at(700))), [PathBuf::from("a.tif")]);
        came(&mut matcher, "b.tif", at(1701));
        assert_eq!(path(matcher.take(2, at(1710))), Ok("b.tif".into()));
        // A trigger was refused while its image waited.
        came(&mut matcher, "c.tif", at(1800));
        matcher.doubt(at(1850));
        assert_eq!(paths(matcher.stale(at(1850))), [PathBuf::from("c.tif")]);
        came(&mut matcher, "d.tif", at(1900));
        assert_eq!(matcher.take(4, at(1950)), Err(NoImage::OutOfStep));
        came(&mut matcher, "e.tif", at(2951));
        assert_eq!(path(matcher.take(5, at(2960))), Ok("e.tif".into()));
    }

    #[test]
    fn by_order_an_image_that_finds_no_trigger_ends_the_order_until_a_pause() {
        let (mut matcher, at) = in_step(Matching::ImageFirst);
        came(&mut matcher, "1.tif", at(0));
        assert_eq!(paths(matcher.stale(at(1001))), [PathBuf::from("1.tif")]);
        came(&mut matcher, "2.tif", at(1100));
        assert_eq!(matcher.take(1, at(1200)), Err(NoImage::OutOfStep), "or 1 would get the image of 2");
    }

    /// Else the late image of one part would be taken for that of the next.
    #[test]
    fn by_order_a_missed_image_ends_the_order_until_a_pause() {
        let (mut matcher, at) = in_step(Matching::TriggerFirst);
        assert_eq!(matcher.take(1, at(0)), Err(NoImage::NotYet));
        matcher.missed(1, at(500));
        came(&mut matcher, "late.tif", at(600));
        assert_eq!(matcher.take(2, at(700)), Err(NoImage::OutOfStep));
        assert_eq!(paths(matcher.missed(2, at(900))), [PathBuf::from("late.tif")]);
        assert_eq!(matcher.take(3, at(1901)), Err(NoImage::NotYet));
        came(&mut matcher, "3.tif", at(1950));
        assert_eq!(path(matcher.take(3, at(1901))), Ok("3.tif".into()));
    }

    /// By number nothing of this matters.
    #[test]
    fn by_number_a_doubt_changes_nothing() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("1.tif", now), ("2.tif", now)]);
        matcher.doubt(now);
        assert_eq!(paths(matcher.missed(1, now)), [PathBuf::from("1.tif")]);
        assert_eq!(path(matcher.take(2, now)), Ok("2.tif".into()));
    }

    #[test]
    fn a_file_that_was_written_again_waits_once() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[("5.tif", now), ("5.tif", now)]);
        assert_eq!((matcher.backlog(), path(matcher.take(5, now))), (1, Ok("5.tif".into())));
    }

    /// Else it would wait for a trigger in vain, and be missed in the archive.
    #[test]
    fn by_number_a_file_that_is_closed_twice_or_gone_is_no_second_image() {
        let now = Instant::now();
        let mut matcher = matcher(Matching::PartId, &[]);
        let first = arrival("5.tif", now);
        matcher.add(first.clone());
        assert_eq!(matcher.take(5, now), Ok(first.file.clone()));
        matcher.add(first.clone());
        assert_eq!(matcher.backlog(), 0, "closed twice");
        let gone = ImageFile { identity: None, ..first.file.clone() };
        matcher.add(Arrival { file: gone, at: now });
        assert_eq!(matcher.backlog(), 0, "in the archive when it was closed again");
        let retake = Arrival { file: ImageFile { path: "5.tif".into(), ..file("another") }, at: now };
        matcher.add(retake.clone());
        assert_eq!(matcher.take(5, now), Ok(retake.file));
    }

    /// Forgetting it would leave the next image alone with its trigger.
    #[test]
    fn by_order_an_image_that_is_gone_still_takes_its_turn() {
        let (mut matcher, at) = in_step(Matching::ImageFirst);
        matcher.add(Arrival { file: ImageFile { path: "1.tif".into(), identity: None }, at: at(0) });
        came(&mut matcher, "2.tif", at(100));
        assert_eq!(matcher.take(1, at(150)), Err(NoImage::OutOfStep));
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let now = Instant::now();
        let names: Vec<String> = (0..MOST_WAITING + 3).map(|part| format!("{part}.tif")).collect();
        let arrivals: Vec<(&str, Instant)> = names.iter().map(|name| (name.as_str(), now)).collect();
        let mut matcher = matcher(Matching::PartId, &arrivals);
        assert_eq!(matcher.stale(now).len(), 3);
        assert_eq!(matcher.take(0, now), Err(NoImage::NotYet));
        assert_eq!(path(matcher.take(3, now)), Ok("3.tif".into()));
    }
}
