//! Groups that contain each other.

/// Every cycle, one for each set of nodes that contain each other, as a path whose last node needs its
/// first; `needs[n]` are the nodes that `n` needs. Nodes beyond the end are ignored.
pub(super) fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut walk = Walk {
        needs,
        state: vec![State::New; needs.len()],
        told: vec![false; needs.len()],
        found: Vec::new(),
    };
    for start in 0..needs.len() {
        walk.from(start);
    }
    walk.found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// On the path; so many of its needs were followed.
    Open(usize),
    Done,
}

struct Walk<'a> {
    needs: &'a [Vec<usize>],
    state: Vec<State>,
    /// On a cycle that was found.
    told: Vec<bool>,
    found: Vec<Vec<usize>>,
}

impl Walk<'_> {
    /// Depth first without recursion: nesting is as deep as the document likes.
    fn from(&mut self, start: usize) {
        if self.state.get(start) != Some(&State::New) {
            return;
        }
        let mut path = Vec::new();
        self.enter(start, &mut path);
        while let Some(&node) = path.last() {
            let followed = match self.state.get(node) {
                Some(State::Open(followed)) => *followed,
                _ => 0,
            };
            let next = self
                .needs
                .get(node)
                .and_then(|needs| needs.get(followed))
                .copied();
            self.set(
                node,
                next.map_or(State::Done, |_| State::Open(followed.saturating_add(1))),
            );
            let Some(next) = next else {
                path.pop();
                continue;
            };
            match self.state.get(next) {
                Some(State::New) => self.enter(next, &mut path),
                Some(State::Open(_)) => {
                    let from = path.iter().position(|on| *on == next).unwrap_or(0);
                    let cycle = path.get(from..).unwrap_or(&[]).to_vec();
                    self.tell(cycle);
                }
                Some(State::Done) | None => {}
            }
        }
    }

    /// Keeps a cycle. Of those that share a node the first is enough: it has to be broken anyway.
    fn tell(&mut self, cycle: Vec<usize>) {
        let shared = cycle.iter().any(|node| self.told.get(*node) == Some(&true));
        if !shared {
            for node in &cycle {
                if let Some(told) = self.told.get_mut(*node) {
                    *told = true;
                }
            }
            self.found.push(cycle);
        }
    }

    fn enter(&mut self, node: usize, path: &mut Vec<usize>) {
        self.set(node, State::Open(0));
        path.push(node);
    }

    fn set(&mut self, node: usize, state: State) {
        if let Some(slot) = self.state.get_mut(node) {
            *slot = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_cycle_once() {
        assert_eq!(
            cycles(&[vec![1], vec![2], vec![], vec![2, 0]]),
            Vec::<Vec<usize>>::new()
        );
        assert_eq!(cycles(&[vec![0]]), [[0]]);
        assert_eq!(
            cycles(&[vec![1], vec![2], vec![1], vec![4], vec![3, 9]]),
            [[1, 2], [3, 4]]
        );
        let deep: Vec<_> = (1..=100_000).map(|next| vec![next]).collect();
        assert!(cycles(&deep).is_empty());
    }
}
