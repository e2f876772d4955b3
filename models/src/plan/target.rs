//! Checks which GPUs this TensorRT builds for.

use super::flavour::{CAPABILITIES, FLAVOUR};
use super::{ComputeCapability, PlanError};

impl ComputeCapability {
    /// Checks that TensorRT can build plans for this compute capability on a machine without a matching GPU.
    ///
    /// # Errors
    /// [`PlanError::Target`]: this TensorRT does not know the target.
    pub fn check_named(self) -> Result<(), PlanError> {
        if CAPABILITIES.contains(&self) {
            return Ok(());
        }
        let expected = match CAPABILITIES {
            [] => "this machine's GPU only".to_owned(),
            [..] => {
                let listed: Vec<_> = CAPABILITIES.iter().map(ToString::to_string).collect();
                format!("{}; for another GPU, use a program with TensorRT 11 (feature enterprise)", listed.join(", "))
            }
        };
        Err(PlanError::Target { asked: self, flavour: FLAVOUR, expected })
    }

    /// Checks that TensorRT can build plans for this machine's GPU, which has this compute capability. TensorRT itself would report
    /// an unsupported GPU only after it has loaded the whole network.
    ///
    /// # Errors
    /// [`PlanError::Target`]: this TensorRT has a list of the compute capabilities that it builds for, and this one is not in the
    /// list.
    pub fn check_local(self) -> Result<(), PlanError> {
        if CAPABILITIES.is_empty() { Ok(()) } else { self.check_named() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_that_tensorrt_does_not_list_is_refused_before_building() {
        let (ampere, hopper) = (ComputeCapability::new(8, 6), ComputeCapability::new(9, 0));
        let is_target_error = |result: Result<(), PlanError>, expected| matches!(result, Err(PlanError::Target { asked, flavour: FLAVOUR, .. }) if asked == expected);
        if CAPABILITIES.is_empty() {
            assert_eq!((ampere.check_local(), hopper.check_local()), (Ok(()), Ok(())));
            assert!(is_target_error(ampere.check_named(), ampere));
        } else {
            assert_eq!((ampere.check_local(), ampere.check_named()), (Ok(()), Ok(())));
            assert_eq!(hopper.check_local(), hopper.check_named());
            assert!(is_target_error(hopper.check_named(), hopper));
            let text = hopper.check_named().unwrap_err().to_string();
            assert!(CAPABILITIES.iter().all(|listed| text.contains(&listed.to_string())), "{text}");
        }
    }
}
