//! Running the examples of mapping files, and what else can only be told of the whole.

use std::fmt::Write;

use super::{
    Library, Mapping, Origin, Scratch,
    example::Example,
    read::Located,
    source::{BindingSpec, SourceSpec},
    tree::{Layer, Place},
};
use crate::{
    event::{Event, EventId, KindId, Raw, Time, Value, field},
    parse::{Clock, Record},
    problem::{Problem, suggest},
    tail::FileId,
};

/// The year of examples whose lines say none.
const YEAR: i16 = 2026;
/// 2026-12-31T23:59:59Z: no example is later than this.
const REFERENCE: Time = Time(1_798_761_599_000_000_000);

/// Checks every source: compiles it and runs its examples.
#[must_use]
pub fn check(library: &Library) -> Vec<Problem> {
    library.sources().flat_map(|name| check_source(library, name)).collect()
}

/// Checks one source.
#[must_use]
pub fn check_source(library: &Library, name: &str) -> Vec<Problem> {
    let spec = match library.source(name) {
        Ok(spec) => spec,
        Err(problems) => return problems,
    };
    let mapping = match library.compile(&spec) {
        Ok(mapping) => mapping,
        Err(problems) => return problems,
    };
    let mut run = Run {
        library,
        spec: &spec,
        mapping: &mapping,
        clock: Clock::new(jiff::tz::TimeZone::UTC, REFERENCE, Some(YEAR)),
        scratch: Scratch::new(),
        event: Event::new(KindId(0), EventId::default(), Time(0)),
        problems: Vec::new(),
    };
    spec.bindings.iter().for_each(|binding| run.binding(binding));
    run.problems
}

struct Run<'r> {
    library: &'r Library,
    spec: &'r SourceSpec,
    mapping: &'r Mapping,
    clock: Clock,
    scratch: Scratch,
    event: Event<Raw>,
    problems: Vec<Problem>,
}

