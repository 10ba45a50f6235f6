//! Names of rules, zones, interfaces, lists: interned once, so that a log record carries a number.

use std::collections::HashMap;
use std::sync::Arc;

/// A name, by its number in the [`Symbols`] that gave it, or in any later ones extended from those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// The empty name: "unknown" in records.
    pub const EMPTY: Self = Self(0);
    /// `intrazone-default`, the rule for sessions that stay in a zone.
    pub const INTRAZONE_DEFAULT: Self = Self(1);
    /// `interzone-default`, the rule for sessions between zones.
    pub const INTERZONE_DEFAULT: Self = Self(2);
    /// `management`, what stands before all rules.
    pub const MANAGEMENT: Self = Self(3);

    /// The names above, in order of their numbers.
    const PREDEFINED: [&str; 4] = ["", "intrazone-default", "interzone-default", "management"];

    /// The symbol as an index below [`Symbols::len`].
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A log forwarding profile, by its name: records written under one policy are forwarded under the next. Kept
/// for the logs, never looked into here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogSetting(pub Symbol);

/// The frozen names of a policy and of all policies before it.
#[derive(Clone, Debug)]
pub struct Symbols {
    names: Vec<Arc<str>>,
}

impl Symbols {
    /// The name of `symbol`; empty for a symbol of later symbols than these.
    pub fn resolve(&self, symbol: Symbol) -> &str {
        let index = usize::try_from(symbol.0).unwrap_or(usize::MAX);
        self.names.get(index).map_or("", |name| name)
    }

    /// The symbol of a name, looked for among all; `None` where nothing has that name.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        let number = self.names.iter().position(|known| &**known == name)?;
        u32::try_from(number).ok().map(Symbol)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: the empty name is always there.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Collects names for the next [`Symbols`].
#[derive(Debug)]
pub struct SymbolsBuilder {
    names: Vec<Arc<str>>,
    symbols: HashMap<Arc<str>, Symbol>,
}

impl SymbolsBuilder {
    /// With the predefined names only.
    pub fn new() -> Self {
        let mut builder = Self {
            names: Vec::new(),
            symbols: HashMap::new(),
        };
        for name in Symbol::PREDEFINED {
            builder.intern(name);
        }
        builder
    }

    /// With all names of `old`, whose symbols stay valid: records written under an earlier policy can
    /// still be read.
    pub fn extend(old: &Symbols) -> Self {
        let mut builder = Self::new();
        for name in &old.names {
            builder.intern(name);
        }
        builder
    }

    /// The symbol of `name`; a new one where it has none.
    ///
    /// Only configurations name things, so 2³² names are never reached; past them the empty name answers.
    pub fn intern(&mut self, name: &str) -> Symbol {
        if let Some(&symbol) = self.symbols.get(name) {
            return symbol;
        }
        let Ok(number) = u32::try_from(self.names.len()) else {
            return Symbol::EMPTY;
        };
        let name: Arc<str> = Arc::from(name);
        self.names.push(name.clone());
        self.symbols.insert(name, Symbol(number));
        Symbol(number)
    }

    /// The name of a symbol interned so far.
    pub fn resolve(&self, symbol: Symbol) -> &str {
        let index = usize::try_from(symbol.0).unwrap_or(usize::MAX);
        self.names.get(index).map_or("", |name| name)
    }

    /// No more names.
    pub fn freeze(self) -> Symbols {
        Symbols { names: self.names }
    }
}

impl Default for SymbolsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predefined_names_have_their_numbers() {
        let symbols = SymbolsBuilder::new().freeze();
        assert_eq!(symbols.resolve(Symbol::EMPTY), "");
        assert_eq!(symbols.resolve(Symbol::INTRAZONE_DEFAULT), "intrazone-default");
        assert_eq!(symbols.resolve(Symbol::INTERZONE_DEFAULT), "interzone-default");
        assert_eq!(symbols.len(), 4);
    }

    #[test]
    fn an_extension_keeps_the_old_numbers() {
        let mut builder = SymbolsBuilder::new();
        let inside = builder.intern("inside");
        let old = builder.freeze();
        let mut builder = SymbolsBuilder::extend(&old);
        let outside = builder.intern("outside");
        assert_eq!(builder.intern("inside"), inside);
        assert_ne!(outside, inside);
        let new = builder.freeze();
        assert_eq!((new.resolve(inside), new.resolve(outside)), ("inside", "outside"));
        assert_eq!(old.resolve(outside), "", "older symbols do not know it");
    }
}
