//! Waiting for frames, for other descriptors, and for another thread.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::sys;

/// Wakes a thread that waits: cheap to clone, from any thread, and without waiting itself.
///
/// A call that comes before the wait is not lost: the wait ends at once.
#[derive(Clone, Debug)]
pub struct Waker {
    fd: Arc<OwnedFd>,
}

impl Waker {
    /// A waker that nobody waits for yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: Arc::new(sys::event_fd()?),
        })
    }

    /// Ends the current wait, or the next.
    pub fn wake(&self) {
        sys::event_add(&self.fd);
    }
}

/// Waits for several descriptors at once: receivers, a [`LinkWatch`](super::LinkWatch), whatever else.
///
/// Holds their numbers only: it is made again when one of them is opened anew.
#[derive(Debug)]
pub struct Waiter {
    waker: Waker,
    // The waker's, then those given.
    fds: Vec<libc::pollfd>,
}

impl Waiter {
    /// Waits for `waker` and for `fds`, which are counted from 0 in [`Ready`].
    pub fn new(waker: &Waker, fds: &[BorrowedFd<'_>]) -> Self {
        let all = [waker.fd.as_fd()].into_iter().chain(fds.iter().copied());
        Self {
            waker: waker.clone(),
            fds: all.map(sys::readable).collect(),
        }
    }

    /// Waits until something is there, `timeout` at most (`None`: for ever; zero: only looks). A signal
    /// ends the wait, with nothing ready.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Ready<'_>> {
        sys::poll(&mut self.fds, timeout)?;
        let (woken, fds) = match self.fds.split_first() {
            Some((waker, fds)) => (waker.revents != 0, fds),
            None => (false, [].as_slice()),
        };
        if woken {
            sys::event_clear(&self.waker.fd);
        }
        Ok(Ready { woken, fds })
    }
}

/// What a wait has ended with.
#[derive(Clone, Copy, Debug)]
pub struct Ready<'a> {
    woken: bool,
    fds: &'a [libc::pollfd],
}

impl Ready<'_> {
    /// The [`Waker`] was called.
    pub fn woken(&self) -> bool {
        self.woken
    }

    /// There is something to read at this descriptor.
    pub fn readable(&self, index: usize) -> bool {
        self.has(index, libc::POLLIN)
    }

    /// This descriptor reports an error: of a receiver, ask [`Receiver::fault`](super::Receiver::fault).
    pub fn fault(&self, index: usize) -> bool {
        self.has(index, libc::POLLERR | libc::POLLHUP | libc::POLLNVAL)
    }

    fn has(&self, index: usize, events: libc::c_short) -> bool {
        self.fds.get(index).is_some_and(|fd| fd.revents & events != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_wake_before_the_wait_ends_it_once() {
        let waker = Waker::new().unwrap();
        let mut waiter = Waiter::new(&waker, &[]);
        waker.wake();
        waker.wake();
        assert!(waiter.wait(None).unwrap().woken());
        assert!(!waiter.wait(Some(Duration::ZERO)).unwrap().woken());
    }

    #[test]
    fn another_thread_ends_the_wait() {
        let waker = Waker::new().unwrap();
        let mut waiter = Waiter::new(&waker, &[]);
        thread::scope(|scope| {
            scope.spawn(|| waker.wake());
            assert!(waiter.wait(None).unwrap().woken());
        });
    }

    #[test]
    fn descriptors_are_counted_from_zero() {
        let (waker, other) = (Waker::new().unwrap(), Waker::new().unwrap());
        let mut waiter = Waiter::new(&waker, &[waker.fd.as_fd(), other.fd.as_fd()]);
        other.wake();
        let ready = waiter.wait(None).unwrap();
        assert!(!ready.woken() && !ready.readable(0) && ready.readable(1) && !ready.fault(1));
    }
}
