//! A backbone with a head: what computes the raw logits of images.

use super::resnet34::Residual;
use super::{Backbone, Head};
use tch::TchError;

/// A backbone with a head. If the head has its own weights of stage 4, they are on the backbone's device.
#[derive(Debug)]
pub struct BackboneWithHead<'a> {
    pub(super) backbone: &'a Backbone,
    pub(super) head: &'a Head,
    /// The head's own stage 4, if it has one.
    pub(super) stage_4: Option<Vec<Residual>>,
}

impl Backbone {
    /// The backbone with `head`. Copies the head's own weights of stage 4 (52 MB), so do this once for many images.
    ///
    /// # Errors
    /// libtorch fails, for example because the GPU has too little memory.
    ///
    /// # Panics
    /// If the head fails [`Head::check`].
    pub fn with_head<'a>(&'a self, head: &'a Head) -> Result<BackboneWithHead<'a>, TchError> {
        let stage_4 = head.stage_4.as_ref().map(|stage_4| stage_4.residuals(self.device())).transpose()?;
        Ok(BackboneWithHead { backbone: self, head, stage_4 })
    }
}
