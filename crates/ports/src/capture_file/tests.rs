//! Captures built byte by byte, whole, cut and hostile, read back.

use std::{fs, io::Cursor, path::Path};

use packet::Timestamp;
use proptest::prelude::*;

use super::*;

/// Which way round the built file writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

use Order::{Big, Little};

#[derive(Clone, Debug)]
struct Built {
    order: Order,
    bytes: Vec<u8>,
}

impl Built {
    fn new(order: Order) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    fn u16(mut self, number: u16) -> Self {
        self.bytes.extend(match self.order {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        });
        self
    }

    fn u32(mut self, number: u32) -> Self {
        self.bytes.extend(match self.order {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        });
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pcap(order: Order, magic: u32, link: u32) -> Self {
        let head = Self::new(order).u32(magic).u16(2).u16(4);
        head.u32(0).u32(0).u32(65_535).u32(link)
    }

    fn record(self, seconds: u32, fraction: u32, original: u32, frame: &[u8]) -> Self {
        let captured = u32::try_from(frame.len()).unwrap();
        let head = self.u32(seconds).u32(fraction).u32(captured).u32(original);
        head.raw(frame)
    }

    fn block(self, kind: u32, body: &[u8]) -> Self {
        let padded = body.len().next_multiple_of(4);
        let total = u32::try_from(padded + 12).unwrap();
        let padding = vec![0; padded - body.len()];
        self.u32(kind).u32(total).raw(body).raw(&padding).u32(total)
    }

    /// A section header; what follows is written in `order`.
    fn section(mut self, order: Order) -> Self {
        self.order = order;
        let body = Self::new(order).u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    fn interface(self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Self::new(self.order).u16(link).u16(0).u32(snap_len);
        for (code, value) in options {
            body = body
                .u16(*code)
                .u16(u16::try_from(value.len()).unwrap())
                .raw(value);
            body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body = body.u32(0);
        }
        self.block(1, &body.bytes)
    }

    fn enhanced(self, interface: u32, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u32(interface);
        let body = body.packet_rest(ticks, original, frame);
        self.block(6, &body.bytes)
    }

    fn obsolete(self, interface: u16, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u16(interface).u16(0xffff);
        let body = body.packet_rest(ticks, original, frame);
        self.block(2, &body.bytes)
    }

    fn packet_rest(self, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let high = u32::try_from(ticks >> 32).unwrap();
        let low = u32::try_from(ticks & 0xffff_ffff).unwrap();
        let captured = u32::try_from(frame.len()).unwrap();
        self.u32(high).u32(low).u32(captured).u32(original).raw(frame)
    }

    fn simple(self, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u32(original).raw(frame);
        self.block(3, &body.bytes)
    }
}

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    nanos: u64,
    link: u32,
    original_len: u32,
    bytes: Vec<u8>,
}

impl Kept {
    fn new(nanos: u64, link: u32, original_len: u32, bytes: &[u8]) -> Self {
        Self {
            nanos,
            link,
            original_len,
            bytes: bytes.to_vec(),
        }
    }

    fn of(frame: &CapturedFrame<'_>) -> Self {
        Self::new(frame.time.as_nanos(), frame.link, frame.original_len, frame.bytes)
    }

    fn frame(&self) -> CapturedFrame<'_> {
        CapturedFrame {
            time: Timestamp::from_nanos(self.nanos),
            link: self.link,
            original_len: self.original_len,
            bytes: &self.bytes,
        }
    }
}

/// All frames, and the error that ended the file.
fn read(bytes: &[u8]) -> (Vec<Kept>, Option<CaptureError>) {
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

fn read_whole(bytes: &[u8]) -> Vec<Kept> {
    let (frames, error) = read(bytes);
    assert!(error.is_none(), "{error:?}");
    frames
}

/// The error's offset and text, without the name.
fn fault(bytes: &[u8]) -> (usize, u64, String) {
    let (frames, error) = read(bytes);
    let error = error.unwrap();
    assert!(
        error
            .to_string()
            .starts_with(&format!("x.pcap: at byte {}: ", error.offset))
    );
    (frames.len(), error.offset, error.fault.to_string())
}

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

fn written(links: &[u32], frames: &[Kept]) -> Vec<u8> {
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

fn kept(links: &'static [u32]) -> impl Strategy<Value = Kept> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..80);
    // Classic pcap counts seconds in 32 bits.
    let nanos = 0..4_294_967_296_000_000_000_u64;
    (nanos, proptest::sample::select(links), any::<u32>(), bytes).prop_map(
        |(nanos, link, original_len, bytes)| Kept {
            nanos,
            link,
            original_len,
            bytes,
        },
    )
}

fn capture() -> impl Strategy<Value = Built> {
    let order = prop_oneof![Just(Little), Just(Big)];
    let frames = proptest::collection::vec((0..3_u32, any::<u64>(), kept(&[1])), 0..8);
    (order, any::<bool>(), any::<u8>(), frames).prop_map(|(order, ng, resolution, frames)| {
        let mut file = if ng {
            Built::new(order)
                .section(order)
                .interface(1, 40, &[(9, &[resolution])])
                .interface(113, 0, &[])
        } else {
            Built::pcap(order, 0xa1b2_3c4d, 1)
        };
        for (kind, ticks, frame) in frames {
            let original = frame.original_len;
            file = match (ng, kind) {
                (false, _) => file.record(original, 5, original, &frame.bytes),
                (true, 0) => file.enhanced(0, ticks, original, &frame.bytes),
                (true, 1) => file.obsolete(1, ticks, original, &frame.bytes),
                (true, _) => file.block(3, &frame.bytes),
            };
        }
        file
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&bytes);
    }

    #[test]
    fn damaged_captures_never_panic(
        file in capture(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = file.bytes;
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let held: usize = read(&bytes).0.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert!(held <= bytes.len(), "no frame holds bytes that are not in the file");
    }

    #[test]
    fn what_was_written_is_read(frames in proptest::collection::vec(kept(&[0, 1, 113]), 0..20)) {
        prop_assert_eq!(read_whole(&written(&[], &frames)), frames);
    }
}
