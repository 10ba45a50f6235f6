//! The few calls of bpf(2) that are needed: a map of sockets, a program, and its place on an interface.
//!
//! Source: `linux/bpf.h`, `union bpf_attr`.
#![expect(unsafe_code, reason = "bpf(2) has no face in the standard library")]

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

const MAP_CREATE: libc::c_long = 0;
#[cfg(feature = "testing")]
const MAP_LOOKUP: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const PROGRAM_LOAD: libc::c_long = 5;
#[cfg(feature = "testing")]
const PROGRAM_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;

const TYPE_SOCKETS: u32 = 17;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel has made a packet of the frame.
    Native,
    /// In the kernel's stack, behind it: on every interface, and slower.
    Generic,
}

impl XdpMode {
    fn flag(self) -> u32 {
        match self {
            Self::Native => 4,
            Self::Generic => 2,
        }
    }
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// # Safety
/// `attributes` must be what `command` reads, and what they point to must live through the call.
unsafe fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads as many bytes as it is told, and takes the rest for zero; the rest is the caller's.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    match libc::c_int::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// # Safety
/// As of [`bpf`]; the command must be one that answers with a new descriptor.
unsafe fn descriptor<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the descriptor is new, so nobody else owns it.
    unsafe { bpf(command, attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// A map from a queue's number to its socket.
pub(super) fn socket_map(queues: u32) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        map_type: TYPE_SOCKETS,
        key_size: 4,
        value_size: 4,
        max_entries: queues,
    };
    // SAFETY: nothing is pointed to.
    unsafe { descriptor(MAP_CREATE, &attributes) }
}

/// An array of one value, of so many bytes.
#[cfg(feature = "testing")]
pub(super) fn array(bytes: u32) -> io::Result<OwnedFd> {
    const TYPE_ARRAY: u32 = 2;
    let attributes = MapCreate {
        map_type: TYPE_ARRAY,
        key_size: 4,
        value_size: bytes,
        max_entries: 1,
    };
    // SAFETY: nothing is pointed to.
    unsafe { descriptor(MAP_CREATE, &attributes) }
}

#[cfg(feature = "testing")]
fn first_value(map: BorrowedFd<'_>, key: &u32, value: u64) -> MapUpdate {
    MapUpdate {
        map: number(map),
        padding: 0,
        key: (&raw const *key).addr() as u64,
        value,
        flags: 0,
    }
}

/// Sets the value of an [`array`] of 24 bytes.
#[cfg(feature = "testing")]
pub(super) fn put(map: BorrowedFd<'_>, value: &[u8; 24]) -> io::Result<()> {
    let key = 0;
    let attributes = first_value(map, &key, value.as_ptr().addr() as u64);
    // SAFETY: key and value are of the sizes that the map was made with, and live through the call.
    unsafe { bpf(MAP_UPDATE, &attributes) }.map(drop)
}

/// Reads the value of an [`array`] of 24 bytes.
#[cfg(feature = "testing")]
pub(super) fn get(map: BorrowedFd<'_>, value: &mut [u8; 24]) -> io::Result<()> {
    let key = 0;
    let attributes = first_value(map, &key, value.as_mut_ptr().addr() as u64);
    // SAFETY: key and value are of the sizes that the map was made with, live through the call, and nobody reads meanwhile.
    unsafe { bpf(MAP_LOOKUP, &attributes) }.map(drop)
}

#[cfg(feature = "testing")]
#[repr(C)]
struct ProgramRun {
    program: u32,
    result: u32,
    length: u32,
    room: u32,
    frame: u64,
    output: u64,
    repeat: u32,
    duration: u32,
    context: [u32; 2],
    contexts: [u64; 2],
    flags: u32,
    cpu: u32,
    batch: u32,
    padding: u32,
}

/// Runs a program `repeat` times over copies of `frame`, which go where it says.
#[cfg(feature = "testing")]
pub(super) fn run_live(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<()> {
    const LIVE: u32 = 2;
    let attributes = ProgramRun {
        program: number(program),
        result: 0,
        length: u32::try_from(frame.len()).unwrap_or(0),
        room: 0,
        frame: frame.as_ptr().addr() as u64,
        output: 0,
        repeat,
        duration: 0,
        context: [0; 2],
        contexts: [0; 2],
        flags: LIVE,
        cpu: 0,
        batch: 64,
        padding: 0,
    };
    // SAFETY: the frame lives through the call, and has the length that is told.
    match unsafe { bpf(PROGRAM_RUN, &attributes) } {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// From now on the frames of `queue` go to `socket`.
pub(super) fn put_socket(map: BorrowedFd<'_>, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    let value = number(socket);
    let attributes = MapUpdate {
        map: number(map),
        padding: 0,
        key: (&raw const queue).addr() as u64,
        value: (&raw const value).addr() as u64,
        flags: 0,
    };
    // SAFETY: key and value are of the sizes that the map was made with, and live through the call.
    unsafe { bpf(MAP_UPDATE, &attributes) }.map(drop)
}

/// Has the kernel check and translate a program.
pub(super) fn load(program: &[[u8; 8]]) -> io::Result<OwnedFd> {
    let license = c"Dual MIT/GPL";
    let attributes = ProgramLoad {
        program_type: TYPE_XDP,
        instruction_count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
    };
    // SAFETY: instructions and licence live through the call, and the count is theirs.
    unsafe { descriptor(PROGRAM_LOAD, &attributes) }
}

/// Puts a program on an interface, for as long as what is returned lives: however the process ends, it is gone.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, mode: XdpMode) -> io::Result<OwnedFd> {
    let attributes = LinkCreate {
        program: number(program),
        interface,
        attach_type: ATTACH_XDP,
        flags: mode.flag(),
    };
    // SAFETY: nothing is pointed to.
    unsafe { descriptor(LINK_CREATE, &attributes) }
}
