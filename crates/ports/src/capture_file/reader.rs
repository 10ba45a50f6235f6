//! One capture file, frame by frame.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use packet::Timestamp;

use super::{CaptureError, CaptureFault, pcap::Pcap, pcapng::Pcapng, window::Window};

/// The longest captured frame that is read, in bytes: as much as other tools read (256 KiB).
pub const MAX_FRAME: usize = 262_144;

/// One frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// When it was captured.
    pub time: Timestamp,
    /// The link type's number in capture files (`LINKTYPE_…`); see `packet::LinkType::from_pcap`.
    pub link: u32,
    /// How many bytes the frame had on the wire, as the file says: more than `bytes` where a snap
    /// length cut it. A broken file may also say less.
    pub original_len: u32,
    /// What was captured of it, at most [`MAX_FRAME`] bytes.
    pub bytes: &'a [u8],
}

/// Where a frame lies in the window, and what its file says about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) time: Timestamp,
    pub(super) link: u32,
    pub(super) original_len: u32,
    pub(super) at: usize,
    pub(super) len: usize,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// An error was reported: nothing behind it can be trusted.
    Broken,
}

/// Reads a pcap or pcapng file in one pass, in 1 MiB of memory whatever the file says.
///
/// µs and ns, either byte order; of pcapng every section and interface with its time resolution and
/// offset, and enhanced, simple and obsolete packet blocks. Frames of a simple packet block have no
/// time of their own: they get the one of the frame before.
#[derive(Debug)]
pub struct CaptureReader<R = File> {
    name: Arc<str>,
    window: Window<R>,
    format: Format,
    current: Option<Found>,
}

impl CaptureReader<File> {
    /// Opens the file at `path`, which errors will call `name`: the user's spelling.
    pub fn open(path: &Path, name: &str) -> Result<Self, CaptureError> {
        let source = File::open(path).map_err(|error| CaptureError {
            name: name.into(),
            offset: 0,
            fault: error.into(),
        })?;
        Self::new(source, name)
    }
}

impl<R: Read> CaptureReader<R> {
    /// Reads a capture from any source of bytes, which errors will call `name`.
    pub fn new(source: R, name: &str) -> Result<Self, CaptureError> {
        let name: Arc<str> = name.into();
        let mut window = Window::new(source);
        match recognise(&mut window) {
            Ok(format) => Ok(Self {
                name,
                window,
                format,
                current: None,
            }),
            Err(fault) => Err(CaptureError {
                name,
                offset: 0,
                fault,
            }),
        }
    }

    /// The file, as the user spelled it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link type of the frames, where the file's beginning already tells: always for pcap, in
    /// pcapng once an interface was described.
    pub fn link(&self) -> Option<u32> {
        match &self.format {
            Format::Pcap(pcap) => Some(pcap.link()),
            Format::Pcapng(pcapng) => pcapng.first_link(),
            Format::Broken => None,
        }
    }

    /// The next frame; `None` at the end of the file. After an error there is nothing more to read.
    pub fn next_frame(&mut self) -> Result<Option<CapturedFrame<'_>>, CaptureError> {
        self.advance()?;
        Ok(self.current())
    }

    /// Steps to the next frame, and tells its time.
    pub(super) fn advance(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        let offset = self.window.offset();
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window),
            Format::Broken => Ok(None),
        };
        match found {
            Ok(found) => {
                self.current = found;
                Ok(found.map(|found| found.time))
            }
            Err(fault) => {
                // Blocks without a frame may have been passed since `offset`.
                let offset = match &self.format {
                    Format::Pcapng(pcapng) => pcapng.block_offset(),
                    Format::Pcap(_) | Format::Broken => offset,
                };
                self.format = Format::Broken;
                self.current = None;
                Err(CaptureError {
                    name: Arc::clone(&self.name),
                    offset,
                    fault,
                })
            }
        }
    }

    /// The frame that [`CaptureReader::advance`] stepped to.
    pub(super) fn current(&self) -> Option<CapturedFrame<'_>> {
        let found = self.current?;
        Some(CapturedFrame {
            time: found.time,
            link: found.link,
            original_len: found.original_len,
            bytes: self.window.behind(found.at, found.len),
        })
    }
}

fn recognise<R: Read>(window: &mut Window<R>) -> Result<Format, CaptureFault> {
    let head = window.fill(Pcap::HEADER_LEN)?;
    let Some(&magic) = head.first_chunk::<4>() else {
        return Err(if head.is_empty() {
            CaptureFault::Empty
        } else {
            CaptureFault::NotACapture
        });
    };
    match magic {
        Pcapng::MAGIC => Ok(Format::Pcapng(Pcapng::new())),
        [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1] => {
            Err(CaptureFault::OtherFormat("the \"modified\" pcap format"))
        }
        [0x1f, 0x8b, ..] => Err(CaptureFault::Compressed("gzip")),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(CaptureFault::Compressed("Zstandard")),
        [0xfd, b'7', b'z', b'X'] => Err(CaptureFault::Compressed("xz")),
        [0x04, 0x22, 0x4d, 0x18] => Err(CaptureFault::Compressed("LZ4")),
        [b's', b'n', b'o', b'o'] => Err(CaptureFault::OtherFormat("snoop")),
        magic => Pcap::open(magic, window).map(Format::Pcap),
    }
}
