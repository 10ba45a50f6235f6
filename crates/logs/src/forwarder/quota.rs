//! How much one match list entry may tag.

use std::{collections::VecDeque, time::Duration};

use packet::Timestamp;

/// The newly tagged addresses of one entry in the last hour.
#[derive(Debug, Default)]
pub(super) struct Quota {
    /// When each of them was tagged; at most as many as are allowed.
    tagged: VecDeque<Timestamp>,
    /// Whether somebody was told that no more are allowed, and nothing has changed since.
    told: bool,
}

impl Quota {
    const WINDOW: Duration = Duration::from_hours(1);

    /// Whether one more is allowed.
    pub(super) fn allows(&mut self, now: Timestamp, max: u32) -> bool {
        while self
            .tagged
            .front()
            .is_some_and(|&first| now.saturating_since(first) >= Self::WINDOW)
        {
            self.tagged.pop_front();
        }
        let allows = self.tagged.len() < usize::try_from(max).unwrap_or(usize::MAX);
        if allows {
            self.told = false;
        }
        allows
    }

    /// One more was tagged.
    pub(super) fn charge(&mut self, now: Timestamp) {
        self.tagged.push_back(now);
    }

    /// Whether it has to be told that no more are allowed: once for each time the quota is used up.
    pub(super) fn must_tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_slides() {
        let mut quota = Quota::default();
        let at = Timestamp::from_secs;
        for secs in [0, 1800] {
            assert!(quota.allows(at(secs), 2));
            quota.charge(at(secs));
        }
        assert!(!quota.allows(at(1900), 2));
        assert!(quota.must_tell());
        assert!(!quota.allows(at(3599), 2));
        assert!(!quota.must_tell(), "told before");
        assert!(quota.allows(at(3600), 2), "the first was an hour ago");
        quota.charge(at(3600));
        assert!(!quota.allows(at(5399), 2));
        assert!(quota.must_tell(), "used up again");
        assert!(quota.allows(at(5400), 2), "the second was an hour ago");
    }

    #[test]
    fn none_at_all_is_told_once() {
        let mut quota = Quota::default();
        for secs in [0, 4000, 8000] {
            assert!(!quota.allows(Timestamp::from_secs(secs), 0));
            assert_eq!(quota.must_tell(), secs == 0);
        }
    }
}
