//! The system calls of live interfaces behind safe faces.
//!
//! Everything here is bookkeeping of file descriptors and option structs; what the rings need is in
//! `ring.rs`.
#![expect(unsafe_code, reason = "system calls that the standard library does not offer")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants and sizes of structs, which libc types wider than the fields they go into"
)]

use std::{
    io,
    mem::{MaybeUninit, size_of, zeroed},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use libc::{c_int, c_void};

/// All frames, of whatever protocol (`ETH_P_ALL`), in network byte order.
pub(super) const EVERY_PROTOCOL: u16 = (libc::ETH_P_ALL as u16).to_be();

/// Structs that the kernel reads or fills: any bytes are a valid value.
///
/// # Safety
/// Every bit pattern must be valid, without padding that matters.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: integers.
unsafe impl Plain for c_int {}
// SAFETY: C structs of integers.
unsafe impl Plain for libc::tpacket_req {}
// SAFETY: a C struct of integers.
unsafe impl Plain for libc::tpacket_stats {}
// SAFETY: a C struct of integers.
unsafe impl Plain for libc::packet_mreq {}

// SAFETY: a C struct of integers.
unsafe impl Plain for libc::xdp_umem_reg {}
// SAFETY: a C struct of integers.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: a C struct of integers.
unsafe impl Plain for libc::xdp_statistics {}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The length of a `T` as the kernel counts it.
fn length_of<T>() -> libc::socklen_t {
    // Option structs have a few dozen bytes.
    size_of::<T>() as libc::socklen_t
}

/// A socket that never blocks and does not outlive an exec.
pub(super) fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = checked(libc::socket(family, kind, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// A counter that `poll` can wait for.
pub(super) fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds one to a counter; at its end it stays there, and wakes all the same.
pub(super) fn event_add(fd: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: the buffer is valid for its length during the call.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Sets a counter to zero.
pub(super) fn event_clear(fd: &OwnedFd) {
    let mut count = [0_u8; 8];
    // SAFETY: the buffer is valid for its length during the call.
    unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Sets a socket option.
pub(super) fn set_option<T: Plain>(fd: &OwnedFd, level: c_int, name: c_int, value: T) -> io::Result<()> {
    let (value, length) = ((&raw const value).cast(), length_of::<T>());
    // SAFETY: `value` points to a live `T` of that length, which the kernel only reads.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value, length) })?;
    Ok(())
}

/// Reads a socket option; reading some of them also clears them.
pub(super) fn option<T: Plain>(fd: &OwnedFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = length_of::<T>();
    // SAFETY: the kernel writes at most `length` bytes; all-zero and any other bytes are a valid `T`.
    unsafe {
        let at = value.as_mut_ptr().cast();
        checked(libc::getsockopt(fd.as_raw_fd(), level, name, at, &raw mut length))?;
        Ok(value.assume_init())
    }
}

/// Lets the socket see nothing at all until [`see_everything`].
pub(super) fn see_nothing(fd: &OwnedFd) -> io::Result<()> {
    // "return 0": keep no byte of any frame.
    let mut refuse = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut refuse,
    };
    let (at, length) = ((&raw const program).cast(), length_of::<libc::sock_fprog>());
    // SAFETY: the program and its one instruction live through the call; the kernel copies both.
    checked(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            at,
            length,
        )
    })?;
    Ok(())
}

/// Takes the filter away again.
pub(super) fn see_everything(fd: &OwnedFd) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0)
}

fn link_address(index: c_int, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: a C struct of integers, for which zero is valid.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index;
    address
}

/// Ties a packet socket to an interface; protocol 0 receives nothing.
pub(super) fn bind_packet(fd: &OwnedFd, index: c_int, protocol: u16) -> io::Result<()> {
    let address = link_address(index, protocol);
    let (at, length) = ((&raw const address).cast(), length_of::<libc::sockaddr_ll>());
    // SAFETY: `at` points to a live address of that length.
    checked(unsafe { libc::bind(fd.as_raw_fd(), at, length) })?;
    Ok(())
}

