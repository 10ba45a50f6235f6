//! Where a message's body ends (RFC 9112 §6, §7).

use super::super::judge::Departure;

/// Bytes of a chunk's size line, extensions included.
const MAX_SIZE_LINE: u16 = 4096;
/// Bytes of the trailer section.
const MAX_TRAILERS: u32 = 64 * 1024;

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing.
    Done,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Everything until the connection closes.
    Rest,
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line that holds the size: what was read of it.
    Size {
        value: u64,
        digits: u8,
        line: u16,
        extension: bool,
        cr: bool,
    },
    /// Inside the chunk's data.
    Data(u64),
    /// At the line end behind the data.
    DataEnd { cr: bool },
    /// In the trailers: bytes of this line, of all, and whether a CR came.
    Trailers { line: u32, all: u32, cr: bool },
}

/// The first state of a chunked body.
pub(super) const CHUNKED: Body = Body::Chunked(SIZE);
const SIZE: Chunk = Chunk::Size {
    value: 0,
    digits: 0,
    line: 0,
    extension: false,
    cr: false,
};

impl Body {
    /// Takes the next part of `bytes`, never empty-handed unless the body is done: how many bytes, and
    /// whether they are content rather than framing.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Departure> {
        match self {
            Self::Done => Ok((0, false)),
            Self::Rest => Ok((bytes.len(), true)),
            Self::Length(left) => {
                let taken = take(left, bytes);
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok((taken, true))
            }
            Self::Chunked(Chunk::Data(left)) => {
                let taken = take(left, bytes);
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd { cr: false });
                }
                Ok((taken, true))
            }
            Self::Chunked(_) => self.framing(bytes),
        }
    }

    fn framing(&mut self, bytes: &[u8]) -> Result<(usize, bool), Departure> {
        let mut taken = 0_usize;
        for &byte in bytes {
            let Self::Chunked(chunk) = self else { break };
            if matches!(chunk, Chunk::Data(_)) {
                break;
            }
            *self = chunk.step(byte)?;
            taken = taken.saturating_add(1);
        }
        Ok((taken, false))
    }
}

/// Takes as many of `bytes` as are left.
fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
    *left = left.saturating_sub(here);
    usize::try_from(here).unwrap_or(bytes.len())
}

impl Chunk {
    /// Reads one byte of framing. Line ends are CR LF, nothing else: what is lax here smuggles.
    fn step(self, byte: u8) -> Result<Body, Departure> {
        let next = match self {
            Self::Size {
                value,
                digits,
                line,
                extension,
                cr,
            } => {
                return size_line(value, digits, line, extension, cr, byte);
            }
            Self::Data(_) => self,
            Self::DataEnd { cr: false } if byte == b'\r' => Self::DataEnd { cr: true },
            Self::DataEnd { cr: true } if byte == b'\n' => SIZE,
            Self::Trailers {
                all: MAX_TRAILERS.., ..
            } => return Err(Departure::OverLimit),
            Self::Trailers {
                line: 0, cr: true, ..
            } if byte == b'\n' => return Ok(Body::Done),
            Self::Trailers { all, cr: true, .. } if byte == b'\n' => Self::Trailers {
                line: 0,
                all: all.saturating_add(1),
                cr: false,
            },
            Self::DataEnd { .. } | Self::Trailers { cr: true, .. } => return Err(Departure::Malformed),
            Self::Trailers { .. } if byte == b'\n' => return Err(Departure::Malformed),
            Self::Trailers { line, all, cr: false } => Self::Trailers {
                line: line.saturating_add(u32::from(byte != b'\r')),
                all: all.saturating_add(1),
                cr: byte == b'\r',
            },
        };
        Ok(Body::Chunked(next))
    }
}

fn size_line(
    value: u64,
    digits: u8,
    line: u16,
    extension: bool,
    cr: bool,
    byte: u8,
) -> Result<Body, Departure> {
    if line >= MAX_SIZE_LINE {
        return Err(Departure::OverLimit);
    }
    let stay = |value, digits, extension, cr| {
        Ok(Body::Chunked(Chunk::Size {
            value,
            digits,
            line: line.saturating_add(1),
            extension,
            cr,
        }))
    };
    match (byte, char::from(byte).to_digit(16)) {
        (b'\n', _) if cr && value == 0 => Ok(Body::Chunked(Chunk::Trailers {
            line: 0,
            all: 0,
            cr: false,
        })),
        (b'\n', _) if cr => Ok(Body::Chunked(Chunk::Data(value))),
        _ if cr || byte == b'\n' => Err(Departure::Malformed),
        (b'\r', _) if digits > 0 => stay(value, digits, extension, true),
        (_, Some(digit)) if !extension && digits < 15 => stay(
            (value << 4) | u64::from(digit),
            digits.saturating_add(1),
            false,
            false,
        ),
        (b';' | b' ' | b'\t', _) if digits > 0 => stay(value, digits, true, false),
        (b' '..=b'~' | b'\t' | 0x80.., _) if extension => stay(value, digits, true, false),
        _ => Err(Departure::Malformed),
    }
}
