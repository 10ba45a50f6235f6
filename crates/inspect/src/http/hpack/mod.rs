//! Header compression (RFC 7541): a decoder that follows a peer's encoder, and an encoder without state.
//!
//! Our own, because a proxy needs what the libraries at hand do not give: bounds on the list, the size
//! updates as they came, and a Huffman decoder that is not built anew for each string.

mod decoder;
mod huffman;
mod literal;
mod table;

pub(super) use decoder::{Decoder, FieldList};
pub(super) use literal::{SizeUpdates, write_field};
pub(super) use table::MAX_SIZE;
