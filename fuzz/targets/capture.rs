//! Capture files of both formats: frames come from the file, errors from within it, and it ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ports::{CaptureReader, MAX_FRAME};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = CaptureReader::new(data, "f") else {
        return;
    };
    let mut read = 0;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= MAX_FRAME);
                read += frame.bytes.len();
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.offset <= data.len() as u64);
                break;
            }
        }
    }
    assert!(read <= data.len());
    assert!(
        matches!(reader.next_frame(), Ok(None)),
        "nothing comes after the end"
    );
});
