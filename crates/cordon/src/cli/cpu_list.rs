//! CPUs as the user names them: `2,4-6`.

use std::str::FromStr;

/// CPUs in the order they were named, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(Vec<usize>);

/// The largest number of a CPU that the kernel's call takes.
const MAX_CPU: usize = rustix::thread::CpuSet::MAX_CPU - 1;

impl CpuList {
    /// Their numbers.
    pub(crate) fn numbers(&self) -> &[usize] {
        &self.0
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let number = |text: &str| {
                let number = text.parse::<usize>().ok().filter(|number| *number <= MAX_CPU);
                number.ok_or_else(|| format!("`{part}`: CPUs are numbers from 0 to {MAX_CPU}, as in 2,4-6"))
            };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("`{part}` runs backwards"));
            }
            for number in first..=last {
                if numbers.contains(&number) {
                    return Err(format!("CPU {number} is named twice"));
                }
                numbers.push(number);
            }
        }
        Ok(Self(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbers_and_spans() {
        let read = |text: &str| text.parse::<CpuList>().map(|list| list.numbers().to_vec());
        assert_eq!(read("3"), Ok(vec![3]));
        assert_eq!(read("2,4-6,0"), Ok(vec![2, 4, 5, 6, 0]));
        for wrong in ["", "a", "1,", "-1", "3-1", "1,0-2", "99999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
