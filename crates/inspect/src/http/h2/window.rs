//! The connection's flow-control window of the server's data (RFC 9113 §5.2), where data given here to the
//! client is not known to the server.
//!
//! The client takes such data off its window as well, and gives it back with the rest. So as many bytes of
//! the credit it gives are kept from the server; until then the server may believe in more window than the
//! client has, and its data waits where it would not fit.

/// The window that a connection begins with (§6.9.2).
const INITIAL: i64 = 65_535;

/// Both ends' idea of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerWindow {
    /// What the server may still send, by its own count.
    server: i64,
    /// How much less it is by the client's count.
    debt: i64,
}

impl Default for ServerWindow {
    fn default() -> Self {
        Self {
            server: INITIAL,
            debt: 0,
        }
    }
}

impl ServerWindow {
    /// Whether this much may be sent to the client.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.server.saturating_sub(self.debt) >= signed(bytes)
    }

    /// Whether the server and the client count differently, to the client's disadvantage.
    pub(super) fn is_in_debt(&self) -> bool {
        self.debt > 0
    }

    /// The server sent this much.
    pub(super) fn spent(&mut self, bytes: usize) {
        self.server = self.server.saturating_sub(signed(bytes));
    }

    /// The client got this much that the server did not send.
    pub(super) fn given(&mut self, bytes: usize) {
        self.debt = self.debt.saturating_add(signed(bytes));
    }

    /// The client will never get this much that the server sent. Returns the credit to give the server for it.
    pub(super) fn swallowed(&mut self, bytes: usize) -> u64 {
        let settled = self.debt.min(signed(bytes));
        self.debt = self.debt.saturating_sub(settled);
        let credit = signed(bytes).saturating_sub(settled);
        self.server = self.server.saturating_add(credit);
        u64::try_from(credit).unwrap_or(0)
    }

    /// The client gives credit. Returns how much of it the server may have.
    pub(super) fn credit(&mut self, bytes: u32) -> u32 {
        let kept = self.debt.min(i64::from(bytes));
        self.debt = self.debt.saturating_sub(kept);
        let passed = i64::from(bytes).saturating_sub(kept);
        self.server = self.server.saturating_add(passed);
        u32::try_from(passed).unwrap_or(0)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Sent(u32),
        Given(u32),
        Swallowed(u32),
        Credit(u32),
    }

    proptest! {
        /// Against two ends that count for themselves: neither ever sees its window overrun, and when the
        /// client has given everything back, both count alike.
        #[test]
        fn both_ends_agree_in_the_end(
            steps in prop::collection::vec(
                (0_u8..4, 0_u32..30_000).prop_map(|(kind, bytes)| match kind {
                    0 => Step::Sent(bytes),
                    1 => Step::Given(bytes),
                    2 => Step::Swallowed(bytes),
                    _ => Step::Credit(bytes),
                }),
                0..60,
            ),
        ) {
            let (mut window, mut server, mut client, mut consumed) =
                (ServerWindow::default(), INITIAL, INITIAL, 0_i64);
            for step in steps {
                match step {
                    Step::Sent(bytes) if i64::from(bytes) <= server && window.fits(bytes as usize) => {
                        window.spent(bytes as usize);
                        server -= i64::from(bytes);
                        client -= i64::from(bytes);
                        consumed += i64::from(bytes);
                    }
                    Step::Given(bytes) if window.fits(bytes as usize) => {
                        window.given(bytes as usize);
                        client -= i64::from(bytes);
                        consumed += i64::from(bytes);
                    }
                    Step::Swallowed(bytes) if i64::from(bytes) <= server => {
                        window.spent(bytes as usize);
                        server -= i64::from(bytes);
                        server += i64::try_from(window.swallowed(bytes as usize)).unwrap();
                    }
                    Step::Credit(bytes) if i64::from(bytes) <= consumed => {
                        consumed -= i64::from(bytes);
                        client += i64::from(bytes);
                        server += i64::from(window.credit(bytes));
                    }
                    Step::Sent(_) | Step::Given(_) | Step::Swallowed(_) | Step::Credit(_) => {}
                }
                prop_assert!(client >= 0 && server >= 0);
                prop_assert_eq!(window.server, server);
                prop_assert_eq!(window.server - window.debt, client);
            }
            client += consumed;
            server += i64::from(window.credit(u32::try_from(consumed).unwrap()));
            prop_assert_eq!((server, client, window.debt), (INITIAL, INITIAL, 0));
        }
    }
}
