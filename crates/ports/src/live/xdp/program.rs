//! The program that an interface runs for each frame: to the socket of the frame's queue, else to the kernel.
//!
//! Source: RFC 9669 (BPF instructions), `linux/bpf.h` (`struct xdp_md`, helpers).

use std::os::fd::{AsRawFd, BorrowedFd};

/// What the kernel does where the queue has no socket (`XDP_PASS`).
const PASS: i32 = 2;
/// `bpf_redirect_map(map, key, otherwise)`.
const REDIRECT_MAP: i32 = 51;
/// Where `rx_queue_index` lies in `struct xdp_md`.
const QUEUE: i16 = 16;

/// Loads a word of memory into a register.
const LOAD_WORD: u8 = 0x61;
/// Loads 64 bits that stand in two instructions; with source 1 they are a map's descriptor.
const LOAD_WIDE: u8 = 0x18;
const MAP: u8 = 1;
const MOVE: u8 = 0xb7;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

pub(super) const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    // Two registers of four bits each: the first is the lower one on machines that count from there.
    let registers = if cfg!(target_endian = "little") {
        to | from << 4
    } else {
        from | to << 4
    };
    [code, registers, o0, o1, i0, i1, i2, i3]
}

/// Loads the address of the only value of an array into a register: two instructions.
#[cfg(feature = "testing")]
pub(super) fn map_value(register: u8, map: BorrowedFd<'_>) -> [[u8; 8]; 2] {
    const VALUE: u8 = 2;
    [
        instruction(LOAD_WIDE, register, VALUE, 0, map.as_raw_fd()),
        instruction(0, 0, 0, 0, 0),
    ]
}

/// `return bpf_redirect_map(sockets, context->rx_queue_index, XDP_PASS)`.
pub(super) fn to_sockets(sockets: BorrowedFd<'_>) -> [[u8; 8]; 6] {
    [
        instruction(LOAD_WORD, 2, 1, QUEUE, 0),
        instruction(LOAD_WIDE, 1, MAP, 0, sockets.as_raw_fd()),
        instruction(0, 0, 0, 0, 0),
        instruction(MOVE, 3, 0, 0, PASS),
        instruction(CALL, 0, 0, 0, REDIRECT_MAP),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn instructions_are_laid_out_as_the_kernel_reads_them() {
        // As `llvm-mc -triple bpfel` writes: r2 = *(u32 *)(r1 + 16); r3 = 2.
        assert_eq!(
            instruction(LOAD_WORD, 2, 1, QUEUE, 0),
            [0x61, 0x12, 0x10, 0, 0, 0, 0, 0]
        );
        assert_eq!(instruction(MOVE, 3, 0, 0, PASS), [0xb7, 0x03, 0, 0, 2, 0, 0, 0]);
    }
}
