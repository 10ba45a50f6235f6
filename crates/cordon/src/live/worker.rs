//! A worker: takes frames from its ports, has each judged to its end, and sends what leaves.

use std::{os::fd::AsFd, sync::Arc, thread, time::Duration};

use crossbeam::channel::{Receiver as Inbox, Sender as Outbox};
use packet::Timestamp;
use policy::InterfaceId;
use ports::live::{End, PortFault, Receiver, ReceiverCounters, Sender, Vigil, Waiter, Waker, XdpWire};

use super::{desk::Desk, shared::Shared};

/// How often what is due is ended while frames come, and how long a worker sleeps at most.
const EXPIRE_EVERY: Duration = Duration::from_millis(10);
/// How exactly what is due in sessions of the proxy is done.
const WAKE_EVERY: Duration = Duration::from_millis(1);
/// Bursts taken from one port before the others have their turn.
const BURSTS_A_TURN: usize = 4;
/// Parcels of other workers taken between two turns.
const PARCELS_A_TURN: usize = 128;

/// Turns at the end, for what had arrived by then: a full ring is through after these.
const LAST_TURNS: usize = 64;

/// Something to be done between two bursts, by the worker itself: nobody else touches what it owns.
pub(super) type Errand = Box<dyn FnOnce(&mut Worker, Timestamp) + Send>;

/// How others reach a worker.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) errands: Outbox<Errand>,
    pub(super) waker: Waker,
}

impl Reach {
    /// Has something done; where the worker has ended, nothing is.
    pub(super) fn errand(&self, errand: Errand) {
        drop(self.errands.send(errand));
        self.waker.wake();
    }
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

/// The way in of one interface.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) interface: InterfaceId,
    /// `None` while the interface is gone.
    pub(super) receiver: Option<Receiver>,
    /// What the receivers before this one have counted.
    pub(super) before: ReceiverCounters,
}

/// A worker's own state.
pub(super) struct Worker {
    pub(super) inlets: Vec<Inlet>,
    pub(super) desk: Desk,
    errands: Inbox<Errand>,
    waker: Waker,
    shared: Arc<Shared>,
    /// The receivers have changed: what is waited for must be gathered anew.
    pub(super) stale: bool,
    /// Tells the supervisor that an interface is gone.
    gone: Box<dyn Fn(InterfaceId) + Send>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        inlets: Vec<Inlet>,
        desk: Desk,
        waker: Waker,
        errands: Inbox<Errand>,
        gone: Box<dyn Fn(InterfaceId) + Send>,
    ) -> Self {
        Self {
            inlets,
            desk,
            errands,
            waker,
            shared,
            stale: true,
            gone,
        }
    }

    /// Works until the firewall stops, then ends what it owns.
    pub(super) fn run(mut self) {
        let (mut waiter, mut vigil) = (Waiter::new(&self.waker, &[]), Vigil::default());
        let (mut expired, mut woken) = (Timestamp::ZERO, Timestamp::ZERO);
        while !self.shared.is_stopping() {
            let busy = self.turn();
            let now = self.shared.clock.now();
            if now.saturating_since(woken) >= WAKE_EVERY {
                woken = now;
                self.desk.wake(now);
            }
            if now.saturating_since(expired) >= EXPIRE_EVERY {
                expired = now;
                self.desk.expire(now);
            }
            while let Ok(errand) = self.errands.try_recv() {
                errand(&mut self, now);
            }
            if busy {
                vigil.found(now);
                continue;
            }
            if vigil.looks_again(now) {
                thread::yield_now();
                continue;
            }
            if std::mem::take(&mut self.stale) {
                waiter = self.waiter();
            }
            self.wait(&mut waiter);
        }
        self.drain();
    }

    /// Takes what is there. `true`: there may be more.
    fn turn(&mut self) -> bool {
        let Self {
            inlets, desk, shared, ..
        } = self;
        let mut busy = desk.take_parcels(PARCELS_A_TURN, shared.clock.now());
        for inlet in inlets {
            let Some(receiver) = &mut inlet.receiver else {
                continue;
            };
            for _ in 0..BURSTS_A_TURN {
                let burst = receiver.receive();
                if burst.is_empty() {
                    break;
                }
                busy = true;
                desk.take_burst(inlet.interface, &burst, shared.clock.now());
            }
        }
        for line in 0..desk.lines.count() {
            for end in [End::First, End::Second] {
                for _ in 0..BURSTS_A_TURN {
                    if !desk.take_line(line, end, shared.clock.now()) {
                        break;
                    }
                    busy = true;
                }
            }
        }
        if !busy {
            // What an interface did not take at once is tried again.
            desk.lines.flush();
        }
        busy
    }

    fn waiter(&self) -> Waiter {
        let inlets = self.inlets.iter();
        let inlets = inlets.filter_map(|inlet| Some(inlet.receiver.as_ref()?.as_fd()));
        // Inlets first: their faults are looked for by their place.
        let fds: Vec<_> = inlets.chain(self.desk.lines.fds()).collect();
        Waiter::new(&self.waker, &fds)
    }

    fn wait(&mut self, waiter: &mut Waiter) {
        let due = self.desk.next_wake().map_or(EXPIRE_EVERY, |at| {
            let left = at.saturating_since(self.shared.clock.now());
            left.clamp(WAKE_EVERY, EXPIRE_EVERY)
        });
        let Ok(ready) = waiter.wait(Some(due)) else {
            // Interrupted, or out of kernel memory: the next turn looks at the rings anyway.
            return;
        };
        let present = self.inlets.iter_mut().filter(|inlet| inlet.receiver.is_some());
        for (place, inlet) in present.enumerate() {
            if !ready.fault(place) {
                continue;
            }
            let Some(receiver) = &mut inlet.receiver else {
                continue;
            };
            if receiver.fault() == Some(PortFault::Gone) {
                inlet.before = inlet.before + receiver.counters();
                inlet.receiver = None;
                self.stale = true;
                (self.gone)(inlet.interface);
            }
        }
    }

    /// An interface is back: frames come and go by these.
    pub(super) fn install(&mut self, interface: InterfaceId, receiver: Receiver, sender: Option<Sender>) {
        if let Some(inlet) = self.inlets.iter_mut().find(|inlet| inlet.interface == interface) {
            if let Some(mut old) = inlet.receiver.replace(receiver) {
                inlet.before = inlet.before + old.counters();
            }
            self.stale = true;
        }
        if let Some(place) = self.desk.senders.get_mut(interface.index()) {
            *place = sender;
        }
    }

    /// The line that ends at an interface is closed; frames come and go by `wire` from now on.
    pub(super) fn install_line(&mut self, interface: InterfaceId, wire: Option<XdpWire>) {
        self.desk.lines.install(interface, wire);
        self.stale = true;
    }

    /// An interface has another MTU.
    pub(super) fn set_mtu(&mut self, interface: InterfaceId, mtu: u32) {
        if let Some(Some(sender)) = self.desk.senders.get_mut(interface.index()) {
            sender.set_mtu(mtu);
        }
        if !self.desk.lines.set_mtu(interface, mtu) {
            (self.gone)(interface);
        }
    }

    /// What is in the rings still has its verdict; what comes later finds nobody.
    fn drain(&mut self) {
        for _ in 0..LAST_TURNS {
            if !self.turn() {
                break;
            }
        }
        self.desk.finish(self.shared.clock.now());
    }
}
