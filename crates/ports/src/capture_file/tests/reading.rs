//! Whole, cut and hostile captures, read.

use std::{io::Cursor, path::Path};

use super::{
    built::{Big, Built, Little},
    kept::{Kept, fault, read, read_whole},
};
use crate::{CaptureFault, CaptureReader, MAX_FRAME};

#[test]
fn pcap_in_both_byte_orders_and_units() {
    for order in [Little, Big] {
        for (magic, unit) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let file = Built::pcap(order, magic, 113)
                .record(7, 250, 99, b"cut")
                .record(6, 0, 0, b"");
            assert_eq!(
                read_whole(&file.bytes),
                [
                    Kept::new(7_000_000_000 + 250 * unit, 113, 99, b"cut"),
                    Kept::new(6_000_000_000, 113, 0, b""),
                ],
                "{order:?} {magic:x}"
            );
        }
    }
}

#[test]
fn pcap_link_type_is_known_before_the_first_frame() {
    let file = Built::pcap(Big, 0xa1b2_c3d4, 0xf400_0001);
    let reader = CaptureReader::new(Cursor::new(&file.bytes), "a").unwrap();
    // The upper bits tell of frame check sequences, not of the type.
    assert_eq!(reader.link(), Some(1));
    assert_eq!(reader.name(), "a");
}

#[test]
fn old_pcap_versions_told_the_original_length_first() {
    let old = |minor| {
        let head = Built::new(Little).u32(0xa1b2_c3d4).u16(2).u16(minor);
        let head = head.u32(0).u32(0).u32(96).u32(1);
        head.u32(0).u32(0).u32(60).u32(2).raw(b"ab")
    };
    for minor in [1, 2, 3] {
        assert_eq!(read_whole(&old(minor).bytes), [Kept::new(0, 1, 60, b"ab")]);
    }
}

#[test]
fn hostile_fractions_do_not_overflow() {
    let file = Built::pcap(Little, 0xa1b2_c3d4, 1).record(u32::MAX, u32::MAX, 0, b"");
    let nanos = u64::from(u32::MAX) * 1_000_000_000 + u64::from(u32::MAX) * 1_000;
    assert_eq!(read_whole(&file.bytes), [Kept::new(nanos, 1, 0, b"")]);
}

#[test]
fn pcapng_sections_interfaces_and_blocks() {
    let file = Built::new(Little)
        .section(Little)
        .interface(1, 0, &[])
        .interface(101, 4, &[(9, &[9]), (14, &5_i64.to_le_bytes())])
        .enhanced(0, 3, 60, b"abcde")
        .block(5, b"interface statistics")
        .enhanced(1, 8, 3, b"raw")
        .obsolete(0, 4, 2, b"xy")
        .simple(9, b"123456789")
        .section(Big)
        .interface(
            113,
            4,
            &[(2, b"name"), (9, &[0x8a]), (14, &(-1_i64).to_be_bytes())],
        )
        .enhanced(0, 3 << 10, 1, b"q")
        .simple(9, b"1234");
    assert_eq!(
        read_whole(&file.bytes),
        [
            Kept::new(3_000, 1, 60, b"abcde"),
            Kept::new(5_000_000_008, 101, 3, b"raw"),
            Kept::new(4_000, 1, 2, b"xy"),
            Kept::new(4_000, 1, 9, b"123456789"),
            Kept::new(2_000_000_000, 113, 1, b"q"),
            Kept::new(2_000_000_000, 113, 9, b"1234"),
        ]
    );
    let mut reader = CaptureReader::new(Cursor::new(&file.bytes), "a").unwrap();
    assert_eq!(reader.link(), None);
    reader.next_frame().unwrap();
    assert_eq!(reader.link(), Some(1));
}

#[test]
fn pcapng_times_saturate() {
    for (resolution, ticks, nanos) in [
        (0, 7, 7_000_000_000),
        (0, u64::MAX, u64::MAX),
        (12, 7_999, 7),
        (127, u64::MAX, 0),
        (0x80 | 127, u64::MAX, 0),
        (0x80, 2, 2_000_000_000),
    ] {
        let file = Built::new(Big)
            .section(Big)
            .interface(1, 0, &[(9, &[resolution])])
            .enhanced(0, ticks, 0, b"");
        assert_eq!(read_whole(&file.bytes)[0].nanos, nanos, "{resolution} {ticks}");
    }
    for (offset, nanos) in [(i64::MIN, 0), (i64::MAX, u64::MAX)] {
        let file = Built::new(Big)
            .section(Big)
            .interface(1, 0, &[(14, &offset.to_be_bytes())])
            .enhanced(0, 1, 0, b"");
        assert_eq!(read_whole(&file.bytes)[0].nanos, nanos);
    }
}

#[test]
fn blocks_longer_than_the_window_are_passed() {
    let long = vec![7; 3 << 20];
    let file = Built::new(Little)
        .section(Little)
        .interface(1, 0, &[])
        .block(0x0bad, &long)
        .enhanced(0, 1, 3, b"abc");
    assert_eq!(read_whole(&file.bytes), [Kept::new(1_000, 1, 3, b"abc")]);
}

