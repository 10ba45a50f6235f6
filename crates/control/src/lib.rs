//! The control plane: what happens beside the packet path. For now: reading a configuration and the files it
//! refers to.
//!
//! Files come from administrators and list publishers, of any size and content: what is read is bounded, and
//! what cannot be read is told with its place.
#![forbid(unsafe_code)]

mod load;
mod text_file;

pub use load::{Loaded, load};
