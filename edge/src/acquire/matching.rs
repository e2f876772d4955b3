//! Decides which image belongs to a trigger. In doubt a trigger gets no image: an image that might belong to another part is
//! never judged.
//!
//! If images are matched by number, the file's name tells the part. If they are matched by order, only the time tells it, so
//! images and triggers must alternate, beginning with an image on an image-first line and with a trigger on a trigger-first
//! line. These events put images and triggers out of step:
//!
//! - a start, or a folder that is watched again after it was lost
//! - a refused trigger
//! - two images or no image for one trigger
//! - an image on the wrong side of its trigger
//!
//! While they are out of step, no trigger gets an image and every image is set aside. Once neither an image nor a trigger has
//! come for the configured time `lead`, they are in step again. This is correct as long as an image and its trigger are never
//! further apart than `lead`.

use super::{Arrival, ImageFile};
use crate::config::Matching;
use std::path::Path;
use std::time::{Duration, Instant};

/// By number, at most this many images wait for a trigger. Beyond that, the oldest are set aside. By order at most one waits,
/// and free-running has no limit.
const MAX_WAITING: usize = 256;

/// Why a trigger gets no image (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// No image has come yet.
    #[error("no image has come")]
    NotYet,
    /// Several images came, and each could belong to the trigger.
    #[error("several images came for one trigger")]
    Several,
    /// Images and triggers are matched by order and are out of step.
    #[error("images and triggers are out of step; they are in step again when neither has come for lead_ms")]
    OutOfStep,
}

/// Images that wait for their trigger.
#[derive(Debug)]
pub struct Matcher {
    matching: Matching,
    lead: Duration,
    waiting: Vec<Arrival>,
    /// Images that no trigger will get.
    discarded: Vec<ImageFile>,
    /// By number: the image of the last trigger that got one.
    taken: Option<ImageFile>,
    /// By order: the time of the last image or trigger while they are out of step; `None` while they are in step. While out of
    /// step, no image waits.
    out_of_step: Option<Instant>,
}

impl Matcher {
    /// Image and trigger may be up to `lead` apart. By order, the matcher begins out of step at `now`, as it is not known what
    /// came before.
    #[must_use]
    pub fn new(matching: Matching, lead: Duration, now: Instant) -> Self {
        let out_of_step = matching.is_by_order().then_some(now);
        Self { matching, lead, waiting: Vec::new(), discarded: Vec::new(), taken: None, out_of_step }
    }

    /// Adds an image that has come. The new image replaces a waiting image with the same path.
    pub fn add(&mut self, arrival: Arrival) {
        if self.matching.is_by_order() {
            // A second image before a trigger came for the first one: either image could belong to the next trigger.
            if !self.is_in_step(arrival.at) || !self.waiting.is_empty() {
                self.lose_step(arrival.at);
                return self.discard(arrival.file);
            }
        }
        self.waiting.retain(|waiting| waiting.file.path != arrival.file.path);
        // By number, a file that vanished or is being rewritten arrives again later, and a file that is closed twice is one
        // image. The same file under another name is the image of another part.
        let is_taken = |taken: &ImageFile| taken.path == arrival.file.path && taken.is_same(&arrival.file);
        let is_known = arrival.file.identity.is_none() || self.taken.as_ref().is_some_and(is_taken);
        if self.matching != Matching::PartId || !is_known {
            self.waiting.push(arrival);
        }
    }

    /// Takes the image of the part `part_id`, triggered at `triggered`.
    ///
    /// # Errors
    /// [`NoImage`]: no image came, or it is not certain which one belongs to the trigger.
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
        self.taken = Some(found.clone());
        Ok(found)
    }

    fn take_by_order(&mut self, triggered: Instant) -> Result<ImageFile, NoImage> {
        if !self.is_in_step(triggered) {
            self.lose_step(triggered);
            return Err(NoImage::OutOfStep);
        }
        let image = self.waiting.pop().ok_or(NoImage::NotYet)?;
        let belongs = match self.matching {
            Matching::TriggerFirst => image.at >= triggered,
            _ => image.at <= triggered && triggered.duration_since(image.at) <= self.lead,
        };
        if belongs {
            return Ok(image.file);
        }
        self.discard(image.file);
        self.lose_step(triggered.max(image.at));
        Err(NoImage::OutOfStep)
    }

    /// Puts images and triggers out of step at `now`, if they are matched by order. Call this after anything that makes the
    /// order uncertain, such as a refused trigger or a time in which the folder was not watched.
    pub fn doubt(&mut self, now: Instant) {
        if self.matching.is_by_order() {
            self.lose_step(now);
        }
    }

    /// Takes the image that has waited longest, for free-running.
    pub fn take_oldest(&mut self) -> Option<ImageFile> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).file)
    }

    /// How far apart image and trigger may be.
    #[must_use]
    pub fn lead(&self) -> Duration {
        self.lead
    }

    /// How many images wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the images that no trigger will get any more: images that are too old, images beyond the limit of waiting images,
    /// and by order images that came out of step or waited when the step was lost. Always empty when free-running.
    pub fn take_discarded(&mut self, now: Instant) -> Vec<ImageFile> {
        if self.matching == Matching::FreeRunning {
            return Vec::new();
        }
        let surplus = self.waiting.len().saturating_sub(MAX_WAITING);
        let lead = self.lead;
        let mut index = 0;
        let mut must_discard = |arrival: &mut Arrival| {
            index += 1;
            index <= surplus || now.saturating_duration_since(arrival.at) > lead
        };
        let to_discard: Vec<_> = self.waiting.extract_if(.., &mut must_discard).collect();
        for arrival in to_discard {
            self.doubt(arrival.at + lead);
            self.discard(arrival.file);
        }
        std::mem::take(&mut self.discarded)
    }

    /// Notes that a trigger ended at `now` without an image. Returns the images that no trigger will get any more: by number
    /// those of this part; by order all that wait, because a late image could be matched to the next part.
    pub fn missed(&mut self, part_id: u64, now: Instant) -> Vec<ImageFile> {
        self.doubt(now);
        let of_this_part: Vec<_> =
            self.waiting.extract_if(.., |arrival| named_part(&arrival.file.path) == Some(part_id)).collect();
        of_this_part.into_iter().for_each(|arrival| self.discard(arrival.file));
        std::mem::take(&mut self.discarded)
    }

    /// Whether images and triggers are in step at `now`. Always true by number.
    pub fn is_in_step(&mut self, now: Instant) -> bool {
        let lead = self.lead;
        self.out_of_step = self.out_of_step.filter(|last| now.saturating_duration_since(*last) <= lead);
        self.out_of_step.is_none()
    }

    /// Goes out of step at `at` and discards the waiting images.
    fn lose_step(&mut self, at: Instant) {
        self.out_of_step = self.out_of_step.max(Some(at));
        for arrival in std::mem::take(&mut self.waiting) {
            self.discard(arrival.file);
        }
    }

    /// Notes an image that no trigger will get. It replaces an earlier image with the same path.
    fn discard(&mut self, file: ImageFile) {
        self.discarded.retain(|known| known.path != file.path);
        self.discarded.push(file);
    }
}

/// The part's number from a file name of decimal digits, with or without leading zeros.
fn named_part(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok())?
}

#[cfg(test)]
mod tests;
