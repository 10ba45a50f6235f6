//! `cordon ca`: the authorities that sign what the forward proxy mints.

use std::{
    fmt::Write as _,
    io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use control::CaStore;

use super::{Exit, complain, run_command::DEFAULT_STATE};

/// What `cordon ca` is given.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Show the certificates that sign: names, fingerprints, dates
    Show(CaArguments),
    /// Print the certificate that clients have to trust, as PEM
    Export(CaArguments),
    /// Make new authorities; a running cordon takes them at the next commit or SIGHUP
    Rotate(CaArguments),
}

/// Where the authorities are.
#[derive(Args, Debug)]
pub(crate) struct CaArguments {
    /// The state directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl CaCommand {
    pub(crate) fn run(self) -> Exit {
        let (Self::Show(arguments) | Self::Export(arguments) | Self::Rotate(arguments)) = &self;
        let store = CaStore::new(&arguments.state);
        let authority = match &self {
            Self::Show(_) | Self::Export(_) => store.read(),
            Self::Rotate(_) => store.rotate(unix_now()),
        };
        let authority = match authority {
            Ok(authority) => authority,
            Err(error) => {
                complain(&error);
                return Exit::SystemRefused;
            }
        };
        let text = match &self {
            Self::Export(_) if arguments.json => {
                let pem = authority.trust_certificate_pem();
                format!("{}\n", serde_json::json!({ "forward-trust": pem }))
            }
            Self::Export(_) => authority.trust_certificate_pem(),
            Self::Show(_) | Self::Rotate(_) => {
                let described = authority.describe();
                if arguments.json {
                    let rows: Vec<_> = described
                        .iter()
                        .map(|ca| {
                            serde_json::json!({
                                "use": ca.purpose,
                                "subject": ca.subject,
                                "key": ca.key,
                                "not-before": ca.not_before,
                                "not-after": ca.not_after,
                                "sha256": ca.sha256,
                            })
                        })
                        .collect();
                    format!("{}\n", serde_json::json!({ "ca": rows }))
                } else {
                    let mut lines = String::new();
                    for ca in &described {
                        let line = write!(
                            lines,
                            "{}: {}, {}, valid {} to {}\n    SHA-256 {}\n",
                            ca.purpose, ca.subject, ca.key, ca.not_before, ca.not_after, ca.sha256
                        );
                        debug_assert!(line.is_ok(), "writing to a string cannot fail");
                    }
                    lines
                }
            }
        };
        match io::Write::write_all(&mut io::stdout(), text.as_bytes()) {
            Ok(()) => Exit::Done,
            Err(_) => Exit::SystemRefused,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a certificate says when it begins")]
fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
