//! The effects of a part's life: requests to the journal and the archiver, log lines and metrics.

use crate::acquire::ImageFile;
use crate::journal::{AcceptedTrigger, VerdictEntry};
use cellgate_protocol::to_plc::Origin;
use std::num::NonZeroU64;
use std::time::Duration;

/// An action that the line carries out for a part.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum Effect {
    /// Store the acceptance. The answer is [`super::lifecycle::Input::Accepted`].
    Accept(AcceptedTrigger),
    /// Store the verdict. The answer is [`super::lifecycle::Input::Stored`].
    Commit(Box<VerdictEntry>),
    /// Move the image of a recorded part to the archive.
    Archive {
        /// The image's file.
        image: ImageFile,
        /// Its name in the archive.
        name: String,
    },
    /// Archive an image that no record refers to.
    SetAside(ImageFile),
    /// The verdict was sent for the first time.
    Sent,
    /// The verdict is sent as a RECORD, for information only.
    SentAsRecord {
        /// Its number.
        seq: NonZeroU64,
        /// The reason.
        origin: Origin,
    },
    /// The PLC acknowledged the verdict this long after it was sent.
    Acknowledged(Duration),
    /// The PLC did not acknowledge the verdict in time.
    NotAcknowledged(NonZeroU64),
    /// The verdict could not be stored. The part is kept until the journal is ready again. Emitted once for each part.
    Owed {
        /// The image's file, if there is one.
        image: Option<ImageFile>,
    },
}
