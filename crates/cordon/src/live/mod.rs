//! `cordon run`: the engine on live interfaces.
//!
//! Threads: workers carry packets; one forwarder turns records into tags and writes them down; the control
//! plane's own thread answers the sockets; the starting thread watches links and signals. Data flows one way:
//! frames → worker → events → forwarder → tags → the next frame's verdict.

mod answers;
mod clock;
mod commits;
mod decryption;
mod desk;
mod events;
mod forwarding;
mod handoff;
mod lag;
mod lines;
mod links;
mod openings;
mod shared;
mod sinks;
mod supervisor;
mod way;
mod worker;

pub(crate) use self::supervisor::{Options, RunError, run};
