//! Subjects of tags: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(subject) = text.parse::<tags::Subject>() {
        assert_eq!(subject.to_string().parse(), Ok(subject));
    }
});
