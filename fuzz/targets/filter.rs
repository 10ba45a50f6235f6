//! The filter language: what is read is printed so that it reads the same, and evaluates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logs::{Filter, Line, LogType};
use packet::Timestamp;

fuzz_target!(|input: (&str, &str)| {
    let (text, line) = input;
    let line = Line::parse(line);
    for &log_type in LogType::ALL {
        let (filter, _) = match Filter::parse(text, log_type) {
            Ok(read) => read,
            Err(errors) => {
                assert!(!errors.is_empty());
                continue;
            }
        };
        let printed = filter.to_string();
        if printed.chars().count() <= Filter::MAX_CHARS {
            assert_eq!(
                Filter::parse(&printed, log_type).map(|(filter, _)| filter),
                Ok(filter.clone())
            );
        }
        if let Ok(line) = &line {
            let _ = filter.matches_line(line, Timestamp::from_secs(1_700_000_000));
        }
    }
});