impl Run<'_> {
    fn problem(&mut self, place: Place, message: String, hint: Option<String>) {
        self.problems.push(place.problem(self.library.files(), message).maybe_hint(hint));
    }

    fn binding(&mut self, binding: &BindingSpec) {
        // A user's binding may come without: only the shipped ones must prove themselves.
        if binding.examples.is_empty() && binding.layer == Layer::Shipped {
            let message = format!("binding `{}` has no example", binding.name);
            let hint =
                format!("add [[binding.{}.example]] with a `line` and its `fields`", binding.name);
            self.problem(binding.place, message, Some(hint));
        }
        for over in &binding.over {
            if !self.spec.bindings.iter().any(|other| other.name == over.value) {
                let names = self.spec.bindings.iter().map(|other| other.name.as_str());
                let hint = suggest(&over.value, names.collect::<Vec<_>>());
                self.problem(over.place, format!("there is no binding `{}`", over.value), hint);
            }
        }
        for example in &binding.examples {
            self.example(binding, example);
        }
    }

    fn example(&mut self, binding: &BindingSpec, example: &Example) {
        let layout = match &example.layout {
            None => self.mapping.layouts.first(),
            Some(name) => {
                let found = self.mapping.layouts.iter().find(|layout| layout.name() == name.value);
                if found.is_none() {
                    let names: Vec<_> = self.mapping.layouts.iter().map(|l| l.name()).collect();
                    let hint = suggest(&name.value, names);
                    let message = format!("the source has no layout `{}`", name.value);
                    self.problem(name.place, message, hint);
                }
                found
            }
        };
        let Some(layout) = layout else { return };
        let line = example.line.value.as_bytes();
        let mut record = Record::new(line);
        if !layout.parse(line, &self.clock, &mut record) {
            let message = format!("the example does not look like layout `{}`", layout.name());
            self.problem(
                example.line.place,
                message,
                Some("say layout = \"…\" if it is another".into()),
            );
            return;
        }
        self.map(&record);
        let matched = self.mapping.matched(&self.scratch).map(str::to_owned);
        if matched.as_deref() != Some(&binding.name) {
            let of_user = |name: &str| self.layer(name) == Some(Layer::User);
            if binding.layer == Layer::Shipped && matched.as_deref().is_some_and(of_user) {
                return;
            }
            self.mismatch(binding, example, &record, matched.as_deref());
            return;
        }
        self.kind(example);
        for (name, expected) in &example.fields {
            self.field(name, expected);
        }
        self.ambiguous(binding, example, &record);
    }

    fn layer(&self, binding: &str) -> Option<Layer> {
        self.spec.bindings.iter().find(|spec| spec.name == binding).map(|spec| spec.layer)
    }

    fn map(&mut self, record: &Record<'_>) {
        let origin = Origin {
            source: &self.spec.name,
            file: FileId::default(),
            generation: 0,
            path: b"example",
            offset: 0,
            read: REFERENCE,
            agent_id: &[0; 16],
            keep_original: false,
            clock: &self.clock,
        };
        self.mapping.map(record, &origin, &mut self.scratch, &mut self.event);
    }

    fn mismatch(
        &mut self,
        binding: &BindingSpec,
        example: &Example,
        record: &Record<'_>,
        matched: Option<&str>,
    ) {
        let message = match matched {
            Some(other) => format!("binding `{other}` takes the example of `{}`", binding.name),
            None => format!("the example does not match binding `{}`", binding.name),
        };
        let said = record.bytes_of("message").map(String::from_utf8_lossy);
        let hint = said.map(|said| format!("its message is {said:?}"));
        self.problem(example.line.place, message, hint);
    }

    fn kind(&mut self, example: &Example) {
        let Some(expected) = &example.kind else { return };
        let kind = self.mapping.tables.kind(self.event.kind).name.clone();
        if kind != expected.value {
            let message = format!("the example's kind is `{kind}`, not `{}`", expected.value);
            self.problem(expected.place, message, None);
        }
    }

    fn field(&mut self, name: &Located<String>, expected: &[String]) {
        let found = self.values(&name.value);
        // An outcome that the kind itself settles stands in the catalogue; encoders add it.
        let of_kind = self.mapping.tables.kind(self.event.kind).outcome.as_slice();
        if name.value == "event.outcome" && found.is_empty() && expected == of_kind {
            return;
        }
        if found != expected {
            let show = |values: &[String]| match values {
                [] => "nothing".to_owned(),
                [one] => format!("{one:?}"),
                more => format!("{more:?}"),
            };
            let message = format!("`{}` is {}, not {}", name.value, show(&found), show(expected));
            self.problem(name.place, message, self.known_fields());
        }
    }

    fn values(&self, name: &str) -> Vec<String> {
        let date = |time: Time| {
            jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default().to_string()
        };
        if name == "@timestamp" {
            let none = self.event.fields.iter().any(|f| {
                f.id == field::TAGS && self.event.show(f.value) == super::engine::TAG_NO_TIME
            });
            return if none { Vec::new() } else { vec![date(self.event.time)] };
        }
        let Some(id) = self.mapping.tables.field_id(name) else { return Vec::new() };
        let of_field = self.event.fields.iter().filter(|field| field.id == id);
        of_field
            .map(|field| match field.value {
                Value::Date(time) => date(time),
                value => self.event.show(value).into_owned(),
            })
            .collect()
    }

    /// What the event has, to put the example right from.
    fn known_fields(&self) -> Option<String> {
        let mut all = String::from("the event has");
        for field in &self.event.fields {
            let name = &self.mapping.tables.field(field.id).name;
            if !["message", "event.dataset", "log.file.path", "log.offset"].contains(&name.as_str())
            {
                write!(all, " {name}={:?}", self.event.show(field.value)).ok()?;
            }
        }
        Some(all)
    }

    /// Two bindings that match the same example are a problem, unless one goes before the other on purpose.
    fn ambiguous(&mut self, binding: &BindingSpec, example: &Example, record: &Record<'_>) {
        let matching = self.mapping.matching(record, &self.clock, &mut self.scratch);
        let others: Vec<_> =
            matching.into_iter().filter(|name| *name != binding.name).map(str::to_owned).collect();
        for other in others {
            let on_purpose = binding.over.iter().any(|over| over.value == other);
            let of_shipped = self.layer(&other) == Some(Layer::Shipped);
            if on_purpose || (binding.layer == Layer::User && of_shipped) {
                continue;
            }
            let message =
                format!("binding `{other}` matches the example of `{}` too", binding.name);
            let hint = format!(
                "make one of them narrower, or write over = [\"{other}\"] to put this one before it"
            );
            self.problem(example.line.place, message, Some(hint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_mappings_are_right() {
        let library = match Library::shipped() {
            Ok(library) => library,
            Err(problems) => panic!("{}", show(&problems)),
        };
        assert!(library.sources().count() >= 2);
        let problems = check(&library);
        assert!(problems.is_empty(), "{} problems\n\n{}", problems.len(), show(&problems));
    }

    fn show(problems: &[Problem]) -> String {
        problems.iter().map(|problem| format!("{problem}\n\n")).collect()
    }
}
