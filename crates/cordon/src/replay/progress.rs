//! A progress bar, where somebody is watching.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes between two updates of the bar.
const STEP: u64 = 4 << 20;

/// Shows how much of the captures was read, on a terminal; nothing elsewhere.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    read: u64,
    shown: u64,
}

impl Progress {
    /// A bar for captures of `total` bytes in all.
    pub(super) fn new(total: u64, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) =
                ProgressStyle::with_template("{bar:40} {percent:>3}%  {binary_bytes_per_sec}  {eta} left")
            {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            read: 0,
            shown: 0,
        }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.read += bytes;
        if let Some(bar) = &self.bar
            && self.read - self.shown >= STEP
        {
            self.shown = self.read;
            bar.set_position(self.read);
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
