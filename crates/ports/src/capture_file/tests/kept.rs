//! Frames read back.

use std::io::Cursor;

use packet::Timestamp;

use crate::{CaptureError, CaptureReader, CapturedFrame};

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) nanos: u64,
    pub(super) link: u32,
    pub(super) original_len: u32,
    pub(super) bytes: Vec<u8>,
}

impl Kept {
    pub(super) fn new(nanos: u64, link: u32, original_len: u32, bytes: &[u8]) -> Self {
        Self {
            nanos,
            link,
            original_len,
            bytes: bytes.to_vec(),
        }
    }

    pub(super) fn of(frame: &CapturedFrame<'_>) -> Self {
        Self::new(frame.time.as_nanos(), frame.link, frame.original_len, frame.bytes)
    }

    pub(super) fn frame(&self) -> CapturedFrame<'_> {
        CapturedFrame {
            time: Timestamp::from_nanos(self.nanos),
            link: self.link,
            original_len: self.original_len,
            bytes: &self.bytes,
        }
    }
}

/// All frames, and the error that ended the file.
pub(super) fn read(bytes: &[u8]) -> (Vec<Kept>, Option<CaptureError>) {
    let mut reader = match CaptureReader::new(Cursor::new(bytes), "x.pcap") {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(Kept::of(&frame)),
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(matches!(reader.next_frame(), Ok(None)), "an error is the end");
                return (frames, Some(error));
            }
        }
    }
}

pub(super) fn read_whole(bytes: &[u8]) -> Vec<Kept> {
    let (frames, error) = read(bytes);
    assert!(error.is_none(), "{error:?}");
    frames
}

/// The error's offset and text, without the name.
pub(super) fn fault(bytes: &[u8]) -> (usize, u64, String) {
    let (frames, error) = read(bytes);
    let error = error.unwrap();
    assert!(
        error
            .to_string()
            .starts_with(&format!("x.pcap: at byte {}: ", error.offset))
    );
    (frames.len(), error.offset, error.fault.to_string())
}
