//! One line a step, with its seconds.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::tell;

/// Whether and how the steps are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A line on standard output for each; a spinner while it runs, where that is a terminal.
    Lines,
    /// Nothing: for programs that use the network as a library.
    Quiet,
}

impl Progress {
    /// Runs a step and tells it.
    pub(crate) async fn step<T, E>(self, what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if self == Progress::Quiet {
            return work.await;
        }
        let begun = Instant::now();
        let spinner = ProgressBar::new_spinner();
        spinner.set_style(
            ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        spinner.set_message(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        let result = work.await;
        spinner.finish_and_clear();
        let (mark, seconds) = (if result.is_ok() { "✓" } else { "✗" }, begun.elapsed().as_secs_f64());
        tell!("{mark} {what:<58} {seconds:>6.1} s");
        result
    }

    /// Tells something that is no step.
    pub(crate) fn say(self, text: &str) {
        if self == Progress::Lines {
            tell!("{text}");
        }
    }
}
