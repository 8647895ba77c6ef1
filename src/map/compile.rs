//! [`SourceSpec`] → [`Mapping`]: patterns compiled, names resolved, bindings put in their order and dispatched.

use std::{
    cmp::Reverse,
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Mapping,
    index::Dispatch,
    jid::JidPart,
    names::{FastMap, NameId, Names},
    read::{Located, Reader, inside},
    rules::{Alternative, Binding, Check, Copying, KindRule, Lookup, Origin, Target},
    source::{BindingSpec, Condition, FromSpec, SourceSpec, unrecognised},
    tree::Layer,
};
use crate::{
    event::{FieldId, Tables, field},
    parse::{Layout, Template},
};

/// Fields that the agent says itself: what a record claims of them is not believed.
const OWN: &[&str] = &[
    "@timestamp",
    "ecs.version",
    "event.id",
    "event.code",
    "event.kind",
    "event.category",
    "event.type",
    "event.severity",
    "event.created",
    "event.ingested",
    "event.original",
    "log.file.path",
    "log.offset",
    "tags",
];
/// The same for all fields under these.
const OWN_ROOTS: &[&str] = &["towline.", "agent.", "observer.", "data_stream.", "related."];

/// Number of the next mapping; 0 is none.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// Compiles a source.
pub(crate) fn mapping(
    reader: &mut Reader<'_>,
    spec: &SourceSpec,
    tables: &Arc<Tables>,
    upper: &HashSet<FieldId>,
) -> Option<Mapping> {
    let layouts = layouts(reader, spec);
    let mut names = Names::default();
    let passing = passing(&mut names, tables);
    let message = names.add("message");
    let timestamp = names.add("@timestamp");
    let mut compiler = Compiler { reader, tables, names };
    let mut alternatives = Vec::new();
    for (n, binding) in spec.bindings.iter().enumerate() {
        alternatives.extend(compiler.alternatives(n, binding));
    }
    alternatives.sort_by_key(|(order, _)| *order);
    let alternatives: Vec<_> =
        alternatives.into_iter().map(|(_, alternative)| alternative).collect();
    let from = compiler.copying(&spec.from, None);
    let connection = spec.session.as_ref().map(|session| {
        let lookup = compiler.lookup(&session.id, None);
        (tables.field_id(&session.id), lookup)
    });
    let Compiler { names, .. } = compiler;
    let kinds: FastMap<_> = tables
        .kinds()
        .iter()
        .filter_map(|kind| Some((kind.name.as_bytes().into(), tables.kind_id(&kind.name)?)))
        .collect();
    let unrecognised = *kinds.get(unrecognised(&spec.family).as_bytes())?;
    let dispatch = Dispatch::new(&alternatives);
    Some(Mapping {
        name: spec.name.clone(),
        layouts,
        tables: Arc::clone(tables),
        session: spec.session.clone(),
        serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        passing: by_name(&names, passing),
        names,
        message,
        timestamp,
        dispatch,
        alternatives,
        bindings: spec.bindings.iter().map(binding).collect(),
        from,
        constants: spec.fields.clone(),
        connection,
        kinds,
        unrecognised,
        upper: (0..tables.fields().len()).map(|n| upper.contains(&id(n))).collect(),
    })
}

fn id(n: usize) -> FieldId {
    FieldId(u16::try_from(n).unwrap_or(u16::MAX))
}

fn layouts(reader: &mut Reader<'_>, spec: &SourceSpec) -> Vec<Layout> {
    let mut layouts = Vec::new();
    for (layout, place) in spec.layouts.iter().zip(&spec.layout_places) {
        layouts.extend(super::layout::compile(reader, layout, *place));
    }
    layouts
}

/// Names of record parts that become the field of the same name.
fn passing(names: &mut Names, tables: &Tables) -> Vec<(NameId, FieldId)> {
    let believed =
        |name: &str| !OWN.contains(&name) && !OWN_ROOTS.iter().any(|root| name.starts_with(root));
    let all = tables.fields().iter().enumerate();
    all.filter(|(_, def)| believed(&def.name))
        .map(|(n, def)| (names.add(&def.name), id(n)))
        .collect()
}

fn by_name(names: &Names, passing: Vec<(NameId, FieldId)>) -> Vec<Option<FieldId>> {
    let mut by_name = vec![None; names.len()];
    for (name, field) in passing {
        by_name[usize::from(name.0)] = Some(field);
    }
    by_name
}

fn binding(spec: &BindingSpec) -> Binding {
    Binding { name: spec.name.clone(), severity: spec.severity, constants: spec.fields.clone() }
}

/// What sorts alternatives: see `Order` in the file format's description.
type Order = (Reverse<Layer>, Reverse<bool>, Reverse<usize>, Reverse<usize>, usize);

struct Compiler<'c, 'f> {
    reader: &'c mut Reader<'f>,
    tables: &'c Tables,
    names: Names,
}

impl Compiler<'_, '_> {
    fn alternatives(&mut self, n: usize, spec: &BindingSpec) -> Vec<(Order, Alternative)> {
        let mut all = Vec::new();
        let templates: Vec<_> = if spec.messages.is_empty() {
            vec![None]
        } else {
            spec.messages.iter().filter_map(|message| self.template(message)).map(Some).collect()
        };
        self.check_temporaries(spec, &templates);
        for template in templates {
            let literal = template.as_ref().map_or(0, Template::literal_bytes);
            let leading = template.as_ref().is_some_and(|t| !t.leading_literal().is_empty());
            let order = (
                Reverse(spec.layer),
                Reverse(leading),
                Reverse(literal),
                Reverse(spec.when.len()),
                n,
            );
            all.extend(self.alternative(n, spec, template).map(|one| (order, one)));
        }
        all
    }

