//! House rules as tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::{corpus, project, read};

/// All files below a folder of the project with one of these extensions. Never empty.
fn files(folder: &str, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![project().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).expect("folder").map(|entry| entry.expect("entry").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if extensions.iter().any(|e| entry.extension().is_some_and(|have| have == *e)) {
                let text = fs::read_to_string(&entry).expect("text");
                found.push((entry, text));
            }
        }
    }
    assert!(!found.is_empty(), "no file below {folder}");
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(project()).expect("inside the project").display().to_string()
}

/// The order in which the data travels; `lib.rs` declares the modules in it.
fn modules_in_order() -> Vec<String> {
    let lib = fs::read_to_string(project().join("src/lib.rs")).expect("lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// A stage imports the stages before it and never one after it.
#[test]
fn imports_point_downwards() {
    let order = modules_in_order();
    assert!(order.len() > 10, "{order:?}");
    let rank = |name: &str| order.iter().position(|known| known == name);
    let mut wrong = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        let relative = path.strip_prefix(project().join("src")).expect("below src");
        let stage = relative.components().next().expect("a name").as_os_str().to_string_lossy();
        let stage = stage.trim_end_matches(".rs");
        if stage == "main" || stage == "lib" {
            continue;
        }
        let own = rank(stage).unwrap_or_else(|| panic!("{stage} is not declared in lib.rs"));
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if rank(&used).is_some_and(|used| used > own) {
                    wrong.push(format!("{}:{}: {stage} uses {used}", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a program is called, and says, stands in `mappings/` alone.
#[test]
fn no_product_name_in_the_code() {
    const PRODUCTS: [&str; 12] = [
        "prosody",
        "ejabberd",
        "openfire",
        "utox",
        "toxcore",
        "qtox",
        "toxic",
        "smack",
        "slixmpp",
        "bootstrapd",
        "xmppframework",
        "logback",
    ];
    let mut wrong = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        for (number, line) in text.to_lowercase().lines().enumerate() {
            for product in PRODUCTS.iter().filter(|product| line.contains(**product)) {
                wrong.push(format!("{}:{}: {product}", shown(&path), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every source file says first what it is for.
#[test]
fn every_file_begins_with_its_purpose() {
    let wrong: Vec<_> = files("src", &["rs"])
        .into_iter()
        .filter(|(path, text)| !text.starts_with("//!") && !path.ends_with("main.rs"))
        .map(|(path, _)| shown(&path))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Mappings describe programs, not the logs they were tried with: no host, user, room, key, path or payload of the
/// corpus stands in one.
#[test]
fn mappings_hold_nothing_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let told = told_by_labels(&corpus);
    assert!(told.len() > 500, "only {} values in the labels", told.len());
    let mut wrong = Vec::new();
    for (path, text) in files("mappings", &["toml"]) {
        for (number, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !(c.is_alphanumeric() || "@.-_:/".contains(c)));
            for word in words.map(|word| word.trim_matches(|c: char| ".:/-@".contains(c))) {
                if told.contains(word) {
                    wrong.push(format!("{}:{}: `{word}`", shown(&path), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Users, hosts, rooms, keys and addresses that the labels name, long enough to be no ordinary word.
fn told_by_labels(corpus: &Path) -> BTreeSet<String> {
    const KEYS: [&str; 11] = [
        "user",
        "target_user",
        "source_ip",
        "destination_ip",
        "remote",
        "room",
        "self_pk",
        "peer_pk",
        "self_tox_id",
        "conn_id",
        "authzid",
    ];
    let mut told = BTreeSet::new();
    for family in ["xmpp", "tox"] {
        for folder in fs::read_dir(corpus.join(family)).expect("family") {
            let folder = folder.expect("entry").path();
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.map(|entry| entry.expect("entry").path()) {
                let name = entry.file_name().expect("name").to_string_lossy().into_owned();
                if !name.starts_with("expected") {
                    continue;
                }
                for line in String::from_utf8(read(&entry)).expect("UTF-8").lines() {
                    let Ok(label) = serde_json::from_str::<serde_json::Value>(line) else {
                        continue;
                    };
                    for value in KEYS.iter().filter_map(|key| label[*key].as_str()) {
                        told.insert(value.to_owned());
                        if let Some((_, domain)) = value.split_once('@') {
                            told.insert(domain.to_owned());
                        }
                    }
                }
            }
        }
    }
    // Loopback and wildcard addresses are everybody's; short words are no evidence.
    told.retain(|value| {
        value.len() >= 7
            && value.contains(['.', '@', ':']) | (value.len() >= 32)
            && !value.starts_with("127.")
            && value != "0.0.0.0"
    });
    told
}
