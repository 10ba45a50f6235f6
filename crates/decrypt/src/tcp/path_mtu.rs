//! How large a segment the path takes (RFC 1191, RFC 8201, and RFC 4821 for paths that do not tell).

use std::time::Duration;

use packet::Timestamp;

use super::options::OptionBuffer;

/// What a host takes that names no segment size (RFC 9293 §3.7.1).
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1220;
/// No message makes segments smaller than this: it would be an attack.
const MIN_MSS: u16 = 256;
/// Headers of IP and TCP without options.
const HEADERS_V4: u16 = 40;
const HEADERS_V6: u16 = 60;
/// Sizes tried in turn where full segments vanish.
const FALLBACKS: [u16; 2] = [1024, 536];
/// When the full size is tried again (RFC 8201 §5.3).
const RAISE_AFTER: Duration = Duration::from_mins(10);
/// Timeouts of a full segment after which a black hole is suspected.
pub(super) const SUSPICIOUS_TIMEOUTS: u32 = 3;

#[derive(Clone, Copy, Debug)]
pub(super) struct PathMtu {
    /// What the peer takes.
    offered: u16,
    /// What the path takes, TCP options included.
    current: u16,
    /// What every data segment carries in options.
    options: u16,
    headers: u16,
    raise_at: Timestamp,
}

impl PathMtu {
    pub(super) fn new(offered: Option<u16>, ipv6: bool, timestamps: bool) -> Self {
        let (default, headers) = if ipv6 {
            (DEFAULT_MSS_V6, HEADERS_V6)
        } else {
            (DEFAULT_MSS_V4, HEADERS_V4)
        };
        let offered = offered.unwrap_or(default).max(MIN_MSS);
        Self {
            offered,
            current: offered,
            options: if timestamps {
                OptionBuffer::TIMESTAMPS_LEN
            } else {
                0
            },
            headers,
            raise_at: Timestamp::MAX,
        }
    }

    /// Bytes of data in a full segment.
    pub(super) fn segment(&self) -> u16 {
        self.current - self.options
    }

    /// A router said that it takes no more; whether that is news.
    pub(super) fn limit(&mut self, now: Timestamp, mtu: u16) -> bool {
        self.shrink(now, mtu.saturating_sub(self.headers))
    }

    /// Full segments vanish without a word; whether there is a smaller size to try.
    pub(super) fn suspect(&mut self, now: Timestamp) -> bool {
        let smaller = FALLBACKS.into_iter().find(|&size| size < self.current);
        smaller.is_some_and(|size| self.shrink(now, size))
    }

    fn shrink(&mut self, now: Timestamp, size: u16) -> bool {
        let size = size.max(MIN_MSS);
        if size >= self.current {
            return false;
        }
        self.current = size;
        self.raise_at = now.saturating_add(RAISE_AFTER);
        true
    }

    /// Whether the full size is to be tried again.
    pub(super) fn raise(&mut self, now: Timestamp) -> bool {
        if now < self.raise_at {
            return false;
        }
        self.raise_at = Timestamp::MAX;
        self.current = self.offered;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_and_comes_back() {
        let mut path = PathMtu::new(Some(1460), false, true);
        assert_eq!(path.segment(), 1448);
        assert!(path.limit(Timestamp::ZERO, 1400));
        assert!(!path.limit(Timestamp::ZERO, 1450));
        assert_eq!(path.segment(), 1348);
        assert!(path.suspect(Timestamp::ZERO) && path.suspect(Timestamp::ZERO));
        assert_eq!(path.segment(), 524);
        assert!(!path.suspect(Timestamp::ZERO));
        assert!(path.limit(Timestamp::ZERO, 0));
        assert_eq!(path.segment(), MIN_MSS - 12);
        assert!(!path.raise(Timestamp::from_secs(599)));
        assert!(path.raise(Timestamp::from_secs(600)));
        assert_eq!(path.segment(), 1448);
        assert_eq!(PathMtu::new(Some(1), true, true).segment(), MIN_MSS - 12);
    }
}
