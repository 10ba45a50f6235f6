//! Domain lists, compiled together: millions of names, of which a commit most often changes none.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
};

use inspect::domains::{DomainSet, DomainSetBuilder, ListOptions, ListReport, ListTag};

/// The domain lists of a configuration, and what they were made of. The next configuration has the same set where it
/// would be made of the same.
#[derive(Clone, Debug)]
pub struct DomainLists {
    set: Arc<DomainSet>,
    seed: u64,
    lists: Vec<Made>,
}

/// A list of a set, and what was told of it.
#[derive(Clone, Debug)]
struct Made {
    of: Ingredients,
    report: ListReport,
}

/// All that a list's part of a set depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ingredients {
    tag: ListTag,
    length: usize,
    hash: u64,
    options: ListOptions,
}

impl Ingredients {
    /// Who writes lists does not know the seed, and cannot make two texts with one hash.
    fn new(seed: u64, tag: ListTag, text: &str, options: ListOptions) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        hasher.write(text.as_bytes());
        Self {
            tag,
            length: text.len(),
            hash: hasher.finish(),
            options,
        }
    }
}

impl DomainLists {
    /// The set of all of them: the list with tag n is `ListId(n)` of the policy.
    pub fn set(&self) -> &Arc<DomainSet> {
        &self.set
    }
}

/// Makes them. As long as lists are those of the set before, in the same order, nothing is made of them.
#[derive(Debug)]
pub(super) struct DomainListsBuilder<'a> {
    seed: u64,
    previous: Option<&'a DomainLists>,
    lists: Vec<Made>,
    texts: Vec<&'a str>,
    /// Of all lists so far, once one of them was not there before.
    builder: Option<DomainSetBuilder>,
}

impl<'a> DomainListsBuilder<'a> {
    pub(super) fn new(seed: u64, previous: Option<&'a DomainLists>) -> Self {
        Self {
            seed,
            previous: previous.filter(|previous| previous.seed == seed),
            lists: Vec::new(),
            texts: Vec::new(),
            builder: None,
        }
    }

    /// Adds a list, and says what became of its lines.
    pub(super) fn add(&mut self, tag: ListTag, text: &'a str, options: ListOptions) -> ListReport {
        let of = Ingredients::new(self.seed, tag, text, options);
        let known = self
            .previous
            .and_then(|previous| previous.lists.get(self.lists.len()));
        let report = match known.filter(|known| self.builder.is_none() && known.of == of) {
            Some(known) => known.report.clone(),
            None => self.builder().add(tag, text, &of.options),
        };
        self.texts.push(text);
        self.lists.push(Made {
            of,
            report: report.clone(),
        });
        report
    }

    /// The builder, with all lists so far.
    fn builder(&mut self) -> &mut DomainSetBuilder {
        let Self {
            seed, lists, texts, ..
        } = self;
        self.builder.get_or_insert_with(|| {
            let mut builder = DomainSetBuilder::new(*seed);
            for (list, text) in lists.iter().zip(texts) {
                builder.add(list.of.tag, text, &list.of.options);
            }
            builder
        })
    }

    pub(super) fn build(mut self) -> DomainLists {
        let same = self
            .previous
            .filter(|previous| self.builder.is_none() && previous.lists.len() == self.lists.len());
        let set = if let Some(previous) = same {
            Arc::clone(&previous.set)
        } else {
            self.builder();
            Arc::new(self.builder.map(DomainSetBuilder::build).unwrap_or_default())
        };
        DomainLists {
            set,
            seed: self.seed,
            lists: self.lists,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 6] = [
        "a.example",
        "b.example",
        "*.c.example",
        "^a.example",
        "not a name",
        "# nothing",
    ];

    type List = (Vec<usize>, bool, Vec<usize>);

    /// Lists of a few names: lines, `expand-domain`, and exceptions.
    fn lists() -> impl Strategy<Value = Vec<List>> {
        let lines = || prop::collection::vec(0..NAMES.len(), 0..4);
        let exceptions = prop::collection::vec(0..4_usize, 0..2);
        prop::collection::vec((lines(), any::<bool>(), exceptions), 0..4)
    }

    fn text((lines, _, _): &List) -> String {
        lines.iter().flat_map(|line| [NAMES[*line], "\n"]).collect()
    }

    fn compiled(lists: &[List], texts: &[String], seed: u64, previous: Option<&DomainLists>) -> DomainLists {
        let mut builder = DomainListsBuilder::new(seed, previous);
        for (number, ((_, expand, exceptions), text)) in (0..).zip(lists.iter().zip(texts)) {
            let options = ListOptions {
                expand: *expand,
                exceptions: exceptions
                    .iter()
                    .map(|name| NAMES[*name].parse().unwrap())
                    .collect(),
                ..ListOptions::default()
            };
            builder.add(ListTag(number), text, options);
        }
        builder.build()
    }

    fn texts(lists: &[List]) -> Vec<String> {
        lists.iter().map(text).collect()
    }

    fn reports(lists: &DomainLists) -> Vec<&ListReport> {
        lists.lists.iter().map(|list| &list.report).collect()
    }

    proptest! {
        /// Whatever was there before, lists come out as if nothing had been.
        #[test]
        fn what_is_reused_is_what_would_be_made(first in lists(), second in lists(), keep in any::<bool>()) {
            // Half of the time the second begins with the first.
            let second = if keep { [first.clone(), second].concat() } else { second };
            let (first_texts, second_texts) = (texts(&first), texts(&second));
            let before = compiled(&first, &first_texts, 7, None);
            let after = compiled(&second, &second_texts, 7, Some(&before));
            let fresh = compiled(&second, &second_texts, 7, None);
            prop_assert_eq!(reports(&after), reports(&fresh));
            prop_assert_eq!(after.set.len(), fresh.set.len());
            for name in ["a.example", "x.a.example", "b.example", "c.example", "x.c.example", "example"] {
                let name = name.parse().unwrap();
                prop_assert_eq!(after.set.lookup(&name), fresh.set.lookup(&name));
            }
            prop_assert_eq!(Arc::ptr_eq(&after.set, &before.set), first == second || same(&first, &second));
        }
    }

    /// Whether both say the same in the same words.
    fn same(first: &[List], second: &[List]) -> bool {
        texts(first) == texts(second) && first.iter().zip(second).all(|(a, b)| (a.1, &a.2) == (b.1, &b.2))
    }

    #[test]
    fn another_seed_makes_another_set() {
        let lists = [(vec![0], false, Vec::new())];
        let texts = texts(&lists);
        let before = compiled(&lists, &texts, 1, None);
        let after = compiled(&lists, &texts, 2, Some(&before));
        assert!(!Arc::ptr_eq(&before.set, &after.set));
    }
}
