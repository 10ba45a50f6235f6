//! Streams that carry DNS: the only ones that are remembered.

use std::collections::VecDeque;

/// Streams with DNS that may be open at a time.
pub(super) const MAX_OPEN: usize = 64;
/// Streams ended here that are remembered, so that frames still under way find nobody.
const MAX_ENDED: usize = 256;
/// Bytes kept of all messages together.
pub(super) const MAX_KEPT: usize = 512 * 1024;

/// A message that waits for its end.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Its header list, encoded without state and without `content-length`.
    pub(super) fields: Vec<u8>,
    pub(super) content_length: Option<Vec<u8>>,
    /// What came behind the header block, as it came.
    pub(super) frames: Vec<u8>,
    /// The DNS message so far.
    pub(super) message: Vec<u8>,
    /// What it took of the flow-control windows.
    pub(super) flow: usize,
}

/// How far a DNS exchange is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The query is not whole; the server may know of the stream already.
    Query { kept: Kept, opened: bool },
    /// The query went on.
    Waiting,
    /// The reply is not whole.
    Reply(Kept),
}

#[derive(Debug)]
pub(super) struct DnsStream {
    pub(super) id: u32,
    pub(super) phase: Phase,
}

/// The DNS exchanges of a connection.
#[derive(Debug, Default)]
pub(super) struct DnsStreams {
    open: Vec<DnsStream>,
    /// Messages that the client has no window for yet; their header blocks went on.
    owed: VecDeque<(u32, Vec<u8>)>,
    ended: VecDeque<u32>,
}

impl DnsStreams {
    /// Whether one more may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < MAX_OPEN && self.kept() < MAX_KEPT
    }

    /// Bytes kept of all messages.
    pub(super) fn kept(&self) -> usize {
        self.open
            .iter()
            .map(|stream| match &stream.phase {
                Phase::Query { kept, .. } | Phase::Reply(kept) => kept.memory(),
                Phase::Waiting => 0,
            })
            .chain(self.owed.iter().map(|(_, message)| message.len()))
            .fold(0, usize::saturating_add)
    }

    /// A message waits for the client's window.
    pub(super) fn owe(&mut self, id: u32, message: Vec<u8>) {
        self.owed.push_back((id, message));
    }

    /// The message that waits longest, where it fits by now.
    pub(super) fn take_owed(&mut self, fits: impl FnOnce(usize) -> bool) -> Option<(u32, Vec<u8>)> {
        let (_, message) = self.owed.front()?;
        if fits(message.len()) {
            self.owed.pop_front()
        } else {
            None
        }
    }

    /// Whether a message of this stream waits.
    pub(super) fn owes(&self, id: u32) -> bool {
        self.owed.iter().any(|(stream, _)| *stream == id)
    }

    /// The client no longer wants it.
    pub(super) fn disown(&mut self, id: u32) {
        self.owed.retain(|(stream, _)| *stream != id);
    }

    pub(super) fn open(&mut self, id: u32, phase: Phase) {
        self.open.push(DnsStream { id, phase });
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Phase> {
        let stream = self.open.iter_mut().find(|stream| stream.id == id);
        stream.map(|stream| &mut stream.phase)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Phase> {
        let at = self.open.iter().position(|stream| stream.id == id)?;
        Some(self.open.swap_remove(at).phase)
    }

    /// Those whose query the server has not heard of, in the order they were opened.
    pub(super) fn unopened(&mut self) -> Vec<&mut DnsStream> {
        let unopened = |stream: &&mut DnsStream| matches!(stream.phase, Phase::Query { opened: false, .. });
        let mut streams: Vec<_> = self.open.iter_mut().filter(unopened).collect();
        streams.sort_by_key(|stream| stream.id);
        streams
    }

    /// The stream was ended here.
    pub(super) fn end(&mut self, id: u32) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(id);
    }

    pub(super) fn is_ended(&self, id: u32) -> bool {
        self.ended.contains(&id)
    }

    pub(super) fn memory(&self) -> usize {
        let open = self.open.capacity().saturating_mul(size_of::<DnsStream>());
        let ended = self.ended.capacity().saturating_mul(size_of::<u32>());
        self.kept().saturating_add(open).saturating_add(ended)
    }
}

impl Kept {
    fn memory(&self) -> usize {
        let length = self.content_length.as_ref().map_or(0, Vec::capacity);
        [&self.fields, &self.frames, &self.message]
            .into_iter()
            .map(Vec::capacity)
            .fold(length, usize::saturating_add)
    }
}
