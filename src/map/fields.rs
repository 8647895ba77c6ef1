//! Which fields there are and of what type: ECS's, Towline's own (`fields.toml`), the user's.

use super::{
    read::Reader,
    tree::{Place, Table},
};
use crate::event::{FieldDef, FieldType, field};
use crate::problem::nearest;

/// Own fields live under these names, so that they can never collide with a later ECS.
const OWN_ROOTS: &[&str] = &["xmpp.", "tox.", "app.", "towline."];

/// Most fields: their ids are 16 bits.
const FIELDS_MAX: usize = 16_384;

/// The types that `fields.toml` may name.
const TYPES: &[(&str, FieldType)] = &[
    ("keyword", FieldType::Keyword),
    ("text", FieldType::Text),
    ("long", FieldType::Long),
    ("double", FieldType::Double),
    ("boolean", FieldType::Boolean),
    ("ip", FieldType::Ip),
    ("date", FieldType::Date),
];

/// The Elasticsearch type of an ECS field → ours. Types that are no single value have none.
fn ecs_type(name: &str) -> Option<FieldType> {
    Some(match name {
        "keyword" | "constant_keyword" | "wildcard" => FieldType::Keyword,
        "text" | "match_only_text" => FieldType::Text,
        "long" | "integer" | "short" | "byte" | "unsigned_long" => FieldType::Long,
        "float" | "double" | "half_float" | "scaled_float" => FieldType::Double,
        "boolean" => FieldType::Boolean,
        "ip" => FieldType::Ip,
        "date" => FieldType::Date,
        _ => return None,
    })
}

/// Fields of ECS out of its table of `name,type,array`.
pub(crate) fn of_ecs(csv: &str) -> Vec<FieldDef> {
    let row = |line: &str| {
        let mut cells = line.split(',');
        let name = cells.next()?.to_owned();
        let ty = ecs_type(cells.next()?)?;
        Some(FieldDef { name, ty, array: cells.next() == Some("array") })
    };
    csv.lines().skip(1).filter_map(row).collect()
}

/// Own fields out of a `fields.toml`, and the names of those whose text is put into upper case.
pub(crate) fn of_file(reader: &mut Reader<'_>, table: &Table) -> (Vec<FieldDef>, Vec<String>) {
    let (mut fields, mut upper) = (Vec::new(), Vec::new());
    for entry in &table.entries {
        let Some(inner) = reader.table(&entry.node) else { continue };
        reader.known(inner, &format!("[\"{}\"]", entry.key), &["type", "array", "case", "about"]);
        let own = OWN_ROOTS.iter().any(|root| entry.key.starts_with(root));
        if !own && !field::NAMES.contains(&entry.key.as_str()) {
            let message = format!("`{}` is no name for an own field", entry.key);
            let hint = format!("own fields begin with {}", OWN_ROOTS.join(" "));
            reader.problem_with_hint(entry.key_place, message, Some(hint));
        }
        reader.required(inner, "about", &entry.key, entry.key_place);
        let Some(ty) = inner.node("type") else {
            reader.problem(entry.key_place, format!("field `{}` has no `type`", entry.key));
            continue;
        };
        let Some(ty) = reader.choice(ty, TYPES) else { continue };
        let array = reader.truth_at(inner, "array").unwrap_or(false);
        if inner.node("case").and_then(|node| reader.choice(node, &[("upper", ())])).is_some() {
            upper.push(entry.key.clone());
        }
        fields.push(FieldDef { name: entry.key.clone(), ty, array });
    }
    (fields, upper)
}

/// All fields in the order of their ids: those that the stages name themselves, then the others by name.
pub(crate) fn ordered(reader: &mut Reader<'_>, mut all: Vec<FieldDef>) -> Vec<FieldDef> {
    let mut ordered = Vec::with_capacity(all.len());
    for name in field::NAMES {
        match all.iter().position(|def| def.name == *name) {
            Some(at) => ordered.push(all.swap_remove(at)),
            None => {
                let message = format!("field `{name}` is needed, but not defined");
                reader.problem(Place { file: usize::MAX, ..Place::default() }, message);
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    ordered.append(&mut all);
    if ordered.len() > FIELDS_MAX {
        let message = format!("more than {FIELDS_MAX} fields");
        reader.problem(Place { file: usize::MAX, ..Place::default() }, message);
    }
    ordered
}

/// ``did you mean `x`?`` for a name that is no field.
pub(crate) fn suggest_field(name: &str, fields: &[FieldDef]) -> Option<String> {
    let near = nearest(name, fields.iter().map(|def| def.name.as_str()));
    near.map(|near| format!("did you mean `{near}`?")).or_else(|| {
        Some("a field of ECS or of fields.toml; a name that is not shipped begins with `$`".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecs_types_become_ours() {
        let fields =
            of_ecs("field,type,array\nsource.ip,ip,\ntags,keyword,array\nlabels,object,\n");
        let shown: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.ty, f.array)).collect();
        assert_eq!(
            shown,
            [("source.ip", FieldType::Ip, false), ("tags", FieldType::Keyword, true)]
        );
    }
}
