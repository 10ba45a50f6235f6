//! URL categories: the document's own, and those of the folder that `setting.url-categories` names.

use policy::{CategoryId, HostPattern};

use super::{By, Compiler, lists::Lines};
use crate::{finding::Quoted, reader::Text, sources::SourceText};

impl<'a> Compiler<'a> {
    pub(super) fn url_categories(&mut self) {
        let document = self.document;
        for entry in &document.url_categories {
            let symbol = self.symbol(&entry.name);
            let category = self.builder.add_category(symbol);
            self.categories
                .add("URL category", &entry.name, category, self.findings);
            for host in &entry.list {
                match host.value.parse::<HostPattern>() {
                    Ok(pattern) => self.builder.add_pattern(category, &pattern),
                    Err(fault) => {
                        let message = format!(
                            "URL category {}: {} is not valid: {fault}",
                            Quoted(&entry.name.value),
                            Quoted(&host.value)
                        );
                        self.findings.error(host.span, message);
                    }
                }
            }
        }
        for name in document.folder_categories() {
            if self.has_folder(name) {
                self.folder_category(name);
            }
        }
    }

    /// Whether there is such a folder; where not, every rule that names it is told.
    fn has_folder(&self, name: &Text) -> bool {
        match self.sources.category(&name.value) {
            Some(SourceText::Failed(_)) => self.sources.folders().any(|folder| folder == &*name.value),
            Some(SourceText::Read(_) | SourceText::Pending) => true,
            None => false,
        }
    }

    fn folder_category(&mut self, name: &'a Text) {
        let symbol = self.symbol(name);
        let category = self.builder.add_category(symbol);
        let text = self.text("URL category", name, None, self.sources.category(&name.value));
        self.folder_categories.insert(&name.value, category);
        let lines = self.read_hosts(category, text, &[]);
        if let Some(path) = self.document.category_path(&name.value) {
            self.tell(&path, &lines);
        }
    }

    /// Puts the hosts of a text into a category, one a line; not those that are written the same as an
    /// exception.
    pub(super) fn read_hosts(
        &mut self,
        category: CategoryId,
        text: &str,
        exceptions: &[HostPattern],
    ) -> Lines {
        let mut lines = Lines::default();
        for (line, number) in text.lines().zip(1..) {
            let Some(word) = lines.entry_of(line) else {
                continue;
            };
            match word.parse::<HostPattern>() {
                Ok(pattern) => {
                    if !exceptions.contains(&pattern) {
                        self.builder.add_pattern(category, &pattern);
                    }
                    lines.entries = lines.entries.saturating_add(1);
                }
                Err(fault) => lines.invalid(number, || format!("{}: {fault}", Quoted(word))),
            }
        }
        lines
    }

    /// The category that a column names.
    pub(super) fn category(&self, name: &Text, by: By<'_>) -> Option<CategoryId> {
        let found = self.folder_categories.get(&*name.value).copied();
        let found = found.or_else(|| self.categories.find(&name.value));
        if found.is_none() {
            self.categories
                .report_dangling(name, by, self.sources.folders(), self.findings);
        }
        found
    }
}
