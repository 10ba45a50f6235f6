//! A generator of frames for measurements: a program that the kernel runs over and over, and whose frames it redirects into
//! an interface. On one core several times what a process can send.
//!
//! Source: `Documentation/bpf/bpf_prog_run.rst` of Linux, "Running XDP programs in 'live frame mode'".
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::{
    bpf,
    program::{instruction, map_value},
};
use crate::live::Interface;

/// Bytes of a frame.
const LENGTH: usize = 60;
const LENGTH_ADDED: i32 = 60;
/// Where the client's port lies in a UDP datagram over IPv4.
const PORT: i16 = 34;
/// Where the time of sending is put, as `CLOCK_MONOTONIC` has it, in nanoseconds and in this machine's order of bytes.
const TIME_AT: i16 = 44;
/// Flows, a power of two, and the port of the first.
const FLOWS: i32 = 1024;
const FIRST_PORT: i32 = 10_000;
/// How many nanoseconds frames are sent closer together that come late.
const LATE: i32 = 50_000;
/// How often the program runs in one call.
const ROUNDS: u32 = 1 << 17;

/// Where in the program's memory lie: the time of the next frame, the time between two, and how many there were.
const NEXT: i16 = 0;
const BETWEEN: i16 = 8;
const SENT: i16 = 16;

const TIME: i32 = 5;
const REDIRECT: i32 = 23;
const DROP: i32 = 1;

/// Sends copies of one UDP frame in 1,024 flows, told apart by the client's port, from 10,000 on.
#[derive(Debug)]
pub struct Flood {
    program: OwnedFd,
    state: OwnedFd,
    template: [u8; LENGTH],
}

impl Flood {
    /// Into `interface`, as if it sent them: they arrive at its neighbour, which must take redirected frames (a veth does
    /// with GRO or a program of its own). The frame is of 60 bytes, UDP over IPv4 without a checksum of its
    /// own. At byte 44 stands the time of sending, in nanoseconds of `CLOCK_MONOTONIC`.
    pub fn new(interface: &Interface, template: [u8; LENGTH]) -> io::Result<Self> {
        let state = bpf::array(24)?;
        let program = bpf::load(&program(&state, interface.index.cast_signed(), &template))?;
        Ok(Self {
            program,
            state,
            template,
        })
    }

    /// Sends one frame in so many nanoseconds, 0: without pause, until it is `enough`; how many were sent. In the network
    /// namespace of the interface.
    pub fn send(&self, nanos: u64, enough: impl Fn() -> bool) -> io::Result<u64> {
        let mut state = [0_u8; 24];
        state[8..16].copy_from_slice(&nanos.to_ne_bytes());
        bpf::put(self.state.as_fd(), &state)?;
        while !enough() {
            bpf::run_live(self.program.as_fd(), &self.template, ROUNDS)?;
        }
        bpf::get(self.state.as_fd(), &mut state)?;
        Ok(state.last_chunk().map_or(0, |sent| u64::from_ne_bytes(*sent)))
    }
}

fn program(state: &OwnedFd, interface: i32, template: &[u8; LENGTH]) -> Vec<[u8; 8]> {
    const LOAD_WORD: u8 = 0x61;
    const LOAD_LONG: u8 = 0x79;
    const STORE_LONG: u8 = 0x7b;
    const STORE_SHORT: u8 = 0x6b;
    const STORE_WORD_OF: u8 = 0x62;
    const STORE_SHORT_OF: u8 = 0x6a;
    const MOVE: u8 = 0xb7;
    const MOVE_FROM: u8 = 0xbf;
    const ADD: u8 = 0x07;
    const ADD_FROM: u8 = 0x0f;
    const AND: u8 = 0x57;
    const TO_BIG_ENDIAN: u8 = 0xdc;
    const JUMP_IF_GREATER: u8 = 0x2d;
    const JUMP_IF_LESS: u8 = 0xad;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    let [wide, zero] = map_value(7, state.as_fd());
    let words = |from: usize, to: usize| {
        template
            .get(from..to)
            .unwrap_or_default()
            .chunks_exact(4)
            .zip((from..).step_by(4))
            .map(|(word, at)| {
                let word = word.first_chunk().map_or(0, |word| i32::from_ne_bytes(*word));
                instruction(STORE_WORD_OF, 8, 0, i16::try_from(at).unwrap_or(0), word)
            })
    };
    let mut body = vec![
        // It may be late, and hurry then, but not by more than a little: that would be a burst.
        instruction(LOAD_LONG, 2, 7, BETWEEN, 0),
        instruction(ADD_FROM, 1, 2, 0, 0),
        instruction(MOVE_FROM, 2, 0, 0, 0),
        instruction(ADD, 2, 0, 0, -LATE),
        instruction(JUMP_IF_GREATER, 1, 2, 1, 0),
        instruction(MOVE_FROM, 1, 2, 0, 0),
        instruction(STORE_LONG, 7, 1, NEXT, 0),
        instruction(LOAD_LONG, 1, 7, SENT, 0),
        instruction(ADD, 1, 0, 0, 1),
        instruction(STORE_LONG, 7, 1, SENT, 0),
        // The next flow's port.
        instruction(AND, 1, 0, 0, FLOWS - 1),
        instruction(ADD, 1, 0, 0, FIRST_PORT),
        instruction(TO_BIG_ENDIAN, 1, 0, 0, 16),
        instruction(STORE_SHORT, 8, 1, PORT, 0),
    ];
    // Whoever had the frame before may have written into it.
    body.extend(words(0, 32));
    let addresses = i32::from(u16::from_ne_bytes([template[32], template[33]]));
    body.push(instruction(STORE_SHORT_OF, 8, 0, 32, addresses));
    body.extend(words(36, LENGTH));
    body.push(instruction(STORE_LONG, 8, 0, TIME_AT, 0));
    body.extend([
        instruction(MOVE, 1, 0, 0, interface),
        instruction(MOVE, 2, 0, 0, 0),
        instruction(CALL, 0, 0, 0, REDIRECT),
        instruction(EXIT, 0, 0, 0, 0),
    ]);
    let past = |more: usize| i16::try_from(body.len() + more).unwrap_or(0);
    let mut program = vec![
        instruction(MOVE_FROM, 6, 1, 0, 0),
        wide,
        zero,
        // Behind the frame's first bytes lie all others.
        instruction(LOAD_WORD, 8, 6, 0, 0),
        instruction(LOAD_WORD, 3, 6, 4, 0),
        instruction(MOVE_FROM, 4, 8, 0, 0),
        instruction(ADD, 4, 0, 0, LENGTH_ADDED),
        instruction(JUMP_IF_GREATER, 4, 3, past(3), 0),
        instruction(CALL, 0, 0, 0, TIME),
        instruction(LOAD_LONG, 1, 7, NEXT, 0),
        instruction(JUMP_IF_LESS, 0, 1, past(0), 0),
    ];
    program.extend(body);
    program.extend([instruction(MOVE, 0, 0, 0, DROP), instruction(EXIT, 0, 0, 0, 0)]);
    program
}
