//! Joins the texts of an error and its causes.

use std::error::Error;

/// The texts of an error and its causes, joined by `: `. A cause is left out if the text so far already contains the cause's text.
/// The stack frames that libtorch appends to its messages are left out too. Line feeds within an error's text are kept.
#[must_use]
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let text = cause.to_string();
        let text = text.split("\nException raised from").next().unwrap_or_default().trim_end();
        if !line.contains(text) {
            line = if line.is_empty() { text.to_owned() } else { format!("{line}: {text}") };
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: String,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn each_cause_is_written_once_and_without_stack_frames() {
        let layer = |text: &str, source| Layer { text: text.to_owned(), source };
        let bottom = layer("no such file", None);
        let middle = layer("model: no such file", Some(Box::new(bottom)));
        assert_eq!(one_line(&layer("refused", Some(Box::new(middle)))), "refused: model: no such file");
        let torch = layer("it failed\nException raised from here\nframe #1", None);
        assert_eq!(one_line(&torch), "it failed");
    }
}
