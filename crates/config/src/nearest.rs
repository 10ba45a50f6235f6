//! The nearest valid name to one that is wrong.

/// The candidate that is fewest edits away from `name`, if it is near enough to be meant.
///
/// An edit inserts, deletes or replaces a character, or swaps two neighbours; case, `-`, `_` and spaces
/// count for nothing. The first of several equally near ones wins.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = fold(name);
    let bound = (wanted.len() / 2).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name {
            continue;
        }
        let limit = best.map_or(bound, |(distance, _)| distance.saturating_sub(1));
        if let Some(distance) = distance_within(&wanted, &fold(candidate), limit) {
            best = Some((distance, candidate));
            if distance == 0 {
                break;
            }
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// Longer names are compared by their beginning only: a bound on time for hostile documents.
const LONGEST: usize = 64;

fn fold(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .take(LONGEST)
        .collect()
}

/// The restricted Damerau-Levenshtein distance, if it is at most `limit`.
fn distance_within(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut before = vec![0_usize; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0_usize; b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        if row.iter().min().is_some_and(|least| *least > limit) {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["interface1", "interface2", "tag-allowed", "ethertypes"];
        assert_eq!(nearest("interface", names).as_deref(), Some("interface1"));
        assert_eq!(nearest("tag_allowed", names).as_deref(), Some("tag-allowed"));
        assert_eq!(nearest("ehtertypes", names).as_deref(), Some("ethertypes"));
        assert_eq!(
            nearest("Infected-Hostz", ["Infected-Hosts", "any"]).as_deref(),
            Some("Infected-Hosts")
        );
        assert_eq!(nearest("networks", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("ab", ["ba"]).as_deref(), Some("ba"), "a swap is one edit");
    }
}
