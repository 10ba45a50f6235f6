//! TLS sessions that may be opened: watched from their SYN on, then released for good or taken over. TLS may begin
//! with a session, or in its middle.

mod adopted;
mod greeting;
mod inspector;
mod progress;
mod release;
mod step;
mod terms;
mod watch;

use adopted::toward;
pub(crate) use adopted::{Adopted, DecryptedBy, leg_of};
pub(crate) use greeting::{Greeting, greeting, offers_tls13};
use inspector::{Inside, Inspector};
pub(crate) use progress::{decided_by, drive, open, tell};
pub(crate) use release::send_on;
pub(crate) use step::Step;
use terms::terms;
pub(crate) use watch::{Held, Watch, behind, front, without_fast_open};

/// How far the firewall has a TCP session in its hands.
#[derive(Debug)]
// A smaller tag than that of [`Present`](crate::session::Present), so that a free slot is told by that.
#[repr(u8)]
pub(crate) enum Interception {
    /// Everything passes in which TLS does not begin; what it may begin with is held until that is clear.
    Watching(Box<Watch>),
    /// Both ends speak with the firewall, each in the belief that it is the other.
    Adopted(Box<Adopted>),
}
