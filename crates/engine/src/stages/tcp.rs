//! Does this segment belong to its connection, and what does it say about its end?

use logs::SessionEndReason;
use packet::{Tcp, Timestamp};
use policy::Asymmetric;

use crate::{
    DropReason,
    session::{Direction, Segment, Session, TcpTracker},
};

/// A segment that its receiver may accept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// The connection's state once the segment has gone on.
    pub(crate) tracker: TcpTracker,
    pub(crate) resync: Option<u32>,
    /// It is a reset that its receiver will challenge.
    unverified_reset: bool,
}

impl Judged {
    /// A reset that its receiver will challenge does not keep its session: when it would age without it. `None` where it
    /// is something else.
    pub(crate) fn shortens(&self, session: &Session) -> Option<Timestamp> {
        self.unverified_reset.then(|| session.deadline())
    }
}

/// Judges a segment of a known session, and notes in it what ends it. What the receiver would not accept is an
/// error and changes nothing. The state is not moved yet: a segment that is withheld has not been sent.
pub(crate) fn judge(
    session: &mut Session,
    asymmetric: Asymmetric,
    tcp: &Tcp<'_>,
    direction: Direction,
) -> Result<Judged, DropReason> {
    let mut resync = session.resync();
    let (tracker, segment) = match session.tcp().copied() {
        None => (TcpTracker::new(tcp, direction), first_segment(tcp)),
        Some(mut known) => {
            let segment = known.segment(tcp, direction, &mut resync);
            (known, segment)
        }
    };
    if segment == Segment::OutOfWindow {
        return Err(DropReason::OutOfWindow);
    }
    let unanswered = tracker.one_sided() && session.tcp().is_some() && !tcp.flags.syn();
    if unanswered && asymmetric == Asymmetric::Drop {
        return Err(DropReason::Asymmetric);
    }
    match (segment, direction) {
        (Segment::Fin, _) => session.ended_by(SessionEndReason::TcpFin),
        (Segment::Reset, Direction::ClientToServer) => session.ended_by(SessionEndReason::TcpRstFromClient),
        (Segment::Reset, Direction::ServerToClient) => session.ended_by(SessionEndReason::TcpRstFromServer),
        (
            Segment::Accepted
            | Segment::UnverifiedReset
            | Segment::OutOfWindow
            | Segment::Resynchronise
            | Segment::NewConnection,
            _,
        ) => {}
    }
    Ok(Judged {
        tracker,
        resync,
        unverified_reset: segment == Segment::UnverifiedReset,
    })
}

/// Refuses combinations of flags that no stack sends and scanners do: SYN with FIN or RST, and none at all.
pub(crate) fn plausible(tcp: &Tcp<'_>) -> Result<(), DropReason> {
    let flags = tcp.flags;
    let nonsense = flags.syn() && (flags.fin() || flags.rst());
    let nothing = !(flags.syn() || flags.ack() || flags.rst() || flags.fin());
    if nonsense || nothing {
        Err(DropReason::TcpFlags)
    } else {
        Ok(())
    }
}

/// What the first segment of a session means.
fn first_segment(tcp: &Tcp<'_>) -> Segment {
    match (tcp.flags.rst(), tcp.flags.fin()) {
        (true, _) => Segment::Reset,
        (false, true) => Segment::Fin,
        (false, false) => Segment::Accepted,
    }
}
