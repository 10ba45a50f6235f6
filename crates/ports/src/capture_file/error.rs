//! What can be wrong with a capture file, and where.

use std::{io, sync::Arc};

/// A capture that cannot be read, or not to its end.
///
/// Shown as `NAME: at byte OFFSET: what is wrong`.
#[derive(Debug, thiserror::Error)]
#[error("{name}: at byte {offset}: {fault}")]
pub struct CaptureError {
    /// The file, as the user spelled it.
    pub name: Arc<str>,
    /// Where in the file the header, record or block begins that is at fault.
    pub offset: u64,
    /// What is wrong there.
    pub fault: CaptureFault,
}

/// What is wrong at a place of a capture file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureFault {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// There is nothing in the file.
    #[error("the file is empty; a capture has at least a header")]
    Empty,
    /// The first bytes are those of a compressed file.
    #[error("this is a {0} file; decompress it first")]
    Compressed(&'static str),
    /// The first bytes are those of a capture format that is not read.
    #[error("{0} is not supported; convert the file to pcap or pcapng")]
    OtherFormat(&'static str),
    /// The first bytes are of no known capture format.
    #[error("this is no pcap or pcapng file")]
    NotACapture,
    /// A version whose layout is not known.
    #[error("{format} version {major}.{minor} is not supported")]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// The version's first part.
        major: u16,
        /// The version's second part.
        minor: u16,
    },
    /// The file ends inside a header, record or block.
    #[error("the file is cut off: {0} is not complete")]
    Truncated(&'static str),
    /// A frame is said to be longer than any frame may be.
    #[error("a frame of {0} bytes is said to follow; more than {max} are not read", max = super::MAX_FRAME)]
    FrameTooLong(u32),
    /// The parts of a pcapng block contradict one another.
    #[error("corrupt block: {0}")]
    BadBlock(&'static str),
    /// A packet names an interface that its section does not describe.
    #[error("the packet is of interface {0}, which the section does not describe")]
    UnknownInterface(u32),
}

/// A capture file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{name}: cannot be written: {source}")]
pub struct WriteError {
    /// The file, as the user spelled it.
    pub name: String,
    /// What the system said.
    pub source: io::Error,
}
