//! Several captures read as one.

use std::io::Cursor;

use super::built::{Built, Little};
use crate::{CaptureReader, MergedReader};

#[test]
fn merging_is_by_time_and_stable_by_file() {
    let file = |frames: &[(u32, &[u8])]| {
        let mut file = Built::pcap(Little, 0xa1b2_c3d4, 1);
        for (second, frame) in frames {
            file = file.record(*second, 0, 1, frame);
        }
        file.bytes
    };
    // The second file's times go back: its own order stays.
    let files = [
        file(&[(1, b"a"), (3, b"b"), (3, b"c")]),
        file(&[(2, b"d"), (5, b"e"), (1, b"f"), (3, b"g")]),
        file(&[]),
        file(&[(3, b"h"), (9, b"i")]),
    ];
    let readers = files
        .iter()
        .map(|bytes| CaptureReader::new(Cursor::new(bytes), "m").unwrap())
        .collect();
    let mut merged = MergedReader::new(readers);
    let mut order = Vec::new();
    while let Some(frame) = merged.next_frame().unwrap() {
        order.extend_from_slice(frame.bytes);
    }
    assert_eq!(String::from_utf8(order).unwrap(), "adbchefgi");
}

#[test]
fn a_broken_file_ends_alone() {
    let whole = Built::pcap(Little, 0xa1b2_c3d4, 1)
        .record(1, 0, 1, b"a")
        .record(4, 0, 1, b"b")
        .bytes;
    let cut = Built::pcap(Little, 0xa1b2_c3d4, 1)
        .record(2, 0, 1, b"c")
        .u32(3)
        .bytes;
    let readers = vec![
        CaptureReader::new(Cursor::new(cut), "cut").unwrap(),
        CaptureReader::new(Cursor::new(whole), "whole").unwrap(),
    ];
    let mut merged = MergedReader::new(readers);
    assert_eq!(merged.link(), Some(1));
    let mut seen = Vec::new();
    let mut errors = Vec::new();
    loop {
        match merged.next_frame() {
            Ok(Some(frame)) => seen.extend_from_slice(frame.bytes),
            Ok(None) => break,
            Err(error) => errors.push((error.name.to_string(), error.offset)),
        }
    }
    assert_eq!(seen, b"acb");
    assert_eq!(errors, [("cut".to_owned(), 41)]);
}
