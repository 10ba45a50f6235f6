//! One packet's journey: session, rule, payload, verdict, records.
//!
//! The engine takes `(now, frame)` and gives back a verdict, records and frames. Everything it is handed
//! comes from the network: it never panics over it, never waits, and every table has a bound. No clock, no
//! socket, no thread; live ports, replay, tests and fuzzers drive the same code. Start reading in `shard.rs`.
#![deny(clippy::indexing_slicing)]

mod counters;
mod decryption_records;
mod exclusion_cache;
mod fetch;
mod interception;
mod layers;
mod output;
mod placement;
mod records;
mod rule_hits;
mod ruleset;
mod scene;
mod session;
mod shard;
mod sides;
mod stages;
mod verdict;

pub use counters::{Counters, SessionCounts};
pub use exclusion_cache::{ExcludedServer, Exclusion, ExclusionCache};
pub use fetch::{BURST, fetch};
pub use layers::inside;
pub use output::{Emission, Event, Order, Outputs};
pub use placement::{FlowRef, Placement, SHARDS, ShardId, place};
pub use rule_hits::{HitTable, RuleCounts, RuleHits};
pub use ruleset::{Decrypting, DecryptionPause, Ruleset};
pub(crate) use scene::Scene;
pub use scene::{Env, FragmentNote, Frame, Ingress};
pub use shard::{SessionState, Shard, ShardLimits};
pub use sides::Sides;
pub use verdict::{DropReason, Verdict};