/// The interface that a packet socket is tied to; the kernel forgets it when the interface vanishes.
pub(super) fn bound_index(fd: &OwnedFd) -> io::Result<c_int> {
    let mut address = link_address(0, 0);
    let mut length = length_of::<libc::sockaddr_ll>();
    // SAFETY: the kernel writes at most `length` bytes of an address.
    checked(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    Ok(address.sll_ifindex)
}

/// Ties an XDP socket to a queue of an interface; with `first` it shares that one's memory and manner. `copy`: even where
/// the driver could do without.
pub(super) fn bind_xdp(
    fd: &OwnedFd,
    interface: u32,
    queue: u32,
    first: Option<BorrowedFd<'_>>,
    copy: bool,
) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: match first {
            None if copy => libc::XDP_USE_NEED_WAKEUP | libc::XDP_COPY,
            None => libc::XDP_USE_NEED_WAKEUP,
            Some(_) => libc::XDP_SHARED_UMEM,
        },
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: first.map_or(0, |first| first.as_raw_fd().cast_unsigned()),
    };
    let (at, length) = ((&raw const address).cast(), length_of::<libc::sockaddr_xdp>());
    // SAFETY: `at` points to a live address of that length.
    checked(unsafe { libc::bind(fd.as_raw_fd(), at, length) })?;
    Ok(())
}

