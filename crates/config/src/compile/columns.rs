//! The columns of rules: names become ids.

use policy::{AddressRef, AppId, CategoryId, Criterion, LogSetting, ServiceDraft, ServiceId, ZoneId};

use super::{By, Compiler};
use crate::{
    finding::Quoted,
    reader::{Located, Text},
};

/// A column as the document gives it.
pub(super) type Column = Option<Located<Vec<Text>>>;

impl Compiler<'_> {
    pub(super) fn zones_of(&self, column: &Column, by: By<'_>) -> Criterion<ZoneId> {
        match self.named(column, by) {
            Some(names) => Criterion::Of(resolve_all(names, |name| {
                self.zones.resolve(name, by, self.findings)
            })),
            None => Criterion::Any,
        }
    }

    pub(super) fn addresses_of(&self, column: &Column, by: By<'_>) -> Criterion<AddressRef> {
        match self.named(column, by) {
            Some(names) => Criterion::Of(resolve_all(names, |name| self.address(name, by))),
            None => Criterion::Any,
        }
    }

    pub(super) fn applications_of(&self, column: &Column, by: By<'_>) -> Criterion<AppId> {
        match self.named(column, by) {
            Some(names) => Criterion::Of(self.named_applications(names, by)),
            None => Criterion::Any,
        }
    }

    pub(super) fn categories_of(&self, column: &Column, by: By<'_>) -> Criterion<CategoryId> {
        match self.named(column, by) {
            Some(names) => Criterion::Of(resolve_all(names, |name| self.category(name, by))),
            None => Criterion::Any,
        }
    }

    pub(super) fn services_of(&mut self, column: &Column, by: By<'_>) -> Criterion<ServiceId> {
        match self.named(column, by) {
            Some(names) => Criterion::Of(self.named_services(&names.value, by)),
            None => Criterion::Any,
        }
    }

    /// Services of a security rule, where the application's own ports may be meant.
    pub(super) fn service_draft_of(&mut self, column: &Column, by: By<'_>) -> ServiceDraft {
        const DEFAULT: &str = "application-default";
        let Some(names) = self.named(column, by) else {
            return ServiceDraft::Any;
        };
        match names.value.iter().find(|name| &*name.value == DEFAULT) {
            Some(default) => {
                self.report_company(names, default, by);
                ServiceDraft::ApplicationDefault
            }
            None => ServiceDraft::Of(self.named_services(&names.value, by)),
        }
    }

    pub(super) fn log_setting_of(&self, name: Option<&Text>, by: By<'_>) -> Option<LogSetting> {
        self.log_settings.resolve(name?, by, self.findings)
    }

    /// The only name of a column that takes one.
    pub(super) fn one_of<'n>(&self, names: &'n [Text], by: By<'_>) -> Option<&'n Text> {
        if let [_, second, ..] = names {
            self.findings.error(second.span, format!("{by} takes one name"));
        }
        names.first()
    }

    /// The names of a column; `None` where it is absent or `any`.
    fn named<'n>(&self, column: &'n Column, by: By<'_>) -> Option<&'n Located<Vec<Text>>> {
        let names = column.as_ref()?;
        if names.value.is_empty() {
            self.findings.error(
                names.span,
                format!("{by} is empty; write [\"any\"] for everything"),
            );
        }
        match names.value.iter().find(|name| &*name.value == "any") {
            Some(any) => {
                self.report_company(names, any, by);
                None
            }
            None => Some(names),
        }
    }

    /// `any` and the like stand alone.
    fn report_company(&self, names: &Located<Vec<Text>>, alone: &Text, by: By<'_>) {
        if names.value.len() > 1 {
            let message = format!("{by}: {} must stand alone", Quoted(&alone.value));
            self.findings.error(alone.span, message);
        }
    }
}

fn resolve_all<T>(names: &Located<Vec<Text>>, resolve: impl Fn(&Text) -> Option<T>) -> Vec<T> {
    names.value.iter().filter_map(resolve).collect()
}
