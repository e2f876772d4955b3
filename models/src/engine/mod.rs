//! An inference engine: the network's input tensor in, the score out.

/// Runs the network of a bundle on one image.
pub trait Engine {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> crate::conversion::Size;

    /// The score, the probability of "abnormal", of one input: 3 x height x width values, channel by channel.
    ///
    /// # Errors
    /// [`EngineError`] where the tensor has another length or the library fails.
    fn score(&mut self, input: &[f32]) -> Result<f32, EngineError>;
}

/// Why an engine gave no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The input tensor has another length.
    #[error("the input tensor has {found} values, expected {expected}")]
    InputLength {
        /// Values handed in.
        found: usize,
        /// 3 x height x width.
        expected: usize,
    },
}
