//! What the life of a part asks of the outside: of the journal, the archive, the log and the metrics.

use crate::acquire::ImageFile;
use crate::journal::{AcceptedTrigger, VerdictEntry};
use cellgate_protocol::to_plc::Origin;
use std::num::NonZeroU64;
use std::time::Duration;

/// What is to be done for a part.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Effect {
    /// Store the acceptance. The answer is [`super::lifecycle::Input::Accepted`].
    Accept(AcceptedTrigger),
    /// Store the verdict. The answer is [`super::lifecycle::Input::Stored`].
    Commit(Box<VerdictEntry>),
    /// Move the image of a recorded part to the archive, under this name.
    Archive {
        /// The image's file.
        image: ImageFile,
        /// Its name in the archive.
        name: String,
    },
    /// Move an image that no record names to the archive.
    SetAside(ImageFile),
    /// The verdict went out for the first time.
    Sent,
    /// The verdict goes out as information only.
    SentAsRecord {
        /// Its number.
        seq: NonZeroU64,
        /// Why.
        origin: Origin,
    },
    /// The PLC acknowledged the verdict, so long after it was sent.
    Acknowledged(Duration),
    /// The PLC did not acknowledge the verdict in time.
    NotAcknowledged(NonZeroU64),
    /// The verdict could not be stored: the part is kept until the journal is ready again. Said once a part.
    Owed {
        /// The image's file, if there is one.
        image: Option<ImageFile>,
    },
}