/// Ties a netlink socket to multicast groups.
pub(super) fn bind_netlink(fd: &OwnedFd, groups: u32) -> io::Result<()> {
    // SAFETY: a C struct of integers, for which zero is valid.
    let mut address: libc::sockaddr_nl = unsafe { zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    let (at, length) = ((&raw const address).cast(), length_of::<libc::sockaddr_nl>());
    // SAFETY: `at` points to a live address of that length.
    checked(unsafe { libc::bind(fd.as_raw_fd(), at, length) })?;
    Ok(())
}

/// Reads one message into `buffer`; how many bytes came.
pub(super) fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the kernel writes at most `length` bytes into `buffer`.
    let received = unsafe { libc::recv(fd.as_raw_fd(), at, length, libc::MSG_DONTWAIT) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// Reads one message into two buffers, one after the other; its whole length, which may be more than
/// both hold.
pub(super) fn receive_into(fd: &OwnedFd, first: &mut [u8], second: &mut [u8]) -> io::Result<usize> {
    let mut parts = [
        libc::iovec {
            iov_base: first.as_mut_ptr().cast(),
            iov_len: first.len(),
        },
        libc::iovec {
            iov_base: second.as_mut_ptr().cast(),
            iov_len: second.len(),
        },
    ];
    // SAFETY: a C struct of integers and pointers, for which zero is valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    // SAFETY: the message names two live buffers with their lengths, and nothing else.
    let received = unsafe {
        libc::recvmsg(
            fd.as_raw_fd(),
            &raw mut message,
            libc::MSG_DONTWAIT | libc::MSG_TRUNC,
        )
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// Sends one message that lies in two buffers.
pub(super) fn send_parts(fd: &OwnedFd, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut parts = [
        libc::iovec {
            iov_base: first.as_ptr().cast_mut().cast(),
            iov_len: first.len(),
        },
        libc::iovec {
            iov_base: second.as_ptr().cast_mut().cast(),
            iov_len: second.len(),
        },
    ];
    // SAFETY: a C struct of integers and pointers, for which zero is valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    // SAFETY: the message names two live buffers with their lengths, which the kernel only reads.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the kernel take what stands ready in a socket's transmit ring.
pub(super) fn send_ring(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no buffer: a socket with a transmit ring takes its frames from there.
    let sent = unsafe { libc::send(fd.as_raw_fd(), std::ptr::null::<c_void>(), 0, libc::MSG_DONTWAIT) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits until one of `fds` is ready, `timeout` at most (`None`: for ever). A signal ends the wait, too.
pub(super) fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout
        .as_ref()
        .map_or(std::ptr::null(), |timeout| &raw const *timeout);
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `fds` is valid for `count` entries, `timeout` is null or points to a live value.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), count, timeout, std::ptr::null()) };
    match checked(ready) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            for fd in fds {
                fd.revents = 0;
            }
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// What `poll` is to watch `fd` for.
pub(super) fn readable(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    }
}

/// `ETHTOOL_GCHANNELS`, `ETHTOOL_GDRVINFO`, `ETHTOOL_SGRO`: `linux/ethtool.h`.
const ETHTOOL_CHANNELS: u32 = 0x3c;
const ETHTOOL_DRIVER: u32 = 3;
const ETHTOOL_SET_GRO: u32 = 0x2c;

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Channels {
    question: u32,
    most: [u32; 4],
    receive: u32,
    transmit: u32,
    other: u32,
    combined: u32,
}
// SAFETY: a C struct of integers.
unsafe impl Plain for Channels {}

/// `struct ethtool_drvinfo`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Driver {
    question: u32,
    name: [u8; 32],
    rest: [u32; 40],
}
// SAFETY: a C struct of integers, without padding.
unsafe impl Plain for Driver {}
// SAFETY: `struct ethtool_value`, two integers.
unsafe impl Plain for [u32; 2] {}

/// Questions about an interface by its name, in the network namespace of the thread that asks.
#[derive(Debug)]
pub(super) struct InterfaceControl {
    fd: OwnedFd,
}

impl InterfaceControl {
    pub(super) fn open() -> io::Result<Self> {
        let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        Ok(Self { fd })
    }

    fn request(name: &str) -> io::Result<libc::ifreq> {
        // SAFETY: a C struct of integers and a union of such, for which zero is valid.
        let mut request: libc::ifreq = unsafe { zeroed() };
        // One byte is left for the end of the string.
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        Ok(request)
    }

    fn ask(&self, name: &str, question: libc::Ioctl) -> io::Result<libc::ifreq> {
        let mut request = Self::request(name)?;
        // SAFETY: these questions read and write one `ifreq`.
        checked(unsafe { libc::ioctl(self.fd.as_raw_fd(), question, &raw mut request) })?;
        Ok(request)
    }

    /// `IFF_…` of `if.h`, the lower sixteen.
    pub(super) fn flags(&self, name: &str) -> io::Result<i16> {
        let answer = self.ask(name, libc::SIOCGIFFLAGS as libc::Ioctl)?;
        // SAFETY: the kernel has answered with flags.
        Ok(unsafe { answer.ifr_ifru.ifru_flags })
    }

    pub(super) fn set_flags(&self, name: &str, flags: i16) -> io::Result<()> {
        let mut request = Self::request(name)?;
        request.ifr_ifru.ifru_flags = flags;
        // SAFETY: the request reads one `ifreq`.
        checked(unsafe {
            libc::ioctl(
                self.fd.as_raw_fd(),
                libc::SIOCSIFFLAGS as libc::Ioctl,
                &raw mut request,
            )
        })?;
        Ok(())
    }

    /// Asks the interface's driver; `question` begins with the number of the question, and is where the answer goes.
    fn ask_driver<T: Plain>(&self, name: &str, question: &mut T) -> io::Result<()> {
        let mut request = Self::request(name)?;
        request.ifr_ifru.ifru_data = (&raw mut *question).cast();
        // SAFETY: the request points to a live struct of the size that its first word says, which is filled.
        checked(unsafe {
            libc::ioctl(
                self.fd.as_raw_fd(),
                libc::SIOCETHTOOL as libc::Ioctl,
                &raw mut request,
            )
        })?;
        Ok(())
    }

    /// How many queues frames arrive in.
    pub(super) fn receive_queues(&self, name: &str) -> io::Result<u32> {
        let mut channels = Channels {
            question: ETHTOOL_CHANNELS,
            ..Channels::default()
        };
        self.ask_driver(name, &mut channels)?;
        Ok(channels.receive + channels.combined)
    }

    /// The name of the interface's driver.
    pub(super) fn driver(&self, name: &str) -> io::Result<String> {
        let mut driver = Driver {
            question: ETHTOOL_DRIVER,
            name: [0; 32],
            rest: [0; 40],
        };
        self.ask_driver(name, &mut driver)?;
        let name: Vec<u8> = driver.name.into_iter().take_while(|byte| *byte != 0).collect();
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Has the interface hand over frames as they came, not joined.
    pub(super) fn do_not_join(&self, name: &str) -> io::Result<()> {
        self.ask_driver(name, &mut [ETHTOOL_SET_GRO, 0])
    }

    /// The largest payload of a frame, in bytes.
    pub(super) fn mtu(&self, name: &str) -> io::Result<i32> {
        let answer = self.ask(name, libc::SIOCGIFMTU as libc::Ioctl)?;
        // SAFETY: the kernel has answered with an MTU.
        Ok(unsafe { answer.ifr_ifru.ifru_mtu })
    }

    /// `ARPHRD_…` of `if_arp.h`.
    pub(super) fn hardware_type(&self, name: &str) -> io::Result<u16> {
        let answer = self.ask(name, libc::SIOCGIFHWADDR as libc::Ioctl)?;
        // SAFETY: the kernel has answered with a hardware address.
        Ok(unsafe { answer.ifr_ifru.ifru_hwaddr.sa_family })
    }
}
