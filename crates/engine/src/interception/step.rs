//! What a packet means for a session in which TLS may begin.
//!
//! No byte of the client goes on that could open TLS before it is known what it opens. What a client says once more
//! has gone on before; it is looked at only in what the server makes of it.

use packet::{DomainName, Packet, Tcp, Timestamp};

use super::{Greeting, Watch, greeting};
use crate::session::{Direction, after};

/// What becomes of a packet, and of its session.
#[derive(Debug)]
pub(crate) enum Step {
    /// It goes its way.
    Pass,
    /// It goes its way, and TLS can no more begin.
    Over,
    /// It is withheld, but for its first bytes.
    Hold { front: usize },
    /// There is no room to withhold it. Its sender will send it again.
    Refuse,
    /// It goes its way behind all that was withheld: none of it was TLS.
    Plain,
    /// TLS begins with a whole `ClientHello`.
    Hello {
        name: Option<Box<DomainName>>,
        /// Whether the session can be taken over now; if not, this becomes of the packet.
        otherwise: Option<Box<Step>>,
    },
    /// The firewall has to speak with both ends itself before the client says more.
    Undecided,
    /// The server answers a `ClientHello` that was not seen.
    Unseen,
}

impl Watch {
    /// Looks at a packet that its receiver would accept.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        tcp: &Tcp<'_>,
        direction: Direction,
    ) -> Step {
        self.note(now, packet, tcp, direction);
        match direction {
            Direction::ClientToServer => self.client_step(tcp),
            Direction::ServerToClient => self.server_step(tcp),
        }
    }

    fn server_step(&mut self, tcp: &Tcp<'_>) -> Step {
        let (fresh, ahead) = self.server_goes_on(tcp);
        let unseen = if ahead && !fresh.is_empty() {
            self.upgrade.server_ahead(fresh)
        } else {
            self.upgrade.server(fresh)
        };
        if unseen && self.spoken {
            return Step::Unseen;
        }
        if self.is_holding() && !tcp.flags.rst() {
            return self.judge(None, false);
        }
        Step::Pass
    }

    fn client_step(&mut self, tcp: &Tcp<'_>) -> Step {
        let Some(next) = self.next().filter(|_| !tcp.flags.syn()) else {
            return Step::Pass;
        };
        // A client may leave with half a hello held: its server knows nothing of the bytes before its FIN or RST.
        if tcp.flags.rst() {
            return if self.is_holding() && self.is_quiet() {
                Step::Undecided
            } else {
                Step::Pass
            };
        }
        let leaves = self.is_holding() && tcp.flags.fin();
        let end = tcp.seq.wrapping_add(tcp.payload_len);
        if !after(end, next) {
            if !tcp.payload.is_empty() {
                self.upgrade.client_again();
            }
            return match (self.is_holding(), tcp.flags.fin() && end == next) {
                (true, _) => self.judge(None, leaves),
                (false, true) => Step::Over,
                (false, false) => Step::Pass,
            };
        }
        if tcp.payload.is_empty() {
            // Ahead of what is held, or of what was lost on its way to here.
            return if self.is_holding() {
                self.judge(None, leaves)
            } else {
                Step::Pass
            };
        }
        if self.is_holding() {
            return self.judge(Some(tcp), leaves);
        }
        if after(tcp.seq, next) {
            if self.upgrade.is_clients_turn() {
                return self.judge(Some(tcp), leaves);
            }
            // Whatever it holds, the server's answer will tell if it was TLS.
            self.upgrade.missed_client();
            self.goes_on_to(end);
            return Step::Pass;
        }
        let fresh = tcp.payload.get(next.wrapping_sub(tcp.seq) as usize..);
        match self.upgrade.client(fresh.unwrap_or_default()) {
            None => {
                self.spoken = true;
                self.goes_on_to(end);
                if tcp.flags.fin() { Step::Over } else { Step::Pass }
            }
            Some(at) => {
                self.spoken |= at > 0;
                self.goes_on_to(next.wrapping_add(u32::try_from(at).unwrap_or(0)));
                self.judge(Some(tcp), tcp.flags.fin())
            }
        }
    }

    /// Judges what is held, with the client's segment at hand where it brings something new.
    fn judge(&mut self, tcp: Option<&Tcp<'_>>, leaves: bool) -> Step {
        if !self.has_handshake() {
            // Nobody could take it on. Where the server is seen at all, its answer tells.
            return self.all_goes_on(tcp);
        }
        let flight = self.flight(tcp);
        let ready = self.is_quiet();
        match greeting(&flight) {
            Greeting::Other => self.all_goes_on(tcp),
            Greeting::Hello(name) => Step::Hello {
                name,
                otherwise: (!ready).then(|| Box::new(self.wait(tcp, leaves))),
            },
            Greeting::Unreadable if ready => Step::Undecided,
            Greeting::NeedMore if ready && leaves => Step::Undecided,
            // The client waits for an answer: without one it sends nothing but this again.
            Greeting::NeedMore if ready && !flight.is_empty() && tcp.is_some_and(|tcp| self.holds(tcp)) => {
                Step::Undecided
            }
            Greeting::NeedMore if self.is_full() && tcp.is_some() => {
                // Behind a hole there need not be TLS at all.
                if self.spoken && flight.is_empty() {
                    self.all_goes_on(tcp)
                } else if ready {
                    Step::Undecided
                } else {
                    Step::Refuse
                }
            }
            Greeting::NeedMore | Greeting::Unreadable => self.wait(tcp, leaves),
        }
    }

    fn wait(&self, tcp: Option<&Tcp<'_>>, leaves: bool) -> Step {
        match (tcp, self.next()) {
            (Some(_), _) if self.is_full() => Step::Refuse,
            (Some(tcp), Some(next)) => {
                let known = next.wrapping_sub(tcp.seq) as usize;
                let front = if known < tcp.payload.len() { known } else { 0 };
                Step::Hold { front }
            }
            // Its server would not know what came before.
            (None, _) if leaves => Step::Refuse,
            _ => Step::Pass,
        }
    }

    fn all_goes_on(&mut self, tcp: Option<&Tcp<'_>>) -> Step {
        self.spoken = true;
        self.upgrade.missed_client();
        let at_hand = tcp.map(|tcp| tcp.seq.wrapping_add(tcp.payload_len));
        let ends = [self.next(), self.held_end(), at_hand].into_iter().flatten();
        if let Some(end) = ends.reduce(|latest, end| if after(end, latest) { end } else { latest }) {
            self.goes_on_to(end);
        }
        Step::Plain
    }
}
