//! A program on an interface, and the map of the sockets that it hands frames to.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    bpf::{self, XdpMode},
    program,
    socket::Socket,
};
use crate::live::{Interface, PortError};

/// For as long as this lives. However the process ends, the interface is the kernel's again.
#[derive(Debug)]
pub(super) struct Attachment {
    _link: OwnedFd,
    _sockets: OwnedFd,
    pub(super) mode: XdpMode,
}

impl Attachment {
    /// Frames of each queue go to the socket beside it from now on. `native_only`: not behind the kernel's stack.
    pub(super) fn new<'a>(
        interface: &Interface,
        queues: u32,
        sockets: impl Iterator<Item = (u32, &'a Socket)>,
        native_only: bool,
    ) -> Result<Self, PortError> {
        let failed = |what| move |error| PortError::from_system(&interface.name, what, error);
        let map = bpf::socket_map(queues).map_err(failed("make a map of sockets"))?;
        for (queue, socket) in sockets {
            bpf::put_socket(map.as_fd(), queue, socket.as_fd())
                .map_err(failed("enter a socket into the map"))?;
        }
        let program = bpf::load(&program::to_sockets(map.as_fd())).map_err(failed("load an XDP program"))?;
        let attach = |mode| bpf::attach(program.as_fd(), interface.index, mode).map(|link| (link, mode));
        let native = attach(XdpMode::Native);
        let attached = if native_only {
            native
        } else {
            native.or_else(|_| {
                // What the stack has joined before it runs the program does not fit into a chunk.
                interface.do_not_join()?;
                attach(XdpMode::Generic)
            })
        };
        let (link, mode) = attached.map_err(failed("put an XDP program on the interface"))?;
        Ok(Self {
            _link: link,
            _sockets: map,
            mode,
        })
    }
}
