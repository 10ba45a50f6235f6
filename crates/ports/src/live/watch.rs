//! What happens to the links: up, down, carrier, gone, back (rtnetlink, RFC 3549).

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{Interface, PortError, sys};

/// One message of the kernel about links, with room to spare: today's have about 1.5 KiB.
const MESSAGE: usize = 32 << 10;
const MESSAGE_HEADER: usize = 16;
/// `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x1_0000;

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The kernel's number for the interface: another one is another interface of the same name.
    pub index: u32,
    /// Administratively up.
    pub up: bool,
    /// The other end is there.
    pub carrier: bool,
    /// The largest payload of a frame, in bytes.
    pub mtu: u32,
}

impl LinkState {
    /// Frames can pass.
    pub fn works(self) -> bool {
        self.up && self.carrier
    }
}

/// A change of one of the links watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkEvent {
    /// Which of the names given to [`LinkWatch::new`], from 0.
    pub link: usize,
    /// How it stood before; `None`: it was not there.
    pub before: Option<LinkState>,
    /// How it stands now; `None`: it is gone.
    pub now: Option<LinkState>,
}

/// Watches links by name, in the network namespace of the thread that made it. Never waits: give it to a
/// [`Waiter`](super::Waiter), or ask now and then.
#[derive(Debug)]
pub struct LinkWatch {
    socket: OwnedFd,
    links: Vec<(String, Option<LinkState>)>,
    buffer: Box<[u8]>,
}

impl LinkWatch {
    /// Begins to watch. What the links are like at first is in [`LinkWatch::state`].
    pub fn new(names: &[&str]) -> Result<Self, PortError> {
        let open = || {
            let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
            sys::bind_netlink(&socket, libc::RTMGRP_LINK.cast_unsigned())?;
            Ok(socket)
        };
        // Bound before the links are looked at: no change between is missed.
        let socket =
            open().map_err(|error: io::Error| PortError::from_system("links", "watch them", error))?;
        let links = names.iter().map(|name| ((*name).to_owned(), look_up(name)));
        Ok(Self {
            socket,
            links: links.collect(),
            buffer: vec![0; MESSAGE].into_boxed_slice(),
        })
    }

    /// How a link stands, as far as events were read; `None` where it is not there.
    pub fn state(&self, link: usize) -> Option<LinkState> {
        self.links.get(link)?.1
    }

