//! A capture written: classic pcap with nanoseconds, or pcapng where link types are mixed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{CaptureReader, CapturedFrame, MAX_FRAME, WriteError};

/// The link type of a file without frames: Ethernet.
const ETHERNET: u32 = 1;
const BUFFER: usize = 1 << 20;

/// Writes one capture file.
///
/// As long as all link types it hears of are one, the file is classic pcap with nanosecond times. With
/// the second link type it is rewritten as pcapng, one interface for each type in the order in which
/// they came. Only a regular file can be rewritten: for a pipe, mixed types are an error.
#[derive(Debug)]
pub struct CaptureWriter {
    path: PathBuf,
    name: String,
    out: BufWriter<File>,
    /// The link types heard of, in order.
    links: Vec<u32>,
}

impl CaptureWriter {
    /// Creates the file at `path`, which errors will call `name`: the user's spelling.
    pub fn create(path: &Path, name: &str) -> Result<Self, WriteError> {
        let named = |source| WriteError {
            name: name.to_owned(),
            source,
        };
        let file = File::create(path).map_err(named)?;
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            out: BufWriter::with_capacity(BUFFER, file),
            links: Vec::new(),
        })
    }

    /// Tells that the input holds frames of this link type, whether or not one of them is written.
    #[inline]
    pub fn note_link(&mut self, link: u32) -> Result<(), WriteError> {
        if self.links.contains(&link) {
            return Ok(());
        }
        self.add_link(link).map_err(|source| self.error(source))
    }

    /// Writes a frame; one that is longer than [`MAX_FRAME`] is cut there.
    #[inline]
    pub fn write(&mut self, frame: &CapturedFrame<'_>) -> Result<(), WriteError> {
        self.note_link(frame.link)?;
        write_frame(&mut self.out, &self.links, frame).map_err(|source| self.error(source))
    }

    /// Completes the file. Where no frame was ever heard of, its link type is `link`, or Ethernet.
    pub fn finish(mut self, link: Option<u32>) -> Result<(), WriteError> {
        if self.links.is_empty() {
            self.note_link(link.unwrap_or(ETHERNET))?;
        }
        self.out.flush().map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> WriteError {
        WriteError {
            name: self.name.clone(),
            source,
        }
    }

    #[cold]
    fn add_link(&mut self, link: u32) -> io::Result<()> {
        self.links.push(link);
        match self.links.as_slice() {
            [only] => write_pcap_header(&mut self.out, *only),
            [first, second] => {
                let (first, second) = (*first, *second);
                self.rewrite(first)?;
                write_interface(&mut self.out, second)
            }
            _ => write_interface(&mut self.out, link),
        }
    }

    /// Turns what was written so far, a pcap of link type `first`, into pcapng.
    fn rewrite(&mut self, first: u32) -> io::Result<()> {
        self.out.flush()?;
        if !fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other(
                "frames of several link types need pcapng, which only a regular file can become",
            ));
        }
        let copy = Copy::of(&self.path)?;
        let mut written = CaptureReader::open(&copy.path, &self.name).map_err(io::Error::other)?;
        self.out = BufWriter::with_capacity(BUFFER, File::create(&self.path)?);
        write_section(&mut self.out)?;
        write_interface(&mut self.out, first)?;
        while let Some(frame) = written.next_frame().map_err(io::Error::other)? {
            write_enhanced_packet(&mut self.out, 0, &frame, frame.bytes)?;
        }
        Ok(())
    }
}

/// A copy of the file beside it, gone when dropped.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn of(original: &Path) -> io::Result<Self> {
        let mut path = original.as_os_str().to_owned();
        path.push(".rewriting");
        let path = PathBuf::from(path);
        // Never over somebody else's file.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let copy = Self { path };
        io::copy(&mut File::open(original)?, &mut file)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // There is nobody left to tell; the copy is no part of the result.
        drop(fs::remove_file(&self.path));
    }
}

fn write_pcap_header(out: &mut impl Write, link: u32) -> io::Result<()> {
    out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
    out.write_all(&2_u16.to_le_bytes())?;
    out.write_all(&4_u16.to_le_bytes())?;
    out.write_all(&[0; 8])?;
    out.write_all(&to_u32(MAX_FRAME).to_le_bytes())?;
    out.write_all(&link.to_le_bytes())
}

