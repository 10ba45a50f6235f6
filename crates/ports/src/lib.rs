//! Frames in and out of the process: capture files, read and written, and live interfaces.
//!
//! The bytes of a capture come from anywhere, possibly from whoever attacks the one who looks at
//! them: every length in a file is checked against what is there and against a fixed bound before it
//! moves a cursor, and none of them ever chooses the size of an allocation. What is inside a frame is
//! `packet`'s business. No clock: a frame carries the time its file or the kernel gives it.
#![deny(clippy::indexing_slicing)]

mod capture_file;
#[cfg(target_os = "linux")]
pub mod live;

pub use capture_file::{
    CaptureError, CaptureFault, CaptureReader, CaptureWriter, CapturedFrame, MAX_FRAME, MergedReader,
    WriteError,
};
