//! Which GPUs this TensorRT builds for.

use super::flavour::{CAPABILITIES, FLAVOUR};
use super::{ComputeCapability, PlanError};

impl ComputeCapability {
    /// Whether plans for such GPUs can be built on a machine that has none.
    ///
    /// # Errors
    /// [`PlanError::Target`]: this TensorRT knows no such target.
    pub fn check_named(self) -> Result<(), PlanError> {
        if CAPABILITIES.contains(&self) {
            return Ok(());
        }
        let expected = match CAPABILITIES {
            [] => "the GPU at hand only".to_owned(),
            [..] => CAPABILITIES.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        Err(PlanError::Target { asked: self, flavour: FLAVOUR, expected })
    }

    /// Whether plans can be built for such a GPU that is at hand. TensorRT itself would say so only after it has loaded all of the
    /// network.
    ///
    /// # Errors
    /// [`PlanError::Target`]: this TensorRT knows the GPUs that it builds for by name, and such are not among them.
    pub fn check_at_hand(self) -> Result<(), PlanError> {
        if CAPABILITIES.is_empty() { Ok(()) } else { self.check_named() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_that_tensorrt_does_not_know_is_refused_beforehand() {
        let (ampere, hopper) = (ComputeCapability::new(8, 6), ComputeCapability::new(9, 0));
        if CAPABILITIES.is_empty() {
            assert_eq!((ampere.check_at_hand(), hopper.check_at_hand()), (Ok(()), Ok(())));
            let text = ampere.check_named().unwrap_err().to_string();
            assert_eq!(text, "TensorRT builds no plan for sm86; it builds for: the GPU at hand only");
        } else {
            assert_eq!((ampere.check_at_hand(), ampere.check_named()), (Ok(()), Ok(())));
            assert_eq!(hopper.check_at_hand(), hopper.check_named());
            let text = hopper.check_named().unwrap_err().to_string();
            assert!(text.contains("builds no plan for sm90") && text.contains("sm86, sm89"), "{text}");
        }
    }
}
