//! Capture files: pcap and pcapng in, pcap (or pcapng, where link types are mixed) out.
//!
//! Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod byte_order;
mod error;
mod merge;
mod pcap;
mod pcapng;
mod reader;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{CaptureError, CaptureFault, WriteError};
pub use merge::MergedReader;
pub use reader::{CaptureReader, CapturedFrame, MAX_FRAME};
pub use writer::CaptureWriter;
