//! Device settings: timeouts, TCP, tagging, bounds.

use std::time::Duration;

use crate::{Exclusions, Management};

/// Everything under `[setting]` that the engine or the logs obey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long sessions live unseen.
    pub session: SessionTimeouts,
    /// What happens to sessions not seen from their beginning or not from both sides.
    pub tcp: TcpSettings,
    /// Brakes on tagging.
    pub tagging: TaggingSettings,
    /// The sizes of tables.
    pub limits: Limits,
    /// Sessions that no rule can forbid.
    pub management: Management,
    /// What holds for decryption whatever the rule.
    pub decryption: DecryptionSettings,
}

/// Session timeouts with PAN-OS's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimeouts {
    /// Protocols other than TCP, UDP and ICMP: 30 s.
    pub default: Duration,
    /// Established TCP: 3600 s.
    pub tcp: Duration,
    /// From SYN and ACK until the first data: 10 s.
    pub tcp_handshake: Duration,
    /// From the first SYN until its answer: 5 s.
    pub tcp_init: Duration,
    /// One side has sent FIN: 120 s.
    pub tcp_half_closed: Duration,
    /// Both sides have sent FIN, or one RST: 15 s.
    pub tcp_time_wait: Duration,
    /// After a RST that is not exactly in sequence: 30 s.
    pub tcp_unverified_rst: Duration,
    /// UDP: 30 s.
    pub udp: Duration,
    /// ICMP: 6 s.
    pub icmp: Duration,
    /// Refused protocols other than TCP and UDP: 60 s.
    pub discard_default: Duration,
    /// Refused TCP: 90 s.
    pub discard_tcp: Duration,
    /// Refused UDP: 60 s.
    pub discard_udp: Duration,
}

impl Default for SessionTimeouts {
    #[expect(clippy::duration_suboptimal_units, reason = "PAN-OS counts them in seconds")]
    fn default() -> Self {
        Self {
            default: Duration::from_secs(30),
            tcp: Duration::from_secs(3600),
            tcp_handshake: Duration::from_secs(10),
            tcp_init: Duration::from_secs(5),
            tcp_half_closed: Duration::from_secs(120),
            tcp_time_wait: Duration::from_secs(15),
            tcp_unverified_rst: Duration::from_secs(30),
            udp: Duration::from_secs(30),
            icmp: Duration::from_secs(6),
            discard_default: Duration::from_secs(60),
            discard_tcp: Duration::from_secs(90),
            discard_udp: Duration::from_secs(60),
        }
    }
}

/// What happens to a TCP session first seen in mid-stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonSyn {
    /// It is taken on as if its handshake had been seen.
    #[default]
    Adopt,
    /// It is dropped.
    Drop,
}

/// What happens to a TCP session of which only one direction is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asymmetric {
    /// It passes without inspection.
    #[default]
    Bypass,
    /// It is dropped.
    Drop,
}

/// How TCP is held to its rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSettings {
    /// Sessions first seen in mid-stream.
    pub non_syn: NonSyn,
    /// Sessions seen from one side.
    pub asymmetric: Asymmetric,
}

/// Certificates of issuers that are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TrustedRoots {
    /// Those of the machine the firewall runs on.
    System,
    /// Those in a PEM file, by its path as the configuration spells it.
    File(Box<str>),
}

/// What holds for decryption whatever the rule (PAN-OS: `ssl-decrypt`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecryptionSettings {
    /// Hosts whose sessions stay closed.
    pub exclusions: Exclusions,
    /// Whom server certificates must lead to: by default the machine's own roots.
    pub trusted_roots: Vec<TrustedRoots>,
    /// Paths of PEM files with revocation lists (CRL, version 2), as the configuration spells them.
    pub crls: Vec<Box<str>>,
}

impl Default for DecryptionSettings {
    fn default() -> Self {
        Self {
            exclusions: Exclusions::default(),
            trusted_roots: vec![TrustedRoots::System],
            crls: Vec::new(),
        }
    }
}

/// Brakes on tagging by match lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaggingSettings {
    /// New tagged addresses for each match list entry in a sliding hour; `None`: no bound.
    pub max_new_per_hour: Option<u32>,
}

/// The sizes of tables, all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions.
    pub sessions: usize,
    /// Datagrams waiting for fragments.
    pub fragmented_datagrams: usize,
    /// Bytes of fragments waiting.
    pub fragment_bytes: usize,
    /// Subjects that carry registered tags.
    pub tagged_subjects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1 << 20,
            fragmented_datagrams: 1 << 14,
            fragment_bytes: 64 << 20,
            tagged_subjects: 1_000_000,
        }
    }
}
