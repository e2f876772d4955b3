//! Shows progress and the time left on stderr: as a bar in a terminal, else as a line of text at most every 30 seconds.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two lines of text where stderr is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Makes a bar over `total` steps. `what` names the steps, such as `features`.
#[must_use]
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    resumed_bar(total, 0, what)
}

/// Makes a bar like [`bar`] for work that is continued: an earlier call of the command completed `done` of the steps.
#[must_use]
pub fn resumed_bar(total: u64, done: u64, what: &'static str) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        let log = Log { next: Mutex::new(Instant::now() + LINE_INTERVAL) };
        ProgressDrawTarget::term_like_with_hz(Box::new(NoCursor(log)), 1)
    };
    ProgressBar::with_draw_target(Some(total), target).with_style(style(done)).with_prefix(what).with_position(done)
}

/// Makes `bar` compute its time left from the steps after this call only. Earlier steps may have been much quicker, for example because
/// they read from a cache.
pub fn restart_time_left(bar: &ProgressBar) {
    bar.reset_elapsed();
    bar.set_style(style(bar.position()));
}

/// The style of a bar whose time left follows from the steps after the first `done`.
fn style(done: u64) -> ProgressStyle {
    let template = if io::stderr().is_terminal() {
        "{prefix:>12} [{wide_bar}] {human_pos}/{human_len} {msg} ({left} left)"
    } else {
        "{prefix}: {human_pos}/{human_len} {msg} ({left} left)"
    };
    // indicatif's own estimate uses the pace of the last seconds only. While a step lasts longer, the estimate rises to years.
    let left = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let rest = state.len().unwrap_or_default().saturating_sub(state.pos());
        // A formatting error only loses this text.
        let _ = match time_left(state.elapsed(), state.pos().saturating_sub(done), rest) {
            Some(left) => write!(out, "{:#}", HumanDuration(left)),
            None => write!(out, "?"),
        };
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
        .progress_chars("=> ")
}

/// The time that `rest` steps take if `done` steps took the time `elapsed`; `None` while `done` is 0.
fn time_left(elapsed: Duration, done: u64, rest: u64) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(rest as f64 / done as f64))
}

/// Receives the texts of a bar.
trait Texts: fmt::Debug + Send + Sync {
    fn text(&self, text: &str) -> io::Result<()>;
}

/// Draws to a stderr that is not a terminal: prints at most one line of text per [`LINE_INTERVAL`].
#[derive(Debug)]
struct Log {
    /// The earliest time of the next line of text.
    next: Mutex<Instant>,
}

impl Texts for Log {
    fn text(&self, text: &str) -> io::Result<()> {
        let text = text.trim();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() || Instant::now() < *next {
            return Ok(());
        }
        *next = Instant::now() + LINE_INTERVAL;
        writeln!(io::stderr(), "{text}")
    }
}

/// A terminal without a cursor: nothing is erased.
#[derive(Debug)]
struct NoCursor<T>(T);

impl<T: Texts> TermLike for NoCursor<T> {
    fn width(&self) -> u16 {
        120
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.text(line)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.text(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A terminal that collects all texts.
    #[derive(Debug, Default, Clone)]
    struct Screen(Arc<Mutex<String>>);

    impl Texts for Screen {
        fn text(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    #[test]
    fn quick_steps_before_a_restart_do_not_count_for_the_time_left() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(NoCursor(screen.clone())));
        let bar = ProgressBar::with_draw_target(Some(160), target).with_style(style(0)).with_position(150);
        let bar = bar.with_elapsed(Duration::from_secs(60));
        let text = || {
            screen.0.lock().unwrap().clear();
            bar.tick();
            screen.0.lock().unwrap().clone()
        };
        assert!(text().contains("(4s left)"), "{}", text());
        restart_time_left(&bar);
        assert!(text().contains("(? left)"), "{}", text());
    }

    #[test]
    fn the_time_left_follows_from_the_average_time_of_a_step() {
        let left = |done, rest| time_left(Duration::from_secs(60), done, rest);
        assert_eq!((left(2, 6), left(3, 0)), (Some(Duration::from_secs(180)), Some(Duration::ZERO)));
        assert_eq!(left(0, 6), None);
    }

    #[test]
    fn a_log_gets_at_most_one_line_in_30_seconds() {
        let log = Log { next: Mutex::new(Instant::now()) };
        log.text("features: 1/9").unwrap();
        let next = *log.next.lock().unwrap();
        assert!(next > Instant::now() + LINE_INTERVAL / 2);
        log.text("features: 2/9").unwrap();
        assert_eq!(*log.next.lock().unwrap(), next);
    }
}