#[test]
fn frames_cross_the_edges_of_the_window() {
    let frame = vec![9; MAX_FRAME];
    let mut file = Built::pcap(Little, 0xa1b2_3c4d, 1);
    for second in 0..20 {
        let cut = usize::try_from(second).unwrap() * 1_001;
        file = file.record(second, 0, 1 << 20, &frame[cut..]);
    }
    let frames = read_whole(&file.bytes);
    assert_eq!(frames.len(), 20);
    for (index, kept) in frames.iter().enumerate() {
        assert_eq!(kept.bytes, frame[index * 1_001..]);
    }
}

#[test]
fn every_cut_is_an_error_after_the_whole_frames() {
    let pcap = Built::pcap(Little, 0xa1b2_3c4d, 1)
        .record(1, 0, 4, b"four")
        .record(2, 0, 3, b"abc");
    let pcapng = Built::new(Big)
        .section(Big)
        .interface(1, 0, &[])
        .enhanced(0, 1, 4, b"four")
        .enhanced(0, 2, 3, b"abc");
    for (file, ends) in [
        (&pcap.bytes, vec![24, 44, 63]),
        (&pcapng.bytes, vec![28, 48, 84, 120]),
    ] {
        assert_eq!(ends.last(), Some(&file.len()));
        for cut in 1..file.len() {
            let (frames, error) = read(&file[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let before = ends.len() - 2;
            assert_eq!(frames.len(), whole.saturating_sub(before), "cut at {cut}");
            if ends.contains(&cut) {
                assert!(error.is_none(), "cut at {cut}: {error:?}");
            } else {
                let begins = ends.iter().rfind(|end| **end < cut).copied().unwrap_or(0);
                assert_eq!(error.unwrap().offset, begins as u64, "cut at {cut}");
            }
        }
    }
}

#[test]
fn files_that_are_no_captures_say_so() {
    let modified = Built::pcap(Little, 0xa1b2_cd34, 1).bytes;
    let ancient = Built::new(Big).u32(0xa1b2_c3d4).u16(1).u16(4).raw(&[0; 16]).bytes;
    for (bytes, says) in [
        (&b""[..], "the file is empty"),
        (b"ab", "no pcap or pcapng file"),
        (b"hello, world", "no pcap or pcapng file"),
        (b"\x1f\x8b\x08\0\0\0", "a gzip file; decompress it first"),
        (&modified, "\"modified\" pcap format is not supported"),
        (&ancient, "pcap version 1.4 is not supported"),
    ] {
        let (frames, offset, text) = fault(bytes);
        assert!(text.contains(says), "{text}");
        assert_eq!((frames, offset), (0, 0));
    }
    let missing = CaptureReader::open(Path::new("/nonexistent/x"), "../x").unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("../x: at byte 0: cannot be read: ")
    );
    assert!(matches!(missing.fault, CaptureFault::Io(_)));
}

#[test]
fn hostile_lengths_are_refused_where_they_stand() {
    let start = || Built::new(Little).section(Little).interface(1, 0, &[]);
    let whole = || start().enhanced(0, 1, 1, b"x");
    let at = whole().bytes.len() as u64;
    let header = |captured: u32| {
        Built::new(Little)
            .u32(0)
            .u32(0)
            .u32(0)
            .u32(captured)
            .u32(captured)
            .bytes
    };
    for (file, says) in [
        (whole().u32(6).u32(8).u32(8), "its length is impossible"),
        (whole().u32(6).u32(33).raw(&[0; 40]), "its length is impossible"),
        (whole().u32(6).u32(0xffff_fffc).raw(&[0; 40]), "longer than 1 MiB"),
        (
            whole().u32(77).u32(0xffff_fffc).raw(&[0; 40]),
            "the last block is not complete",
        ),
        (
            whole().u32(77).u32(16).u32(0).u32(20),
            "lengths before and behind",
        ),
        (whole().u32(6).u32(16).u32(0).u32(20), "lengths before and behind"),
        (whole().block(6, &[0; 8]), "too short for a packet"),
        (whole().block(6, &[]), "too short for an enhanced packet"),
        (whole().block(3, &[]), "too short for a simple packet"),
        (whole().block(1, &[0; 4]), "too short for an interface"),
        (whole().block(6, &header(5)), "the frame is longer than the block"),
        (whole().block(6, &header(u32::MAX)), "a frame of 4294967295 bytes"),
        (whole().simple(5, b"1234"), "the frame is longer than the block"),
        (whole().enhanced(1, 1, 1, b"x"), "interface 1, which"),
        (
            whole().block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0]),
            "an option is longer",
        ),
        (
            whole().u32(0x0a0d_0d0a).u32(28).raw(&[0; 20]),
            "without a byte-order magic",
        ),
    ] {
        let (frames, offset, text) = fault(&file.bytes);
        assert!(text.contains(says), "{text:?} should say {says:?}");
        assert_eq!((frames, offset), (1, at), "{says}");
    }
    let pcap = Built::pcap(Big, 0xa1b2_c3d4, 1)
        .record(0, 0, 1, b"x")
        .u32(0)
        .u32(0)
        .u32(262_145)
        .u32(1);
    let (frames, offset, text) = fault(&pcap.bytes);
    assert!(text.contains("a frame of 262145 bytes"), "{text}");
    assert_eq!((frames, offset), (1, 41));
}

#[test]
fn a_section_forgets_the_interfaces_before_it() {
    let file = Built::new(Little)
        .section(Little)
        .interface(1, 0, &[])
        .section(Big)
        .enhanced(0, 1, 1, b"x");
    assert!(fault(&file.bytes).2.contains("interface 0, which"));
}
