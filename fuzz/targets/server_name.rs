//! Server names in a client's greeting: however it is cut, the same name is found.
#![no_main]

use inspect::{NameSearch, ServerNameFinder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, greeting)) = data.split_first() else {
        return;
    };
    let whole = ServerNameFinder::default().push(greeting);
    let mut finder = ServerNameFinder::default();
    let pieces = greeting
        .chunks(usize::from(size).max(1))
        .map(|piece| finder.push(piece))
        .find(|found| *found != NameSearch::NeedMore)
        .unwrap_or(NameSearch::NeedMore);
    if !greeting.is_empty() {
        assert_eq!(whole, pieces);
    }
});
