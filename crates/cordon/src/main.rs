//! The `cordon` process: a command line, and what its words ask for.
//!
//! Everything typed comes from the user who started it; everything read (configurations, lists,
//! captures) from anywhere. The one crate that reads a clock and starts threads.
#![forbid(unsafe_code)]

mod cli;
mod live;
mod replay;

fn main() -> cli::Exit {
    cli::run(std::env::args_os())
}
