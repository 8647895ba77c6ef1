//! Which events a destination takes: kinds by glob, and a smallest severity. Decided once per table, not per event.

use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::event::{Event, Tables, Text};

/// The filter of one destination.
pub(crate) struct Filter {
    globs: Option<GlobSet>,
    severity_min: u8,
    /// What `severities` was made for.
    tables: Option<Arc<Tables>>,
    /// By kind: its severity, or `None` where the globs leave it out.
    severities: Vec<Option<u8>>,
}

impl Filter {
    /// A filter; no globs take every kind.
    pub(crate) fn new(kinds: &[String], severity_min: u8) -> Result<Self, String> {
        let globs = (!kinds.is_empty()).then(|| globs(kinds)).transpose()?;
        Ok(Self { globs, severity_min, tables: None, severities: Vec::new() })
    }

    /// Decides for all kinds of these tables.
    pub(crate) fn prepare(&mut self, tables: &Arc<Tables>) {
        if self.tables.as_ref().is_some_and(|t| Arc::ptr_eq(t, tables)) {
            return;
        }
        let takes = |name: &str| self.globs.as_ref().is_none_or(|globs| globs.is_match(name));
        let kinds = tables.kinds().iter();
        self.severities = kinds.map(|kind| takes(&kind.name).then_some(kind.severity)).collect();
        self.tables = Some(tables.clone());
    }

    /// Whether the destination takes this event of the prepared tables.
    pub(crate) fn takes<T: Text>(&self, event: &Event<T>) -> bool {
        match self.severities.get(usize::from(event.kind.0)) {
            Some(Some(severity)) => event.severity.unwrap_or(*severity) >= self.severity_min,
            _ => false,
        }
    }
}

fn globs(kinds: &[String]) -> Result<GlobSet, String> {
    let mut builder = GlobSetBuilder::new();
    for kind in kinds {
        builder.add(Glob::new(kind).map_err(|error| format!("kinds: {error}"))?);
    }
    builder.build().map_err(|error| format!("kinds: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, KindDef, KindId, Raw, Time};

    fn tables() -> Arc<Tables> {
        let kind = |name: &str, severity| KindDef {
            name: name.into(),
            title: String::new(),
            severity,
            kind: "event".into(),
            category: vec![],
            types: vec![],
            outcome: None,
            attack: vec![],
            meaning: String::new(),
        };
        Arc::new(Tables::new(vec![], vec![kind("xmpp.auth_failure", 6), kind("tox.noise", 1)]))
    }

    fn takes(kinds: &[&str], severity_min: u8, kind: u16, severity: Option<u8>) -> bool {
        let kinds: Vec<_> = kinds.iter().map(|k| (*k).to_owned()).collect();
        let mut filter = Filter::new(&kinds, severity_min).unwrap();
        filter.prepare(&tables());
        let mut event = Event::<Raw>::new(KindId(kind), EventId::default(), Time(0));
        event.severity = severity;
        filter.takes(&event)
    }

    #[test]
    fn kinds_and_severity_both_decide() {
        assert!(takes(&[], 0, 0, None));
        assert!(takes(&["xmpp.*"], 6, 0, None));
        assert!(!takes(&["xmpp.*"], 7, 0, None));
        assert!(takes(&["xmpp.*"], 7, 0, Some(9)));
        assert!(!takes(&["xmpp.*"], 6, 0, Some(5)));
        assert!(!takes(&["xmpp.*"], 0, 1, None));
        assert!(takes(&["xmpp.*", "tox.noise"], 0, 1, None));
    }

    #[test]
    fn a_kind_that_the_tables_do_not_have_is_left_out() {
        assert!(!takes(&[], 0, 7, None));
    }

    #[test]
    fn a_wrong_glob_is_an_error() {
        assert!(Filter::new(&["xmpp.[".into()], 0).is_err());
    }
}