    /// Reads what has happened and tells it, in order. Where the kernel had to drop messages, the links
    /// are looked up again, and what is different is told.
    pub fn events(&mut self, mut tell: impl FnMut(LinkEvent)) {
        loop {
            match sys::receive(&self.socket, &mut self.buffer) {
                Ok(length) => {
                    let messages = Messages(self.buffer.get(..length).unwrap_or_default());
                    for message in messages {
                        fold(&mut self.links, message, &mut tell);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    for (link, (name, state)) in self.links.iter_mut().enumerate() {
                        change(link, state, look_up(name), &mut tell);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn look_up(name: &str) -> Option<LinkState> {
    let found = Interface::find(name).ok()?;
    Some(LinkState {
        index: found.index,
        up: found.up,
        carrier: found.carrier,
        mtu: found.mtu,
    })
}

fn change(
    link: usize,
    state: &mut Option<LinkState>,
    now: Option<LinkState>,
    tell: &mut impl FnMut(LinkEvent),
) {
    let before = std::mem::replace(state, now);
    if before != now {
        tell(LinkEvent { link, before, now });
    }
}

fn fold(
    links: &mut [(String, Option<LinkState>)],
    message: LinkMessage<'_>,
    tell: &mut impl FnMut(LinkEvent),
) {
    for (link, (name, state)) in links.iter_mut().enumerate() {
        let named = message.name == name.as_bytes();
        let known = state.is_some_and(|state| state.index == message.state.index);
        match (named, known, message.gone) {
            (true, _, false) => change(link, state, Some(message.state), tell),
            // Deleted, or renamed.
            (_, true, true) | (false, true, false) => change(link, state, None, tell),
            _ => {}
        }
    }
}

/// What one message says of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkMessage<'a> {
    gone: bool,
    name: &'a [u8],
    state: LinkState,
}

/// The messages about links in a datagram of the kernel; others are passed over.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = LinkMessage<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (message, rest) = cut(self.0, MESSAGE_HEADER, |header| {
                u32::from_ne_bytes(*header.first_chunk()?).try_into().ok()
            })?;
            self.0 = rest;
            if let Some(read) = read_link(message) {
                return Some(read);
            }
        }
    }
}

/// Cuts what `length` says off `bytes`; the next begins at a multiple of four.
fn cut(bytes: &[u8], least: usize, length: impl Fn(&[u8]) -> Option<usize>) -> Option<(&[u8], &[u8])> {
    let length = length(bytes)?;
    if length < least {
        return None;
    }
    let cut = bytes.get(..length)?;
    Some((cut, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn read_link(message: &[u8]) -> Option<LinkMessage<'_>> {
    let (header, body) = message.split_at_checked(MESSAGE_HEADER)?;
    let gone = match u16::from_ne_bytes(*header.get(4..)?.first_chunk()?) {
        libc::RTM_NEWLINK => false,
        libc::RTM_DELLINK => true,
        _ => return None,
    };
    let (link, mut attributes) = body.split_at_checked(LINK_HEADER)?;
    // Bridges tell of their ports in messages of their own: a port that leaves is not gone.
    if link.first() != Some(&0) {
        return None;
    }
    let word = |at: usize| Some(u32::from_ne_bytes(*link.get(at..)?.first_chunk()?));
    let flags = word(8)?;
    let mut read = LinkMessage {
        gone,
        name: &[],
        state: LinkState {
            index: word(4)?,
            up: flags & IFF_UP != 0,
            carrier: flags & IFF_LOWER_UP != 0,
            mtu: 0,
        },
    };
    while let Some((attribute, rest)) = cut(attributes, ATTRIBUTE_HEADER, |header| {
        Some(u16::from_ne_bytes(*header.first_chunk()?).into())
    }) {
        attributes = rest;
        let (kind, value) = attribute.split_at_checked(ATTRIBUTE_HEADER)?;
        match u16::from_ne_bytes(*kind.last_chunk()?) {
            IFLA_IFNAME => read.name = value.split(|byte| *byte == 0).next()?,
            IFLA_MTU => read.state.mtu = u32::from_ne_bytes(*value.first_chunk()?),
            _ => {}
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, family: u8, index: u32, flags: u32, name: &[u8]) -> Vec<u8> {
        let mut body = vec![family, 0, 1, 0];
        body.extend([index, flags, 0].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend(attribute(IFLA_IFNAME, &[name, b"\0"].concat()));
        body.extend(attribute(99, b"odd"));
        body.extend(attribute(IFLA_MTU, &1500_u32.to_ne_bytes()));
        let length = u32::try_from(MESSAGE_HEADER + body.len()).unwrap();
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &body].concat()
    }

    /// What two messages do to a link `lan0` of number 7 that works.
    fn told(messages: &[u8]) -> Vec<(bool, bool)> {
        let works = LinkState {
            index: 7,
            up: true,
            carrier: true,
            mtu: 1500,
        };
        let mut links = [("lan0".to_owned(), Some(works))];
        let mut told = Vec::new();
        for message in Messages(messages) {
            fold(&mut links, message, &mut |event| {
                told.push((event.now.is_some(), event.now.is_some_and(LinkState::works)));
            });
        }
        told
    }

    const WORKS: u32 = IFF_UP | IFF_LOWER_UP;

    #[test]
    fn changes_are_told_once() {
        let lost = message(libc::RTM_NEWLINK, 0, 7, IFF_UP, b"lan0");
        let back = message(libc::RTM_NEWLINK, 0, 7, WORKS, b"lan0");
        assert_eq!(told(&back), []);
        assert_eq!(
            told(&[&lost[..], &lost, &back].concat()),
            [(true, false), (true, true)]
        );
    }

    #[test]
    fn a_link_that_is_deleted_or_renamed_is_gone() {
        let deleted = message(libc::RTM_DELLINK, 0, 7, 0, b"lan0");
        let renamed = message(libc::RTM_NEWLINK, 0, 7, WORKS, b"lan9");
        assert_eq!(told(&deleted), [(false, false)]);
        assert_eq!(told(&renamed), [(false, false)]);
        let back = message(libc::RTM_NEWLINK, 0, 8, WORKS, b"lan0");
        assert_eq!(told(&[deleted, back].concat()), [(false, false), (true, true)]);
    }

    #[test]
    fn other_links_and_bridges_do_not_matter() {
        let other = message(libc::RTM_DELLINK, 0, 9, 0, b"wan0");
        let left_bridge = message(libc::RTM_DELLINK, 7, 7, 0, b"lan0");
        assert_eq!(told(&[other, left_bridge].concat()), []);
    }

    proptest! {
        #[test]
        fn arbitrary_messages_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Messages(&bytes).count() <= bytes.len() / MESSAGE_HEADER);
        }
    }
}