fn write_section(out: &mut impl Write) -> io::Result<()> {
    let mut block = [0; 28];
    fill(&mut block, 0, &0x0a0d_0d0a_u32.to_le_bytes());
    fill(&mut block, 4, &28_u32.to_le_bytes());
    fill(&mut block, 8, &0x1a2b_3c4d_u32.to_le_bytes());
    fill(&mut block, 12, &1_u16.to_le_bytes());
    // The section's length is not told.
    fill(&mut block, 16, &u64::MAX.to_le_bytes());
    fill(&mut block, 24, &28_u32.to_le_bytes());
    out.write_all(&block)
}

fn write_interface(out: &mut impl Write, link: u32) -> io::Result<()> {
    let link = u16::try_from(link).map_err(io::Error::other)?;
    let mut block = [0; 32];
    fill(&mut block, 0, &1_u32.to_le_bytes());
    fill(&mut block, 4, &32_u32.to_le_bytes());
    fill(&mut block, 8, &link.to_le_bytes());
    fill(&mut block, 12, &to_u32(MAX_FRAME).to_le_bytes());
    // if_tsresol: 10^-9 seconds; then the end of the options.
    fill(&mut block, 16, &9_u16.to_le_bytes());
    fill(&mut block, 18, &1_u16.to_le_bytes());
    fill(&mut block, 20, &[9]);
    fill(&mut block, 28, &32_u32.to_le_bytes());
    out.write_all(&block)
}

/// Writes a frame as a pcap record where one link type is known, else as a pcapng block.
#[inline]
fn write_frame(out: &mut impl Write, links: &[u32], frame: &CapturedFrame<'_>) -> io::Result<()> {
    let bytes = frame.bytes.get(..MAX_FRAME).unwrap_or(frame.bytes);
    if links.len() == 1 {
        write_record(out, frame, bytes)
    } else {
        let interface = links
            .iter()
            .position(|link| *link == frame.link)
            .unwrap_or_default();
        write_enhanced_packet(out, to_u32(interface), frame, bytes)
    }
}

/// A record counts its seconds in 32 bits: a time after the year 2106 becomes the last it can tell.
#[inline]
fn write_record(out: &mut impl Write, frame: &CapturedFrame<'_>, bytes: &[u8]) -> io::Result<()> {
    const SECOND: u64 = 1_000_000_000;
    const LAST: u64 = SECOND * (1 << 32) - 1;
    let nanos = frame.time.as_nanos().min(LAST);
    let seconds = u32::try_from(nanos / SECOND).unwrap_or(u32::MAX);
    let fraction = u32::try_from(nanos % SECOND).unwrap_or(u32::MAX);
    let mut head = [0; 16];
    fill(&mut head, 0, &seconds.to_le_bytes());
    fill(&mut head, 4, &fraction.to_le_bytes());
    fill(&mut head, 8, &to_u32(bytes.len()).to_le_bytes());
    fill(&mut head, 12, &frame.original_len.to_le_bytes());
    out.write_all(&head)?;
    out.write_all(bytes)
}

fn write_enhanced_packet(
    out: &mut impl Write,
    interface: u32,
    frame: &CapturedFrame<'_>,
    bytes: &[u8],
) -> io::Result<()> {
    let padding = bytes.len().next_multiple_of(4).saturating_sub(bytes.len());
    let total = to_u32(bytes.len().saturating_add(padding).saturating_add(32));
    let ticks = frame.time.as_nanos();
    let mut head = [0; 28];
    fill(&mut head, 0, &6_u32.to_le_bytes());
    fill(&mut head, 4, &total.to_le_bytes());
    fill(&mut head, 8, &interface.to_le_bytes());
    fill(&mut head, 12, &to_u32_high(ticks).to_le_bytes());
    fill(&mut head, 16, &to_u32_low(ticks).to_le_bytes());
    fill(&mut head, 20, &to_u32(bytes.len()).to_le_bytes());
    fill(&mut head, 24, &frame.original_len.to_le_bytes());
    out.write_all(&head)?;
    out.write_all(bytes)?;
    out.write_all([0; 3].get(..padding).unwrap_or_default())?;
    out.write_all(&total.to_le_bytes())
}

/// Puts `field` at its place in a header.
fn fill(header: &mut [u8], at: usize, field: &[u8]) {
    let place = header.get_mut(at..).and_then(|rest| rest.get_mut(..field.len()));
    if let Some(place) = place {
        place.copy_from_slice(field);
    }
}

fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn to_u32_high(wide: u64) -> u32 {
    u32::try_from(wide >> 32).unwrap_or(u32::MAX)
}

fn to_u32_low(wide: u64) -> u32 {
    u32::try_from(wide & 0xffff_ffff).unwrap_or(u32::MAX)
}
