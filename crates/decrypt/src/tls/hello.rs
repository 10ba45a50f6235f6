//! What must be known of a `ClientHello` before rustls sees it: the versions it offers.

/// The highest version a `ClientHello` offers, as on the wire (RFC 8446 §4.2.1), or `None` where these records do
/// not hold a whole, readable one.
pub(super) fn highest_version(records: &[u8]) -> Option<u16> {
    let message = join(records)?;
    let mut hello = Reader(&message);
    let legacy = hello.number(2)?;
    hello.skip(32)?;
    for width in [1, 2, 1] {
        // Session id, cipher suites, compression methods.
        let length = hello.number(width)?;
        hello.skip(length)?;
    }
    let legacy = u16::try_from(legacy).ok()?;
    let Some(length) = hello.number(2) else {
        return Some(legacy);
    };
    let mut extensions = Reader(hello.take(length)?);
    while let (Some(kind), Some(length)) = (extensions.number(2), extensions.number(2)) {
        let body = extensions.take(length)?;
        if kind == SUPPORTED_VERSIONS {
            let (_, list) = body.split_first()?;
            return list
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .filter(|version| version >> 8 == 3)
                .max();
        }
    }
    // Nobody speaks more than 1.2 without saying so (RFC 8446 §4.2.1).
    Some(legacy.min(0x0303))
}

const SUPPORTED_VERSIONS: usize = 43;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// The body of the first handshake message, over as many records as it takes.
fn join(records: &[u8]) -> Option<Vec<u8>> {
    let mut records = Reader(records);
    let mut message = Vec::new();
    loop {
        if records.take(1)? != [HANDSHAKE] {
            return None;
        }
        records.skip(2)?;
        let length = records.number(2)?;
        let fragment = records.take(length)?;
        message.extend_from_slice(fragment);
        if let Some((&[kind, a, b, c], body)) = message.split_first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if kind != CLIENT_HELLO {
                return None;
            }
            if let Some(body) = body.get(..length) {
                return Some(body.to_vec());
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn number(&mut self, width: usize) -> Option<usize> {
        self.take(width).map(|bytes| {
            bytes
                .iter()
                .fold(0, |number, &byte| number << 8 | usize::from(byte))
        })
    }
}
