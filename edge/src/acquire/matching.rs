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
const MAX_WAITING: usize = 256;

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
    taken: Option<ImageFile>,
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
        // By number, a file that is gone or being written again arrives anew, and one that was closed twice is no second image.
        // Under another name it is another part's.
        let is_taken = |identity: Identity| {
            let taken = self.taken.as_ref().filter(|taken| taken.path == arrival.file.path);
            taken.and_then(|taken| taken.identity).is_some_and(|taken| taken.change(&identity).is_none())
        };
        let is_known = arrival.file.identity.is_none_or(is_taken);
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
        self.taken = Some(found.clone());
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
        let surplus = self.waiting.len().saturating_sub(MAX_WAITING);
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

    /// A trigger ended at `now` without an image, or could not tell which was its. Returns the images that belong to no part now: matched by
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

    /// What waits belongs to no part, and so does all that comes until a pause after `at`.
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
mod tests;
