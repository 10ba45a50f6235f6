//! TLS sessions that may be opened: watched from their SYN on, then released for good or taken over.

mod adopted;
mod greeting;
mod inspector;
mod progress;
mod release;
mod terms;
mod watch;

use adopted::toward;
pub(crate) use adopted::{Adopted, DecryptedBy, leg_of};
pub(crate) use greeting::{Greeting, greeting};
use inspector::{Inside, Inspector};
pub(crate) use progress::{decided_by, drive, open, tell};
pub(crate) use release::send_on;
use terms::terms;
pub(crate) use watch::{Held, Watch, without_fast_open};

/// How far the firewall has a TCP session in its hands.
#[derive(Debug)]
pub(crate) enum Interception {
    /// The handshake passes; the client's first bytes are held until it is clear what they are.
    Watching(Box<Watch>),
    /// Both ends speak with the firewall, each in the belief that it is the other.
    Adopted(Box<Adopted>),
}
