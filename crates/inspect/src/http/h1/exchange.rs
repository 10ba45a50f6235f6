//! Requests in the order they came, each with what is known of its response.

use std::collections::VecDeque;

use super::{
    super::judge::{Departure, DnsRuling},
    head::Kind,
};

/// Requests that may wait for their response. Browsers keep to one.
const MAX_EXCHANGES: usize = 64;

/// A request that the server is to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) stream: u32,
    pub(super) kind: Kind,
    /// It is a DNS query.
    pub(super) dns: bool,
}

#[derive(Debug)]
pub(super) enum Exchange {
    Expected(Expected),
    /// Answered here; the answer waits until those before it are through.
    Answered(Vec<u8>),
}

/// The requests that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    queue: VecDeque<Exchange>,
    closes: bool,
}

impl Exchanges {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// An error at the bound.
    pub(super) fn check_room(&self) -> Result<(), Departure> {
        if self.queue.len() < MAX_EXCHANGES {
            Ok(())
        } else {
            Err(Departure::OverLimit)
        }
    }

    pub(super) fn push(&mut self, exchange: Exchange) {
        self.queue.push_back(exchange);
    }

    /// What the server's next response belongs to; of none where nothing was asked.
    pub(super) fn front(&self) -> Expected {
        match self.queue.front() {
            Some(Exchange::Expected(expected)) => *expected,
            Some(Exchange::Answered(_)) | None => Expected {
                stream: 0,
                kind: Kind::Other,
                dns: false,
            },
        }
    }

    pub(super) fn pop(&mut self) {
        if let Some(Exchange::Expected(_)) = self.queue.front() {
            self.queue.pop_front();
        }
    }

    /// The answer given here that is next in turn.
    pub(super) fn pop_answer(&mut self) -> Option<Vec<u8>> {
        match self.queue.pop_front() {
            Some(Exchange::Answered(answer)) => Some(answer),
            Some(expected @ Exchange::Expected(_)) => {
                self.queue.push_front(expected);
                None
            }
            None => None,
        }
    }

    /// Answers the newest request here: at once, or in its turn.
    pub(super) fn answer(
        &mut self,
        ruling: DnsRuling,
        reply: &[u8],
        back: &mut Vec<u8>,
    ) -> Result<(), Departure> {
        let answer = answer(ruling, reply, false);
        if self.queue.is_empty() {
            back.extend_from_slice(&answer);
            return Ok(());
        }
        self.check_room()?;
        self.queue.push_back(Exchange::Answered(answer));
        Ok(())
    }

    /// Whether the last request may turn the connection into something else.
    pub(super) fn awaits_switch(&self) -> bool {
        match self.queue.back() {
            Some(Exchange::Expected(expected)) => expected.kind == Kind::Connect,
            Some(Exchange::Answered(_)) | None => false,
        }
    }

    pub(super) fn holds_answers(&self) -> bool {
        self.queue
            .iter()
            .any(|exchange| matches!(exchange, Exchange::Answered(_)))
    }

    /// Keeps whether the response now collected is the connection's last; returns what was kept.
    pub(super) fn closes(&mut self, closes: bool) -> bool {
        std::mem::replace(&mut self.closes, closes)
    }

    pub(super) fn memory(&self) -> usize {
        let answers = self.queue.iter().map(|exchange| match exchange {
            Exchange::Answered(answer) => answer.capacity(),
            Exchange::Expected(_) => 0,
        });
        answers.fold(
            self.queue.capacity().saturating_mul(size_of::<Exchange>()),
            usize::saturating_add,
        )
    }
}

/// A response made here: the DNS message, or an error. Nobody may keep it: a healed client asks again.
pub(super) fn answer(ruling: DnsRuling, reply: &[u8], closes: bool) -> Vec<u8> {
    let close = if closes { "Connection: close\r\n" } else { "" };
    if ruling != DnsRuling::Answer {
        let head =
            format!("HTTP/1.1 403 Forbidden\r\n{close}Content-Length: 0\r\nCache-Control: no-store\r\n\r\n");
        return head.into_bytes();
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\n{close}Content-Type: application/dns-message\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n\r\n",
        reply.len()
    );
    [head.as_bytes(), reply].concat()
}
