//! Shows the running bundle to the PLC, and hands confirmations of its reference parts to the session's caller.

use super::{DeviceEvent, DeviceSession};
use crate::{
    bundle::{BundleState, Confirm, ConfirmResult, Confirmed},
    to_plc::ToPlc,
};

impl DeviceSession {
    /// Sets the running bundle that the PLC is shown.
    pub fn set_bundle(&mut self, state: BundleState) {
        self.bundle.state = state;
    }

    /// The running bundle that the PLC is shown.
    #[must_use]
    pub const fn bundle(&self) -> BundleState {
        self.bundle.state
    }

    /// Handles a confirmation of the PLC. While the caller has not answered the previous confirmation, another one is dropped: the PLC
    /// repeats it.
    pub fn confirm(&mut self, confirm: &Confirm) {
        if self.bundle.asked.is_none() && self.events.push_back(DeviceEvent::Confirm(*confirm)).is_ok() {
            self.bundle.asked = Some(*confirm);
        }
    }

    /// Answers a confirmation. Call it with [`ConfirmResult::CONFIRMED`] only when the confirmation is stored durably. Does nothing if
    /// the session does not wait for this answer.
    pub fn answer(&mut self, confirm: &Confirm, result: ConfirmResult) {
        if self.bundle.asked.take_if(|asked| asked == confirm).is_some() {
            self.reply(ToPlc::Confirmed(Confirmed { confirm: *confirm, result }));
        }
    }
}
