//! What differs between two configurations, line by line.

use std::time::Duration;

use similar::{Algorithm, ChangeTag, TextDiff};

/// How long the shortest difference is looked for; then a longer one that is as right will do.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// A difference, as `diff -u` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The lines, without line ends; none where nothing differs.
    pub lines: Vec<String>,
    /// Lines that only the second has.
    pub added: usize,
    /// Lines that only the first has.
    pub removed: usize,
}

impl Difference {
    /// What leads from one text to another; each comes with the name that heads it.
    pub fn between((from_name, from): (&str, &str), (to_name, to): (&str, &str)) -> Self {
        if from == to {
            return Self::default();
        }
        let diff = TextDiff::configure()
            .algorithm(Algorithm::Myers)
            .timeout(PATIENCE)
            .diff_lines(from, to);
        let mut difference = Self::default();
        for change in diff.iter_all_changes() {
            match change.tag() {
                ChangeTag::Insert => difference.added = difference.added.saturating_add(1),
                ChangeTag::Delete => difference.removed = difference.removed.saturating_add(1),
                ChangeTag::Equal => {}
            }
        }
        let text = diff
            .unified_diff()
            .context_radius(CONTEXT)
            .header(from_name, to_name)
            .to_string();
        difference.lines = text.lines().map(str::to_owned).collect();
        difference
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn between(from: &str, to: &str) -> Difference {
        Difference::between(("running", from), ("fw.toml", to))
    }

    #[test]
    fn reads_as_people_know_it() {
        let difference = between("a\nb\nc\n", "a\nB\nc\nd\n");
        assert_eq!((difference.added, difference.removed), (2, 1));
        assert_eq!(
            difference.lines,
            [
                "--- running",
                "+++ fw.toml",
                "@@ -1,3 +1,4 @@",
                " a",
                "-b",
                "+B",
                " c",
                "+d"
            ]
        );
        assert_eq!(between("a\n", "a\n"), Difference::default());
        // Line ends are text, too.
        assert_eq!(between("a\n", "a\r\n").added, 1);
        assert!(
            between("a", "a\n")
                .lines
                .concat()
                .contains("No newline at end of file")
        );
    }

    proptest! {
        #[test]
        fn shows_a_difference_exactly_where_there_is_one(from in "[ab\n]{0,12}", to in "[ab\n]{0,12}") {
            let difference = between(&from, &to);
            prop_assert_eq!(difference.lines.is_empty(), from == to);
            let signs = |sign: char| difference.lines.iter().skip(2).filter(|line| line.starts_with(sign)).count();
            prop_assert_eq!((signs('+'), signs('-')), (difference.added, difference.removed));
        }
    }
}
