//! `cordon run`: the inline firewall.

use std::{io::IsTerminal as _, path::PathBuf};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{Exit, complain, cpu_list::CpuList, log_limit::LogLimit};
use crate::live::{Options, RunError, run};

/// Where state is kept, unless told otherwise.
pub(super) const DEFAULT_STATE: &str = "/var/lib/cordon";

/// What `cordon run` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    /// The configuration.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Where tags, committed configurations and logs are kept; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    /// The stats socket; control.sock lies beside it.
    #[arg(long, value_name = "PATH", default_value = control::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Threads that carry packets.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// The CPUs that workers stay on, one for each, as in `2,4-6`. Without, the kernel moves them as it sees fit.
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,
    /// How far threads that carry packets or set tags go before all others of the machine, from -20 (first) to 19; 0
    /// is as far as any.
    #[arg(long, value_name = "N", default_value_t = -10, allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-20..=19))]
    nice: i8,
    /// How the operator's log on standard error is written. What is logged: `CORDON_LOG`, as in `info,ports=debug`.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// How the operator's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl RunArguments {
    pub(crate) fn run(self) -> Exit {
        self.start_log();
        let workers = usize::from(self.workers);
        let pins = self.pin.as_ref().map_or(&[][..], CpuList::numbers);
        if !pins.is_empty() && pins.len() != workers {
            let (cpus, are) = (pins.len(), if workers == 1 { "is" } else { "are" });
            complain(&format_args!(
                "--pin names {cpus} CPUs, and there {are} {workers} workers: name one for each"
            ));
            return Exit::Usage;
        }
        let options = Options {
            config: self.config,
            state: self.state,
            socket: self.socket,
            workers,
            pins: pins.to_vec(),
            nice: self.nice.into(),
        };
        match run(&options) {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&error);
                match error {
                    RunError::Configuration => Exit::WrongInput,
                    RunError::Port(_)
                    | RunError::Keep(_)
                    | RunError::Socket(_)
                    | RunError::Ca(_)
                    | RunError::System(_)
                    | RunError::Pin(_)
                    | RunError::WorkerLost => Exit::SystemRefused,
                }
            }
        }
    }

    fn start_log(&self) {
        let filter = EnvFilter::try_from_env("CORDON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        // Only a second logger in the same process would be refused.
        drop(match self.log_format {
            LogFormat::Text => log.finish().with(LogLimit::new()).try_init(),
            LogFormat::Json => log.json().finish().with(LogLimit::new()).try_init(),
        });
    }
}
