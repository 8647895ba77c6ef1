//! The mapping files that are part of the program, and the tables of ECS that they are checked against.

use super::tree::{File, Layer};

/// ECS 8.11: `field,type,array`.
pub(crate) const ECS_FIELDS: &str = include_str!("../../mappings/ecs-fields.csv");
/// ECS 8.11: `event.category,expected event.type`.
pub(crate) const ECS_CATEGORIES: &str = include_str!("../../mappings/ecs-category-types.csv");
/// Path inside the mappings folder, and text. The list stands there too, so that nothing here names a program.
pub(crate) const SHIPPED: &[(&str, &str)] = include!("../../mappings/embed.rs");

/// The mapping files that are part of the program.
#[must_use]
pub fn files() -> Vec<File> {
    let file = |(name, text): &(&str, &str)| File {
        path: format!("mappings/{name}").into(),
        name: (*name).to_owned(),
        layer: Layer::Shipped,
        text: (*text).to_owned(),
    };
    SHIPPED.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_mapping_file_is_part_of_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let mut there = BTreeSet::new();
        for folder in ["", "events", "layouts", "sources", "schemas", "privacy"] {
            let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
            for entry in entries {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".toml") {
                    there.insert(if folder.is_empty() { name } else { format!("{folder}/{name}") });
                }
            }
        }
        let listed: BTreeSet<_> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert!(there.len() > 5, "{there:?}");
        let missing: Vec<_> = there.symmetric_difference(&listed).collect();
        assert!(missing.is_empty(), "add to (or remove from) mappings/embed.rs: {missing:?}");
        assert_eq!(listed.len(), SHIPPED.len(), "a file is listed twice");
    }
}
