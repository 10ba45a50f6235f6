//! The Huffman code of HPACK (RFC 7541 Appendix B).
//!
//! The code is canonical: codes of one length are consecutive, in the order of their symbols, and shorter
//! ones come first. So the lengths alone say all of it.

use super::super::judge::Departure;

/// The end of string; it never stands in one (§5.2).
#[cfg(test)]
const EOS: u16 = 256;
const MAX_BITS: usize = 30;
/// Codes of up to this many bits are found by one look.
const SHORT_BITS: usize = 9;

/// The length of each symbol's code, in bits.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

struct Code {
    /// By the next [`SHORT_BITS`] bits: the symbol, and its code's length in the upper byte; 0 for longer codes.
    short: [u16; 1 << SHORT_BITS],
    /// Symbols in the order of their codes.
    symbols: [u16; 257],
    /// By length: the first code, how many there are, and where their symbols begin.
    lengths: [(u32, u32, usize); MAX_BITS + 1],
}

static CODE: Code = const { build() };

#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, where a fault is an error"
)]
const fn build() -> Code {
    let mut code = Code {
        short: [0; 1 << SHORT_BITS],
        symbols: [0; 257],
        lengths: [(0, 0, 0); MAX_BITS + 1],
    };
    let (mut next, mut place, mut bits) = (0_u32, 0, 1);
    while bits <= MAX_BITS {
        next <<= 1;
        code.lengths[bits] = (next, 0, place);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                if bits <= SHORT_BITS {
                    let spare = SHORT_BITS - bits;
                    let mut fill = 0;
                    while fill < 1 << spare {
                        code.short[((next as usize) << spare) | fill] = ((bits as u16) << 8) | symbol as u16;
                        fill += 1;
                    }
                }
                code.symbols[place] = symbol as u16;
                code.lengths[bits].1 += 1;
                place += 1;
                next += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    code
}

/// Decodes a string and appends it to `out`.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Departure> {
    let mut bytes = coded.iter();
    // Bits not decoded yet, at the upper end; below them ones, as the padding has them.
    let (mut window, mut held) = (u64::MAX, 0_usize);
    loop {
        while held <= 56
            && let Some(&byte) = bytes.next()
        {
            let shift = 56_usize.saturating_sub(held);
            window &= !(0xff << shift) | (u64::from(byte) << shift);
            held = held.saturating_add(8);
        }
        let Some((symbol, bits)) = next(window).filter(|(_, bits)| *bits <= held) else {
            // What is left is padding: ones, less than a byte (§5.2).
            let padded = held < 8 && window == u64::MAX;
            return if padded { Ok(()) } else { Err(Departure::Malformed) };
        };
        if held == 0 {
            return Ok(());
        }
        let Ok(symbol) = u8::try_from(symbol) else {
            return Err(Departure::Malformed);
        };
        out.push(symbol);
        window = (window << bits) | !(u64::MAX << bits);
        held = held.saturating_sub(bits);
    }
}

/// The symbol that the upper bits begin with, and the length of its code.
fn next(window: u64) -> Option<(u16, usize)> {
    let upper = |bits: usize| window >> 64_usize.saturating_sub(bits);
    let short = usize::try_from(upper(SHORT_BITS)).ok()?;
    match CODE.short.get(short) {
        Some(&found) if found > 0 => return Some((found & 0xff, usize::from(found >> 8))),
        _ => {}
    }
    for (bits, &(first, count, place)) in CODE.lengths.iter().enumerate().skip(SHORT_BITS.saturating_add(1)) {
        let nth = u32::try_from(upper(bits)).ok()?.checked_sub(first);
        if let Some(nth) = nth.filter(|nth| *nth < count) {
            let place = place.saturating_add(usize::try_from(nth).ok()?);
            return CODE.symbols.get(place).map(|&symbol| (symbol, bits));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).ok().map(|()| out)
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 7541 C.4.1, C.4.3, C.6.1.
        let examples: [(&[u8], &[u8]); 3] = [
            (
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ],
                b"www.example.com",
            ),
            (
                &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf],
                b"custom-value",
            ),
            (&[0x64, 0x02], b"302"),
        ];
        for (coded, text) in examples {
            assert_eq!(decoded(coded).as_deref(), Some(text));
        }
        assert_eq!(decoded(b"").as_deref(), Some(&b""[..]));
        // A byte of padding, padding of zeros, the end of string.
        assert_eq!(decoded(&[0x64, 0x02, 0xff]), None);
        assert_eq!(decoded(&[0b0000_0000]), None);
        assert_eq!(decoded(&[0xff; 4]), None);
        assert_eq!(CODE.symbols.last(), Some(&EOS));
    }

    proptest! {
        #[test]
        fn agrees_with_another_decoder(coded in prop::collection::vec(any::<u8>(), 0..60)) {
            let theirs = loona_hpack::huffman::HuffmanDecoder::new().decode(&coded).ok();
            prop_assert_eq!(decoded(&coded), theirs);
        }
    }
}