    fn template(&mut self, pattern: &Located<String>) -> Option<Template> {
        match Template::compile(&pattern.value) {
            Ok(template) => Some(template),
            Err(error) => {
                let place = inside(self.reader.files, pattern.place, error.offset);
                self.reader.problem_with_hint(place, error.message, error.hint);
                None
            }
        }
    }

    fn alternative(
        &mut self,
        n: usize,
        spec: &BindingSpec,
        template: Option<Template>,
    ) -> Option<Alternative> {
        let of = template.as_ref();
        let targets = of.map(|template| self.targets(spec, template)).unwrap_or_default();
        let (checks, after): (Vec<_>, Vec<_>) = spec
            .when
            .iter()
            .map(|condition| self.check(condition, of))
            .partition(|check| matches!(check.lookup.whole, Some(Origin::Name(_)) | None));
        Some(Alternative {
            binding: n,
            kind: self.kind(&spec.kind, of)?,
            from: self.copying(&spec.from, of),
            targets,
            before: checks,
            after,
            template,
        })
    }

    /// Where the captures of a pattern go.
    fn targets(&mut self, spec: &BindingSpec, template: &Template) -> Vec<Target> {
        let mut targets = Vec::new();
        for capture in template.captures() {
            let place = spec.messages.iter().find(|m| m.value == template.pattern());
            let place = place.map_or(spec.place, |message| {
                let at = message.value.find(&format!("{{{}", capture.name)).map_or(0, |at| at + 1);
                inside(self.reader.files, message.place, at)
            });
            targets.push(match capture.name.as_str() {
                "@timestamp" => Target::Time,
                name if name.starts_with('$') || name == "_" => Target::Nothing,
                name => super::source::field_id(self.reader, name, place, self.tables)
                    .map_or(Target::Nothing, Target::Field),
            });
        }
        targets
    }

    fn check(&mut self, condition: &Condition, template: Option<&Template>) -> Check {
        Check { lookup: self.lookup(&condition.name.value, template), test: condition.test.clone() }
    }

    fn kind(&mut self, kind: &Located<String>, template: Option<&Template>) -> Option<KindRule> {
        let Some((prefix, rest)) = kind.value.split_once('{') else {
            return self.tables.kind_id(&kind.value).map(KindRule::Fixed);
        };
        let Some((name, suffix)) = rest.split_once('}').filter(|(_, rest)| !rest.contains('{'))
        else {
            let hint = "a name, or names of which the first that is there counts, in braces: kind = \"tox.{event|type}\"".to_owned();
            self.reader.problem_with_hint(
                kind.place,
                "a kind with a wrong placeholder",
                Some(hint),
            );
            return None;
        };
        let lookups = name.split('|').map(|name| self.lookup(name, template)).collect();
        Some(KindRule::Built { prefix: prefix.into(), lookups, suffix: suffix.into() })
    }

    fn copying(&mut self, from: &[FromSpec], template: Option<&Template>) -> Vec<Copying> {
        let copy = |from: &FromSpec| Copying {
            field: from.field,
            array: self.tables.field(from.field).array,
            lookups: from.names.iter().map(|name| self.lookup(&name.value, template)).collect(),
        };
        from.iter().map(copy).collect()
    }

    /// A name as a capture of the pattern or a name of the record; `.local` and the like also as a part of it.
    fn lookup(&mut self, name: &str, template: Option<&Template>) -> Lookup {
        let capture = |name: &str| {
            let captures = template.map(Template::captures).unwrap_or_default();
            captures.iter().position(|capture| capture.name == name)
        };
        let mut origin = |name: &str| match capture(name) {
            Some(slot) => Some(Origin::Capture(u16::try_from(slot).ok()?)),
            None if name.starts_with('$') => None,
            None => Some(Origin::Name(self.names.add(name))),
        };
        let part = JidPart::of_name(name).and_then(|(base, part)| Some((origin(base)?, part)));
        Lookup { whole: origin(name), part }
    }

    /// Names that begin with `$` must be captured by the pattern.
    fn check_temporaries(&mut self, spec: &BindingSpec, templates: &[Option<Template>]) {
        let captured: HashSet<&str> = templates
            .iter()
            .flatten()
            .flat_map(|template| template.captures())
            .map(|capture| capture.name.as_str())
            .collect();
        let known = |name: &str| {
            let base = JidPart::of_name(name).map_or(name, |(base, _)| base);
            !name.starts_with('$') || captured.contains(name) || captured.contains(base)
        };
        let from = spec.from.iter().flat_map(|from| &from.names);
        let named: Vec<_> = from.chain(spec.when.iter().map(|condition| &condition.name)).collect();
        for name in named.into_iter().filter(|name| !known(&name.value)) {
            let message =
                format!("no pattern of binding `{}` captures `{}`", spec.name, name.value);
            let hint = crate::problem::suggest(&name.value, captured.iter().copied());
            self.reader.problem_with_hint(name.place, message, hint);
        }
    }
}

/// Fields whose values are made of another: the parts of an address.
pub(crate) const ADDRESSES: [(FieldId, [Option<FieldId>; 3]); 2] = [
    (field::JID, [Some(field::USER_NAME), Some(field::USER_DOMAIN), Some(field::RESOURCE)]),
    (field::TARGET_JID, [Some(field::TARGET_NAME), Some(field::TARGET_DOMAIN), None]),
];
