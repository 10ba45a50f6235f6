//! The files a document refers to. Who compiles reads them; this says which, and takes their texts.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

use crate::{
    Document,
    document::{ListKind, Recurring},
    reader::Text,
};

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// `file:PATH`: relative to the document, or absolute; as spelled there.
    File(Arc<str>),
    /// `https://…` or `http://…`.
    Web(Arc<str>),
}

impl fmt::Display for Location {
    /// The path or URL as the document spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Web(url) => f.write_str(url),
        }
    }
}

impl Location {
    /// Reads the `url` of a list; `None` where it is neither a file nor a web address.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return (!path.is_empty()).then(|| Self::File(path.into()));
        }
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))?;
        (!rest.is_empty()).then(|| Self::Web(url.into()))
    }
}

/// A file that a document refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalFile {
    /// The list or category.
    pub name: Arc<str>,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is.
    pub location: Location,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An external list.
    List {
        /// What it holds; `None` where the document does not say.
        kind: Option<ListKind>,
        /// How often it is read again; `None`: only at a commit.
        recurring: Option<Recurring>,
    },
    /// The hosts of a URL category: `DIRECTORY/CATEGORY/domains`.
    Category,
}

/// What came of reading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceText {
    /// Its text; bytes that are no UTF-8 replaced.
    Read(String),
    /// Why it could not be read.
    Failed(String),
    /// It is fetched later; until then it counts as empty.
    Pending,
}

/// What the files of a document hold.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    lists: HashMap<Arc<str>, SourceText>,
    categories: HashMap<Arc<str>, SourceText>,
    folders: Vec<Arc<str>>,
    hosts: HashMap<Box<str>, Vec<IpAddr>>,
}

impl Sources {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What came of reading `file`.
    pub fn insert(&mut self, file: &ExternalFile, text: SourceText) {
        let texts = match file.purpose {
            Purpose::List { .. } => &mut self.lists,
            Purpose::Category => &mut self.categories,
        };
        texts.insert(Arc::clone(&file.name), text);
    }

    /// The folders that are there in the directory of URL categories, to suggest one for a misspelt name.
    pub fn category_folders(&mut self, names: impl IntoIterator<Item = String>) {
        self.folders = names.into_iter().map(Arc::from).collect();
    }

    /// The addresses that the name of an `fqdn` object has at the moment.
    pub fn resolved(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.hosts.insert(name.into(), addresses);
    }

    pub(crate) fn list(&self, name: &str) -> Option<&SourceText> {
        self.lists.get(name)
    }

    pub(crate) fn category(&self, name: &str) -> Option<&SourceText> {
        self.categories.get(name)
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(|name| &**name)
    }

    pub(crate) fn addresses_of(&self, name: &str) -> Option<&[IpAddr]> {
        self.hosts.get(name).map(Vec::as_slice)
    }
}

impl Document {
    /// The files the document refers to, each once.
    pub fn external_files(&self) -> Vec<ExternalFile> {
        let lists = self.lists.iter().filter_map(|list| {
            Some(ExternalFile {
                name: Arc::from(&*list.name.value),
                purpose: Purpose::List {
                    kind: list.kind,
                    recurring: list.recurring,
                },
                location: Location::parse(&list.url.as_ref()?.value)?,
            })
        });
        let categories = self.folder_categories().into_iter().filter_map(|name| {
            Some(ExternalFile {
                name: Arc::from(&*name.value),
                purpose: Purpose::Category,
                location: Location::File(self.category_path(&name.value)?.into()),
            })
        });
        lists.chain(categories).collect()
    }

    /// The directory of URL categories, as spelled.
    pub fn category_directory(&self) -> Option<&str> {
        let directory = self.settings.category_directory.as_ref();
        directory.map(|directory| &*directory.value)
    }

    /// The names of `fqdn` address objects, each once.
    pub fn host_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .addresses
            .iter()
            .filter_map(|address| match &address.kind {
                Some((crate::document::AddressKind::Fqdn, name)) => Some(&*name.value),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Where the hosts of a category are; `None` without a directory, or where the name is no folder's.
    pub(crate) fn category_path(&self, name: &str) -> Option<String> {
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
        let directory = self.category_directory().filter(|_| plain)?;
        Some(format!("{}/{name}/domains", directory.trim_end_matches('/')))
    }

    /// The first mention of every category in rules that the document does not define itself.
    pub(crate) fn folder_categories(&self) -> Vec<&Text> {
        let own: std::collections::HashSet<&str> = self
            .url_categories
            .iter()
            .map(|category| &*category.name.value)
            .chain(
                self.lists
                    .iter()
                    .filter(|list| list.kind == Some(ListKind::Url))
                    .map(|list| &*list.name.value),
            )
            .chain(["any"])
            .collect();
        let security = self.security_rules.iter().map(|rule| &rule.columns);
        let decryption = self.decryption_rules.iter().map(|rule| &rule.columns);
        let mut seen = std::collections::HashSet::new();
        security
            .chain(decryption)
            .filter_map(|columns| columns.category.as_ref())
            .flat_map(|category| &category.value)
            .filter(|name| !own.contains(&*name.value) && seen.insert(&*name.value))
            .collect()
    }
}
