//! Defines the effects of a part's life: what `Line` has to request from the journal and the archiver, to log and to count.

use crate::acquire::ImageFile;
use crate::journal::{EventEntry, JournalTrigger, VerdictEntry};
use cellgate_models::engine::LogitMap;
use cellgate_protocol::to_plc::Origin;
use std::num::NonZeroU64;
use std::time::Duration;

/// An action that `Line` carries out for a part.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Effect {
    /// Store the acceptance, and in the same transaction the events. The answer is [`super::lifecycle::Input::Accepted`].
    Accept {
        /// The trigger.
        trigger: JournalTrigger,
        /// The events that the trigger leads to. Empty at a second attempt: the part is then a REJECT, and starts no bundle.
        events: Vec<EventEntry>,
    },
    /// Store the verdict. The answer is [`super::lifecycle::Input::Stored`].
    Commit(Box<VerdictEntry>),
    /// Move the image of a recorded part to the archive.
    Archive {
        /// The image's file.
        image: ImageFile,
        /// The image's name in the archive.
        name: String,
        /// The map of the image, if the network judged it.
        map: Option<LogitMap>,
    },
    /// Archive an image as unjudged.
    SetAside(ImageFile),
    /// The verdict was sent for the first time.
    Sent,
    /// The verdict is sent as a RECORD, for information only.
    SentAsRecord {
        /// The number of the verdict's row in the journal.
        seq: NonZeroU64,
        /// Why the verdict is information only.
        origin: Origin,
    },
    /// The PLC acknowledged the verdict this long after it was sent.
    Acknowledged(Duration),
    /// The PLC did not acknowledge the verdict with this number in time.
    NotAcknowledged(NonZeroU64),
    /// The verdict could not be stored. When the journal is ready again, the life stores a REJECT in its place, or for an image
    /// without a trigger the same verdict. This effect occurs only at the first failure for each part.
    Owed {
        /// The image's file, if there is one.
        image: Option<ImageFile>,
    },
}
