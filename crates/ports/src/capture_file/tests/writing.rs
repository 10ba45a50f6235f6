//! Captures written and read back.

use std::{fs, path::Path};

use super::{
    built::{Built, Little},
    kept::{Kept, read_whole},
};
use crate::CaptureWriter;

pub(super) fn written(links: &[u32], frames: &[Kept]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.pcap");
    let mut writer = CaptureWriter::create(&path, "out.pcap").unwrap();
    for link in links {
        writer.note_link(*link).unwrap();
    }
    for frame in frames {
        writer.write(&frame.frame()).unwrap();
    }
    writer.finish(Some(228)).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no copy stays behind"
    );
    fs::read(&path).unwrap()
}

#[test]
fn one_link_type_is_written_as_classic_pcap() {
    let frames = [
        Kept::new(1_000_000_001, 113, 60, b"abc"),
        Kept::new(999_999_999, 113, 3, b"def"),
    ];
    let file = written(&[], &frames);
    let expected = Built::new(Little)
        .u32(0xa1b2_3c4d)
        .u16(2)
        .u16(4)
        .u32(0)
        .u32(0)
        .u32(262_144)
        .u32(113)
        .record(1, 1, 60, b"abc")
        .record(0, 999_999_999, 3, b"def");
    assert_eq!(file, expected.bytes);
}

#[test]
fn without_frames_the_callers_link_type_stands() {
    let file = written(&[], &[]);
    assert_eq!((file.len(), file[20]), (24, 228));
    // A frame that was dropped still tells what the input was.
    assert_eq!(written(&[276], &[])[20..22], 276_u16.to_le_bytes());
}

#[test]
fn a_time_that_classic_pcap_cannot_tell_becomes_its_last() {
    let frames = [Kept::new(u64::MAX, 1, 1, b"x")];
    let last = u64::from(u32::MAX) * 1_000_000_000 + 999_999_999;
    assert_eq!(read_whole(&written(&[], &frames))[0].nanos, last);
}

#[test]
fn mixed_link_types_become_pcapng() {
    let frames = [
        Kept::new(1_000_000_001, 1, 60, b"a"),
        Kept::new(2_000_000_002, 1, 2, b"ab"),
        Kept::new(u64::MAX, 101, 3, b"abc"),
        Kept::new(3, 113, 4, b"abcd"),
        Kept::new(4, 1, 5, b"abcde"),
    ];
    assert_eq!(read_whole(&written(&[], &frames)), frames);
    // Types that were only heard of count as well.
    let file = written(&[1, 147], &frames[..1]);
    assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert_eq!(read_whole(&file), frames[..1]);
}

#[test]
fn a_pipe_cannot_become_pcapng() {
    let mut writer = CaptureWriter::create(Path::new("/dev/null"), "/dev/null").unwrap();
    writer.note_link(1).unwrap();
    let error = writer.note_link(113).unwrap_err().to_string();
    assert!(error.contains("only a regular file"), "{error}");
}
