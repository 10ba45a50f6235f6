//! The nearest valid name to a misspelt one.

/// The candidate that is nearest to what was written, where one is near enough to be meant.
///
/// Distance counts inserted, deleted, replaced and swapped characters; case is ignored. Among equals the
/// first wins. Beyond a third of the longer name's characters nothing is suggested, except a candidate that
/// begins with what was written or the other way round.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = written
        .chars()
        .flat_map(char::to_lowercase)
        .take(LONGEST)
        .collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other: Vec<char> = candidate
            .chars()
            .flat_map(char::to_lowercase)
            .take(LONGEST)
            .collect();
        let distance = distance(&wanted, &other);
        let near = distance <= wanted.len().max(other.len()).div_ceil(3);
        let begins = wanted.len() >= 3
            && other.len() >= 3
            && (other.starts_with(&wanted) || wanted.starts_with(&other));
        if (near || begins) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Characters of a name that are looked at; bounds the work that a long line can cause.
const LONGEST: usize = 64;

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0_usize; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row = vec![0_usize; width];
    for (i, &x) in a.iter().enumerate() {
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        let fields = ["session_end_reason", "sessionid", "src", "sport", "severity"];
        assert_eq!(nearest("sesion_end_reason", fields), Some("session_end_reason"));
        assert_eq!(nearest("Severity", fields), Some("severity"));
        assert_eq!(nearest("srC", fields), Some("src"));
        assert_eq!(nearest("serverity", fields), Some("severity"));
        assert_eq!(
            nearest(
                "decrypt-unsupported",
                ["decrypt-error", "decrypt-unsupport-param"]
            ),
            Some("decrypt-unsupport-param")
        );
        assert_eq!(nearest("zzz", fields), None);
        assert_eq!(nearest("", fields), None);
    }

    #[test]
    fn counts_a_swap_as_one() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("sinkohle"), &letters("sinkhole")), 1);
        assert_eq!(distance(&letters("abc"), &letters("abd")), 1);
        assert_eq!(distance(&letters(""), &letters("abc")), 3);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
    }
}
