//! What the benchmarks in `bin/` share: how they time, what they print, and what they compare with.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "benchmarks read the clock and print"
)]

mod bare_walk;
mod cable;
mod figures;
mod firewall;
mod meter;
mod random;
mod times;

pub use bare_walk::bare_walk;
pub use cable::{Cable, open, tap};
pub use figures::{Figure, Figures, kept};
pub use firewall::{Client, Firewall};
pub use meter::{Case, Meter, per_step, processor_time};
pub use random::Random;
pub use times::{micros, quantile, quantiles};
